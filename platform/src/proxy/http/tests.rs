mod places;

use std::net::SocketAddr;
use std::sync::Mutex as Guarded;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::exit::{Host, ReachError};
use crate::net::Network;
use crate::net::memory::Memory;
use crate::proxy::Meters;
use crate::status::Listener;

/// The gateway of a node in the memory network, and a service outside that remembers what it was asked.
struct House {
    memory: Memory,
    address: SocketAddr,
    meter: Arc<Meter>,
    asked: Arc<Guarded<Vec<String>>>,
    _stop: watch::Sender<bool>,
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

impl House {
    /// With a service at `www.site.org`, port 80, that answers everything with `answer`.
    async fn open(settings: &str, answer: &'static str) -> Self {
        let config = config::Config::parse(&format!("[proxy.http]\n{settings}")).unwrap();
        let memory = Memory::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let meter = Meters::default().add("http", address);
        let exit = Exit::new(Network::Memory(memory.clone()));
        let gateway = Gateway::new(exit, &config.proxy.http, Arc::clone(&meter)).unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(gateway.run(listener, stopped));
        let house = Self { memory, address, meter, asked: Arc::default(), _stop: stop };
        house.serve("www.site.org", 80, answer);
        house
    }

    fn serve(&self, host: &str, port: u16, answer: &'static str) {
        let mut server = self.memory.listen_outside(host.parse::<Host>().unwrap(), port);
        let asked = Arc::clone(&self.asked);
        tokio::spawn(async move {
            while let Some(mut stream) = server.accept().await {
                let asked = Arc::clone(&asked);
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !whole(&request) && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                    asked.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    stream.shutdown().await.unwrap();
                });
            }
        });
    }

    /// What the gateway says to these bytes until it hangs up.
    async fn say(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A refusal in the middle of a body may reset the connection after it.
        let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "no end of {:?}", String::from_utf8_lossy(&answer));
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(&self, path: &str, more: &str) -> String {
        self.say(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n")).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn view(&self) -> Listener {
        self.meter.view()
    }
}

/// Head and body are there.
fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    match length {
        Some(length) => body.len() >= length,
        None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
    }
}

fn code(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

const PROXIED: &str = "/proxy?url=http%3A%2F%2Fwww.site.org%2Fa%3Fb%3Dc";

#[tokio::test]
async fn a_url_is_fetched_as_nobody_in_particular() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nETag: x\r\n\r\nok";
    let house = House::open("", answer).await;
    let more = "Cookie: session=1\r\nX-Forwarded-For: 192.168.0.7\r\nForwarded: for=192.168.0.7\r\nVia: 1.1 me\r\n\
                Referer: http://localhost:3000/secret\r\nOrigin: http://localhost:3000\r\nUser-Agent: Odd/1\r\n\
                Accept-Language: tlh\r\nAuthorization: Bearer key\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n";
    let said = house.get(PROXIED, more).await;
    assert!(code(&said) == 200 && said.ends_with("\r\n\r\nok"), "{said}");
    assert!(said.contains("etag: x") && !said.contains("set-cookie"), "{said}");
    assert!(said.contains("access-control-allow-origin: http://localhost:3000\r\n"), "{said}");
    assert!(said.contains("sandbox"), "{said}");
    let asked = house.asked().remove(0).to_lowercase();
    assert!(
        asked.starts_with("get /a?b=c http/1.1\r\n") && asked.contains("host: www.site.org\r\n"),
        "{asked}"
    );
    assert!(asked.contains("authorization: bearer key") && asked.contains("rv:140.0"), "{asked}");
    for word in ["session", "192.168", "via", "localhost", "odd/1", "tlh", "x-hop", "proxy", "referer"] {
        assert!(!asked.contains(word), "{word} in {asked}");
    }
}

#[tokio::test]
async fn redirects_come_back_through_the_gateway() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: https://other.site.org/\r\nContent-Length: 0\r\n\r\n";
    let house = House::open("", answer).await;
    let said = house.get(PROXIED, "").await;
    assert_eq!(code(&said), 302);
    assert!(said.contains("location: /proxy?url=https%3A%2F%2Fother.site.org%2F\r\n"), "{said}");
    assert_eq!(house.asked().len(), 1, "the gateway followed it");
}

#[tokio::test]
async fn bodies_go_both_ways_with_any_method() {
    let house = House::open("", OK).await;
    for body in ["Content-Length: 4\r\n\r\nbody", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"]
    {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let said = house.say(&format!("{method} {PROXIED} HTTP/1.1\r\nHost: 127.0.0.1\r\n{body}")).await;
            assert!(said.ends_with("ok"), "{method}: {said}");
            let asked = house.asked().pop().unwrap();
            assert!(asked.starts_with(method) && asked.contains("body"), "{asked}");
        }
    }
    let said = house.say(&format!("TRACE {PROXIED} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).await;
    assert_eq!(code(&said), 405);
    assert_eq!((house.view().requests, house.view().up), (9, 32));
}

#[tokio::test]
async fn private_targets_are_refused_before_anything_is_opened() {
    let house = House::open("", OK).await;
    house.serve("127.0.0.1", 80, OK);
    for url in target::tests::REFUSED {
        let encoded: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
        let said = house.get(&format!("/proxy?url={encoded}"), "").await;
        assert!(matches!(code(&said), 400 | 403), "{url}: {said}");
        assert!(!said.contains("127.0.0.1") && !said.contains("169.254"), "{said}");
    }
    for path in [
        "/proxy",
        "/proxy?url=",
        "/proxy?URL=http://www.site.org/",
        "/proxy?url=http://www.site.org/?a&b=c",
        "/proxy?url=http://www.site.org/&url=http://127.0.0.1/",
    ] {
        assert_eq!(code(&house.get(path, "").await), 400, "{path}");
    }
    let said = house.say("CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n").await;
    assert_eq!(code(&said), 403);
    let said = house.say("GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    assert_eq!(code(&said), 403);
    assert!(house.asked().is_empty());
    assert!(house.view().errors["bad_target"] >= 60);

    let house = House::open("allow_private = true", OK).await;
    house.serve("127.0.0.1", 80, OK);
    assert_eq!(code(&house.get("/proxy?url=http://127.0.0.1/", "").await), 200);
}

#[tokio::test]
async fn foreign_names_and_pages_are_sent_away() {
    let house = House::open("", OK).await;
    let said = house.say(&format!("GET {PROXIED} HTTP/1.1\r\nHost: evil.example:3080\r\n\r\n")).await;
    assert_eq!(code(&said), 421, "a name that was made to point here");
    for more in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Referer: https://evil.example/\r\n",
    ] {
        for path in [PROXIED, "/ip", "/verify-tor", "/health"] {
            let said = house.get(path, more).await;
            assert!(code(&said) == 403 && !said.contains("access-control"), "{more}: {said}");
        }
    }
    let ask = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-key\r\n";
    let leave = |origin: &str| {
        format!("OPTIONS {PROXIED} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {origin}\r\n{ask}\r\n")
    };
    let said = house.say(&leave("http://localhost:3000")).await;
    assert!(code(&said) == 204 && said.contains("access-control-allow-headers: x-key"), "{said}");
    assert!(!said.contains("allow-credentials") && !said.contains("origin: *"), "{said}");
    assert_eq!(code(&house.say(&leave("http://evil.example")).await), 403);
    assert!(house.asked().is_empty());
    assert_eq!(
        code(&house.say(&format!("OPTIONS {PROXIED} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).await),
        200
    );
    assert!(house.asked()[0].starts_with("OPTIONS /a"));
}

#[tokio::test]
async fn two_requests_cannot_be_hidden_in_one() {
    let house = House::open("", OK).await;
    let inner = format!("GET {PROXIED} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Inner: 1\r\n\r\n");
    for lines in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Content-Length: 0\r\nContent-Length: 6",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\nContent-Length: 6",
        "Host: 127.0.0.1",
    ] {
        let said = house
            .say(&format!("POST {PROXIED} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n\r\n0\r\n\r\n{inner}"))
            .await;
        assert_eq!(code(&said), 400, "{lines:?}: {said}");
    }
    for chunk in
        ["5;\n\r\nX\r\n", "-1\r\n", "g\r\n", "5\r\nabcdeXX", "ffffffffffffffff0\r\n", " 5\r\nabcde\r\n"]
    {
        let request = format!(
            "POST {PROXIED} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n{inner}"
        );
        let said = house.say(&request).await;
        assert!(said.is_empty() || code(&said) >= 400, "{chunk:?}: {said}");
    }
    // What follows a whole request is never read.
    let said = house.say(&format!("{inner}{inner}")).await;
    assert_eq!(said.matches("HTTP/1.1").count(), 1, "{said}");
    let inner_asked = house.asked().iter().filter(|asked| asked.contains("x-inner")).count();
    assert_eq!(inner_asked, 1, "{:?}", house.asked());
}

#[tokio::test]
async fn what_is_too_long_is_cut() {
    let house = House::open("request_limit = 10\nresponse_limit = 1", OK).await;
    let post = |body: &str| format!("POST {PROXIED} HTTP/1.1\r\nHost: 127.0.0.1\r\n{body}");
    let said = house.say(&post("Content-Length: 11\r\n\r\n12345678901")).await;
    assert_eq!(code(&said), 413);
    let said =
        house.say(&post("Transfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n")).await;
    assert_eq!(code(&said), 413, "{said}");
    let said = house.say(&post("Content-Length: 10\r\n\r\n1234567890")).await;
    assert_eq!(code(&said), 502, "the answer has two bytes: {said}");
    let long = format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    assert_eq!(code(&house.say(&long).await), 431);
    assert_eq!(
        code(&house.get(&format!("/proxy?url=http://www.site.org/{}", "x".repeat(9_000)), "").await),
        400
    );
}

#[tokio::test]
async fn a_password_guards_everything() {
    let house = House::open("password = \"swordfish\"", OK).await;
    for path in [PROXIED, "/ip", "/verify-tor", "/health"] {
        let said = house.get(path, "").await;
        assert!(code(&said) == 407 && said.contains("proxy-authenticate: Basic"), "{said}");
    }
    let said = house.say("CONNECT www.site.org:80 HTTP/1.1\r\nHost: www.site.org:80\r\n\r\n").await;
    assert_eq!(code(&said), 407);
    let said = house.get(PROXIED, "X-Bulbil-Password: swordfish\r\n").await;
    assert_eq!(code(&said), 200);
    assert!(!house.asked()[0].contains("swordfish"), "{:?}", house.asked());
    let basic = "Proxy-Authorization: Basic bWU6c3dvcmRmaXNo\r\n";
    assert_eq!(code(&house.get("/health", basic).await), 200);
}

#[tokio::test]
async fn tunnels_carry_bytes_both_ways() {
    let house = House::open("", OK).await;
    let inner = "GET /through HTTP/1.1\r\nHost: www.site.org\r\nCookie: kept\r\n\r\n";
    let said =
        house.say(&format!("CONNECT www.site.org:80 HTTP/1.1\r\nHost: www.site.org:80\r\n\r\n{inner}")).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("ok"), "{said}");
    assert_eq!(house.asked(), [inner]);
    let said = house
        .say("GET http://www.site.org/plain HTTP/1.1\r\nHost: www.site.org\r\nCookie: kept\r\nVia: x\r\n\r\n")
        .await;
    assert!(code(&said) == 200 && said.ends_with("ok"), "{said}");
    let asked = house.asked().pop().unwrap();
    assert!(asked.starts_with("GET /plain") && asked.contains("kept") && !asked.contains("via"), "{asked}");
}

#[tokio::test]
async fn failures_are_told_apart_and_name_no_target() {
    let house = House::open("timeout = 1", OK).await;
    for (host, why, expected) in [
        ("a.site.org", ReachError::Refused, 502),
        ("b.site.org", ReachError::NoSuchName, 502),
        ("c.site.org", ReachError::Timeout, 504),
        ("d.site.org", ReachError::NotReady, 503),
        ("e.site.org", ReachError::Private, 403),
    ] {
        house.memory.fail_outside(host.parse().unwrap(), 80, why);
        house.memory.fail_outside(host.parse().unwrap(), 443, why);
        let said = house.get(&format!("/proxy?url=http://{host}/"), "").await;
        assert!(code(&said) == expected && !said.contains("site.org"), "{said}");
        let said = house.say(&format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n")).await;
        assert!(code(&said) == expected && !said.contains("site.org"), "{said}");
    }
    house.memory.silence_outside("slow.site.org".parse().unwrap(), 80);
    assert_eq!(code(&house.get("/proxy?url=http://slow.site.org/", "").await), 504);
    house.serve("broken.site.org", 80, "nonsense\r\n\r\n");
    assert_eq!(code(&house.get("/proxy?url=http://broken.site.org/", "").await), 502);
    assert_eq!(code(&house.get("/elsewhere", "").await), 404);
    let said = house.say("POST /ip HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(code(&said), 405);
    let errors = house.view().errors;
    assert!(
        ["refused", "no_such_name", "timeout", "not_ready", "private", "broken"]
            .iter()
            .all(|word| errors.contains_key(*word))
    );
}

#[tokio::test]
async fn who_we_are_is_told() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n{\"IsTor\":true,\"IP\":\"192.0.2.9\"}";
    let house = House::open("check_urls = [\"http://www.site.org/check\"]", answer).await;
    let said = house.get("/verify-tor", "").await;
    assert!(said.ends_with(r#"{"exitIp":"192.0.2.9","isTor":true}"#), "{said}");
    assert!(house.get("/ip", "").await.ends_with(r#"{"ip":"192.0.2.9"}"#));
    let said = house.get("/health", "").await;
    assert!(code(&said) == 200 && said.contains(r#""ready":true"#), "{said}");
    Network::Memory(house.memory.clone()).shutdown().await;
    let said = house.get("/health", "").await;
    assert!(code(&said) == 503 && said.contains(r#""ready":false"#), "{said}");
}

/// More than the buffers of a connection hold.
const LARGE: usize = 32 << 20;

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_place() {
    let house = House::open("timeout = 1\nidle = 1", OK).await;
    let mut server = house.memory.listen_outside("large.org".parse::<Host>().unwrap(), 80);
    tokio::spawn(async move {
        let mut stream = server.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = tokio::io::copy(&mut tokio::io::repeat(7).take(LARGE as u64), &mut stream).await;
    });
    let mut client = TcpStream::connect(house.address).await.unwrap();
    let request = "GET /proxy?url=http://large.org/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let gone = async {
        while !house.view().errors.contains_key("client_silent") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.unwrap();
    let mut taken = Vec::new();
    let _ = client.read_to_end(&mut taken).await;
    assert!(taken.len() < LARGE, "it was served after all");
}

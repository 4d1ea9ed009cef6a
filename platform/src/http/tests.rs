use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A SOCKS5 proxy in which every name leads to one service of ours. The real proxies are asked end to end; this one can
/// be made to misbehave, and remembers what it was told.
#[derive(Clone, Debug, Default)]
struct House {
    /// User names and hosts that came.
    said: Arc<Mutex<Vec<(String, String)>>>,
    /// Answers to requests, taken from the front; the last one stays.
    answers: Arc<Mutex<Vec<&'static str>>>,
    /// Requests as they came, bodies included.
    requests: Arc<Mutex<Vec<String>>>,
}

impl House {
    async fn open(answers: &[&'static str]) -> (Self, Config) {
        let house = Self { answers: Arc::new(Mutex::new(answers.to_vec())), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = house.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(host.clone().serve(stream));
            }
        });
        let config = Config {
            socks_addr: address.into(),
            retry_pause: Duration::from_millis(1),
            timeout: Duration::from_secs(5),
            ..Config::default()
        };
        (house, config)
    }

    async fn serve(self, mut stream: TcpStream) -> Option<()> {
        let mut three = [0; 4];
        stream.read_exact(&mut three).await.ok()?;
        stream.write_all(&[5, 2]).await.ok()?;
        let mut words = Vec::new();
        stream.read_u8().await.ok()?;
        for _ in 0..2 {
            words.push(read_word(&mut stream).await?);
        }
        stream.write_all(&[1, 0]).await.ok()?;
        stream.read_exact(&mut three).await.ok()?;
        let host = match three[3] {
            3 => read_word(&mut stream).await?,
            _ => "address".to_owned(),
        };
        let _port = stream.read_u16().await.ok()?;
        let refused = match host.as_str() {
            "refused.test" => 5,
            "gone.onion" => 0xf0,
            _ => 0,
        };
        self.said.lock().unwrap().push((words[0].clone(), host));
        stream.write_all(&[5, refused, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
        self.answer(stream).await
    }

    /// Answers requests over one connection. An empty answer hangs up, an answer of one blank is never given.
    async fn answer(self, mut stream: TcpStream) -> Option<()> {
        loop {
            let mut request = String::new();
            while !request.contains("\r\n\r\n") {
                request.push(char::from(stream.read_u8().await.ok()?));
            }
            let length = request.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).await.ok()?;
            request.push_str(&String::from_utf8_lossy(&body));
            self.requests.lock().unwrap().push(request);
            let answer = {
                let mut answers = self.answers.lock().unwrap();
                if answers.len() > 1 { answers.remove(0) } else { answers[0] }
            };
            match answer {
                "" => return None,
                " " => std::future::pending().await,
                _ => stream.write_all(answer.as_bytes()).await.ok()?,
            }
            if !answer.contains("content-length") {
                return None;
            }
        }
    }

    fn said(&self) -> Vec<(String, String)> {
        self.said.lock().unwrap().clone()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_word(stream: &mut TcpStream) -> Option<String> {
    let length = stream.read_u8().await.ok()?;
    let mut word = vec![0; length.into()];
    stream.read_exact(&mut word).await.ok()?;
    String::from_utf8(word).ok()
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn names_are_left_to_the_proxy_and_connections_are_used_again() {
    let (house, config) = House::open(&[OK]).await;
    let client = TorHttpClient::new(config).unwrap();
    for _ in 0..3 {
        assert_eq!(client.get("http://name.test/a?b#c").await.unwrap().text().await.unwrap(), "ok");
    }
    let said = house.said();
    assert_eq!(said.len(), 1, "one connection served all: {said:?}");
    assert_eq!(said[0].1, "name.test");
    let request = &house.requests()[0];
    assert!(
        request.starts_with("GET /a?b HTTP/1.1\r\n") && request.contains("host: name.test\r\n"),
        "{request}"
    );
    assert!(request.contains("rv:140.0"), "{request}");
}

#[tokio::test]
async fn clients_made_apart_share_no_circuit() {
    let (house, config) = House::open(&[OK]).await;
    let client = TorHttpClient::new(config.clone()).unwrap();
    let others = [client.clone(), client.isolated(), TorHttpClient::new(config).unwrap()];
    client.get("http://a.test/").await.unwrap().text().await.unwrap();
    for other in others {
        other.get("http://b.test/").await.unwrap().text().await.unwrap();
    }
    let said = house.said();
    assert_eq!(said[0].0, said[1].0, "a clone shares");
    let users: HashSet<_> = said.iter().map(|(user, _)| user).collect();
    assert_eq!(users.len(), 3, "{said:?}");
}

#[tokio::test]
async fn what_may_be_repeated_is_and_nothing_else() {
    let (house, config) = House::open(&[BUSY, "", OK]).await;
    let client = TorHttpClient::new(config).unwrap();
    assert_eq!(client.get("http://a.test/").await.unwrap().text().await.unwrap(), "ok");
    assert_eq!(house.requests().len(), 3);

    let (house, config) = House::open(&["", OK]).await;
    let client = TorHttpClient::new(config).unwrap();
    let failed = client.post("http://a.test/", "once").await;
    assert!(matches!(failed, Err(HttpError::Broken(_))), "{failed:?}");
    assert_eq!(house.requests().len(), 1, "a POST goes out once");
}

#[tokio::test]
async fn a_lasting_failure_ends_at_once_and_a_passing_one_after_the_last_try() {
    let (house, config) = House::open(&[BUSY]).await;
    let client = TorHttpClient::new(Config { retries: 2, ..config }).unwrap();
    assert_eq!(client.get("http://a.test/").await.unwrap().status(), 503);
    assert_eq!(house.requests().len(), 3);
    let refused = client.get("http://refused.test/").await;
    assert!(matches!(refused, Err(HttpError::Refused(Refusal::Refused))), "{refused:?}");
    let gone = client.get("http://gone.onion/").await;
    assert!(matches!(gone, Err(HttpError::Refused(Refusal::OnionGone))), "{gone:?}");
    let tries = |host: &str| house.said().iter().filter(|(_, said)| said == host).count();
    assert_eq!((tries("refused.test"), tries("gone.onion")), (1, 3));
}

#[tokio::test]
async fn json_goes_both_ways() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"numbers\":[7]}";
    let (house, config) = House::open(&[answer]).await;
    let client = TorHttpClient::new(config).unwrap();
    let value = serde_json::json!({ "a": 1 });
    let answer: serde_json::Value =
        client.post_json("http://a.test/", &value).await.unwrap().json().await.unwrap();
    assert_eq!(answer["numbers"][0], 7);
    let request = &house.requests()[0];
    assert!(request.contains("application/json") && request.ends_with("{\"a\":1}"), "{request}");
    let answer: serde_json::Value = client.get_json("http://a.test/").await.unwrap();
    assert_eq!(answer["numbers"][0], 7);
    let wrong = client.get_json::<Vec<u8>>("http://a.test/").await;
    assert!(matches!(wrong, Err(HttpError::Content(_))));
}

#[tokio::test]
async fn limits_hold() {
    let (_house, config) = House::open(&[OK]).await;
    let client = TorHttpClient::new(Config { max_body: 1, ..config }).unwrap();
    let long = client.get("http://a.test/").await.unwrap().bytes().await;
    assert!(matches!(long, Err(HttpError::TooLarge)));

    let (_house, config) = House::open(&[" "]).await;
    let config = Config { timeout: Duration::from_millis(50), retries: 1, ..config };
    let slow = TorHttpClient::new(config).unwrap().get("http://a.test/").await;
    assert!(matches!(slow, Err(HttpError::Timeout)), "{slow:?}");

    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
    let (house, config) = House::open(&[cut, ""]).await;
    let client = TorHttpClient::new(config).unwrap();
    let mut answer = client.get("http://a.test/").await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "ok");
    drop(house);
}

#[tokio::test]
async fn redirects_are_followed_without_secrets() {
    let there = "HTTP/1.1 302 Found\r\nlocation: http://b.test/x\r\ncontent-length: 0\r\n\r\n";
    let (house, config) = House::open(&[there, OK]).await;
    let client = TorHttpClient::new(config.clone()).unwrap();
    let request = Request::get("http://a.test/").header("authorization", "Bearer secret").body("").unwrap();
    assert_eq!(client.request(request).await.unwrap().text().await.unwrap(), "ok");
    let requests = house.requests();
    assert!(requests[0].contains("secret") && !requests[1].contains("secret"), "{requests:?}");

    let circle = "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n";
    let (house, config) = House::open(&[circle]).await;
    let client = TorHttpClient::new(config.clone()).unwrap();
    assert!(matches!(client.get("http://a.test/").await, Err(HttpError::Redirect)));
    assert_eq!(house.requests().len(), 11);
    let client = TorHttpClient::new(Config { redirects: 0, ..config }).unwrap();
    assert_eq!(client.get("http://a.test/").await.unwrap().status(), 302);
}

#[tokio::test]
async fn the_check_service_is_believed() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 31\r\n\r\n{\"IsTor\":true,\"IP\":\"192.0.2.9\"}";
    let (_house, config) = House::open(&[answer]).await;
    let client =
        TorHttpClient::new(Config { check_urls: vec!["http://check.test/".into()], ..config }).unwrap();
    assert!(client.verify_tor_connection().await.unwrap());
    assert_eq!(client.exit_ip().await.unwrap(), "192.0.2.9");
    assert_eq!(client.get_exit_ip().await.unwrap(), "192.0.2.9");
}

#[tokio::test]
async fn bare_streams_carry_bytes() {
    let (house, config) = House::open(&["pong"]).await;
    let client = SocksClient::new(config.clone());
    let answer = client.send_receive("raw.test", 7, b"ping\r\n\r\n").await.unwrap();
    assert_eq!(answer, b"pong");
    assert_eq!(house.said()[0].1, "raw.test");
    let short = SocksClient::new(Config { max_body: 3, ..config });
    assert!(matches!(short.send_receive("raw.test", 7, b"\r\n\r\n").await, Err(HttpError::TooLarge)));
}

#[tokio::test]
async fn without_a_proxy_nothing_goes_anywhere() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = Config { socks_addr: free.into(), retries: 0, ..Config::default() };
    let failed = TorHttpClient::new(config).unwrap().get("http://127.0.0.1/").await;
    assert!(matches!(failed, Err(HttpError::NoProxy(_))), "{failed:?}");
}

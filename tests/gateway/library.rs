//! The library over external proxies: a Bulbil, and C tor; TLS against OpenSSL.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use bulbil::http::HttpError;
use bulbil::{Config, SocksClient, TorHttpClient};
use bulbil_tests::net::Network;
use bulbil_tests::ports::Ports;
use bulbil_tests::process::Process;
use bulbil_tests::scratch::Scratch;
use bulbil_tests::wait::found;
use tokio::runtime::Builder;

use super::Stage;

pub(super) fn scene(network: &Network, stage: &Stage) {
    let folder = Scratch::new("library").unwrap();
    let mut ports = Ports::reserve(Ipv4Addr::LOCALHOST).unwrap();
    let socks = ports.take().unwrap();
    let torrc = folder.join("torrc");
    let text = format!(
        "{}DataDirectory {}\nSocksPort 127.0.0.1:{socks}\n",
        network.client_torrc(),
        folder.join("tor").display()
    );
    std::fs::write(&torrc, text).unwrap();
    let tor =
        Process::start("tor", Command::new("tor").arg("-f").arg(&torrc), &folder.join("tor.log")).unwrap();
    found(Duration::from_mins(1), "tor to be connected", || {
        Ok(tor.output()?.contains("Bootstrapped 100%").then_some(()))
    })
    .unwrap();
    let certificate = certificate(&folder);
    // One that nobody talks to in earnest: OpenSSL serves one connection at a time, and a refused one may take its time to end.
    let secure: Vec<SecureSite> = (0..4).map(|_| SecureSite::open(&folder, ports.take().unwrap())).collect();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    for (proxy, secure) in [stage.socks, socks].into_iter().zip(secure.chunks(2)) {
        let proxy = format!("socks5://127.0.0.1:{proxy}");
        runtime.block_on(over(stage, &proxy, &certificate, [secure[0].port, secure[1].port]));
    }
    drop(tor);
}

/// OpenSSL's own server.
struct SecureSite {
    port: u16,
    _server: Process,
}

impl SecureSite {
    fn open(folder: &Scratch, port: u16) -> Self {
        let mut serve = Command::new("openssl");
        serve.args(["s_server", "-www", "-accept", &format!("127.0.0.1:{port}"), "-key"]);
        serve.arg(folder.join("key.pem")).arg("-cert").arg(folder.join("cert.pem"));
        let server = Process::start("openssl", &mut serve, &folder.join(format!("{port}.log"))).unwrap();
        let listens = || Ok(server.output()?.contains("ACCEPT").then_some(()));
        found(Duration::from_secs(20), "openssl to listen", listens).unwrap();
        Self { port, _server: server }
    }
}

/// One that nobody vouches for.
fn certificate(folder: &Scratch) -> String {
    let certificate = folder.join("cert.pem");
    let mut make = Command::new("openssl");
    make.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]);
    make.args(["-subj", "/CN=www.local.test", "-addext", "subjectAltName=DNS:www.local.test"]);
    make.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]).arg(folder.join("key.pem"));
    assert!(make.arg("-out").arg(&certificate).output().unwrap().status.success());
    std::fs::read_to_string(certificate).unwrap()
}

async fn over(stage: &Stage, proxy: &str, certificate: &str, [refused, taken]: [u16; 2]) {
    let config =
        Config { check_urls: vec![stage.site.url("/check")], retries: 1, ..Config::proxy(proxy).unwrap() };
    let client = TorHttpClient::new(config.clone()).unwrap();
    assert!(client.verify_tor_connection().await.unwrap(), "{proxy}");
    assert_eq!(client.exit_ip().await.unwrap(), "192.0.2.7");
    let page = client.get(&stage.site.url("/library")).await.unwrap().text().await.unwrap();
    assert_eq!(page, "you asked for /library");
    let value = serde_json::json!({ "word": "onion" });
    let echoed: serde_json::Value =
        client.post_json(&stage.site.url("/echo"), &value).await.unwrap().json().await.unwrap();
    assert_eq!(echoed, value);
    let gone = client.get("http://nx.test/").await;
    assert!(matches!(gone, Err(HttpError::Refused(_))), "{gone:?}");

    let strict = client.get(&format!("https://www.local.test:{refused}/")).await;
    assert!(matches!(strict, Err(HttpError::Tls(_))), "nobody vouches for it: {strict:?}");
    let url = format!("https://www.local.test:{taken}/");
    let trusting = Config { extra_roots: Some(certificate.to_owned()), ..config.clone() };
    let page = TorHttpClient::new(trusting).unwrap().get(&url).await.unwrap().text().await.unwrap();
    assert!(page.contains("TLSv1.3"), "{page}");
    let careless = Config { verify_tls: false, ..config.clone() };
    assert!(TorHttpClient::new(careless).unwrap().get(&url).await.unwrap().status().is_success());

    let raw = SocksClient::new(config);
    let request = b"GET /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let mut stream = raw.connect("www.local.test", stage.site.port()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    tokio::io::AsyncWriteExt::flush(&mut stream).await.unwrap();
    let mut answer = [0; 15];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

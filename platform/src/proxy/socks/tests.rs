//! The listener over the memory network, spoken to in bytes.

use super::*;
use crate::net::Network;
use crate::net::memory::{Memory, Server};
use crate::proxy::Meters;

/// A test that waits longer than this has hung.
const LIMIT: Duration = Duration::from_secs(20);

/// A listener with these settings, and its network.
struct Stage {
    memory: Memory,
    exit: Exit,
    address: SocketAddr,
    meter: Arc<Meter>,
    _stop: watch::Sender<bool>,
}

impl Stage {
    async fn new(config: config::Socks) -> Self {
        let memory = Memory::new();
        let exit = Exit::new(Network::Memory(memory.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let meter = Meters::default().add("socks", address);
        let (stop, stopped) = watch::channel(false);
        let socks = Socks::new(exit.clone(), &config, Arc::clone(&meter));
        tokio::spawn(socks.run(listener, stopped));
        Self { memory, exit, address, meter, _stop: stop }
    }

    fn server(&self, host: &str) -> Server {
        self.memory.listen_outside(host.parse().unwrap(), 80)
    }

    /// Sends all of this at once, and reads `expect` bytes.
    async fn say(&self, bytes: &[u8], expect: usize) -> (TcpStream, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut got = vec![0; expect];
        timeout(LIMIT, stream.read_exact(&mut got)).await.unwrap().unwrap();
        (stream, got)
    }

    /// The reply code to a request for a name.
    async fn ask(&self, command: u8, name: &str, port: u16) -> u8 {
        let (_, got) =
            self.say(&[b"\x05\x01\x00".as_slice(), &request(command, name, port)].concat(), 4).await;
        got[3]
    }
}

fn request(command: u8, name: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[5, command, 0, 3, length], name.as_bytes(), &port.to_be_bytes()].concat()
}

#[tokio::test]
async fn names_and_both_kinds_of_addresses_are_reached() {
    let stage = Stage::new(config::Socks::default()).await;
    let four = [5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 1, 0, 80].to_vec();
    let six: Vec<u8> = [&[5, 1, 0, 5, 1, 0, 4][..], &[0x20; 16], &[0, 80]].concat();
    let name = [vec![5, 1, 0], request(1, "Example.com", 80)].concat();
    let ip = std::net::Ipv6Addr::from([0x20; 16]).to_string();
    for (host, bytes, reply) in [("192.0.2.1", four, 10), (&ip, six, 22), ("example.com", name, 10)] {
        let mut server = stage.server(host);
        let all = [bytes, b"early".to_vec()].concat();
        let (mut client, got) = stage.say(&all, 2 + reply).await;
        assert_eq!(&got[..4], [5, 0, 5, 0]);
        let mut far = server.accept().await.unwrap();
        let mut early = [0; 5];
        far.read_exact(&mut early).await.unwrap();
        assert_eq!(&early, b"early");
        far.write_all(b"answer").await.unwrap();
        drop(far);
        let mut all = Vec::new();
        timeout(LIMIT, client.read_to_end(&mut all)).await.unwrap().unwrap();
        assert_eq!(all, b"answer");
    }
    let view = stage.meter.view();
    assert_eq!((view.requests, view.up, view.down), (3, 15, 18));
}

#[tokio::test]
async fn version_4_and_4a_work_too() {
    let stage = Stage::new(config::Socks::default()).await;
    let mut server = stage.server("example.com");
    let (_client, got) = stage.say(b"\x04\x01\0\x50\0\0\0\x01me\0example.com\0", 8).await;
    assert_eq!(&got[..2], [0, 0x5A]);
    assert!(server.accept().await.is_some());
    let (_client, got) = stage.say(b"\x04\x01\0\x51\xC0\0\x02\x01me\0", 8).await;
    assert_eq!(&got[..2], [0, 0x5B]);
}

#[tokio::test]
async fn failures_and_wrong_commands_are_told() {
    let stage = Stage::new(config::Socks { extended_errors: true, ..config::Socks::default() }).await;
    let host = "example.com".parse().unwrap();
    stage.memory.fail_outside(host, 7, ReachError::Unreachable);
    assert_eq!(stage.ask(1, "example.com", 7).await, 3);
    assert_eq!(stage.ask(1, "example.com", 8).await, 5);
    assert_eq!(stage.ask(1, "x y", 8).await, 4);
    assert_eq!(stage.ask(1, "abc.onion", 8).await, 0xF6);
    assert_eq!(stage.ask(2, "example.com", 7).await, 7);
    let view = stage.meter.view();
    assert_eq!(view.errors.get("unreachable"), Some(&1));
    assert_eq!(view.errors.get("onion_address"), Some(&1));
    let (_, got) = stage.say(b"GET / HTTP/1.1\r\n\r\n", 12).await;
    assert_eq!(got, b"HTTP/1.0 501");
}

#[tokio::test]
async fn names_and_addresses_are_looked_up() {
    let stage = Stage::new(config::Socks::default()).await;
    stage.memory.name_outside(&"example.com".parse().unwrap(), &[[192, 0, 2, 1].into()]);
    let ask = [vec![5, 1, 0], request(0xF0, "example.com", 0)].concat();
    let (_, got) = stage.say(&ask, 12).await;
    assert_eq!(got[2..10], [5, 0, 0, 1, 192, 0, 2, 1]);
    let (_, got) = stage.say(&[5, 1, 0, 5, 0xF1, 0, 1, 192, 0, 2, 1, 0, 0], 20).await;
    assert_eq!(got[3..7], [0, 0, 3, 11]);
    assert_eq!(&got[7..18], b"example.com");
    assert_eq!(stage.ask(0xF0, "nowhere.test", 0).await, 4);
}

#[tokio::test]
async fn a_password_is_asked_for_where_there_is_one() {
    let password = Some(Password("open sesame".into()));
    let stage = Stage::new(config::Socks { password, ..config::Socks::default() }).await;
    let mut server = stage.server("example.com");
    // A client that knows no passwords, or has the wrong one, is told so where it can tell its user (RFC 1928, 1929).
    for (greeting, answer) in [(&b"\x05\x01\x00"[..], &[5, 0xFF][..]), (b"\x05\x02\x00\x01", &[5, 0xFF])] {
        let (mut client, got) = stage.say(greeting, 2).await;
        assert_eq!(got, answer);
        assert_eq!(timeout(LIMIT, client.read(&mut [0; 9])).await.unwrap().unwrap_or(0), 0, "it hangs up");
    }
    for (word, all) in [("open barley", &[5, 2, 1, 1][..]), ("open sesame", &[5, 2, 1, 0, 5, 0])] {
        for step in [usize::MAX, 1] {
            let auth = [b"\x05\x02\x00\x02\x01\x02me\x0B".as_slice(), word.as_bytes()].concat();
            // What comes after a refusal may reset the connection, and the refusal with it.
            let request = if all.len() == 6 { request(1, "example.com", 80) } else { Vec::new() };
            let ask = [auth, request].concat();
            let mut stream = TcpStream::connect(stage.address).await.unwrap();
            for part in ask.chunks(step.min(ask.len())) {
                stream.write_all(part).await.unwrap();
            }
            let mut got = vec![0; all.len()];
            timeout(LIMIT, stream.read_exact(&mut got)).await.unwrap().unwrap();
            assert_eq!(got, all, "{word}");
        }
    }
    let (_client, got) = stage.say(b"\x04\x01\0\x50\0\0\0\x01me\0example.com\0", 8).await;
    assert_eq!(&got[..2], [0, 0x5B], "version 4 has no passwords");
    assert_eq!(stage.meter.view().errors.get("wrong_password"), Some(&5));
    assert!(server.accept().await.is_some());
}

#[tokio::test]
async fn what_is_isolated_is_as_configured() {
    let config =
        config::Socks { isolate: vec![Separator::Auth, Separator::Port], ..config::Socks::default() };
    let stage = Stage::new(config.clone()).await;
    let socks = Socks::new(stage.exit.clone(), &config, Arc::clone(&stage.meter));
    let of = |user: &[u8], port: u16, client: &str| {
        let auth = SocksAuth::Username(user.to_vec(), b"p".to_vec());
        let to = SocksAddr::Hostname("example.com".to_owned().try_into().unwrap());
        let version = tor_socksproto::SocksVersion::V5;
        let request = SocksRequest::new(version, SocksCmd::CONNECT, to, port, auth).unwrap();
        socks.isolation(&request, client.parse().unwrap())
    };
    let first = of(b"a", 80, "127.0.0.1:1");
    assert_eq!(first, of(b"a", 80, "127.0.0.2:9"));
    assert_ne!(first, of(b"b", 80, "127.0.0.1:1"));
    assert_ne!(first, of(b"a", 81, "127.0.0.1:1"));
}

#[tokio::test]
async fn a_new_identity_resets_open_connections() {
    let stage = Stage::new(config::Socks::default()).await;
    let mut server = stage.server("example.com");
    let ask = [vec![5, 1, 0], request(1, "example.com", 80)].concat();
    let (mut client, _) = stage.say(&ask, 12).await;
    let _far = server.accept().await.unwrap();
    assert_eq!(stage.exit.new_identity(), 1);
    let why = timeout(LIMIT, client.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(why.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_stream_on_which_nothing_comes_is_closed_and_does_not_look_whole() {
    let stage = Stage::new(config::Socks { idle: config::Seconds(1), ..config::Socks::default() }).await;
    let mut server = stage.server("example.com");
    let asked = [vec![5, 1, 0], request(1, "example.com", 80)].concat();
    let (mut client, _) = stage.say(&asked, 12).await;
    let mut far = server.accept().await.unwrap();
    let mut byte = [0];
    assert!(timeout(LIMIT, client.read(&mut byte)).await.unwrap().is_err(), "a reset, not an end");
    assert!(!matches!(timeout(LIMIT, far.read(&mut byte)).await.unwrap(), Ok(1..)));
    assert_eq!(stage.meter.view().errors.get("idle"), Some(&1));
    drop(client);
    while stage.meter.view().open > 0 {
        tokio::task::yield_now().await;
    }
}

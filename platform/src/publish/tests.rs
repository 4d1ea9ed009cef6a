mod exchanges;

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use super::Publisher;
use super::command::{AddClient, Command, Import};
use crate::config::Config;
use crate::net::memory::Memory;
use crate::net::{AccessKey, Address, Circuit, NetError, Network};
use crate::node::NodeError;
use crate::sys::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(20);

const ASK: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async { timeout(LIMIT, test).await.expect("in time") })
}

/// Answers every connection with its name once something was said.
async fn good(name: &'static str) -> (SocketAddr, Rc<Cell<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, served) = (listener.local_addr().unwrap(), Rc::new(Cell::new(0)));
    let count = Rc::clone(&served);
    spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.set(count.get() + 1);
            spawn_local(async move {
                let mut said = [0; 1024];
                let got = stream.read(&mut said).await.unwrap_or(0);
                let _ = stream.write_all(name.as_bytes()).await;
                let _ = stream.write_all(&said[..got]).await;
            });
        }
    });
    (address, served)
}

/// Takes connections and never says a word.
async fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    address
}

/// Nobody listens there.
async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

struct Stage {
    network: Network,
    publisher: Publisher,
    _scratch: Scratch,
}

impl Stage {
    fn new(text: &str) -> Self {
        let scratch = Scratch::new("publish");
        Self::on(Network::Memory(Memory::new()), scratch, text)
    }

    fn on(network: Network, scratch: Scratch, text: &str) -> Self {
        let config = Config::parse(&format!("[[publish]]\nname = \"shop\"\n{text}")).unwrap();
        let publisher = Publisher::start(&config, scratch.path(), &network).unwrap();
        Self { network, publisher, _scratch: scratch }
    }

    fn address(&self, port: u16) -> Address {
        format!("{}:{port}", self.publisher.view()[0].host).parse().unwrap()
    }

    async fn settled(&self, what: impl Fn(&crate::status::publish::Published) -> bool) {
        while !what(&self.publisher.view()[0]) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn ask(&self, access: Option<&AccessKey>, words: &[u8]) -> Result<String, NetError> {
        let to = self.address(80);
        let mut stream = self.network.connect(to, access, Circuit { swarm: 1, lane: 1 }).await?;
        stream.write_all(words).await.map_err(|_| NetError::Failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(|_| NetError::Failed)?;
        Ok(answer)
    }

    async fn tell<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> T {
        let (reply, answer) = oneshot::channel();
        self.publisher.obey(command(reply));
        answer.await.unwrap()
    }
}

#[test]
fn a_dead_and_a_silent_backend_fail_no_request() {
    run(async {
        let ((one, served), two, three) = (good("one ").await, silent().await, dead().await);
        let stage = Stage::new(&format!(
            "answer_timeout = 1\ncheck = \"none\"\n[publish.ports]\n80 = [\"{two}\", \"{three}\", \"{one}\"]"
        ));
        stage.settled(|it| it.published).await;
        for _ in 0..12 {
            assert!(stage.ask(None, ASK).await.unwrap().starts_with("one GET"));
        }
        assert_eq!(served.get(), 12);
        let view = stage.publisher.view().remove(0);
        let up: Vec<bool> = view.routes[0].backends.iter().map(|backend| backend.up).collect();
        assert_eq!(up, [false, false, true]);
        let ends = stage.network.connect(stage.address(80), None, Circuit { swarm: 1, lane: 1 });
        drop(ends.await.unwrap());
        stage.settled(|it| it.streams == 0).await;
    });
}

#[test]
fn what_changes_something_is_never_given_twice() {
    run(async {
        let ((one, served), two) = (good("one ").await, silent().await);
        let text =
            format!("answer_timeout = 1\ncheck = \"none\"\n[publish.ports]\n80 = [\"{two}\", \"{one}\"]");
        let stage = Stage::new(&text);
        stage.settled(|it| it.published).await;
        let posted = timeout(Duration::from_secs(3), stage.ask(None, b"POST / HTTP/1.0\r\n\r\n")).await;
        assert!(posted.is_err(), "it waits for the backend that has it: {posted:?}");
        assert_eq!(served.get(), 0);
    });
}

#[test]
fn load_goes_to_the_least_busy() {
    run(async {
        let ((one, first), (two, second)) = (good("one ").await, good("two ").await);
        let stage = Stage::new(&format!("check = \"none\"\n[publish.ports]\n80 = [\"{one}\", \"{two}\"]"));
        stage.settled(|it| it.published).await;
        for _ in 0..10 {
            stage.ask(None, ASK).await.unwrap();
        }
        assert_eq!((first.get(), second.get()), (5, 5));
    });
}

#[test]
fn a_unix_socket_serves_and_hears_the_header_first() {
    run(async {
        let scratch = Scratch::new("socket");
        let path = scratch.path().join("app.sock");
        let listener = UnixListener::bind(&path).unwrap();
        spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut said = vec![0; 1024];
                let mut got = 0;
                while !said[..got].ends_with(b"\r\n\r\n") {
                    match stream.read(&mut said[got..]).await {
                        Ok(more) if more > 0 => got += more,
                        _ => break,
                    }
                }
                let _ = stream.write_all(&said[..got]).await;
            }
        });
        let text = format!("proxy_protocol = \"v1\"\n[publish.ports]\n80 = [\"unix:{}\"]", path.display());
        let stage = Stage::new(&text);
        stage.settled(|it| it.published).await;
        let answer = stage.ask(None, ASK).await.unwrap();
        assert!(
            answer.starts_with("PROXY TCP6 fc00:dead:beef:4dad::")
                && answer.ends_with("GET / HTTP/1.0\r\n\r\n")
        );
    });
}

#[test]
fn without_a_backend_streams_are_refused_and_health_says_why() {
    run(async {
        let stage = Stage::new(&format!("[publish.ports]\n80 = [\"{}\"]", dead().await));
        stage.settled(|it| it.published && it.trouble.is_some()).await;
        let view = stage.publisher.view().remove(0);
        assert!(!view.healthy && view.trouble.unwrap().contains("port 80"));
        assert_eq!(stage.ask(None, ASK).await.unwrap_or_default(), "");
        assert!(stage.publisher.view()[0].refused > 0);
    });
}

#[test]
fn health_tells_that_it_was_reached() {
    run(async {
        let (one, _) = good("one ").await;
        let stage = Stage::new(&format!("[publish.ports]\n80 = [\"{one}\"]"));
        stage.settled(|it| it.reachable == Some(true) && it.healthy).await;
    });
}

fn client(name: &str) -> AddClient {
    AddClient { service: "shop".into(), client: name.into(), key: None }
}

#[test]
fn clients_are_let_in_and_shut_out() {
    run(async {
        let (one, _) = good("one ").await;
        let stage = Stage::new(&format!("[publish.ports]\n80 = [\"{one}\"]"));
        stage.settled(|it| it.published).await;
        let ann = AccessKey::random().unwrap();
        let key = Some(ann.public().to_string());
        let request = AddClient { key, ..client("ann") };
        let added = stage.tell(|reply| Command::AddClient(request, reply)).await.unwrap();
        assert_eq!(added.private, None);
        let made = stage.tell(|reply| Command::AddClient(client("bob"), reply)).await.unwrap();
        assert!(made.private.unwrap().contains(":descriptor:x25519:"));
        let twice = stage.tell(|reply| Command::AddClient(client("bob"), reply)).await;
        assert!(matches!(twice, Err(NodeError::Bad(_))));
        while stage.ask(None, ASK).await != Err(NetError::Unauthorized) {
            tokio::task::yield_now().await;
        }
        assert!(stage.ask(Some(&ann), ASK).await.is_ok());
        stage.settled(|it| it.reachable == Some(true) && it.restricted).await;

        let (service, name) = ("shop".to_owned(), "ann".to_owned());
        stage.tell(|reply| Command::RevokeClient(service, name, reply)).await.unwrap();
        while stage.ask(Some(&ann), ASK).await.is_ok() {
            tokio::task::yield_now().await;
        }
        stage.tell(|reply| Command::RevokeClient("shop".into(), "bob".into(), reply)).await.unwrap();
        stage.settled(|it| it.published && it.clients.is_empty()).await;
        assert!(stage.ask(None, ASK).await.is_err(), "closed although nobody is let in");
        stage.tell(|reply| Command::OpenToAll("shop".into(), reply)).await.unwrap();
        while stage.ask(None, ASK).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn keys_move_from_one_node_to_another() {
    run(async {
        let (one, _) = good("one ").await;
        let text = format!("[publish.ports]\n80 = [\"{one}\"]");
        let old = Stage::new(&text);
        let backup = old.tell(|reply| Command::Export("shop".into(), reply)).await.unwrap();
        let new = Stage::new(&text);
        assert_ne!(new.address(80), old.address(80));
        let import =
            Import { service: "shop".into(), secret: backup.secret, clients: vec![], replace: false };
        let imported = new.tell(|reply| Command::Import(import, reply)).await.unwrap();
        assert_eq!((imported.host, new.address(80)), (backup.host, old.address(80)));
        while new.ask(None, ASK).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_key_in_a_named_folder_is_not_lost_by_mistake() {
    run(async {
        let scratch = Scratch::new("named");
        let text =
            format!("key_dir = \"{}\"\n[publish.ports]\n80 = [\"127.0.0.1:9\"]", scratch.path().display());
        let stage = Stage::new(&text);
        let before = stage.address(80);
        let secret = crate::state::Secret(*crate::net::IdentityKey::random().unwrap().bytes());
        let import =
            |replace| Import { service: "shop".into(), secret: secret.clone(), clients: vec![], replace };
        let refused = stage.tell(|reply| Command::Import(import(false), reply)).await;
        assert!(matches!(refused, Err(NodeError::Bad(_))));
        assert_eq!(stage.address(80), before);
        let hostname =
            |path: &Path| std::fs::read_to_string(path.join("hostname")).unwrap().trim().to_owned();
        assert_eq!(hostname(scratch.path()), before.host());
        stage.tell(|reply| Command::Import(import(true), reply)).await.unwrap();
        assert_eq!(hostname(scratch.path()), stage.address(80).host());
        assert_ne!(stage.address(80), before);
    });
}

#[test]
fn the_address_is_written_for_other_programs() {
    run(async {
        let scratch = Scratch::new("url");
        let file = scratch.path().join("url");
        let stage = Stage::new(&format!(
            "url_file = \"{}\"\n[publish.ports]\n8080 = [\"127.0.0.1:9\"]",
            file.display()
        ));
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(written, format!("http://{}\n", stage.address(8080)));
        assert_eq!(stage.publisher.view()[0].urls, [written.trim()]);
    });
}

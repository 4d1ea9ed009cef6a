//! Other people's programs behind an onion service of ours, reached and replaced by C tor.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bulbil_tests::baseline::{start_http, start_tor};
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::ports::Ports;
use bulbil_tests::process::Process;
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use bulbil_tests::wait::{eventually, found};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Callers at once, and rounds of each: a request, [`KEPT`] of them over one connection, and the same with POST.
const LOAD: (usize, usize) = (4, 8);

/// Requests over one connection.
const KEPT: usize = 4;

/// Longest that a POST may take, in seconds: one that a backend had when it fell silent has no end.
const POST_LIMIT_S: u32 = 20;

/// A descriptor published, found, and a circuit built, on a busy machine.
const REACH: Duration = Duration::from_mins(2);

/// What C tor logs of each directory that took a descriptor. There are two, of this period and of the next, and up to eight
/// directories each; how many of them are different ones is chance on so small a network.
const UPLOADED: &str = "descriptor: finished with status 200";
const DIRECTORIES: usize = 4;

/// What every backend serves.
const PAGE: &str = "the page behind the onion";

/// Backends, clients, and what they keep.
struct Stage {
    network: Network,
    /// Each with its own files.
    backends: Vec<(Process, Scratch)>,
    ports: Vec<u16>,
    /// C tor clients: anybody, and one with a key.
    anybody: u16,
    friend: u16,
    auth: PathBuf,
    scratch: Scratch,
    clients: Vec<Process>,
    ports_left: Ports,
}

#[test]
fn programs_are_published() {
    let mut stage = Stage::new();
    let mut node =
        Node::start(&stage.network, Settings { more: stage.block(), ..Settings::named("front") }).unwrap();
    let mut story = Story::default();
    story.scene("health says published, reachable, backends up", || healthy(&node));
    story.scene("one killed, one hanging, under load", || failover(&node, &mut stage));
    story.scene("client keys", || client_keys(&node, &mut stage));
    story.scene("export, wipe, import: the same address", || restore(&mut node, &mut stage));
    story.scene("C tor serves with the exported files", || c_tor_serves(&mut node, &mut stage));
    story.scene("a node serves with keys that C tor made", || keys_of_c_tor(&mut stage));
    story.end().unwrap();
}

impl Stage {
    fn new() -> Self {
        let network = Network::start(Shape::default()).unwrap();
        let scratch = Scratch::new("publish").unwrap();
        let site = scratch.join("site");
        fs::create_dir(&site).unwrap();
        fs::write(site.join("page"), PAGE).unwrap();
        let mut own = Ports::reserve(Ipv4Addr::LOCALHOST).unwrap();
        let (mut backends, mut ports) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (port, folder) = (own.take().unwrap(), Scratch::new("backend").unwrap());
            backends.push((start_http(&folder, &site, port).unwrap(), folder));
            ports.push(port);
        }
        let (anybody, friend) = (own.take().unwrap(), own.take().unwrap());
        let auth = scratch.join("auth");
        fs::create_dir(&auth).unwrap();
        fs::set_permissions(&auth, PermissionsExt::from_mode(0o700)).unwrap();
        let clients = vec![
            start_tor(&scratch, &network, "anybody", &format!("SocksPort 127.0.0.1:{anybody}\n")).unwrap(),
            start_tor(
                &scratch,
                &network,
                "friend",
                &format!("SocksPort 127.0.0.1:{friend}\nClientOnionAuthDir {}\n", auth.display()),
            )
            .unwrap(),
        ];
        Self { network, backends, ports, anybody, friend, auth, scratch, clients, ports_left: own }
    }

    /// A C tor client that has asked for nothing yet: one asks no directory twice for a service within 15 minutes, and
    /// what it found before is no longer true.
    fn newcomer(&mut self) -> u16 {
        let port = self.ports_left.take().unwrap();
        let lines = format!("SocksPort 127.0.0.1:{port}\n");
        let tor = start_tor(&self.scratch, &self.network, &format!("newcomer{port}"), &lines).unwrap();
        self.clients.push(tor);
        port
    }

    /// The configuration of the service.
    fn block(&self) -> String {
        let mut text = "[[publish]]\nname = \"shop\"\ncheck_every = 1\nanswer_timeout = 2\n".to_owned();
        let mut backends: Vec<String> =
            self.ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        backends[0] = format!("\"unix:{}\"", self.backends[0].1.join("nginx/web.sock").display());
        write!(text, "[publish.ports]\n80 = [{}]\n", backends.join(", ")).unwrap();
        text
    }
}

fn loads(socks: u16, host: &str) -> bool {
    page(socks, host, 60).is_ok_and(|page| page == PAGE)
}

/// The page as curl gets it, or curl's exit code.
fn page(socks: u16, host: &str, limit_s: u32) -> Result<String, Option<i32>> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "--max-time", &limit_s.to_string(), "--socks5-hostname"]);
    curl.arg(format!("127.0.0.1:{socks}")).arg(format!("http://{host}/page"));
    let output = curl.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(output.status.code()) }
}

/// So many requests over one connection, with a body or without. Whether all were answered.
fn asks(socks: u16, host: &str, count: usize, post: bool) -> bool {
    let limit = if post { POST_LIMIT_S } else { 60 };
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "--max-time", &limit.to_string(), "--socks5-hostname"]);
    curl.arg(format!("127.0.0.1:{socks}"));
    if post {
        curl.args(["--data", "a=b"]);
    }
    curl.args(vec![format!("http://{host}/page"); count]);
    let output = curl.stdin(Stdio::null()).output().unwrap();
    output.status.success() && String::from_utf8_lossy(&output.stdout) == PAGE.repeat(count)
}

/// Which backends are given streams.
fn ups(node: &Node) -> Vec<bool> {
    let it = service(node);
    it["routes"][0]["backends"].as_array().unwrap().iter().map(|it| it["up"] == true).collect()
}

fn service(node: &Node) -> Value {
    node.json(&["published", "--json"]).unwrap()[0].clone()
}

fn host(node: &Node) -> String {
    service(node)["host"].as_str().unwrap().to_owned()
}

fn healthy(node: &Node) {
    let it = found(REACH, "the service to be healthy and reached", || {
        Ok(Some(service(node)).filter(|it| it["healthy"] == true && it["reachable"] == true))
    })
    .unwrap();
    assert_eq!(it["urls"][0], format!("http://{}", it["host"].as_str().unwrap()));
    assert!(
        it["routes"][0]["backends"].as_array().unwrap().iter().all(|backend| backend["up"] == true),
        "{it}"
    );
    assert!(it["probe_ms"].as_u64().unwrap() > 0);
}

/// Whatever had not begun when a backend went is served by another: new connections and kept ones. What changes something and
/// had begun is given to nobody else: one POST of each caller may be lost to each backend that goes.
fn failover(node: &Node, stage: &mut Stage) {
    let (socks, host) = (stage.anybody, host(node));
    eventually(REACH, "C tor to reach the service", || loads(socks, &host)).unwrap();
    assert!(asks(socks, &host, KEPT, true), "POSTs are answered");
    let (done, failed, lost) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let Stage { backends, .. } = stage;
    std::thread::scope(|scope| {
        for _ in 0..LOAD.0 {
            scope.spawn(|| {
                for _ in 0..LOAD.1 {
                    for (count, post) in [(1, false), (KEPT, false), (1, true), (KEPT, true)] {
                        let counter = match asks(socks, &host, count, post) {
                            true => &done,
                            false if post => &lost,
                            false => &failed,
                        };
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let all = || [&done, &failed, &lost].iter().map(|count| count.load(Ordering::Relaxed)).sum::<usize>();
        let share = LOAD.0 * LOAD.1;
        let past = |count| eventually(REACH, &format!("{count} calls to be served"), || all() >= count);
        past(share).unwrap();
        backends[1].0.kill().unwrap();
        past(2 * share).unwrap();
        kill(Pid::from_raw(backends[2].0.pid().cast_signed()), Signal::SIGSTOP).unwrap();
        eventually(REACH, "the silent backend to be noticed", || ups(node) == [true, false, false]).unwrap();
    });
    let (done, failed, lost) = (done.into_inner(), failed.into_inner(), lost.into_inner());
    assert_eq!((done + lost, failed), (4 * LOAD.0 * LOAD.1, 0));
    assert!(lost <= 2 * LOAD.0, "{lost} POSTs were lost");
    let it = service(node);
    let backends = it["routes"][0]["backends"].as_array().unwrap();
    let served: Vec<u64> = backends.iter().filter_map(|it| it["served"].as_u64()).collect();
    assert!(served.iter().all(|count| *count > 0), "all had their share: {served:?}");
}

/// Added at run time, a client with the key gets in and others do not; revoked, nobody does.
fn client_keys(node: &Node, stage: &mut Stage) {
    let host = host(node);
    let added = node.json(&["client-key", "add", "shop", "friend", "--json"]).unwrap();
    let line = added["private"].as_str().unwrap();
    fs::write(stage.auth.join("friend.auth_private"), format!("{line}\n")).unwrap();
    hang_up(&stage.clients[1]);
    eventually(REACH, "the client with the key to get in", || loads(stage.friend, &host)).unwrap();
    // C tor keeps the descriptor it has; the introduction points in it are gone.
    assert!(page(stage.anybody, &host, 20).is_err());
    let listed = node.json(&["client-key", "list", "shop", "--json"]).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["key"]), (&Value::from("friend"), &added["key"]));

    assert_eq!(node.say(&["client-key", "revoke", "shop", "friend"]).unwrap().code, Some(0));
    assert!(page(stage.friend, &host, 20).is_err());
    assert_eq!(service(node)["restricted"], true);
    assert_eq!(node.say(&["client-key", "revoke", "shop", "friend"]).unwrap().code, Some(1));
    assert_eq!(node.say(&["client-key", "open", "shop"]).unwrap().code, Some(0));
    let newcomer = stage.newcomer();
    eventually(REACH, "everybody to get in again", || loads(newcomer, &host)).unwrap();
}

/// Tells C tor to read its configuration again.
fn hang_up(tor: &Process) {
    kill(Pid::from_raw(tor.pid().cast_signed()), Signal::SIGHUP).unwrap();
}

fn restore(node: &mut Node, stage: &mut Stage) {
    let (before, backup) = (host(node), stage.scratch.join("backup"));
    let text = backup.to_str().unwrap();
    let said = node.say(&["key", "export", "shop", text]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(fs::read_to_string(backup.join("hostname")).unwrap().trim(), before);
    node.kill().unwrap();
    fs::remove_dir_all(node.folder().join("state")).unwrap();
    node.restart().unwrap();
    node.wait_ready().unwrap();
    assert_ne!(host(node), before, "a node that was wiped has another address");
    let said = node.say(&["key", "import", "shop", text]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(host(node), before);
    let newcomer = stage.newcomer();
    eventually(REACH, "the old address to be reached", || loads(newcomer, &before)).unwrap();
}

fn c_tor_serves(node: &mut Node, stage: &mut Stage) {
    let host = host(node);
    node.kill().unwrap();
    let backup = stage.scratch.join("backup");
    let lines = format!(
        "SocksPort 0\nLog info file {0}/uploads\nHiddenServiceDir {0}\nHiddenServicePort 80 127.0.0.1:{1}\n",
        backup.display(),
        stage.ports[0]
    );
    // On a network of its own: directories of the first one hold our old descriptor, which clients keep.
    let elsewhere = Network::start(Shape::default()).unwrap();
    let tor = start_tor(&stage.scratch, &elsewhere, "service", &lines).unwrap();
    let uploads = || fs::read_to_string(backup.join("uploads")).unwrap_or_default().matches(UPLOADED).count();
    eventually(REACH, "C tor to publish", || uploads() >= DIRECTORIES).unwrap();
    let port = stage.ports_left.take().unwrap();
    let lines = format!("SocksPort 127.0.0.1:{port}\n");
    let client = start_tor(&stage.scratch, &elsewhere, "client", &lines).unwrap();
    let served = eventually(REACH, "C tor to serve the same address", || loads(port, &host));
    let log = fs::read_to_string(stage.scratch.join("service/tor.log")).unwrap_or_default();
    assert!(served.is_ok(), "{served:?}; {log}");
    assert_eq!(fs::read_to_string(backup.join("hostname")).unwrap().trim(), host);
    assert!(is_file(&backup.join("hs_ed25519_public_key")));
    drop((tor, client));
}

/// A `HiddenServiceDir` as C tor makes it, and its address.
fn made_by_c_tor(stage: &Stage, name: &str) -> (PathBuf, String) {
    let folder = stage.scratch.join(format!("{name}-keys"));
    let lines = format!(
        "SocksPort 0\nDisableNetwork 1\nHiddenServiceDir {}\nHiddenServicePort 80 127.0.0.1:1\n",
        folder.display()
    );
    let mut tor = start_tor(&stage.scratch, &stage.network, name, &lines).unwrap();
    let host = found(REACH, "C tor to make keys", || {
        let host = fs::read_to_string(folder.join("hostname")).unwrap_or_default();
        // The 56 characters and ".onion", all of them written.
        Ok(Some(host.trim().to_owned()).filter(|host| host.len() == 62))
    });
    tor.kill().unwrap();
    (folder, host.unwrap())
}

/// As its own folder, and imported.
fn keys_of_c_tor(stage: &mut Stage) {
    let (folder, address) = made_by_c_tor(stage, "maker");
    let block = stage
        .block()
        .replace("name = \"shop\"\n", &format!("name = \"shop\"\nkey_dir = \"{}\"\n", folder.display()));
    let node = Node::start(&stage.network, Settings { more: block, ..Settings::named("heir") }).unwrap();
    assert_eq!(host(&node), address);
    let newcomer = stage.newcomer();
    eventually(REACH, "the address of C tor's keys to be reached", || loads(newcomer, &address)).unwrap();
    assert_eq!(fs::read_to_string(folder.join("hostname")).unwrap().trim(), address);

    let (folder, address) = made_by_c_tor(stage, "other");
    let said = node.say(&["key", "import", "shop", folder.to_str().unwrap(), "--replace"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(host(&node), address);
    let newcomer = stage.newcomer();
    eventually(REACH, "the address of imported keys to be reached", || loads(newcomer, &address)).unwrap();
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.len() == 64)
}

//! Tor is cut off while all listeners carry something: nothing goes another way, everybody is told, and it mends by itself.
//!
//! The relays run in one network namespace, the node and its clients in another. What leaves the node but for relays, or for the
//! clients beside it, is counted and dropped. Needs root.

#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use std::cell::Cell;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bulbil_tests::names::Names;
use bulbil_tests::namespace::{self, Yard};
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::outside::{HELLO, Outside};
use bulbil_tests::process::Process;
use bulbil_tests::scratch::Scratch;
use bulbil_tests::talk::{Said, Talk};
use bulbil_tests::visitor::Visitor;
use bulbil_tests::wait::{eventually, found};
use serde_json::Value;

const RELAYS: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);

/// SOCKS, DNS, HTTP, and the program behind the onion service: on loopback, where the clients are.
const LISTENERS: &str = "9150, 5353, 3080, 8000";

/// Bytes of a download that is under way, of any length that no test waits for.
const BEGUN: u64 = 100_000;
const LONG: u64 = 1 << 30;

/// For a circuit, on a busy machine.
const REACH: Duration = Duration::from_mins(3);

/// Until a client hears that its stream is broken, or that no other can be had: the node's own longest is a minute.
const TOLD: Duration = Duration::from_secs(90);

struct Stage {
    began: Instant,
    node: Node,
    yard: Yard,
    outside: Outside,
    folder: Scratch,
    visitor: Visitor,
    onion: String,
    _backend: Process,
    _names: Names,
    _network: Network,
}

#[test]
fn nothing_leaves_when_tor_is_cut_off() {
    if !namespace::inside(&["--net"], "nothing_leaves_when_tor_is_cut_off").unwrap() {
        return;
    }
    let stage = Stage::new();
    stage.works();
    stage.is_published();
    let begun = Instant::now();
    let mut streams = stage.long_streams();
    println!("four streams are under way after {:.0} s", begun.elapsed().as_secs_f64());
    nft("add table inet cut; add chain inet cut in { type filter hook input priority 0; }");
    nft("add rule inet cut in iifname cable0 reject with tcp reset");
    let cut = Instant::now();
    // New wishes first, while the node may not know yet; then what was open.
    let mut wishes = [stage.get(), stage.through_gateway("/hello"), stage.dig("late.test")];
    // The visitor's own path is whole: the relays still wait for the node's word, for minutes.
    for (name, stream) in streams.iter_mut().filter(|(name, _)| *name != "visitor") {
        let said = stream.end(TOLD).unwrap();
        assert_ne!(said.code, Some(0), "half of {name} looks whole: {said:?}");
    }
    let [get, gateway, dig] = wishes.each_mut().map(|wish| wish.end(TOLD).unwrap());
    assert!(get.code != Some(0) && gateway.code != Some(0), "{get:?} {gateway:?}");
    assert!(dig.out.contains("SERVFAIL") && dig.out.contains("EDE"), "{dig:?}");
    println!("all were told within {:.0} s", cut.elapsed().as_secs_f64());
    assert_eq!(stage.packets("elsewhere"), 0, "packets that were not for relays");
    nft("delete table inet cut");
    let mended = Instant::now();
    stage.works();
    println!("all works again after {:.0} s", mended.elapsed().as_secs_f64());
    assert_eq!(stage.packets("elsewhere"), 0, "packets that were not for relays");
    assert!(stage.packets("relays") > 100 && stage.packets("own") > 100, "the rules see what happens");
    let probe =
        "for to in 203.0.113.7 10.78.0.1 127.0.0.1; do echo x > /dev/udp/$to/53; done 2> /dev/null; true";
    stage.yard.run(&["bash", "-c", probe]).unwrap();
    assert!(stage.packets("elsewhere") >= 3, "{}", stage.packets("elsewhere"));
}

impl Stage {
    fn new() -> Self {
        let yard = Yard::make("10.78.0.1/24", "10.78.0.2/24").unwrap();
        let network = Network::start(Shape { address: RELAYS, ..Shape::default() }).unwrap();
        let (outside, names) = (Outside::start().unwrap(), Names::start().unwrap());
        let folder = Scratch::new("cut").unwrap();
        std::fs::write(folder.join("rules"), rules(&network)).unwrap();
        yard.run(&["nft", "-f", text(&folder.join("rules"))]).unwrap();
        let served = folder.join("served");
        std::fs::create_dir(&served).unwrap();
        std::fs::write(served.join("hello"), HELLO).unwrap();
        std::fs::File::create(served.join("long")).unwrap().set_len(LONG).unwrap();
        let mut server = inside(&yard, &["python3", "-m", "http.server", "8000", "--bind", "127.0.0.1"]);
        server.arg("--directory").arg(&served);
        let backend = Process::start("backend", &mut server, &folder.join("backend.log")).unwrap();
        let proxy = format!(
            "[proxy.socks]\nlisten = \"127.0.0.1:9150\"\n[proxy.dns]\nlisten = \"127.0.0.1:5353\"\nupstreams = [\"{}\"]\n\
             [proxy.http]\nlisten = \"127.0.0.1:3080\"\nallow_private = true\n",
            names.target()
        );
        let more = "[[publish]]\nname = \"api\"\n[publish.ports]\n80 = [\"127.0.0.1:8000\"]\n".to_owned();
        let settings =
            Settings { launcher: yard.launcher(), proxy: Some(proxy), more, ..Settings::named("cut") };
        let node = Node::start(&network, settings).unwrap();
        let visitor = Visitor::start(&network).unwrap();
        let onion = found(REACH, "the service's address", || {
            let status = node.status()?;
            Ok(status.pointer("/publish/0/host").and_then(Value::as_str).map(str::to_owned))
        });
        let onion = onion.unwrap();
        Self {
            began: Instant::now(),
            node,
            yard,
            outside,
            folder,
            visitor,
            onion,
            _backend: backend,
            _names: names,
            _network: network,
        }
    }

    /// Every listener gives what it is there for, within the time that Arti rests a guard that failed, and some more.
    fn works(&self) {
        let again = |what: &str, wish: &dyn Fn() -> Talk, is: &dyn Fn(&Said) -> bool| {
            eventually(REACH, what, || wish().end(TOLD).is_ok_and(|said| is(&said))).unwrap();
        };
        again("SOCKS", &|| self.get(), &|said| said.out == HELLO);
        again("CONNECT", &|| self.through_gateway("/hello"), &|said| said.out == HELLO);
        // Another name each time, or it would come from memory.
        let number = Cell::new(0);
        let dig = || {
            number.set(number.get() + 1);
            self.dig(&format!("name{}-{}.test", number.get(), self.began.elapsed().as_millis()))
        };
        again("DNS", &dig, &|said| said.out.contains("192.0.2.7"));
    }

    /// C tor asks no directory twice within a quarter of an hour, so this visitor does not find its way back in time.
    fn is_published(&self) {
        let url = format!("http://{}/hello", self.onion);
        eventually(REACH, "the published service", || {
            self.visitor.curl(&[&url]).is_ok_and(|said| said.out == HELLO)
        })
        .unwrap();
    }

    /// Downloads that nobody will see the end of, all under way.
    fn long_streams(&self) -> Vec<(&'static str, Talk)> {
        let outside = format!("http://127.0.0.1:{}/size/{LONG}", self.outside.port());
        let onion = format!("http://{}/long", self.onion);
        let visitor = format!("socks5h://127.0.0.1:{}", self.visitor.socks());
        let socks = ["-x", "socks5h://127.0.0.1:9150"];
        let streams: Vec<(&str, Talk)> = [
            ("socks", &socks[..], &outside),
            ("tunnel", &["-p", "-x", "http://127.0.0.1:3080"], &outside),
            ("onion", &socks, &onion),
            ("visitor", &["-x", &visitor], &onion),
        ]
        .into_iter()
        .map(|(name, way, url)| {
            let file = self.folder.join(name);
            let slow = ["curl", "--limit-rate", "500k", "--max-time", "300", "-sS", "-o", text(&file), url];
            let words = [&slow[..], way].concat();
            // The visitor is somewhere else.
            let mut command =
                if name == "visitor" { Command::new("env") } else { inside(&self.yard, &["env"]) };
            (name, Talk::begin(command.args(words)).unwrap())
        })
        .collect();
        for (name, _) in &streams {
            let file = self.folder.join(name);
            let came = || std::fs::metadata(&file).is_ok_and(|data| data.len() >= BEGUN);
            eventually(REACH, &format!("{name} to be under way"), came).unwrap();
        }
        streams
    }

    fn get(&self) -> Talk {
        let url = format!("http://127.0.0.1:{}/hello", self.outside.port());
        let words = ["curl", "-sS", "--max-time", "80", "-x", "socks5h://127.0.0.1:9150", &url];
        Talk::begin(&mut inside(&self.yard, &words)).unwrap()
    }

    fn through_gateway(&self, path: &str) -> Talk {
        let url = format!("http://127.0.0.1:{}{path}", self.outside.port());
        let words = ["curl", "-sS", "--max-time", "80", "-p", "-x", "http://127.0.0.1:3080", &url];
        Talk::begin(&mut inside(&self.yard, &words)).unwrap()
    }

    fn dig(&self, name: &str) -> Talk {
        let words = ["dig", "@127.0.0.1", "-p", "5353", "+timeout=40", "+tries=1", name, "A"];
        Talk::begin(&mut inside(&self.yard, &words)).unwrap()
    }

    fn packets(&self, counter: &str) -> u64 {
        let printed = self.yard.run(&["nft", "-j", "list", "counter", "inet", "watch", counter]).unwrap();
        let printed: Value = serde_json::from_str(&printed).unwrap();
        let all = printed.get("nftables").and_then(Value::as_array).unwrap();
        all.iter().find_map(|entry| entry.pointer("/counter/packets")?.as_u64()).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.node.log().unwrap_or_default());
        }
    }
}

/// On the relays' side of the cable.
fn nft(rule: &str) {
    namespace::run(&["nft", rule]).unwrap();
}

/// A program on the node's side.
fn inside(yard: &Yard, words: &[&str]) -> Command {
    let launcher = yard.launcher();
    let (first, rest) = launcher.split_first().unwrap();
    let mut command = Command::new(first);
    command.args(rest).args(words);
    command
}

/// Rules for nft(8): packets to relays, and between clients and listeners, pass and are counted; all others are counted and dropped.
fn rules(network: &Network) -> String {
    let mut ports = String::new();
    for relay in network.relays() {
        for port in [relay.or_port, relay.dir_port].into_iter().filter(|port| *port != 0) {
            write!(ports, "{port}, ").unwrap();
        }
    }
    let mut own = String::new();
    for (kind, side) in [("tcp", "dport"), ("tcp", "sport"), ("udp", "dport"), ("udp", "sport")] {
        writeln!(own, "oifname \"lo\" {kind} {side} {{ {LISTENERS} }} counter name own accept").unwrap();
    }
    format!(
        "table inet watch {{\n counter relays {{ }}\n counter own {{ }}\n counter elsewhere {{ }}\n chain out {{\n\
         type filter hook output priority 0; policy drop;\n\
         ip daddr {RELAYS} tcp dport {{ {ports} }} counter name relays accept\n{own}\
         counter name elsewhere drop\n }}\n}}\n"
    )
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

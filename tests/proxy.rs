//! Other people's programs through the node's SOCKS and DNS listeners, on a private network.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use bulbil_tests::baseline::Baseline;
use bulbil_tests::foreign::lookups::{self, TOOLS, WAYS};
use bulbil_tests::foreign::matrix::{self, Targets};
use bulbil_tests::foreign::{LIMIT, Python, run};
use bulbil_tests::names::Names;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::outside::{HELLO, Outside, Silent};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use serde_json::{Value, json};

/// Questions sent before the first answer is read.
const PIPELINED: u32 = 500;

struct Stage {
    _network: Network,
    node: Node,
    outside: Outside,
    names: Names,
    onion: Baseline,
    _served: Scratch,
    python: Python,
    socks: u16,
    dns: u16,
}

impl Stage {
    fn new() -> Self {
        let python = Python::ensure().unwrap();
        let network = Network::start(Shape::default()).unwrap();
        let (outside, names) = (Outside::start().unwrap(), Names::start().unwrap());
        let folder = Scratch::new("served").unwrap();
        std::fs::write(folder.join("hello"), HELLO).unwrap();
        let onion = Baseline::start(&network, folder.path()).unwrap();
        let settings = Settings { proxy: Some(proxy(&names)), ..Settings::named("proxy") };
        let node = Node::start(&network, settings).unwrap();
        let (socks, dns) = (node.listener("socks").unwrap(), node.listener("dns").unwrap());
        Self { _network: network, node, outside, names, onion, _served: folder, python, socks, dns }
    }

    fn curl(&self, url: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-g", "--max-time", "60", "-x"])
            .arg(format!("socks5h://u:p@127.0.0.1:{}", self.socks));
        curl.arg(url);
        curl
    }
}

fn proxy(names: &Names) -> String {
    format!(
        "[proxy.socks]\nlisten = \"127.0.0.1:0\"\nextended_errors = true\n\
         [proxy.dns]\nlisten = \"127.0.0.1:0\"\nupstreams = [\"{}\"]\n",
        names.target()
    )
}

#[test]
fn foreign_programs_find_what_they_expect() {
    let stage = Stage::new();
    let mut story = Story::default();
    std::thread::scope(|scope| {
        let silence = scope.spawn(|| silence(&stage));
        play(&stage, &mut story);
        story.scene("a target that never answers", || {
            let got = silence.join().unwrap();
            for client in ["pysocks", "python_socks", "plain"] {
                let said = got[client]["timeout"].as_str().unwrap().replace("0x0", "0x");
                assert_eq!(said, "0x6", "{client}");
            }
        });
    });
    story.scene("a new identity closes what is open", || new_identity(&stage));
    story.scene("a port that is taken is told", || taken(&stage));
    story.end().unwrap();
}

fn play(stage: &Stage, story: &mut Story) {
    story.scene("three libraries against every kind of target", || libraries(stage));
    story.scene("curl, torsocks and proxychains", || programs(stage));
    story.scene("names and addresses are looked up by the exit", || look_up(stage));
    story.scene("six clients against nine kinds of targets", || clients(stage));
    story.scene("dig, kdig and dnspython for twelve types over UDP and TCP", || types(stage));
    story.scene("long answers are cut, missing names missing, onion names kept", || corners(stage));
    story.scene("hundreds of questions on one connection", || pipeline(stage));
}

fn libraries(stage: &Stage) {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let port = stage.outside.port();
    let onion = stage.onion.onion();
    let missing = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
    let targets = json!([
        ["name", "www.local.test", port],
        ["IPv4", "127.0.0.1", port],
        ["IPv6", "::1", port],
        ["onion", onion, 80],
        ["half-close", "www.local.test", port],
        ["unreachable", "255.255.255.255", 80],
        ["no such name", "nx.test", 80],
        ["no such onion", missing, 80],
        ["bad onion", "abc.onion", 80],
    ]);
    // First and alone: C tor's exits tell a refusal by the last error of whatever they did, so that anything else that
    // failed there decides what it is called.
    let refused = stage.python.socks(stage.socks, &json!([["refused", "127.0.0.1", closed]])).unwrap();
    let got = stage.python.socks(stage.socks, &targets).unwrap();
    println!("{got:#}");
    for client in ["pysocks", "python_socks", "plain"] {
        for case in ["name", "IPv4", "IPv6", "onion", "half-close"] {
            assert_eq!(got[client][case], HELLO, "{client}: {case}");
        }
        let said = refused[client]["refused"].as_str().unwrap().replace("0x0", "0x");
        assert_eq!(said, "0x5", "{client}: refused");
        for (case, code) in [("unreachable", "0x3"), ("no such name", "0x4")] {
            let said = got[client][case].as_str().unwrap().replace("0x0", "0x");
            assert_eq!(said, code, "{client}: {case}");
        }
    }
    // The libraries have no words for Tor's own codes.
    assert_eq!(got["plain"]["no such onion"], "0xf0");
    assert_eq!(got["plain"]["bad onion"], "0xf6");
    assert!(stage.node.status().unwrap()["proxy"]["listeners"][0]["errors"]["refused"].as_u64() >= Some(3));
}

/// Takes twenty seconds, so it runs beside the others.
fn silence(stage: &Stage) -> Value {
    let silent = Silent::start().unwrap();
    stage.python.socks(stage.socks, &json!([["timeout", "127.0.0.1", silent.port()]])).unwrap()
}

fn programs(stage: &Stage) {
    let port = stage.outside.port();
    let url = format!("http://www.local.test:{port}/hello");
    for url in [&url, &format!("http://[::1]:{port}/"), &format!("http://{}/hello", stage.onion.onion())] {
        assert_eq!(run(&mut stage.curl(url), LIMIT).unwrap().out, HELLO, "{url}");
    }
    let size = 5_000_000;
    let got = run(
        stage.curl(&format!("http://127.0.0.1:{port}/size/{size}")).args([
            "-o",
            "/dev/null",
            "-w",
            "%{size_download}",
        ]),
        LIMIT,
    );
    assert_eq!(got.unwrap().out, size.to_string());
    let folder = Scratch::new("upload").unwrap();
    std::fs::write(folder.join("up"), vec![b'y'; 3_000_000]).unwrap();
    let mut up = stage.curl(&url);
    up.arg("-T").arg(folder.join("up"));
    assert_eq!(run(&mut up, LIMIT).unwrap().out, "3000000");
    let mut four = Command::new("curl");
    four.args(["-sS", "-x", &format!("socks4a://127.0.0.1:{}", stage.socks), &url]);
    assert_eq!(run(&mut four, LIMIT).unwrap().out, HELLO);
    let mut torsocks = Command::new("torsocks");
    torsocks.args(["-a", "127.0.0.1", "-P", &stage.socks.to_string(), "curl", "-sS", "--max-time", "60"]);
    // It refuses names that turn out to be of this machine.
    torsocks.arg(format!("http://{}/hello", stage.onion.onion()));
    assert_eq!(run(&mut torsocks, LIMIT).unwrap().out, HELLO);
    let list = folder.join("chains.conf");
    let mut file = std::fs::File::create(&list).unwrap();
    write!(file, "strict_chain\nproxy_dns\n[ProxyList]\nsocks5 127.0.0.1 {}\n", stage.socks).unwrap();
    let mut chains = Command::new("proxychains4");
    chains.args(["-q", "-f"]).arg(&list).args(["curl", "-sS", "--max-time", "60", &url]);
    assert_eq!(run(&mut chains, LIMIT).unwrap().out, HELLO);
}

fn look_up(stage: &Stage) {
    // tor-resolve comes with tor and speaks its extensions.
    let mut resolve = Command::new("tor-resolve");
    resolve.args(["-5", "www.local.test", &format!("127.0.0.1:{}", stage.socks)]);
    assert_eq!(run(&mut resolve, LIMIT).unwrap().out.trim(), "127.0.0.1");
    let mut pointer = Command::new("tor-resolve");
    pointer.args(["-5", "-x", "192.0.2.7", &format!("127.0.0.1:{}", stage.socks)]);
    assert_eq!(run(&mut pointer, LIMIT).unwrap().out.trim(), "host.test");
}

fn dig(stage: &Stage, program: &str, words: &[&str]) -> String {
    lookups::dig(stage.dns, program, words).unwrap()
}

fn types(stage: &Stage) {
    for tool in TOOLS {
        for way in WAYS {
            assert_eq!(lookups::types(&stage.python, stage.dns, tool, way).unwrap(), 12);
        }
    }
}

/// All of them at once; the long stream is long in the story `proxy` only.
fn clients(stage: &Stage) {
    let silent = Silent::start().unwrap();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let targets = Targets {
        proxy: stage.socks,
        outside: stage.outside.port(),
        closed,
        silent: silent.port(),
        silent_beside: 0,
        onion: stage.onion.onion().to_owned(),
        beside: None,
        size: 3_000_000,
    };
    let cells = matrix::play(&stage.python, &targets).unwrap();
    let wrong: Vec<_> = cells.iter().filter(|cell| cell.outcome.is_err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(cells.len(), 9 * 4 + 8 + 1, "curl cannot half-close, torsocks keeps away from loopback");
}

fn corners(stage: &Stage) {
    let (before, _) = stage.names.seen();
    let cut = dig(stage, "dig", &["+notcp", "+ignore", "+bufsize=1232", "big.test", "TXT"]);
    assert!(cut.contains(" tc ") && cut.contains("ANSWER: 0"), "{cut}");
    let whole = dig(stage, "dig", &["+short", "big.test", "TXT"]);
    assert_eq!(whole.matches('x').count(), 3000);
    let large = dig(stage, "dig", &["+notcp", "+ignore", "+bufsize=4096", "+short", "big.test", "TXT"]);
    assert_eq!(large.matches('x').count(), 3000);
    let missing = dig(stage, "kdig", &["nx.test", "A"]);
    assert!(missing.contains("NXDOMAIN") && missing.contains("SOA"), "{missing}");
    let (_, asked) = stage.names.seen();
    let onion = dig(stage, "dig", &["leak.onion", "A"]);
    assert!(onion.contains("NXDOMAIN"), "{onion}");
    let (after, still) = stage.names.seen();
    assert_eq!((before, asked), (after, still));
}

fn pipeline(stage: &Stage) {
    let (connections, _) = stage.names.seen();
    assert_eq!(stage.python.pipeline(stage.dns, PIPELINED).unwrap(), Value::from(PIPELINED));
    assert_eq!(stage.names.seen().0, connections);
}

fn new_identity(stage: &Stage) {
    let mut waiting = bulbil_tests::talk::Talk::begin(
        &mut stage.curl(&format!("http://127.0.0.1:{}/wait", stage.outside.port())),
    )
    .unwrap();
    bulbil_tests::wait::eventually(LIMIT, "the stream to be open", || {
        stage.node.status().is_ok_and(|status| status["proxy"]["streams"].as_u64() >= Some(2))
    })
    .unwrap();
    let done = stage.node.json(&["new-identity", "--json"]).unwrap();
    assert!(done["streams_closed"].as_u64() >= Some(1), "{done}");
    assert!(done["answers_forgotten"].as_u64() >= Some(500), "{done}");
    assert_ne!(waiting.end(Duration::from_secs(20)).unwrap().code, Some(0));
    let url = format!("http://www.local.test:{}/hello", stage.outside.port());
    assert_eq!(run(&mut stage.curl(&url), LIMIT).unwrap().out, HELLO);
    assert!(dig(stage, "dig", &["+short", "after.test", "A"]).contains("192.0.2.7"));
}

fn taken(stage: &Stage) {
    let port = stage.socks;
    let sections = format!("[proxy.socks]\nlisten = \"127.0.0.1:{port}\"\n[proxy.dns]\nenabled = false\n");
    let settings = Settings { proxy: Some(sections), ..Settings::named("second") };
    let mut second = Node::prepare("", settings).unwrap();
    second.restart().unwrap();
    let status = bulbil_tests::wait::found(LIMIT, "the second node's status", || Ok(second.status().ok()));
    let listener = status.unwrap()["proxy"]["listeners"][0]["state"].clone();
    assert_eq!(listener["is"], "failed");
    assert!(listener["why"].as_str().unwrap().contains("proxy.socks.listen"));
}

//! Nothing leaves a node but packets to relays, and nothing it says names an onion, a token, a path or a host.
//!
//! The relays run in one network namespace and the nodes in another, joined by one cable. The nodes' namespace counts
//! and drops every packet that is not for a relay, loopback included. Needs root.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use bulbil_tests::content;
use bulbil_tests::namespace::{self, Yard};
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::talk::Said;
use serde_json::Value;

const RELAYS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Names that occur nowhere by chance.
const HOST: &str = "verraeterischer-rechner";
const FILE: &str = "geheimer-film.bin";
const FOLDER: &str = "geheime-sammlung";

/// Of its own accord the kernel speaks `ICMPv6` when a card comes up; without IPv6 every packet is a program's.
const NO_IPV6: &str = "test ! -e /proc/sys/net/ipv6 || echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6";

/// Letters and digits in a row that are too many for a word: tokens have 26.
const LONGEST_WORD: usize = 23;

#[test]
fn nothing_leaves_but_for_relays() {
    if !namespace::inside(&["--net", "--uts"], "nothing_leaves_but_for_relays").unwrap() {
        return;
    }
    let start = Instant::now();
    namespace::run(&["hostname", HOST]).unwrap();
    let yard = Yard::make("10.77.0.1/24", "10.77.0.2/24").unwrap();
    yard.run(&["sh", "-c", NO_IPV6]).unwrap();
    let network = Network::start(Shape { address: RELAYS, ..Shape::default() }).unwrap();
    let rules = Scratch::new("rules").unwrap();
    std::fs::write(rules.join("rules"), count_all_but(&network)).unwrap();
    yard.run(&["nft", "-f", text(&rules.join("rules"))]).unwrap();

    let node = |name: &str| {
        Node::start(&network, Settings { launcher: yard.launcher(), ..Settings::named(name) }).unwrap()
    };
    let (seed, fetcher) = (node("seed"), node("fetcher"));
    println!("network and nodes after {:.0} s", start.elapsed().as_secs_f64());
    let (files, out) = (Scratch::new("files").unwrap(), Scratch::new("out").unwrap());
    let (links, said) = share_and_fetch(&seed, &fetcher, &files, &out);
    println!("fetched after {:.0} s", start.elapsed().as_secs_f64());
    for node in [&seed, &fetcher] {
        assert_eq!(node.say(&["stop"]).unwrap().code, Some(0));
    }

    assert_eq!(packets(&yard, "elsewhere"), 0, "packets that were not for relays");
    assert!(packets(&yard, "relays") > 1000, "the nodes used the relays");
    let mut said = said;
    for node in [&seed, &fetcher] {
        let log = node.log().unwrap();
        assert!(log.contains("info  bulbil"), "the log is on: {log}");
        said.push((node.name().to_owned(), log));
    }
    let paths = [&files, &out].map(|folder| text(folder.path()).to_owned());
    let mut needles = vec![HOST.to_owned(), FILE.to_owned(), FOLDER.to_owned(), ".onion".to_owned()];
    needles.extend(paths);
    needles.extend([&seed, &fetcher].map(|node| text(node.folder()).to_owned()));
    needles.extend(links.iter().flat_map(|link| secrets(link)));
    for (who, text) in &said {
        assert_eq!(leak(text, &needles), None, "said by {who}");
    }
    // The counter counts, and the scan finds.
    let probe =
        "for to in 203.0.113.7 10.77.0.1 127.0.0.1; do echo x > /dev/udp/$to/53; done 2> /dev/null; true";
    yard.run(&["bash", "-c", probe]).unwrap();
    assert!(packets(&yard, "elsewhere") >= 3, "{}", packets(&yard, "elsewhere"));
    assert!(
        links.iter().all(|link| leak(link, &needles).is_some() && leak(&secrets(link)[1], &[]).is_some())
    );
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The whole of what both nodes are for. Returns the links, and what commands said on standard error.
fn share_and_fetch(
    seed: &Node,
    fetcher: &Node,
    files: &Scratch,
    out: &Scratch,
) -> (Vec<String>, Vec<(String, String)>) {
    content::write_file(&files.join(FILE), 3 << 20, 1).unwrap();
    std::fs::create_dir(files.join(FOLDER)).unwrap();
    content::write_tree(&files.join(FOLDER), 40, 2).unwrap();
    let (mut links, mut said) = (Vec::new(), Vec::new());
    let mut hear = |who: &str, heard: Said| {
        assert_eq!(heard.code, Some(0), "{heard:?}");
        said.push((who.to_owned(), heard.err));
        heard.out.lines().last().unwrap_or_default().to_owned()
    };
    for (name, more) in [(FILE, &[][..]), (FOLDER, &["--public"][..])] {
        let path = files.join(name);
        let mut line = vec!["share", text(&path)];
        line.extend(more);
        let link = hear("share", seed.say(&line).unwrap());
        hear("fetch", fetcher.say(&["fetch", &link, "--out", text(out.path())]).unwrap());
        links.push(link);
    }
    // Refusals are where names slip out most easily.
    let wrong = links[1].replace("/public/", "/public/aaaa");
    let wrong = format!("{}{}", &wrong[..links[1].len() - 4], &wrong[links[1].len()..]);
    let refused = fetcher.say(&["fetch", &wrong, "--out", text(out.path())]).unwrap();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    said.push(("refused fetch".to_owned(), refused.err));
    assert_eq!(content::digest(&out.join(FILE)).unwrap(), content::digest(&files.join(FILE)).unwrap());
    let trees = [files, out].map(|folder| content::digests(&folder.join(FOLDER)).unwrap());
    assert_eq!(trees[0], trees[1]);
    (links, said)
}

/// Rules for nft(8): packets to relays pass and are counted, all others are counted and dropped.
fn count_all_but(network: &Network) -> String {
    let mut ports = String::new();
    for relay in network.relays() {
        for port in [relay.or_port, relay.dir_port].into_iter().filter(|port| *port != 0) {
            write!(ports, "{port}, ").unwrap();
        }
    }
    format!(
        "table inet watch {{\n counter relays {{ }}\n counter elsewhere {{ }}\n chain out {{\n\
         type filter hook output priority 0; policy drop;\n\
         ip daddr {RELAYS} tcp dport {{ {ports} }} counter name relays accept\n\
         counter name elsewhere drop\n }}\n}}\n"
    )
}

fn packets(yard: &Yard, counter: &str) -> u64 {
    let printed = yard.run(&["nft", "-j", "list", "counter", "inet", "watch", counter]).unwrap();
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let all = printed["nftables"].as_array().unwrap();
    all.iter().find_map(|entry| entry["counter"]["packets"].as_u64()).unwrap()
}

/// The address and the token of a link.
fn secrets(link: &str) -> [String; 2] {
    let host = link.trim_start_matches("http://").split('.').next().unwrap();
    [host.to_owned(), link.rsplit('/').next().unwrap().to_owned()]
}

/// The first line with one of the names in it, or with so many letters and digits in a row that they are no word.
fn leak<'t>(text: &'t str, needles: &[String]) -> Option<&'t str> {
    text.lines().find(|line| {
        let mut words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
        needles.iter().any(|needle| line.contains(needle.as_str()))
            || words.any(|word| word.len() > LONGEST_WORD)
    })
}

//! A public share outlives its owner: through a mirror that knows who else has it, and through those who have it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::wait;
use serde_json::Value;

const SIZE: u64 = 1 << 20;

/// For one command or event.
const LIMIT: Duration = Duration::from_mins(2);

/// From a fetch's end to the new source being known on a mirror of the owner, once the fetcher can be reached.
const PUSH_LIMIT: Duration = Duration::from_secs(5);

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {pointer} in {value}"))
        .to_owned()
}

/// The node's own address, once it can be reached there.
fn address(node: &Node) -> String {
    wait::found(LIMIT, "the node's own address to be reachable", || {
        let status = node.status()?;
        Ok((status["address_reachable"] == true).then(|| text(&status, "/address")))
    })
    .unwrap()
}

fn say(node: &Node, arguments: &[&str]) -> String {
    let said = node.say(arguments).unwrap();
    assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
    said.out.trim().to_owned()
}

fn fetch(node: &Node, link: &str, out: &Path) {
    say(node, &["fetch", link, "--out", out.to_str().unwrap()]);
}

/// Sources that a search on this node counts for its one hit.
fn sources(node: &Node, word: &str) -> u64 {
    let found = node.json(&["search", word, "--json"]).unwrap();
    found.pointer("/hits/0/sources").and_then(Value::as_u64).unwrap_or(0)
}

/// Someone fetches a public share, and the owner's mirror knows of him within seconds.
fn a_new_source_is_pushed(files: &Scratch, (owner, fetcher, mirror): (&Node, &Node, &Node), out: &Path) {
    let path = files.join("rivers.bin");
    content::write_file(&path, SIZE, 8).unwrap();
    let link = say(owner, &["share", "--public", "--json", path.to_str().unwrap()]);
    let link = text(&serde_json::from_str(&link).unwrap(), "/link");
    fetch(fetcher, &link, out);
    let done = Instant::now();
    wait::eventually(LIMIT, "the mirror to hear of the fetcher", || sources(mirror, "rivers") == 2).unwrap();
    println!("the mirror knew the fetcher {:.1} s after its copy was whole", done.elapsed().as_secs_f64());
    assert!(done.elapsed() < PUSH_LIMIT, "{:?}", done.elapsed());
}

#[test]
fn a_share_outlives_its_owner() {
    let began = Instant::now();
    let network = Network::start(Shape::default()).unwrap();
    let files = Scratch::new("files").unwrap();
    let path = files.join("deltas.bin");
    content::write_file(&path, SIZE, 7).unwrap();
    let start = |name: &str| Node::start(&network, Settings::named(name)).unwrap();
    let (mut anna, bert, dora, emil) = (start("anna"), start("bert"), start("dora"), start("emil"));
    println!("{:.1} s  four nodes run", began.elapsed().as_secs_f64());

    println!("idle: {} KiB", emil.usage().unwrap().rss / 1024);
    let link = anna.share(&path).unwrap();
    let info_hash = text(&anna.status().unwrap(), "/shares/0/info_hash");
    anna.wait_reachable(&link).unwrap();
    let outs = ["bert", "emil"].map(|name| Scratch::new(name).unwrap());
    fetch(&bert, &link, outs[0].path());
    println!("{:.1} s  fetched by the private link", began.elapsed().as_secs_f64());

    say(&dora, &["mirror", &address(&anna), "--follow"]);
    assert_eq!(sources(&dora, "deltas"), 0, "a private share is in no list");
    let about = ["--tags", "maps,water", "--text", "Drawn in 1890."];
    let public = say(&anna, &[&["publish", &info_hash], about.as_slice()].concat());
    assert!(public.contains("/public/"), "{public}");
    let published = Instant::now();
    wait::eventually(LIMIT, "the mirror to hear of both sources", || sources(&dora, "deltas") == 2).unwrap();
    println!(
        "{:.1} s  the mirror knew it {:.1} s after it was published",
        began.elapsed().as_secs_f64(),
        published.elapsed().as_secs_f64()
    );
    assert!(published.elapsed() < PUSH_LIMIT, "{:?}", published.elapsed());

    a_new_source_is_pushed(&files, (&anna, &bert, &dora), outs[0].path());
    anna.kill().unwrap();
    say(&bert, &["mirror", &address(&dora), "--follow"]);
    say(&emil, &["trust", "add", &address(&dora), "--name", "dora"]);
    let found = emil.json(&["search", "water", "1890", "--json"]).unwrap();
    assert_eq!(found.pointer("/hits/0/through/0").and_then(Value::as_str), Some("dora"), "{found}");
    assert_eq!(text(&found, "/hits/0/link"), public);
    assert_eq!(text(&found, "/hits/0/tags"), "maps,water");
    println!("{:.1} s  found through a trusted mirror", began.elapsed().as_secs_f64());
    fetch(&emil, &public, outs[1].path());
    println!("{:.1} s  fetched, and its owner is gone", began.elapsed().as_secs_f64());
    assert_eq!(fs::read(outs[1].join("deltas.bin")).unwrap(), fs::read(&path).unwrap());
    let done = Instant::now();
    wait::eventually(LIMIT, "the mirror to list emil", || sources(&bert, "deltas") == 3).unwrap();
    println!("listed without its owner {:.1} s after its copy is whole", done.elapsed().as_secs_f64());
}

//! A file and a folder cross Tor between two nodes, driven by the command line as their owners would.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{COMMAND_LIMIT, Node, Settings};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use bulbil_tests::wait::{eventually, found};
use serde_json::Value;

const FILE: u64 = 6 * 1024 * 1024 + 12_345;

struct Stage {
    seed: Node,
    fetcher: Node,
    files: Scratch,
    out: Scratch,
}

#[test]
fn files_cross_tor() {
    let network = Network::start(Shape::default()).unwrap();
    let seed = Node::start(&network, Settings::named("seed")).unwrap();
    let fetcher = Node::start(&network, Settings::named("fetcher")).unwrap();
    let files = Scratch::new("files").unwrap();
    let stage = Stage { seed, fetcher, files, out: Scratch::new("out").unwrap() };
    let mut story = Story::default();
    story.scene("a file of some MiB", || a_file(&stage));
    story.scene("the same once more", || the_same_once_more(&stage));
    story.scene("list, status and peers", || accounts(&stage));
    story.scene("a folder of small files", || a_folder(&stage));
    story.scene("a public link", || a_public_link(&stage));
    story.scene("several paths under one name", || several_paths(&stage));
    story.scene("forget", || forget(&stage));
    story.scene("unshare", || unshare(&network, &stage));
    story.scene("stop", || stop(&stage));
    story.end().unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The keys of a JSON object, in order.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn is_link(text: &str, kind: &str) -> bool {
    let Some((host, rest)) = text.strip_prefix("http://").and_then(|rest| rest.split_once(".onion:")) else {
        return false;
    };
    let Some((port, token)) = rest.split_once(&format!("/{kind}/")) else { return false };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    host.len() == 56 && plain(host) && port.parse::<u16>().is_ok() && token.len() == 26 && plain(token)
}

fn a_file(stage: &Stage) {
    let path = stage.files.join("film.bin");
    let sha256 = content::write_file(&path, FILE, 1).unwrap();
    let said = stage.seed.say(&["share", text(&path), "--json"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let shared = said.json().unwrap();
    assert_eq!(keys(&shared), ["info_hash", "link", "name", "size"]);
    assert!(is_link(shared["link"].as_str().unwrap(), "private"), "{shared}");
    assert_eq!((&shared["name"], &shared["size"]), (&Value::from("film.bin"), &Value::from(FILE)));
    let hashed = stage.seed.json(&["hash", text(&path), "--json"]).unwrap();
    assert_eq!(keys(&hashed), ["files", "info_hash", "magnet", "piece_length", "size"]);
    assert_eq!(keys(&hashed["files"][0]), ["length", "path", "pieces_root"]);
    assert_eq!(hashed["info_hash"], shared["info_hash"]);

    let link = shared["link"].as_str().unwrap();
    let said = stage.fetcher.say(&["fetch", link, "--out", text(stage.out.path()), "--json"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let fetched = said.json().unwrap();
    assert_eq!(fetched["state"]["is"], "done");
    assert_eq!(fetched["done"], FILE);
    assert_eq!(fetched["info_hash"], shared["info_hash"]);
    assert!(said.err.contains('%'), "progress goes to standard error: {said:?}");
    assert_eq!(content::digest(&stage.out.join("film.bin")).unwrap(), sha256);
    assert_eq!(names(stage.out.path()), ["film.bin"], "nothing is left beside the file");
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Neither end does anything twice: the fetch is there already, the share has a link already.
fn the_same_once_more(stage: &Stage) {
    let link = stage.seed.status().unwrap()["shares"][0]["link"].as_str().unwrap().to_owned();
    let uploaded = || stage.seed.status().unwrap()["shares"][0]["uploaded"].as_u64().unwrap();
    let before = uploaded();
    let said = stage.fetcher.say(&["fetch", &link, "--out", text(stage.out.path())]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("verified"), "{said:?}");
    // What both lanes were asked for at the end of the first fetch may still be on its way.
    let more = uploaded() - before;
    assert!(more < FILE / 8, "{more} bytes more");
    let said = stage.seed.say(&["share", text(&stage.files.join("film.bin"))]).unwrap();
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("shared already"), "{said:?}");
}

fn accounts(stage: &Stage) {
    let list = stage.seed.json(&["list", "--json"]).unwrap();
    assert_eq!(keys(&list), ["fetches", "shares", "standing"]);
    assert_eq!(list["shares"][0]["state"]["is"], "reachable");
    let uploaded = list["shares"][0]["uploaded"].as_u64().unwrap();
    assert!((FILE..FILE * 2).contains(&uploaded), "{uploaded}");
    let said = stage.seed.say(&["list"]).unwrap();
    assert!(is_link(said.last_line().trim(), "private"), "{said:?}");

    let status = stage.fetcher.status().unwrap();
    let expected = ["dropped", "fetches", "memory", "net", "peers", "shares", "uptime_s", "version"];
    assert!(expected.iter().all(|key| keys(&status).contains(key)), "{status}");
    assert_eq!(status["dropped"], Value::Array(Vec::new()));
    assert_eq!(status["fetches"][0]["state"]["is"], "done");
    let said = stage.fetcher.say(&["status"]).unwrap();
    assert!(said.code == Some(0) && said.out.contains("ready"), "{said:?}");

    let peers = stage.seed.json(&["peers", "--json"]).unwrap();
    assert!(peers.is_array());
    assert_eq!(stage.seed.say(&["peers"]).unwrap().code, Some(0));
    let page = ureq(&stage.seed.page_url());
    assert!(page.contains("film.bin") && page.contains("</html>"), "{page}");
}

/// The page as curl gets it.
fn ureq(url: &str) -> String {
    let output = std::process::Command::new("curl").args(["-sS", "--max-time", "20", url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn a_folder(stage: &Stage) {
    let top = stage.files.join("album");
    fs::create_dir(&top).unwrap();
    content::write_tree(&top, 150, 7).unwrap();
    fs::create_dir_all(top.join("Ünïcödé/日本語/🧅")).unwrap();
    fs::write(top.join("Ünïcödé/日本語/🧅/ñandú – ‘x’.txt"), "onion").unwrap();
    fs::write(top.join("Ünïcödé/empty"), "").unwrap();
    fs::write(top.join(" leading and trailing "), "spaces").unwrap();
    let expected = content::digests(&top).unwrap();
    let said = stage.seed.say(&["share", text(&top)]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(is_link(said.last_line(), "private"), "the link is the last line: {said:?}");
    let got = fetch_tree(stage, said.last_line(), "album");
    assert_eq!(got, expected);
}

/// Fetches a folder and gives the digests of what came.
fn fetch_tree(stage: &Stage, link: &str, name: &str) -> BTreeMap<PathBuf, String> {
    let said = stage.fetcher.say(&["fetch", link, "--out", text(stage.out.path())]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    content::digests(&stage.out.join(name)).unwrap()
}

fn a_public_link(stage: &Stage) {
    let sha256 = content::write_file(&stage.files.join("public.bin"), 300_000, 2).unwrap();
    content::write_file(&stage.files.join("other.bin"), 200_000, 3).unwrap();
    let share = |name: &str| {
        let said = stage.seed.say(&["share", text(&stage.files.join(name)), "--public"]).unwrap();
        assert!(is_link(said.last_line(), "public"), "{said:?}");
        said.last_line().to_owned()
    };
    let (link, other) = (share("public.bin"), share("other.bin"));
    let host = |link: &str| link.split(".onion").next().unwrap().to_owned();
    assert_eq!(host(&link), host(&other), "one catalogue");
    assert_ne!(link, other);
    let said = stage.fetcher.say(&["fetch", &link, "--out", text(stage.out.path())]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(content::digest(&stage.out.join("public.bin")).unwrap(), sha256);
    assert!(!stage.out.join("other.bin").exists());
}

fn several_paths(stage: &Stage) {
    let (one, two) = (stage.files.join("film.bin"), stage.files.join("other.bin"));
    let said = stage.seed.say(&["share", text(&one), text(&two)]).unwrap();
    assert_eq!(said.code, Some(2), "several paths need a name: {said:?}");
    let line = ["share", text(&one), text(&two), "--name", "both", "--piece-length", "65536"];
    let said = stage.seed.say(&line).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let got = fetch_tree(stage, said.last_line(), "both");
    let expected = [&one, &two]
        .map(|path| (path.file_name().map(PathBuf::from).unwrap(), content::digest(path).unwrap()));
    assert_eq!(got, BTreeMap::from(expected));
}

/// What came stays; the node knows nothing of it any more.
fn forget(stage: &Stage) {
    let fetch = |at: usize| stage.fetcher.status().unwrap()["fetches"][at].clone();
    let film = fetch(0);
    let line = ["forget", film["info_hash"].as_str().unwrap(), "--json"];
    let gone = stage.fetcher.json(&line).unwrap();
    assert_eq!(keys(&gone), ["done", "finished", "id", "info_hash", "kept", "name", "size"]);
    assert_eq!((&gone["id"], &gone["kept"]), (&film["id"], &Value::from(text(&stage.out.join("film.bin")))));
    assert!(stage.out.join("film.bin").is_file());
    let next = fetch(0)["id"].as_u64().unwrap().to_string();
    let said = stage.fetcher.say(&["forget", &next]).unwrap();
    assert!(said.code == Some(0) && said.out.contains("no longer served"), "{said:?}");
    for (line, word) in [(&next, "bulbil list"), (&"film.bin".to_owned(), "named by its number")] {
        let said = stage.fetcher.say(&["forget", line]).unwrap();
        assert!(said.code == Some(1) && said.err.contains(word), "{said:?}");
    }
}

/// Takes effect at once: who is fetching stops and is told why, who comes later is told the same.
fn unshare(network: &Network, stage: &Stage) {
    let slow =
        Settings { more: "[swarm]\nupload_limit = \"256 KiB\"\n".to_owned(), ..Settings::named("slow") };
    let slow = Node::start(network, slow).unwrap();
    let path = stage.files.join("large.bin");
    content::write_file(&path, 16 << 20, 4).unwrap();
    let shared = slow.json(&["share", text(&path), "--json"]).unwrap();
    let link = shared["link"].as_str().unwrap();
    let mut fetching = stage.fetcher.begin(&["fetch", link, "--out", text(stage.out.path())]).unwrap();
    found(COMMAND_LIMIT, "the fetch to have some blocks", || {
        Ok((stage.fetcher.last_fetch()?["done"].as_u64() > Some(0)).then_some(()))
    })
    .unwrap();
    let said = slow.say(&["unshare", shared["info_hash"].as_str().unwrap()]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    eventually(Duration::from_secs(10), "the peers of the share to be gone", || {
        slow.json(&["peers", "--json"]).is_ok_and(|peers| peers.as_array().is_some_and(Vec::is_empty))
    })
    .unwrap();
    // Why depends on what broke first: the circuit, or the next search for the service.
    fetching.hear("waiting: ", COMMAND_LIMIT).unwrap();
    let done = stage.fetcher.last_fetch().unwrap()["done"].as_u64().unwrap();
    assert!(done < 16 << 20);
    let elsewhere = Scratch::new("out").unwrap();
    let mut later = stage.seed.begin(&["fetch", link, "--out", text(elsewhere.path())]).unwrap();
    later.hear("check the link", 2 * COMMAND_LIMIT).unwrap();
    let said = slow.say(&["unshare", shared["info_hash"].as_str().unwrap()]).unwrap();
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("bulbil list"), "{said:?}");
}

fn stop(stage: &Stage) {
    assert_eq!(stage.fetcher.say(&["stop"]).unwrap().code, Some(0));
    eventually(Duration::from_secs(20), "the node to be gone", || !stage.fetcher.socket().exists()).unwrap();
    let said = stage.fetcher.say(&["status"]).unwrap();
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("bulbil run"), "{said:?}");
    assert_eq!(stage.fetcher.say(&["fetch", "nonsense", "--out", "."]).unwrap().code, Some(2));
}

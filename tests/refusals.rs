//! Bad input, bad luck and bad manners: each gets a message that says what to do, and nothing is lost. Needs root, for
//! a file system that fills up.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unnecessary_debug_formatting,
    clippy::assertions_on_constants,
    reason = "all of this file is a test"
)]

#[path = "refusals/manners.rs"]
mod manners;
#[path = "refusals/metadata.rs"]
mod metadata;
mod raw;
#[path = "refusals/start.rs"]
mod start;
#[path = "refusals/trouble.rs"]
mod trouble;

use std::path::Path;
use std::time::Duration;

use bulbil::link::{Link, Token};
use bulbil::net::ServiceKey;
use bulbil_tests::content;
use bulbil_tests::namespace;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{COMMAND_LIMIT, Node, Settings};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use bulbil_tests::talk::Said;
use bulbil_tests::wait::eventually;

pub(crate) const SIZE: u64 = 2 << 20;

/// From the start of a peer that was killed until a fetch that waits for it is done: 30 s until Tor is up and has its new
/// descriptor, and as long again until somebody asks for that.
const FOUND_AGAIN: Duration = Duration::from_secs(75);

/// Two nodes on a network, and folders to share from and to fetch into.
pub(crate) struct Stage {
    pub(crate) network: Network,
    pub(crate) seed: Node,
    pub(crate) fetcher: Node,
    pub(crate) files: Scratch,
}

impl Stage {
    fn set() -> Self {
        let network = Network::start(Shape::default()).unwrap();
        let seed = Node::start(&network, Settings::named("seed")).unwrap();
        let fetcher = Node::start(&network, Settings::named("fetcher")).unwrap();
        Self { network, seed, fetcher, files: Scratch::new("files").unwrap() }
    }

    /// Shares a new file, and returns the link and the file's SHA-256.
    pub(crate) fn share(&self, name: &str, more: &[&str]) -> (String, String) {
        let seed = name.bytes().map(u64::from).sum();
        let path = self.files.join(name);
        let sha256 = content::write_file(&path, SIZE, seed).unwrap();
        let mut line = vec!["share", text(&path)];
        line.extend(more);
        let said = self.seed.say(&line).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
        (said.last_line().to_owned(), sha256)
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// It failed with this exit code, said all of these words, and did not only name the trouble.
pub(crate) fn refused(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    for word in words {
        assert!(said.err.contains(word), "{word:?} is not in {said:?}");
    }
    assert!(said.err.lines().last().unwrap().starts_with("bulbil: "), "{said:?}");
}

#[test]
fn bad_input_gets_a_clear_error() {
    if !namespace::inside(&["--mount"], "bad_input_gets_a_clear_error").unwrap() {
        return;
    }
    let stage = Stage::set();
    let mut story = Story::default();
    story.scene("links that are none", || wrong_links(&stage));
    story.scene("failures as JSON", || failures_as_json(&stage));
    story.scene("a wrong token", || wrong_tokens(&stage));
    story.scene("a revoked share", || revoked(&stage));
    story.scene("a peer that is offline, and comes back", || offline(&stage));
    story.scene("metadata that is refused", || metadata::is_refused(&stage));
    story.scene("metadata that is refused when it is fetched", || metadata::is_refused_from_a_peer(&stage));
    story.scene("frames and messages that are refused", || manners::are_refused(&stage));
    story.scene("a file that changes while shared", || trouble::file_changes(&stage));
    story.scene("the target exists", || trouble::target_exists(&stage));
    story.scene("the disk is full, and then is not", || trouble::disk_full(&stage));
    story.scene("no permission", || trouble::no_permission(&stage));
    story.scene("the state directory on a disk", start::on_a_disk);
    story.scene("a second node on the same state", || start::second_node(&stage));
    story.scene("the clock is a year off", || start::wrong_clock(&stage));
    story.scene("Tor cannot be reached", || start::no_tor(&stage));
    story.scene("both nodes are still well", || still_well(&stage));
    story.end().unwrap();
}

fn wrong_links(stage: &Stage) {
    let link = Link {
        address: ServiceKey::random().unwrap().address(80),
        public: false,
        token: Token::from_bytes([7; 16]),
    };
    let good = link.to_string();
    let long = good.replacen("http://", "http://a", 1);
    let first = good.as_bytes()[7];
    let typo = format!("http://{}{}", if first == b'a' { 'b' } else { 'a' }, &good[8..]);
    let cases = [
        ("nonsense".to_owned(), "starts with http://"),
        ("magnet:?xt=urn:btmh:1220".to_owned(), "starts with http://"),
        (good.replacen("http", "https", 1), "not https://"),
        ("http://example.com/private/abc".to_owned(), "does not name an onion address"),
        (long, "does not name an onion address"),
        (typo, "checksum"),
        (good.replacen(".onion:80", ".onion:0", 1), "port"),
        (good.replacen(".onion:80", ".onion:70000", 1), "port"),
        (good.replacen("/private/", "/secret/", 1), "/private/ or /public/"),
        (good[..good.len() - 1].to_owned(), "token of 26"),
        (format!("{good}a"), "token of 26"),
    ];
    for (link, words) in cases {
        let said = stage.fetcher.say(&["fetch", &link, "--out", "."]).unwrap();
        refused(&said, 2, &[words, "copy"]);
    }
    let said = stage.fetcher.say(&["fetch", &good, "--out", "nowhere"]).unwrap();
    refused(&said, 1, &["nowhere is no folder", "make it first"]);
    assert_eq!(stage.fetcher.status().unwrap()["fetches"], serde_json::json!([]), "nothing was begun");
}

/// Whoever reads JSON reads why it failed there, too.
fn failures_as_json(stage: &Stage) {
    let path = stage.files.join("json.bin");
    content::write_file(&path, SIZE, 4).unwrap();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["fetch", "nonsense", "--out", ".", "--json"], 2, "starts with http://"),
        (&["fetch", "nonsense", "--json"], 2, "--out"),
        (&["share", "/nowhere", "--json"], 1, "check the path"),
        (&["share", text(&path), "--piece-length", "20000", "--json"], 2, "power of two"),
        (&["publish", "00", "--json"], 1, "64 hexadecimal digits"),
        (&["forget", "7777", "--json"], 1, "bulbil list"),
        (&["hash", "/nowhere", "--json"], 1, "nowhere"),
    ];
    for (line, code, words) in cases {
        let said = stage.seed.say(line).unwrap();
        assert_eq!(said.code, Some(code), "{said:?}");
        let told = said.json().unwrap();
        assert_eq!(told.as_object().unwrap().len(), 1, "{said:?}");
        assert!(told["error"].as_str().unwrap().contains(words), "{words:?} is not in {said:?}");
        assert!(!said.err.is_empty(), "the same for people: {said:?}");
    }
    let said = stage.seed.say(&["share", text(&path), "--piece-length", "20000"]).unwrap();
    refused(&said, 2, &["power of two"]);
}

/// The link with another token.
fn forged(link: &str) -> String {
    let mut link: Link = link.parse().unwrap();
    link.token = Token::from_bytes([9; 16]);
    link.to_string()
}

fn wrong_tokens(stage: &Stage) {
    let out = Scratch::new("out").unwrap();
    let (private, _) = stage.share("private.bin", &[]);
    let (public, _) = stage.share("public.bin", &["--public"]);
    let fetch = |link: &str| stage.fetcher.say(&["fetch", link, "--out", text(out.path())]).unwrap();
    refused(&fetch(&forged(&private)), 1, &["refused", "ask", "new"]);
    refused(&fetch(&forged(&public)), 1, &["refused this link", "ask its owner for a new one"]);
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
    assert_eq!(fetch(&private).code, Some(0));
}

/// Its catalogue stays, because another public share is in it, so the refusal comes from the node itself.
fn revoked(stage: &Stage) {
    let out = Scratch::new("out").unwrap();
    let (link, _) = stage.share("revoked.bin", &["--public"]);
    let hash =
        stage.seed.status().unwrap()["shares"].as_array().unwrap().last().unwrap()["info_hash"].clone();
    assert_eq!(stage.seed.say(&["unshare", hash.as_str().unwrap()]).unwrap().code, Some(0));
    let said = stage.fetcher.say(&["fetch", &link, "--out", text(out.path())]).unwrap();
    refused(&said, 1, &["the share was withdrawn", "ask its owner for a new one"]);
}

fn offline(stage: &Stage) {
    let out = Scratch::new("out").unwrap();
    let mut late = Node::start(&stage.network, Settings::named("late")).unwrap();
    let path = stage.files.join("late.bin");
    let sha256 = content::write_file(&path, SIZE, 3).unwrap();
    let link = late.share(&path).unwrap();
    late.wait_reachable(&link).unwrap();
    late.kill().unwrap();
    let mut fetching = stage.fetcher.begin(&["fetch", &link, "--out", text(out.path())]).unwrap();
    fetching.hear("waiting: ", COMMAND_LIMIT).unwrap();
    let why = stage.fetcher.last_fetch().unwrap()["state"].to_string();
    assert!(why.contains("try again"), "{why}");
    late.restart().unwrap();
    let what = "the fetch to be done after its peer was started again: it has to ask anew where the peer is";
    let done = || stage.fetcher.last_fetch().is_ok_and(|fetch| fetch["state"]["is"] == "done");
    eventually(FOUND_AGAIN, what, done).unwrap();
    let said = fetching.end(COMMAND_LIMIT).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(content::digest(&out.join("late.bin")).unwrap(), sha256);
}

fn still_well(stage: &Stage) {
    let out = Scratch::new("out").unwrap();
    let (link, sha256) = stage.share("last.bin", &[]);
    let said = stage.fetcher.say(&["fetch", &link, "--out", text(out.path())]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(content::digest(&out.join("last.bin")).unwrap(), sha256);
    for node in [&stage.seed, &stage.fetcher] {
        let log = node.log().unwrap();
        assert!(!log.contains("panicked"), "{log}");
    }
}

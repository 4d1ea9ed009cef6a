//! A link goes to a friend by message, and to somebody with only a browser; and neither whoever guesses tokens nor
//! `kill -9` takes anything away.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

#[allow(dead_code, reason = "other stories use the rest")]
mod raw;

use std::fs;
use std::path::Path;
use std::time::Duration;

use bulbil::link::Token;
use bulbil::net::Circuit;
use bulbil_core::hello::{Hello, Secrets};
use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use bulbil_tests::visitor::Visitor;
use bulbil_tests::wait;
use raw::{Lane, Raw, name_of};
use serde_json::Value;

const SIZE: u64 = 3 << 20;

/// Wrong tokens at either face of the service.
const GUESSES: usize = 40;

/// A retry comes after 30 s, and a service that was killed takes a while to be found again.
const DELIVERED: Duration = Duration::from_mins(2);

/// Two nodes, a browser, and a share that browsers may read.
struct Stage {
    network: Network,
    anna: Node,
    ben: Node,
    browser: Visitor,
    files: Scratch,
    link: String,
    sha256: String,
}

impl Stage {
    fn set() -> Self {
        let network = Network::start(Shape::default()).unwrap();
        let node = |name| Node::start(&network, Settings::named(name)).unwrap();
        let (anna, ben) = (node("anna"), node("ben"));
        let browser = Visitor::start(&network).unwrap();
        let files = Scratch::new("files").unwrap();
        let folder = files.join("collection");
        fs::create_dir(&folder).unwrap();
        let sha256 = content::write_file(&folder.join("Grüße & more.bin"), SIZE, 5).unwrap();
        fs::write(folder.join("small"), b"x").unwrap();
        let printed = anna.json(&["share", text(&folder), "--browser", "--json"]).unwrap();
        let link = printed["link"].as_str().unwrap().replace(":80/", "/");
        anna.wait_reachable(printed["link"].as_str().unwrap()).unwrap();
        Self { network, anna, ben, browser, files, link, sha256 }
    }

    fn letters(node: &Node, which: &str) -> Vec<String> {
        let letters = node.json(&[which, "--json"]).unwrap();
        letters.as_array().unwrap().iter().map(|letter| letter["text"].as_str().unwrap().to_owned()).collect()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The node's own address, once it can be reached there.
fn address(node: &Node) -> String {
    wait::found(DELIVERED, "the node's own address to be reachable", || {
        let status = node.status()?;
        let up = status["address_reachable"] == true;
        Ok(status["address"].as_str().filter(|_| up).map(str::to_owned))
    })
    .unwrap()
}

#[test]
fn a_link_is_enough() {
    let mut stage = Stage::set();
    let mut story = Story::default();
    story.scene("a browser reads the page and resumes a download", || browse(&stage));
    story.scene("wrong tokens find nothing, and the right one works throughout", || guess(&stage));
    story.scene("a message brings the link, and one command fetches it", || send(&stage));
    story.scene("kill -9 on both sides loses no message", || crash(&mut stage));
    story.end().unwrap();
}

fn browse(stage: &Stage) {
    assert_eq!(stage.browser.wait_code(&stage.link).unwrap(), "200");
    let page = stage.browser.curl(&["-D", "-", &stage.link]).unwrap().out;
    let info_hash = stage.anna.status().unwrap()["shares"][0]["info_hash"].as_str().unwrap().to_owned();
    for words in ["collection", "Grüße &amp; more.bin", "bulbil fetch", &info_hash, "nosniff", "no-referrer"]
    {
        assert!(page.contains(words), "{words:?} is missing: {page}");
    }
    assert!(!page.contains("<script"));
    let (file, kept) = (format!("{}/files/0", stage.link), stage.files.join("kept"));
    let head = stage.browser.curl(&["-I", &file]).unwrap().out;
    assert!(head.contains("content-length: 3145728") && head.contains("attachment;"), "{head}");
    // As a browser that lost its connection after a million bytes.
    let first =
        stage.browser.curl(&["-r", "0-999999", "-o", text(&kept), "-w", "%{http_code}", &file]).unwrap();
    assert_eq!((first.out.as_str(), fs::metadata(&kept).unwrap().len()), ("206", 1_000_000));
    let rest = stage.browser.download(&file, &kept).unwrap();
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert_eq!(content::digest(&kept).unwrap(), stage.sha256);
}

fn guess(stage: &Stage) {
    let (base, right) = stage.link.rsplit_once('/').unwrap();
    let near = |number: usize| format!("{base}/{}{}", &right[..24], ["aa", "ba", "ca", "da"][number % 4]);
    let wrong: Vec<String> = (0..GUESSES).map(near).filter(|url| *url != stage.link).collect();
    let mut urls: Vec<&str> = Vec::new();
    for (number, url) in wrong.iter().enumerate() {
        urls.push(url);
        if number % 10 == 9 {
            urls.push(&stage.link);
        }
    }
    let mut line = vec!["-w", "%{http_code} %{size_download} %{size_header}\n"];
    line.extend(urls.iter().flat_map(|url| ["-o", "/dev/null", url]));
    let said = stage.browser.curl(&line).unwrap();
    let answers: Vec<&str> = said.out.lines().collect();
    assert_eq!(answers.len(), urls.len(), "{said:?}");
    let missing = answers[0];
    assert!(missing.starts_with("404 "), "{missing}");
    for (url, answer) in urls.iter().zip(&answers) {
        let right = *url == stage.link;
        assert_eq!(if right { &answer[..4] } else { answer }, if right { "200 " } else { missing });
    }
    let set = tokio::task::LocalSet::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    set.block_on(&runtime, guess_as_node(stage));
}

/// The same with the nodes' own handshake, all on one circuit.
async fn guess_as_node(stage: &Stage) {
    let raw = Raw::start(&stage.network, &stage.link).await.unwrap();
    let link: bulbil::link::Link = stage.link.parse().unwrap();
    for number in 0..=GUESSES {
        let circuit = Circuit { swarm: 7, lane: 0 };
        let mut lane =
            Lane { stream: raw.net.connect(link.address, Some(&raw.access()), circuit).await.unwrap() };
        let right = number % 10 == 0;
        let token = if right { link.token.clone() } else { Token::random().unwrap() };
        let secrets = Secrets::new(*token.as_bytes(), &[u8::try_from(number).unwrap(); 32]);
        let hello = Hello::dial(secrets, &name_of(link.address), [9; 32]);
        let opened = lane.shake(hello, || None).await;
        assert_eq!(opened.map_err(|why| why.to_string()), if right { Ok(()) } else { Err("refused".into()) });
    }
}

fn send(stage: &Stage) {
    let words = format!("Look at this: {}", stage.link);
    let said = stage.anna.say(&["send", &address(&stage.ben), &words]).unwrap();
    assert_eq!((said.code, said.last_line()), (Some(0), "delivered"), "{said:?}");
    assert_eq!(Stage::letters(&stage.ben, "inbox"), [words]);
    let out = Scratch::new("out").unwrap();
    let said = stage.ben.say(&["inbox", "fetch", "1", "--out", text(out.path())]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(content::digest(&out.join("collection/Grüße & more.bin")).unwrap(), stage.sha256);
    let long = "x".repeat(4097);
    for (line, words) in [
        (["send", "nobody", "x"], "trust list"),
        (["send", "http://abc.onion", "x"], "onion address"),
        (["send", &address(&stage.ben), &long], "4096 bytes"),
    ] {
        let said = stage.anna.say(&line).unwrap();
        assert!(said.code == Some(1) && said.err.contains(words), "{said:?}");
    }
}

fn crash(stage: &mut Stage) {
    let to = address(&stage.ben);
    stage.ben.kill().unwrap();
    let all = ["one", "two", "three"];
    for words in all {
        let said = stage.anna.say(&["send", &to, words, "--no-wait"]).unwrap();
        assert!(said.code == Some(0) && said.out.starts_with("waiting"), "{said:?}");
    }
    stage.anna.kill().unwrap();
    stage.ben.restart().unwrap();
    stage.ben.wait_ready().unwrap();
    assert_eq!(Stage::letters(&stage.ben, "inbox").len(), 1, "what had come is still there");
    address(&stage.ben);
    stage.anna.restart().unwrap();
    stage.anna.wait_ready().unwrap();
    let letters = wait::found(DELIVERED, "all messages to be delivered", || {
        let status = stage.ben.status()?;
        let here = status.pointer("/mail/inbox").and_then(Value::as_u64);
        Ok((here == Some(4)).then(|| Stage::letters(&stage.ben, "inbox")))
    });
    assert_eq!(letters.unwrap()[1..], all, "in order, each once");
    assert!(Stage::letters(&stage.anna, "outbox").is_empty());
}

//! Two nodes meet by eight words; each of them is lost, and comes back from its keep file, with the letters that it owes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{COMMAND_LIMIT, Node, Settings};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use bulbil_tests::wait::found;
use serde_json::Value;

const SIZE: u64 = 256 << 10;

const PASSPHRASE: &str = "five words that nobody guesses\n";

struct Stage {
    alice: Node,
    bob: Node,
    files: Scratch,
}

#[test]
fn friends_meet_and_come_back() {
    let network = Network::start(Shape::default()).unwrap();
    let files = Scratch::new("files").unwrap();
    fs::write(files.join("passphrase"), PASSPHRASE).unwrap();
    let path = |name: &str| files.join(name).to_str().unwrap().to_owned();
    // Keeps itself, as a board would.
    let more =
        format!("[keep]\nfile = \"{}\"\npassphrase_file = \"{}\"\n", path("bob.age"), path("passphrase"));
    let alice = Node::start(&network, Settings::named("alice")).unwrap();
    let bob = Node::start(&network, Settings { more, ..Settings::named("bob") }).unwrap();
    let mut stage = Stage { alice, bob, files };
    let mut story = Story::default();
    story.scene("two nodes meet by eight words", || meet(&stage));
    story.scene("a node saved by hand comes back on another machine", || by_hand(&mut stage));
    story.scene("a node that keeps itself comes back by itself", || by_itself(&mut stage));
    story.scene("letters to a friend who is away outlive the sender", || letters(&mut stage));
    story.end().unwrap();
}

fn meet(stage: &Stage) {
    let mut inviting = stage.alice.begin(&["invite", "--name", "bob", "--json"]).unwrap();
    inviting.hear("words", COMMAND_LIMIT).unwrap();
    let first: Value = serde_json::from_str(inviting.so_far().unwrap().out.trim()).unwrap();
    let words = first["words"].as_str().unwrap().to_owned();
    let mut typed: Vec<&str> = words.split(' ').collect();
    typed[2] = "appel";
    for command in [&["accept"][..], &["trust", "add"]] {
        let said = stage.bob.say(&[command, typed.as_slice()].concat()).unwrap();
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("word 3, `appel`, is not in the list; did you mean `apple`?"), "{said:?}");
    }

    let said = stage.bob.say(&["accept", &words, "--name", "alice", "--json"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let alice = said.json().unwrap()["address"].as_str().unwrap().to_owned();
    let said = inviting.end(COMMAND_LIMIT).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let last: Value = serde_json::from_str(said.last_line()).unwrap();
    let bob = last["address"].as_str().unwrap();
    assert!(alice.contains(".onion:") && bob.contains(".onion:") && alice != bob);
    assert_eq!(last["wrong_guesses"], 0);
    for (node, friend, name) in [(&stage.alice, bob, "bob"), (&stage.bob, alice.as_str(), "alice")] {
        let trusted = &node.status().unwrap()["trust"]["nodes"][0];
        assert!(friend.starts_with(trusted["address"].as_str().unwrap()), "{trusted}");
        assert_eq!(trusted["name"], name);
    }

    let said = stage.bob.say(&["accept", &words, "--wait", "1"]).unwrap();
    assert_eq!(said.code, Some(1), "a code works once: {said:?}");
    assert!(said.err.contains("check the words"), "{said:?}");
}

/// Runs `keep` with the passphrase, on the node's own configuration.
fn keep(node: &Node, files: &Scratch, arguments: &[&str]) -> bulbil_tests::talk::Said {
    let (config, passphrase) = (node.config_path(), files.join("passphrase"));
    let more = ["--passphrase-file", text(&passphrase), "--config", text(&config)];
    node.say(&[&["keep"], arguments, more.as_slice()].concat()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn by_hand(stage: &mut Stage) {
    let (film, file) = (stage.files.join("film.bin"), stage.files.join("alice.age"));
    let sha256 = content::write_file(&film, SIZE, 1).unwrap();
    let link = stage.alice.share(&film).unwrap();
    stage.alice.wait_reachable(&link).unwrap();
    let before = stage.alice.status().unwrap();
    let lost = &before["keep"]["would_lose"];
    assert_eq!(before["keep"]["automatic"], false);
    assert_eq!((&lost["shares"], &lost["trusted"], &lost["identity"]), (&1.into(), &1.into(), &true.into()));
    let said = keep(&stage.alice, &stage.files, &["save", text(&file)]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(stage.alice.status().unwrap()["keep"]["would_lose"]["shares"], 0);
    let said = keep(&stage.alice, &stage.files, &["restore", text(&file), "--old-board-is-off"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("running") && said.err.contains("bulbil stop"), "{said:?}");

    assert_eq!(stage.alice.say(&["stop"]).unwrap().code, Some(0));
    let said = keep(&stage.alice, &stage.files, &["save", text(&file)]);
    assert_eq!(said.code, Some(0), "also stopped: {said:?}");
    let guards = guards(&stage.alice);
    stage.alice.kill().unwrap();
    fs::remove_dir_all(stage.alice.folder().join("state")).unwrap();
    let said = keep(&stage.alice, &stage.files, &["restore", text(&file)]);
    assert_eq!(said.code, Some(2), "nobody can be asked: {said:?}");
    assert!(said.err.contains("--old-board-is-off"), "{said:?}");
    let said = keep(&stage.alice, &stage.files, &["restore", text(&file), "--old-board-is-off"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(self::guards(&stage.alice), guards);

    stage.alice.restart().unwrap();
    stage.alice.wait_ready().unwrap();
    let after = stage.alice.status().unwrap();
    assert_eq!(after["shares"][0]["link"], link);
    assert_eq!(after["address"], before["address"]);
    assert_eq!(after["trust"]["nodes"][0]["name"], "bob");
    let out = Scratch::new("out").unwrap();
    let said = stage.bob.say(&["fetch", &link, "--out", text(out.path())]).unwrap();
    assert_eq!(said.code, Some(0), "the old link still works: {said:?}");
    assert_eq!(content::digest(&out.join("film.bin")).unwrap(), sha256);
    assert_eq!(stage.alice.say(&["stop"]).unwrap().code, Some(0));
    assert!(guards.is_subset(&self::guards(&stage.alice)), "the same ways into the network");
}

/// The relays by which a node enters Tor, as Arti writes them down.
fn guards(node: &Node) -> BTreeSet<String> {
    let path = node.folder().join("state/tor/state/guards.json");
    let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let guards = file["default"]["guards"].as_array().unwrap();
    assert!(!guards.is_empty(), "{file}");
    guards.iter().map(|guard| guard["id"].to_string()).collect()
}

/// No command but the node's own: shared, lost with everything but the keep file, and back.
fn by_itself(stage: &mut Stage) {
    let film = stage.files.join("film.bin");
    let link = stage.bob.share(&film).unwrap();
    found(Duration::from_secs(60), "the node to have saved itself", || {
        let status = stage.bob.status()?;
        Ok((status["keep"]["automatic"] == true && status["keep"]["would_lose"]["shares"] == 0).then_some(()))
    })
    .unwrap();
    stage.bob.kill().unwrap();
    fs::remove_dir_all(stage.bob.folder().join("state")).unwrap();
    stage.bob.restart().unwrap();
    stage.bob.wait_ready().unwrap();
    assert_eq!(stage.bob.status().unwrap()["shares"][0]["link"], link);
    let said = keep(&stage.bob, &stage.files, &["show", text(&stage.files.join("bob.age")), "--json"]);
    assert_eq!(said.json().unwrap()["holds"]["shares"], 1);
}

/// Everything but the keep file is lost, twice: before the friend is there, and before the file says that he has the letters.
fn letters(stage: &mut Stage) {
    let file = |name: &str| stage.files.join(name);
    let all = ["one", "two", "three"];
    for words in all {
        let said = stage.bob.say(&["send", "alice", words, "--no-wait"]).unwrap();
        assert!(said.code == Some(0) && said.out.starts_with("waiting"), "{said:?}");
    }
    assert_eq!(keep(&stage.bob, &stage.files, &["save", text(&file("owing.age"))]).code, Some(0));
    lose(&mut stage.bob, &file("owing.age"), &file("bob.age"));
    assert_eq!(box_of(&stage.bob, "outbox"), all);
    stage.alice.restart().unwrap();
    stage.alice.wait_ready().unwrap();
    // A retry comes after 30 s, and a service that was away takes a while to be found again.
    found(Duration::from_mins(2), "the letters to arrive", || {
        Ok((box_of(&stage.alice, "inbox").len() == all.len()).then_some(()))
    })
    .unwrap();
    assert_eq!(box_of(&stage.alice, "inbox"), all, "in order");
    lose(&mut stage.bob, &file("owing.age"), &file("bob.age"));
    let said = stage.bob.say(&["send", "alice", "four"]).unwrap();
    assert_eq!((said.code, said.last_line()), (Some(0), "delivered"), "{said:?}");
    assert_eq!(box_of(&stage.alice, "inbox"), ["one", "two", "three", "four"], "each once");
    assert!(box_of(&stage.bob, "outbox").is_empty());
}

/// What the letters of a box say.
fn box_of(node: &Node, which: &str) -> Vec<String> {
    let letters = node.json(&[which, "--json"]).unwrap();
    letters.as_array().unwrap().iter().map(|letter| letter["text"].as_str().unwrap().to_owned()).collect()
}

/// `kill -9`, and all that is left is this copy of the keep file.
fn lose(node: &mut Node, copy: &Path, own: &Path) {
    node.kill().unwrap();
    fs::remove_dir_all(node.folder().join("state")).unwrap();
    fs::copy(copy, own).unwrap();
    node.restart().unwrap();
    node.wait_ready().unwrap();
}

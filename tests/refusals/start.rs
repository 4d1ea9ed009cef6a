//! Nodes that do not get far: wrong state directory, wrong clock, no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bulbil_tests::node::{COMMAND_LIMIT, Node, Settings};
use bulbil_tests::program;
use bulbil_tests::scratch::Scratch;
use bulbil_tests::talk::Talk;
use bulbil_tests::wait::{eventually, found};

use crate::{Stage, refused, text};

pub(crate) fn on_a_disk() {
    let folder = Scratch::new("disk").unwrap();
    // The target folder is on a disk where temporary folders may not be.
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("state-on-a-disk");
    let config = folder.join("config.toml");
    fs::write(&config, format!("state_dir = '{}'\n[page]\nenabled = false\n", state.display())).unwrap();
    let mut command = Command::new(program::bulbil().unwrap());
    command.args(["run", "--config", text(&config)]);
    let said = Talk::begin(&mut command).unwrap().end(COMMAND_LIMIT).unwrap();
    refused(&said, 1, &["lies on a disk", "mount tmpfs there", "allow_disk_state = true"]);
    let left = fs::read_dir(&state).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing was written");
    let mut command = Command::new(program::bulbil().unwrap());
    fs::write(&config, "stat_dir = 1\n").unwrap();
    command.args(["run", "--config", text(&config)]);
    let said = Talk::begin(&mut command).unwrap().end(COMMAND_LIMIT).unwrap();
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("stat_dir"), "{said:?}");
}

pub(crate) fn second_node(stage: &Stage) {
    let mut command = Command::new(program::bulbil().unwrap());
    command.args(["run", "--config", text(&stage.seed.config_path())]);
    let said = Talk::begin(&mut command).unwrap().end(COMMAND_LIMIT).unwrap();
    refused(&said, 1, &["another node runs on", "bulbil stop", "another state_dir"]);
    assert!(stage.seed.status().is_ok(), "the first one goes on");
}

/// The text of `net.blocked` once it is there.
fn blocked(node: &Node) -> String {
    found(COMMAND_LIMIT, "the node to say what blocks it", || {
        let status = node.status().unwrap_or_default();
        assert_ne!(status["net"]["ready"], true, "{status}");
        Ok(status["net"]["blocked"].as_str().map(str::to_owned))
    })
    .unwrap()
}

/// What makes a program see another time; it comes with the package `faketime`.
fn clock_library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut found = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    let found = found.find(|path| path.exists());
    found.unwrap_or_else(|| {
        panic!("no libfaketime.so.1 below /usr/lib: apt-get install --reinstall libfaketime")
    })
}

pub(crate) fn wrong_clock(stage: &Stage) {
    bulbil_tests::packages::ensure(&bulbil_tests::packages::CLOCK).unwrap();
    for (offset, word) in [("+365d", "fast"), ("-365d", "slow")] {
        // Not the command `faketime`: the node would be its child, and live on when that is killed.
        let environment =
            [("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_NO_CACHE", "1")];
        let settings = Settings {
            launcher: vec!["env".to_owned(), format!("LD_PRELOAD={}", clock_library().display())],
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            ..Settings::named(word)
        };
        let mut node = Node::prepare(&stage.network.arti_toml(), settings).unwrap();
        node.restart().unwrap();
        eventually(COMMAND_LIMIT, "the clock to be blamed", || {
            node.status().is_ok_and(|status| {
                let why = status["net"]["blocked"].as_str().unwrap_or_default().to_owned();
                let skew = status["net"]["clock_skew_s"].as_i64().unwrap_or_default().abs();
                why.contains("clock") && why.contains(word) && skew / 86_400 >= 364
            })
        })
        .map_err(|error| format!("{error}: {:?}", node.status()))
        .unwrap();
        println!("{}", blocked(&node));
    }
}

/// Every relay's port is closed: the status says why nothing moves, and requests wait and say the same.
pub(crate) fn no_tor(stage: &Stage) {
    let closed = stage.network.arti_toml().replace("127.0.0.1:", "127.0.0.2:");
    let mut node = Node::prepare(&closed, Settings::named("cut-off")).unwrap();
    node.restart().unwrap();
    let why = blocked(&node);
    println!("{why}");
    assert!(why.contains("check"), "says what to do: {why}");
    let (link, _) = stage.share("cut-off.bin", &[]);
    let out = Scratch::new("out").unwrap();
    let mut fetching = node.begin(&["fetch", &link, "--out", text(out.path())]).unwrap();
    fetching.hear("Tor", COMMAND_LIMIT).unwrap();
    let state = node.last_fetch().unwrap()["state"]["is"].clone();
    assert!(state == "connecting" || state == "waiting", "{state}");
    let said = node.say(&["share", text(&stage.files.join("cut-off.bin"))]).unwrap();
    assert_eq!(said.code, Some(0), "a link can be made before Tor is there: {said:?}");
    assert_eq!(node.status().unwrap()["shares"][0]["state"]["is"], "publishing");
}

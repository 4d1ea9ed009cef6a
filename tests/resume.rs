//! `kill -9`, again and again: the fetch goes on by itself and fetches nothing twice.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::time::Duration;

use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use bulbil_tests::wait::found;

/// Large enough, at [`LIMIT`], for a kill to hit where it is aimed at.
const SIZE: u64 = 24 << 20;
const PIECE: u64 = 256 << 10;
const LIMIT: &str = "[swarm]\nupload_limit = \"2 MiB\"\n";

/// For a fetch to get from one mark to the next, finding its peer again included.
const STEP: Duration = Duration::from_mins(3);

#[test]
fn fetches_survive_kills() {
    let network = Network::start(Shape::default()).unwrap();
    let files = Scratch::new("files").unwrap();
    let path = files.join("film.bin");
    let sha256 = content::write_file(&path, SIZE, 1).unwrap();
    let slow = Settings { more: LIMIT.to_owned(), ..Settings::named("seed") };
    let mut seed = Node::start(&network, slow).unwrap();
    let piece = PIECE.to_string();
    let line = ["share", path.to_str().unwrap(), "--piece-length", &piece, "--json"];
    let link = seed.json(&line).unwrap()["link"].as_str().unwrap().to_owned();
    let mut story = Story::default();
    story.scene("the fetching node is killed at 30, 60 and 90 percent", || {
        let mut watch = Watch::start(&network, &link);
        for percent in [30, 60, 90] {
            watch.reach(percent);
            watch.node.restart().unwrap();
            watch.taken_up();
        }
        watch.finish(&sha256, 3);
    });
    story.scene("the serving node is killed at 50 percent", || {
        let mut watch = Watch::start(&network, &link);
        watch.reach(50);
        seed.restart().unwrap();
        watch.finish(&sha256, 1);
    });
    story.end().unwrap();
}

/// A fetch as its status tells of it.
struct Watch {
    node: Node,
    out: Scratch,
    /// Bytes received by processes that are gone.
    before: u64,
    /// As of the last look at the present process.
    downloaded: u64,
    done: u64,
}

impl Watch {
    fn start(network: &Network, link: &str) -> Self {
        let node = Node::start(network, Settings::named("fetcher")).unwrap();
        let out = Scratch::new("out").unwrap();
        // This command ends with the node it talks to; the fetch is the node's own.
        let _fetching = node.begin(&["fetch", link, "--out", out.path().to_str().unwrap()]).unwrap();
        found(STEP, "the fetch to begin", || Ok(node.last_fetch().ok())).unwrap();
        Self { node, out, before: 0, downloaded: 0, done: 0 }
    }

    fn look(&mut self) -> String {
        let fetch = self.node.last_fetch().unwrap();
        self.downloaded = fetch["downloaded"].as_u64().unwrap();
        self.done = fetch["done"].as_u64().unwrap();
        fetch["state"]["is"].as_str().unwrap().to_owned()
    }

    fn reach(&mut self, percent: u64) {
        found(STEP, &format!("{percent} % of the fetch"), || {
            let state = self.look();
            assert!(state != "done" && state != "failed", "{state} before the kill at {percent} %");
            Ok((self.done >= SIZE * percent / 100).then_some(()))
        })
        .unwrap();
    }

    /// After a restart: waits until the node knows what it has, which must be all that it had.
    fn taken_up(&mut self) {
        self.node.wait_ready().unwrap();
        let (downloaded, done) = (self.downloaded, self.done);
        let kept = found(STEP, "the fetch to be taken up", || {
            self.look();
            Ok((self.done > 0).then(|| self.done - self.downloaded.min(self.done)))
        })
        .unwrap();
        println!("killed with {done} bytes, taken up with {kept}");
        assert!(kept + PIECE > done, "{done} bytes were verified, {kept} are left");
        // What came between the last look and the kill was received by the process that is gone.
        self.before += downloaded + kept.saturating_sub(done);
    }

    fn finish(mut self, sha256: &str, kills: u64) {
        found(STEP, "the fetch to be done", || Ok((self.look() == "done").then_some(()))).unwrap();
        let received = self.before + self.downloaded;
        println!("received {received} bytes for {SIZE}");
        assert!(received >= SIZE && received < SIZE + kills * PIECE, "{received} bytes for {SIZE}");
        assert_eq!(content::digest(&self.out.join("film.bin")).unwrap(), sha256);
    }
}

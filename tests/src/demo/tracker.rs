//! The story `tracker`: a share goes from a private link to a public one, and outlives the node that made it.
//!
//! Six nodes: anna shares; ben gets the link by message; cleo trusts anna; dora and finn mirror her; emil trusts dora.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::rows::Rows;
use super::{Options, build};
use crate::content;
use crate::net::{Network, Shape};
use crate::node::{Node, Settings};
use crate::scratch::Scratch;
use crate::wait;

/// Bytes of the share.
const SIZE: u64 = 4 << 20;

/// A word of its name, for searches.
const WORD: &str = "herbarium";

/// Longest wait for any one thing.
const LIMIT: Duration = Duration::from_mins(3);

/// Within so many seconds a new address must have reached every mirror that is connected.
const PUSH_S: f64 = 5.0;

pub(super) fn run(options: &Options) -> io::Result<bool> {
    build::bulbil()?;
    println!("starting a private Tor network and six nodes");
    let network = Network::start(Shape::default())?;
    let mut cast = Cast::start(&network)?;
    let mut rows = Rows::default();
    cast.by_message(&mut rows);
    cast.in_public(&mut rows);
    cast.without_anna(&mut rows);
    options.write_json(&rows.json())?;
    println!("\n{}", if rows.pass() { "every step passed" } else { "NOT every step passed" });
    Ok(rows.pass())
}

/// The nodes, and what they know by now.
struct Cast {
    anna: Node,
    ben: Node,
    cleo: Node,
    dora: Node,
    emil: Node,
    finn: Node,
    files: Scratch,
    sha256: String,
    private: String,
    public: String,
}

impl Cast {
    fn start(network: &Network) -> io::Result<Self> {
        let node = |name: &str| Node::start(network, Settings::named(name));
        let files = Scratch::new("tracker")?;
        let sha256 = content::write_file(&files.join(format!("{WORD}.bin")), SIZE, 11)?;
        Ok(Self {
            anna: node("anna")?,
            ben: node("ben")?,
            cleo: node("cleo")?,
            dora: node("dora")?,
            emil: node("emil")?,
            finn: node("finn")?,
            files,
            sha256,
            private: String::new(),
            public: String::new(),
        })
    }

    /// A private share, whose link goes to one other node.
    fn by_message(&mut self, rows: &mut Rows) {
        rows.step("all six nodes are reachable at their own addresses", TIME, || {
            timed(|| self.everyone().into_iter().try_for_each(|node| address(node).map(drop)))
        });
        let path = self.files.join(format!("{WORD}.bin"));
        let mut link = String::new();
        rows.step("anna shares privately", TIME, || {
            timed(|| {
                link = self.anna.share(&path)?;
                self.anna.wait_reachable(&link)
            })
        });
        self.private = link;
        rows.step("anna sends ben the link by message", TIME, || {
            let (to, text) = (address(&self.ben)?, format!("Pressed flowers: {}", self.private));
            timed(|| {
                say(&self.anna, &["send", &to, &text])?;
                wait::found(LIMIT, "the message to be in ben's inbox", || {
                    let inbox = self.ben.json(&["inbox", "--json"])?;
                    Ok((text_at(&inbox, "/0/text") == Some(&text)).then_some(()))
                })
            })
        });
        rows.step("ben fetches it with one command", TIME, || {
            let out = self.out("ben")?;
            timed(|| say(&self.ben, &["inbox", "fetch", "1", "--out", &out]).map(drop))
                .and_then(|seconds| self.verified("ben").map(|()| seconds))
        });
    }

    /// The share is published; one node finds it by trust, two copy its records.
    fn in_public(&mut self, rows: &mut Rows) {
        rows.step("dora and finn mirror anna", TIME, || {
            let anna = address(&self.anna)?;
            timed(|| {
                say(&self.dora, &["mirror", &anna, "--follow"])?;
                say(&self.finn, &["mirror", &anna, "--follow"]).map(drop)
            })
        });
        rows.step("what is private is not on a mirror", ("hits", Some(0.0)), || {
            Ok(if hit(&self.dora)?.is_some() { 1.0 } else { 0.0 })
        });
        let mut link = String::new();
        rows.step(
            "anna publishes, and both mirrors know her and ben's addresses",
            ("s", Some(PUSH_S)),
            || {
                let status = self.anna.status()?;
                let info_hash =
                    text_at(&status, "/shares/0/info_hash").ok_or_else(|| odd("no share", &status))?;
                let begun = Instant::now();
                link = say(&self.anna, &["publish", info_hash])?;
                self.pushed(2, begun)
            },
        );
        self.public = link;
        rows.step("cleo trusts anna, and finds it by search", TIME, || {
            let anna = address(&self.anna)?;
            timed(|| {
                say(&self.cleo, &["trust", "add", &anna, "--name", "anna"])?;
                wait::eventually(LIMIT, "cleo to find it", || hit(&self.cleo).is_ok_and(|hit| hit.is_some()))
            })
        });
        rows.step("cleo fetches, and both mirrors know her address", ("s", Some(PUSH_S)), || {
            let out = self.out("cleo")?;
            say(&self.cleo, &["fetch", &self.public, "--out", &out])?;
            self.verified("cleo")?;
            // The push begins when anna, who was told by cleo, lists her: after the last look that did not see it began.
            let mut begun = Instant::now();
            wait::found(LIMIT, "anna to list cleo", || {
                let look = Instant::now();
                let listed = sources(&self.anna)? >= 3;
                begun = if listed { begun } else { look };
                Ok(listed.then_some(()))
            })?;
            self.pushed(3, begun)
        });
    }

    /// The owner dies, and so does everyone who fetched from her but ben.
    fn without_anna(&mut self, rows: &mut Rows) {
        let mut before = 0;
        rows.step("anna is killed for good, and cleo and finn too", TIME, || {
            timed(|| {
                self.anna.kill()?;
                self.cleo.kill()?;
                self.finn.kill()?;
                before = given(&self.ben)?;
                Ok(())
            })
        });
        rows.step("emil trusts dora, and finds it through her", TIME, || {
            let dora = address(&self.dora)?;
            timed(|| {
                say(&self.emil, &["trust", "add", &dora, "--name", "dora"])?;
                wait::eventually(LIMIT, "emil to find it", || {
                    hit(&self.emil)
                        .is_ok_and(|hit| hit.is_some_and(|hit| hit.pointer("/through/0").is_some()))
                })
            })
        });
        rows.step("emil fetches it", TIME, || {
            let found = hit(&self.emil)?.ok_or_else(|| io::Error::other("emil did not find it"))?;
            let link = text_at(&found, "/link").ok_or_else(|| odd("no link", &found))?;
            let out = self.out("emil")?;
            timed(|| say(&self.emil, &["fetch", link, "--out", &out]).map(drop))
                .and_then(|seconds| self.verified("emil").map(|()| seconds))
        });
        rows.step("ben gave all of it", ("MiB", None), || {
            // A node's account of itself is a moment behind what it does.
            wait::found(LIMIT, "ben to say that he gave all of it", || {
                let gave = given(&self.ben)?.saturating_sub(before);
                Ok((gave >= SIZE).then(|| mib(gave)))
            })
        });
        rows.step("dora lists emil, though anna cannot", TIME, || {
            timed(|| {
                wait::eventually(LIMIT, "emil to be listed", || {
                    sources(&self.emil).is_ok_and(|known| known >= 4)
                })
            })
        });
        rows.step("most memory of any node", ("MiB", None), || {
            let peaks = self.everyone().into_iter().map(Node::rss_peak).collect::<io::Result<Vec<_>>>()?;
            Ok(mib(peaks.into_iter().max().unwrap_or(0)))
        });
    }

    fn everyone(&self) -> [&Node; 6] {
        [&self.anna, &self.ben, &self.cleo, &self.dora, &self.emil, &self.finn]
    }

    /// Seconds from `begun` until a search on each mirror counts so many sources.
    fn pushed(&self, wanted: u64, begun: Instant) -> io::Result<f64> {
        for mirror in [&self.dora, &self.finn] {
            let what = format!("{} to know {wanted} sources", mirror.name());
            wait::eventually(LIMIT, &what, || sources(mirror).is_ok_and(|known| known >= wanted))?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    /// A folder for what this node fetches.
    fn out(&self, name: &str) -> io::Result<String> {
        let folder: PathBuf = self.files.join(name);
        fs::create_dir_all(&folder)?;
        folder.into_os_string().into_string().map_err(|_| io::Error::other("the path must be plain text"))
    }

    /// Whether what came is what was shared.
    fn verified(&self, name: &str) -> io::Result<()> {
        let path = self.files.join(name).join(format!("{WORD}.bin"));
        let right = content::digest(&path)? == self.sha256;
        right.then_some(()).ok_or_else(|| io::Error::other("what came has the wrong SHA-256"))
    }
}

/// Seconds that something takes.
fn timed(play: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let begun = Instant::now();
    play().map(|()| begun.elapsed().as_secs_f64())
}

/// Runs a command that must end well; gives what it printed.
fn say(node: &Node, arguments: &[&str]) -> io::Result<String> {
    let said = node.say(arguments)?;
    let verb = arguments.first().copied().unwrap_or_default();
    let why = || io::Error::other(format!("bulbil {verb} failed on {}: {}", node.name(), said.err.trim()));
    (said.code == Some(0)).then(|| said.out.trim().to_owned()).ok_or_else(why)
}

/// The node's own address, once others can reach it there.
fn address(node: &Node) -> io::Result<String> {
    let what = format!("{}'s own address to be reachable", node.name());
    wait::found(LIMIT, &what, || {
        let status = node.status()?;
        let reachable = status.get("address_reachable").and_then(Value::as_bool) == Some(true);
        Ok(text_at(&status, "/address").filter(|_| reachable).map(str::to_owned))
    })
}

/// What a search on this node finds of the share.
fn hit(node: &Node) -> io::Result<Option<Value>> {
    Ok(node.json(&["search", WORD, "--json"])?.pointer("/hits/0").cloned())
}

/// Nodes that this one knows to serve the share.
fn sources(node: &Node) -> io::Result<u64> {
    Ok(hit(node)?.and_then(|hit| hit.get("sources")?.as_u64()).unwrap_or(0))
}

/// Bytes that a node gave of what it fetched.
fn given(node: &Node) -> io::Result<u64> {
    let status = node.status()?;
    let uploaded = status.pointer("/fetches/0/uploaded").and_then(Value::as_u64);
    uploaded.ok_or_else(|| odd("no fetch", &status))
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn odd(what: &str, value: &Value) -> io::Error {
    io::Error::other(format!("{what} in {value}"))
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Seconds without a limit of their own.
const TIME: (&str, Option<f64>) = ("s", None);

//! The story `proxy`: what other programs get from the node's listeners, beside C tor's on the same network.
//!
//! Each function of [`PARTS`] plays one part on the same stage and tells what it measured.

mod clients;
mod flood;
mod gateway;
mod memory;
mod names;
mod rival;
mod speed;
mod table;

use std::io;
use std::iter;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Options, build};
use crate::client;
use crate::foreign::PROGRAMS;
use crate::names::Names;
use crate::net::{Network, Shape};
use crate::node::{Node, Settings};
use crate::outside::Outside;
use crate::packages::{self, Need};
use crate::ports::Ports;
use crate::scratch::Scratch;
use crate::usage::Usage;
use crate::wait;
use rival::Rival;
use table::{Lines, Table};

/// What only this story needs.
const MORE: [Need; 1] = [Need { program: "dnsperf", package: "dnsperf" }];

/// The parts with their limits, in the order in which they are played.
const PARTS: [Named; 15] = [
    ("SOCKS clients", BY_SIZE, clients::socks),
    ("DNS clients", 120, clients::dns),
    ("how long a connection takes", 60, speed::latency),
    ("throughput of 1, 8 and 64 streams", 600, speed::throughput),
    ("DNS questions a second", 300, names::rate),
    ("the HTTP gateway", 120, gateway::rates),
    ("500 open streams", 300, memory::open),
    ("2 000 connections at once", 300, flood::many),
    ("10 000 connections dropped half-way, and slow ones", 180, flood::half_open),
    ("50 MB of random bytes to each listener", 240, flood::noise),
    ("memory under a long download", BY_SIZE, memory::download),
    ("memory under slow downloads", 300, memory::slow_downloads),
    ("memory under a long upload to one of upload_ports", BY_SIZE, memory::named_upload),
    ("memory under a long upload to where one went before", BY_SIZE, memory::learned_upload),
    // Last, because what it held and gave back would hide what the others hold.
    ("memory under a long upload to somewhere new", BY_SIZE, memory::first_upload),
];

/// As long as the size of the long transfers takes.
const BY_SIZE: u64 = 0;

/// Those that are played once more where latency is what limits.
const FAR: [Named; 2] = [
    ("how long a connection takes, 20 ms between relays", 120, speed::latency),
    ("throughput, 20 ms between relays", 1200, speed::throughput),
];

/// Milliseconds that a [`FAR`] network adds per hop and way.
const FAR_MS: u64 = 20;

/// One part of the story.
type Part = fn(&Stage, &Lines) -> io::Result<()>;

/// The node, among the proxies.
const OURS: &str = "Bulbil";

/// Another one, that takes as many circuits as C tor does.
const OURS_SPREAD: &str = "Bulbil on two circuits";

/// What all parts share.
pub(super) struct Stage {
    node: Node,
    spread: Node,
    outside: Outside,
    /// The same at a port that the node was told is uploaded to.
    uploads: Outside,
    socks: u16,
    dns: u16,
    http: u16,
    rivals: Vec<Rival>,
    /// Bytes of each long transfer.
    size: u64,
    /// Whether the network adds no latency.
    near: bool,
    scratch: Scratch,
    _names: Names,
    _ports: Ports,
    network: Network,
}

/// Bytes of each long transfer unless `--size` says otherwise.
const SIZE: u64 = 3 << 30;

/// Bytes a second that a long transfer makes at least, where its limit is concerned.
const SLOWEST: u64 = 1 << 20;

pub(super) fn run(options: &Options) -> io::Result<bool> {
    packages::ensure(&PROGRAMS)?;
    packages::ensure(&MORE)?;
    build::bulbil()?;
    let (mut table, size) = (Table::default(), options.size.unwrap_or(SIZE));
    let only = options.only.as_deref();
    let arti = rival::program(options.with_arti)?;
    let terms = |shape| Terms { shape, size, arti: arti.clone() };
    play(&mut table, &terms(Shape::default()), &chosen(only, &PARTS));
    play(&mut table, &terms(Shape::with_latency_ms(FAR_MS)), &chosen(only, &FAR));
    table.print();
    options.write_json(&table.json())?;
    Ok(table.pass())
}

/// A part's name, its limit in seconds, and what it does.
type Named = (&'static str, u64, Part);

/// Those whose names hold the word that was given.
fn chosen(only: Option<&str>, parts: &[Named]) -> Vec<Named> {
    parts.iter().filter(|(name, ..)| only.is_none_or(|word| name.contains(word))).copied().collect()
}

/// What a stage is made by.
struct Terms {
    shape: Shape,
    /// Bytes of each long transfer.
    size: u64,
    /// The program to compare with.
    arti: Option<PathBuf>,
}

/// Plays `parts` in a network of their own.
fn play(table: &mut Table, terms: &Terms, parts: &[Named]) {
    if parts.is_empty() {
        return;
    }
    println!("\nstarting a private Tor network, a node and a C tor client");
    let stage = match Stage::start(terms) {
        Ok(stage) => Arc::new(stage),
        Err(error) => return table.fail("the stage", &error),
    };
    for &(name, limit, part) in parts {
        let limit = if limit == BY_SIZE { 60 + terms.size / SLOWEST } else { limit };
        table.play((name, Duration::from_secs(limit)), &stage, part);
    }
}

impl Stage {
    fn start(Terms { shape, size, arti }: &Terms) -> io::Result<Self> {
        let near = shape.latency.is_zero();
        let network = Network::start(shape.clone())?;
        let (outside, uploads, names) = (Outside::start()?, Outside::start()?, Names::start()?);
        let proxy = format!(
            "[proxy.socks]\nlisten = \"127.0.0.1:0\"\n[proxy.dns]\nlisten = \"127.0.0.1:0\"\nupstreams = [\"{}\"]\n\
             [proxy.http]\nlisten = \"127.0.0.1:0\"\nallow_private = true\n",
            names.target()
        );
        let environment =
            vec![("BULBIL__NET__TOR__UPLOAD_PORTS".to_owned(), format!("[{}]", uploads.port()))];
        let settings = Settings { proxy: Some(proxy), environment, ..Settings::named("proxy") };
        let node = Node::start(&network, settings)?;
        let two = "[proxy.socks]\nlisten = \"127.0.0.1:0\"\ncircuits = 2\n[proxy.dns]\nenabled = false\n"
            .to_owned();
        let spread = Node::start(&network, Settings { proxy: Some(two), ..Settings::named("spread") })?;
        let (socks, dns, http) = (node.listener("socks")?, node.listener("dns")?, node.listener("http")?);
        let scratch = Scratch::new("proxy")?;
        let mut ports = Ports::reserve(std::net::Ipv4Addr::LOCALHOST)?;
        let rivals = rival::all(arti.as_deref(), &network, &scratch, &mut ports)?;
        first(OURS, socks, outside.port())?;
        first(OURS_SPREAD, spread.listener("socks")?, outside.port())?;
        for rival in &rivals {
            first(rival.name, rival.socks, outside.port())?;
        }
        Ok(Self {
            node,
            spread,
            outside,
            uploads,
            socks,
            dns,
            http,
            rivals,
            size: *size,
            near,
            scratch,
            _names: names,
            _ports: ports,
            network,
        })
    }

    const fn is_near(&self) -> bool {
        self.near
    }

    /// The SOCKS listeners: the node's own, then the others'.
    fn all(&self) -> impl Iterator<Item = (&'static str, u16)> {
        let others = self.rivals.iter().map(|rival| (rival.name, rival.socks));
        iter::once((OURS, self.socks)).chain(others)
    }

    /// The same where several streams may have two circuits.
    fn all_and_spread(&self) -> io::Result<Vec<(&'static str, u16)>> {
        let spread = (OURS_SPREAD, self.spread.listener("socks")?);
        Ok(self.all().chain(iter::once(spread)).collect())
    }

    /// The same of DNS, where how C tor's streams travel does not matter.
    fn all_dns(&self) -> impl Iterator<Item = (&'static str, u16)> {
        let others = self.rivals.iter().filter(|rival| rival.name != rival::ONE_CIRCUIT);
        iter::once((OURS, self.dns)).chain(others.map(|rival| (rival.name, rival.dns)))
    }

    /// What one of them has cost so far.
    fn usage(&self, name: &str) -> io::Result<Usage> {
        match self.rivals.iter().find(|rival| rival.name == name) {
            Some(rival) => rival.process.usage(),
            None if name == OURS_SPREAD => self.spread.usage(),
            None => self.node.usage(),
        }
    }

    /// Resident memory of the node, in MiB.
    fn rss(&self) -> io::Result<f64> {
        Ok(mib(self.node.usage()?.rss))
    }

    fn get(&self, user: &str, path: &str) -> io::Result<u64> {
        client::get(&mut client::connect(self.socks, user, self.outside.port())?, path)
    }
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// Waits for the first stream through a proxy that has just been started.
fn first(name: &str, proxy: u16, port: u16) -> io::Result<()> {
    let mut last = None;
    let what = format!("the first connection through {name}");
    let waited = wait::found(REACH, &what, || {
        Ok(client::connect(proxy, "first", port).map_err(|error| last = Some(error)).ok())
    });
    let why = last.map_or_else(String::new, |error| format!("; the last attempt: {error}"));
    waited.map(drop).map_err(|error| io::Error::new(error.kind(), format!("{error}{why}")))
}

/// From launch to the first stream.
const REACH: Duration = Duration::from_mins(2);

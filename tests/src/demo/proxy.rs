//! The story `proxy`: what other programs get from the node's listeners, beside C tor's on the same network.
//!
//! Each function of [`PARTS`] plays one part on the same stage and tells what it measured.

mod flood;
mod gateway;
mod memory;
mod names;
mod speed;
mod table;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
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
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;
use table::{Lines, Table};

/// What only this story needs.
const MORE: [Need; 1] = [Need { program: "dnsperf", package: "dnsperf" }];

/// The parts with their limits, in the order in which they are played.
const PARTS: [(&str, u64, Part); 8] = [
    ("how long a connection takes", 60, speed::latency),
    ("throughput of 1, 8 and 64 streams", 240, speed::throughput),
    ("DNS questions a second", 90, names::rate),
    ("the HTTP gateway", 120, gateway::rates),
    ("500 open streams", 120, memory::open),
    ("2 000 connections at once", 300, flood::many),
    ("10 000 connections dropped half-way, and slow ones", 180, flood::half_open),
    ("50 MB of random bytes to each listener", 240, flood::noise),
];

/// Those that are played once more where latency is what limits.
const FAR: [(&str, u64, Part); 2] = [
    ("how long a connection takes, 20 ms between relays", 120, speed::latency),
    ("throughput, 20 ms between relays", 600, speed::throughput),
];

/// Milliseconds that a [`FAR`] network adds per hop and way.
const FAR_MS: u64 = 20;

/// One part of the story.
type Part = fn(&Stage, &Lines) -> io::Result<()>;

/// What all parts share.
pub(super) struct Stage {
    node: Node,
    outside: Outside,
    socks: u16,
    dns: u16,
    http: u16,
    tor: Process,
    tor_socks: u16,
    tor_dns: u16,
    /// Bytes of each long transfer.
    size: u64,
    /// Whether the network adds no latency.
    near: bool,
    scratch: Scratch,
    _names: Names,
    _ports: Ports,
    _network: Network,
}

/// Bytes of each long transfer unless `--size` says otherwise.
const SIZE: u64 = 3 << 30;

/// Bytes a second that a long transfer makes at least, where its limit is concerned.
const SLOWEST: u64 = 2 << 20;

pub(super) fn run(options: &Options) -> io::Result<bool> {
    packages::ensure(&PROGRAMS)?;
    packages::ensure(&MORE)?;
    build::bulbil()?;
    let (mut table, size) = (Table::default(), options.size.unwrap_or(SIZE));
    play(&mut table, Shape::default(), size, &PARTS);
    play(&mut table, Shape::with_latency_ms(FAR_MS), size, &FAR);
    table.print();
    options.write_json(&table.json())?;
    Ok(table.pass())
}

/// Plays `parts` in a network of their own; after the usual parts, the long transfers.
fn play(table: &mut Table, shape: Shape, size: u64, parts: &[(&'static str, u64, Part)]) {
    println!("\nstarting a private Tor network, a node and a C tor client");
    let stage = match Stage::start(shape, size) {
        Ok(stage) => Arc::new(stage),
        Err(error) => return table.fail("the stage", &error),
    };
    for &(name, limit, part) in parts {
        table.play((name, Duration::from_secs(limit)), &stage, part);
    }
    if stage.is_near() {
        let limit = Duration::from_secs(60 + 2 * size / SLOWEST);
        table.play(("a long download and a long upload", limit), &stage, memory::long);
    }
}

impl Stage {
    fn start(shape: Shape, size: u64) -> io::Result<Self> {
        let near = shape.latency.is_zero();
        let network = Network::start(shape)?;
        let (outside, names) = (Outside::start()?, Names::start()?);
        let proxy = format!(
            "[proxy.socks]\nlisten = \"127.0.0.1:0\"\n[proxy.dns]\nlisten = \"127.0.0.1:0\"\nupstreams = [\"{}\"]\n\
             [proxy.http]\nlisten = \"127.0.0.1:0\"\nallow_private = true\n",
            names.target()
        );
        let node = Node::start(&network, Settings { proxy: Some(proxy), ..Settings::named("proxy") })?;
        let (socks, dns, http) = (node.listener("socks")?, node.listener("dns")?, node.listener("http")?);
        let scratch = Scratch::new("proxy")?;
        let mut ports = Ports::reserve(std::net::Ipv4Addr::LOCALHOST)?;
        let (tor_socks, tor_dns) = (ports.take()?, ports.take()?);
        let tor = start_tor(&network, &scratch, tor_socks, tor_dns)?;
        for (name, proxy) in [("node", socks), ("C tor", tor_socks)] {
            first(name, proxy, outside.port())?;
        }
        Ok(Self {
            node,
            outside,
            socks,
            dns,
            http,
            tor,
            tor_socks,
            tor_dns,
            size,
            near,
            scratch,
            _names: names,
            _ports: ports,
            _network: network,
        })
    }

    const fn is_near(&self) -> bool {
        self.near
    }

    /// The node's own proxy and C tor's.
    fn both(&self) -> [(&'static str, u16); 2] {
        [("Bulbil", self.socks), ("C tor", self.tor_socks)]
    }

    /// Seconds of CPU of either so far.
    fn cpu_s(&self, name: &str) -> io::Result<f64> {
        if name == "Bulbil" { self.node.cpu_s() } else { Ok(self.tor.usage()?.cpu_s) }
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

fn start_tor(network: &Network, scratch: &Scratch, socks: u16, dns: u16) -> io::Result<Process> {
    let folder: PathBuf = scratch.join("tor");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("empty"), "")?;
    let torrc = folder.join("torrc");
    let text = format!(
        "{}DataDirectory {1}/data\nGeoIPFile {1}/empty\nGeoIPv6File {1}/empty\nLog notice file {1}/tor.log\n\
         SocksPort 127.0.0.1:{socks}\nDNSPort 127.0.0.1:{dns}\n",
        network.client_torrc(),
        folder.display()
    );
    fs::write(&torrc, text)?;
    let mut command = Command::new("tor");
    command.arg("-f").arg(&torrc).arg("--defaults-torrc").arg(folder.join("empty")).arg("--hush");
    Process::start("tor", &mut command, &folder.join("output.log"))
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

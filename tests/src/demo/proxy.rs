//! The story `proxy`: what other programs get from the node's listeners, beside C tor's on the same network.
//!
//! Each function of [`ROWS`] plays one part on the same stage and gives the rows that it measured.

mod flood;
mod gateway;
mod memory;
mod names;
mod speed;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

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

/// What only this story needs.
const MORE: [Need; 1] = [Need { program: "dnsperf", package: "dnsperf" }];

/// The parts, in the order in which they are played.
const ROWS: [(&str, Part); 9] = [
    ("how long a connection takes", speed::latency),
    ("throughput of 1, 8 and 64 streams", speed::throughput),
    ("DNS questions a second", names::rate),
    ("the HTTP gateway", gateway::rates),
    ("500 open streams", memory::open),
    ("2 000 connections at once", flood::many),
    ("10 000 connections dropped half-way, and slow ones", flood::half_open),
    ("50 MB of random bytes to each listener", flood::noise),
    ("a long download and a long upload", memory::long),
];

/// One part of the story.
type Part = fn(&Stage) -> io::Result<Vec<Row>>;

/// One line of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    name: String,
    pass: bool,
    value: f64,
    unit: &'static str,
}

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
    /// MiB of the long transfers.
    size: u64,
    scratch: Scratch,
    _names: Names,
    _ports: Ports,
    _network: Network,
}

/// Bytes of each long transfer unless `--size` says otherwise.
const SIZE: u64 = 3 << 30;

pub(super) fn run(options: &Options) -> io::Result<bool> {
    packages::ensure(&PROGRAMS)?;
    packages::ensure(&MORE)?;
    build::bulbil()?;
    println!("starting a private Tor network, a node and a C tor client");
    let stage = Stage::start(options.size.unwrap_or(SIZE))?;
    let mut rows = Vec::new();
    for (name, part) in ROWS {
        println!("\n{name}");
        match part(&stage) {
            Ok(measured) => rows.extend(measured.into_iter().inspect(|row| println!("  {row}"))),
            Err(error) => rows.push(Row::of(&format!("{name}: {error}"), false, 0.0, "")),
        }
    }
    println!("\nall together");
    for row in &rows {
        println!("  {row}");
    }
    options.write_json(&json!({ "rows": rows.iter().map(Row::json).collect::<Vec<_>>() }))?;
    Ok(rows.iter().all(|row| row.pass))
}

impl Row {
    /// One that must hold, or is only told with `pass` true.
    fn of(name: &str, pass: bool, value: f64, unit: &'static str) -> Self {
        Self { name: name.to_owned(), pass, value, unit }
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "pass": self.pass, "value": self.value, "unit": self.unit })
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.pass { "pass" } else { "FAIL" };
        write!(f, "{word}  {:>10.2} {:<10} {}", self.value, self.unit, self.name)
    }
}

impl Stage {
    fn start(size: u64) -> io::Result<Self> {
        let network = Network::start(Shape::default())?;
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
            wait::found(REACH, &format!("the first connection through {name}"), || {
                Ok(client::connect(proxy, "first", outside.port()).ok())
            })?;
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
            scratch,
            _names: names,
            _ports: ports,
            _network: network,
        })
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

/// From launch to the first stream.
const REACH: Duration = Duration::from_mins(2);

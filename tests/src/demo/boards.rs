//! The story `boards`: images boot, join a Tor network, share a file and switch off.

mod image;
mod rows;

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Options, build};
use crate::alias::Alias;
use crate::machine::{self, Card, Machine, Start};
use crate::net::{Network, Shape};
use crate::node::{Node, Settings};
use crate::owner::Owner;
use crate::scratch::Scratch;
use crate::{content, packages, wait};
use rows::Rows;

/// Where the private network listens: an address that a guest does not take for its own.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 213, 77, 1);

/// What a guest's first address is in QEMU's network of one.
const GUEST: &str = "10.0.2.15";

/// What is shared.
const FILE: (&str, u64) = ("picture.bin", 256 << 10);

/// An owner's choice.
const PASSWORD: &str = "a few words in a row";

/// The machines, and memory in MiB.
const MACHINES: [(&str, Start, u32); 4] = [
    ("virt, 128 MiB", Start::VirtDirect, 128),
    ("virt, 512 MiB", Start::VirtDirect, 512),
    ("virt through UEFI", Start::VirtUefi, 512),
    ("raspi3b", Start::Pi3, 1024),
];

/// Limits on emulated hardware, on a busy machine.
const PAGE_LIMIT: Duration = Duration::from_mins(5);
const READY_LIMIT: Duration = Duration::from_mins(5);
const SHARE_LIMIT: Duration = Duration::from_mins(5);
const FETCH_LIMIT: Duration = Duration::from_mins(10);

pub(super) fn run(options: &Options) -> io::Result<bool> {
    packages::ensure(&machine::NEEDS)?;
    build::bulbil()?;
    let folder = Scratch::new("boards")?;
    let images = image::build(folder.path())?;
    let alias = Alias::add(ADDRESS)?;
    println!("starting a private Tor network and a node beside the boards");
    let network = Network::start(Shape { address: alias.address(), ..Shape::default() })?;
    let reader = Node::start(&network, Settings::named("reader"))?;
    let mut rows = Rows::default();
    rows.add("images", "two builds are the same", images.repeatable, None);
    for (number, (name, start, memory)) in MACHINES.into_iter().enumerate() {
        println!("\n{name}");
        let card = Card::copy(&images.of(start))?;
        let story = Story { network: &network, reader: &reader, name, start, memory, seed: number as u64 };
        if let Err(error) = story.tell(&card, &mut rows) {
            println!("  {error}");
            rows.failed(name, &error.to_string());
        }
    }
    println!("\n{}", rows.table());
    options.write_json(&rows.json())?;
    Ok(rows.all_passed())
}

/// One machine's life.
struct Story<'a> {
    network: &'a Network,
    reader: &'a Node,
    name: &'a str,
    start: Start,
    memory: u32,
    seed: u64,
}

impl Story<'_> {
    fn tell(&self, card: &Card, rows: &mut Rows) -> io::Result<()> {
        let folder = Scratch::new("story")?;
        let file = folder.join(FILE.0);
        let hash = content::write_file(&file, FILE.1, self.seed)?;
        card.check_boot()?;
        rows.passed(self.name, "boot partition is sound", None);
        card.fill_data(&file)?;
        card.write("bulbil.toml", &settings(self.network, self.start))?;
        let mut machine = Machine::start(self.start, card, self.memory)?;
        let told = self.live(&mut machine, rows, &folder, &hash);
        if told.is_err() {
            println!("{}", machine.console());
        }
        told
    }

    fn live(&self, machine: &mut Machine, rows: &mut Rows, folder: &Scratch, hash: &str) -> io::Result<()> {
        let since = |machine: &Machine| Some((machine.began().elapsed().as_secs_f64(), "s"));
        let mut owner = Owner::new(machine.page(), GUEST)?;
        wait::found(PAGE_LIMIT, "the board's page", || {
            machine.fail_if_off()?;
            Ok(owner.knock())
        })?;
        rows.passed(self.name, "page after", since(machine));
        begin(&mut owner, self.start)?;
        let status = until(machine, &owner, READY_LIMIT, "the board to be ready", |status| {
            status.pointer("/net/ready")?.as_bool().filter(|ready| *ready).map(|_| status.clone())
        })?;
        rows.passed(self.name, "Tor ready after", since(machine));
        for (what, pointer) in [("memory used when idle", "used"), ("of it the node's", "node")] {
            if let Some(mib) = memory(&status, pointer) {
                rows.passed(self.name, what, Some((mib, "MiB")));
            }
        }
        let path = format!("{}/{}", self.start.data_folder(), FILE.0);
        owner.get("/files")?;
        owner.post("/shares/add", &[("path", &path), ("for", "bulbil")])?;
        let link = until(machine, &owner, SHARE_LIMIT, "the share to be reachable", |status| {
            let share = status.pointer("/shares/0")?;
            let reachable = share.pointer("/state/is")?.as_str() == Some("reachable");
            share.get("link")?.as_str().filter(|_| reachable).map(str::to_owned)
        })?;
        rows.passed(self.name, "share reachable after", since(machine));
        self.fetch(&link, folder, hash, rows)?;
        let seconds = machine.press_power()?;
        rows.passed(self.name, "off by its power button within", Some((seconds, "s")));
        Ok(())
    }

    /// On the host's own node, over onion services.
    fn fetch(&self, link: &str, folder: &Scratch, hash: &str, rows: &mut Rows) -> io::Result<()> {
        let out = folder.join("out");
        std::fs::create_dir_all(&out)?;
        let began = Instant::now();
        let mut fetch = self.reader.start_fetch(link, &out, &folder.join("fetch.log"))?;
        let (status, _, _) = fetch.finish(FETCH_LIMIT)?;
        let right = status.success() && content::digest(&out.join(FILE.0))? == hash;
        rows.add(
            self.name,
            "256 KiB fetched from it within",
            right,
            Some((began.elapsed().as_secs_f64(), "s")),
        );
        if right { Ok(()) } else { Err(io::Error::other(format!("the fetch failed ({status})"))) }
    }
}

/// The first run: a password, and the folder to share from, once the board has mounted it.
fn begin(owner: &mut Owner, start: Start) -> io::Result<()> {
    let fields = [
        ("password", PASSWORD),
        ("again", PASSWORD),
        ("audience", "password"),
        ("folders", start.data_folder()),
    ];
    let mut last = None;
    wait::found(PAGE_LIMIT, "the first run", || {
        owner.get("/first")?;
        match owner.post("/first", &fields) {
            Ok(_) => Ok(Some(())),
            Err(error) => {
                last = Some(error.to_string());
                Ok(None)
            }
        }
    })
    .map_err(|error| io::Error::other(format!("{error}; {}", last.unwrap_or_default())))
}

/// Looks at the board's status until `look` finds what it wants.
fn until<T>(
    machine: &mut Machine,
    owner: &Owner,
    limit: Duration,
    what: &str,
    look: impl Fn(&Value) -> Option<T>,
) -> io::Result<T> {
    let mut last = Value::Null;
    let found = wait::found(limit, what, || {
        machine.fail_if_off()?;
        let Ok(status) = owner.status() else { return Ok(None) };
        let found = look(&status);
        last = status;
        Ok(found)
    });
    found.map_err(|error| {
        let net = last.pointer("/net/doing").and_then(Value::as_str).unwrap_or_default();
        io::Error::other(format!("{error}; the board says: {net}"))
    })
}

/// MiB that the machine or its node uses.
fn memory(status: &Value, what: &str) -> Option<f64> {
    let number = |pointer: &str| status.pointer(pointer)?.as_f64();
    let bytes = match what {
        "used" => number("/board/memory")? - number("/board/available")?,
        _ => number("/memory/rss")?,
    };
    Some(bytes / f64::from(1 << 20))
}

/// A board's settings: the private network in place of the public one.
fn settings(network: &Network, start: Start) -> String {
    // QEMU takes the start of the watchdog of a Raspberry Pi for its bark.
    let watchdog = start != Start::Pi3;
    let arti = network.arti_toml().replace("\n[", "\n[net.tor.arti.");
    let arti = arti.strip_prefix('[').map_or_else(|| arti.clone(), |rest| format!("[net.tor.arti.{rest}"));
    format!("[board]\nname = \"attic\"\nwatchdog = {watchdog}\n\n{arti}")
}

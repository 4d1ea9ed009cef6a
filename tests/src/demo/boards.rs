//! The story `boards`: images boot, join a Tor network, share a file and switch off.

pub(super) mod faults;
mod guest;
mod image;
pub(super) mod images;
pub(super) mod power;
mod rows;

use std::io;
use std::time::{Duration, Instant};

use super::{Options, build};
use crate::alias::Alias;
use crate::machine::{self, Card, Machine, Start};
use crate::net::{Network, Shape};
use crate::node::{Node, Settings};
use crate::owner::Owner;
use crate::scratch::Scratch;
use crate::{content, packages, wait};
use guest::{ADDRESS, GUEST, begin, knock, memory, settings, until};
use rows::Rows;

/// What is shared.
const FILE: (&str, u64) = ("picture.bin", 256 << 10);

/// The machines, memory in MiB, and how they are switched off in the end.
const MACHINES: [(&str, Start, u32, Power); 4] = [
    ("virt, 128 MiB", Start::VirtDirect, 128, Power::Button),
    ("virt, 512 MiB", Start::VirtDirect, 512, Power::Page),
    ("virt through UEFI", Start::VirtUefi, 512, Power::PageTwice),
    ("raspi3b", Start::Pi3, 1024, Power::Button),
];

/// How the owner switches a machine off.
#[derive(Clone, Copy)]
enum Power {
    Button,
    Page,
    /// Started again from the page first.
    PageTwice,
}

/// What the first process says once each time.
const STARTED: &str = "bulbil: Bulbil ";

/// Limits on emulated hardware, on a busy machine.
const READY_LIMIT: Duration = Duration::from_mins(5);
const SHARE_LIMIT: Duration = Duration::from_mins(5);
const FETCH_LIMIT: Duration = Duration::from_mins(10);

pub(super) fn run(options: &Options) -> io::Result<bool> {
    packages::ensure(&machine::NEEDS)?;
    build::bulbil()?;
    let folder = Scratch::new("boards")?;
    let images = image::build(folder.path(), &["virt", "raspberry-pi-3"], true)?;
    let alias = Alias::add(ADDRESS)?;
    println!("starting a private Tor network and a node beside the boards");
    let network = Network::start(Shape { address: alias.address(), ..Shape::default() })?;
    let reader = Node::start(&network, Settings::named("reader"))?;
    let mut rows = Rows::default();
    rows.add("images", "two builds are the same", images.repeatable()?, None);
    for (number, (name, start, memory, power)) in MACHINES.into_iter().enumerate() {
        println!("\n{name}");
        let card = Card::copy(&images.of(start))?;
        rows.passed(name, "image packed", Some((images.packed_mb(start)?, "MB")));
        let story =
            Story { network: &network, reader: &reader, name, start, memory, power, seed: number as u64 };
        if let Err(error) = story.tell(&card, &mut rows) {
            println!("  {error}");
            rows.failed(name, &error.to_string());
        }
    }
    println!("\n{}", rows.table());
    if options.table {
        rows.write_table()?;
    }
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
    power: Power,
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
        card.write("bulbil.toml", &settings(self.network))?;
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
        knock(machine, &owner)?;
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
        let (what, seconds) = match self.power {
            Power::Button => ("off by its power button within", machine.press_power()?),
            Power::Page => {
                self.press(&mut owner, "off")?;
                ("off from its page within", machine.wait_off()?)
            }
            Power::PageTwice => {
                let began = Instant::now();
                self.press(&mut owner, "reboot")?;
                wait::found(READY_LIMIT, "the board to start again", || {
                    machine.fail_if_off()?;
                    Ok((machine.console().matches(STARTED).count() > 1).then_some(()))
                })?;
                knock(machine, &owner)?;
                let seconds = began.elapsed().as_secs_f64();
                rows.passed(self.name, "started again from its page within", Some((seconds, "s")));
                ("off by its power button within", machine.press_power()?)
            }
        };
        rows.passed(self.name, what, Some((seconds, "s")));
        Ok(())
    }

    /// A button of the page, and the question whether it is meant.
    fn press(&self, owner: &mut Owner, what: &str) -> io::Result<()> {
        owner.get("/machine")?;
        let question = owner.submit("/machine/power", &[("do", what)])?;
        if !question.contains("Leave it on") {
            return Err(io::Error::other(format!("{}: the page does not ask before it acts", self.name)));
        }
        owner.submit("/machine/power", &[("do", what), ("sure", "yes")]).map(drop)
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

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
use crate::machine::{self, Card, Format, Machine, Start};
use crate::net::{Network, Shape};
use crate::node::{Node, Settings};
use crate::owner::Owner;
use crate::scratch::Scratch;
use crate::{content, packages, wait};
use guest::{ADDRESS, GUEST, begin, knock, memory, settings, until};
use rows::Rows;

/// What is shared.
const FILE: (&str, u64) = ("picture.bin", 256 << 10);

/// What is fetched onto a disk that knows owners.
const BACK: (&str, u64) = ("film.bin", 200_000);

/// The machines, memory in MiB, their owners' disk, and how they are switched off in the end.
const MACHINES: [(&str, Start, u32, Format, Power); 4] = [
    ("virt, 128 MiB", Start::VirtDirect, 128, Format::Fat, Power::Button),
    ("virt, 512 MiB", Start::VirtDirect, 512, Format::Ext4, Power::Page),
    ("virt through UEFI", Start::VirtUefi, 512, Format::Fat, Power::PageTwice),
    ("raspi3b", Start::Pi3, 1024, Format::Fat, Power::Button),
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
    for (number, (name, start, memory, disk, power)) in MACHINES.into_iter().enumerate() {
        println!("\n{name}");
        let card = Card::copy(&images.of(start))?;
        rows.passed(name, "image packed", Some((images.packed_mb(start)?, "MB")));
        let (network, reader, seed) = (&network, &reader, number as u64);
        let story = Story { network, reader, name, start, memory, disk, power, seed };
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
    disk: Format,
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
        card.fill(self.disk, &file)?;
        card.write("bulbil.toml", &settings(self.network))?;
        let mut machine = Machine::start(self.start, card, self.memory)?;
        let told = self.live(&mut machine, rows, &folder, &hash);
        if told.is_err() {
            println!("{}", machine.console());
        }
        let fetched = told?;
        card.check_data(self.disk)?;
        rows.passed(self.name, "its disk was taken off in order", None);
        if let Some(hash) = fetched {
            let right = card.digest_ext4(BACK.0)? == hash;
            rows.add(self.name, "what was fetched onto ext4 is whole", right, None);
        }
        Ok(())
    }

    /// Returns the SHA-256 of what it fetched, if it did.
    fn live(
        &self,
        machine: &mut Machine,
        rows: &mut Rows,
        folder: &Scratch,
        hash: &str,
    ) -> io::Result<Option<String>> {
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
        let fetched = match self.disk {
            Format::Fat => None,
            Format::Ext4 => Some(self.fetch_back(machine, &mut owner, folder, rows)?),
        };
        self.switch_off(machine, &mut owner, rows)?;
        Ok(fetched)
    }

    fn switch_off(&self, machine: &mut Machine, owner: &mut Owner, rows: &mut Rows) -> io::Result<()> {
        let (what, seconds) = match self.power {
            Power::Button => ("off by its power button within", machine.press_power()?),
            Power::Page => {
                self.press(owner, "off")?;
                ("off from its page within", machine.wait_off()?)
            }
            Power::PageTwice => {
                let began = Instant::now();
                self.press(owner, "reboot")?;
                wait::found(READY_LIMIT, "the board to start again", || {
                    machine.fail_if_off()?;
                    Ok((machine.console().matches(STARTED).count() > 1).then_some(()))
                })?;
                knock(machine, owner)?;
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

    /// Onto the board's disk, which has owners, and which the page knows to be the node's.
    fn fetch_back(
        &self,
        machine: &mut Machine,
        owner: &mut Owner,
        folder: &Scratch,
        rows: &mut Rows,
    ) -> io::Result<String> {
        let settings = owner.get("/settings")?;
        let shown = [self.start.data_folder(), ", ext4"].into_iter().all(|word| settings.contains(word));
        let right = shown && !settings.contains("not writable for the node");
        rows.add(self.name, "the page shows the ext4 disk, open to the node", right, None);
        let file = folder.join(BACK.0);
        let hash = content::write_file(&file, BACK.1, self.seed)?;
        let link = self.reader.share(&file)?;
        self.reader.wait_reachable(&link)?;
        owner.get("/fetches/new")?;
        owner.post("/fetches/add", &[("link", &link), ("folder", self.start.data_folder())])?;
        until(machine, owner, FETCH_LIMIT, "the fetch onto the disk", |status| {
            let state = status.pointer("/fetches/0/state/is")?.as_str()?;
            (state == "done").then_some(())
        })?;
        rows.passed(self.name, "fetched a file onto ext4", None);
        Ok(hash)
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

//! The story `files`: three nodes share and fetch a file and a folder; then the same bytes are moved with one, two
//! and four lanes, and by C tor, on a fast and on a slow network.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::report::{Report, Round};
use super::yardstick::{self, FILE, LATENCY_MS};
use super::{Options, bare, build};
use crate::content;
use crate::measure::Measured;
use crate::net::{Network, Shape};
use crate::node::{Node, Settings};
use crate::scratch::Scratch;
use crate::usage::{Machine, Usage};
use crate::wait;

/// Files in the folder that is shared.
const SMALL_FILES: u32 = 500;

/// Relays that are added to the directory for one row: about as many as the public network had in 2026.
const CROWD: u32 = 9000;

/// Numbers of lanes that are compared.
const LANES: [u8; 3] = [1, 2, 4];

/// Bare streams at once: as many as a node has lanes to a peer unless told otherwise.
pub(super) const BARE: u8 = 2;

/// For some 15 MB of directory.
const DIRECTORY_LIMIT: Duration = Duration::from_mins(5);

/// For one fetch: 64 MiB at 0.05 MiB/s.
const FETCH_LIMIT: Duration = Duration::from_secs(1280);

pub(super) fn run(options: &Options) -> io::Result<bool> {
    let program = build::bulbil()?;
    let mut report = Report { program: fs::metadata(&program)?.len(), ..Report::default() };
    println!("starting a private Tor network");
    let network = Network::start(Shape::default())?;
    let files = Scratch::new("demo")?;
    let mut stage = Stage { network: &network, files: &files, report: &mut report, label: "" };
    let (nodes, verified) = stage.show()?;
    let plain = stage.measure()?;
    println!("starting a private Tor network with {LATENCY_MS} ms more per hop and way");
    let mut slow_network = Network::start(Shape::with_latency_ms(LATENCY_MS))?;
    let slow = Stage { network: &slow_network, label: " at 0.29 s", ..stage }.measure()?;
    println!("measuring an idle node where the directory is as long as the public one");
    report.idle_long = idle_in_crowd(&mut slow_network)?;
    drop(slow_network);
    for node in &nodes {
        report.rss_peak.insert(node.name().to_owned(), node.rss_peak()?);
    }
    report.verified = verified && plain.verified() && slow.verified();
    (report.plain, report.slow) = (plain, slow);
    println!("\n{}\n{}", report.table(), report.aims());
    println!("every SHA-256 is {}", if report.verified { "right" } else { "NOT right" });
    options.write_json(&report.json())?;
    if !options.once {
        if let Some(reader) = nodes.last() {
            println!("\nstatus page of the node that fetched: {}   (Ctrl-C ends)", reader.page_url());
        }
        // Ctrl-C ends the process, and the warden everything else.
        loop {
            std::thread::park();
        }
    }
    Ok(report.verified)
}

/// Memory of a node that knows all relays of a directory as long as the public one.
fn idle_in_crowd(network: &mut Network) -> io::Result<Usage> {
    let bytes = network.crowd(CROWD)?;
    let node = Node::start(network, Settings::named("idle"))?;
    wait::found(DIRECTORY_LIMIT, "the node to have the whole directory", || {
        Ok((size_on_disk(node.folder())? > bytes).then_some(()))
    })?;
    node.status()?;
    node.usage()
}

/// Bytes of all files under `folder`; those that go away meanwhile do not count.
fn size_on_disk(folder: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder)? {
        let Ok((path, data)) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))) else {
            continue;
        };
        total += if data.is_dir() { size_on_disk(&path)? } else { data.len() };
    }
    Ok(total)
}

struct Stage<'a> {
    network: &'a Network,
    files: &'a Scratch,
    report: &'a mut Report,
    /// Added to the names of nodes.
    label: &'static str,
}

impl Stage<'_> {
    /// One node shares a file, one a folder, one fetches both. Returns the three nodes, the fetching one last, and
    /// whether what came is what was sent.
    fn show(&mut self) -> io::Result<(Vec<Node>, bool)> {
        println!("starting three nodes");
        let seed = Node::start(self.network, Settings::named("seed"))?;
        let library = Node::start(self.network, Settings::named("library"))?;
        let reader = Node::start(self.network, Settings::named("reader"))?;
        self.report.idle = reader.usage()?;
        let (file, folder, out) =
            (self.files.join("film.bin"), self.files.join("papers"), self.files.join("out"));
        let file_hash = content::write_file(&file, FILE, 1)?;
        let folder_hashes = content::write_tree(&folder, SMALL_FILES, 2)?;
        fs::create_dir_all(&out)?;
        println!("sharing and fetching a file of {} MiB", FILE >> 20);
        self.fetch(&reader, &seed.share(&file)?, &out)?;
        println!("sharing and fetching a folder of {SMALL_FILES} files");
        self.fetch(&reader, &library.share(&folder)?, &out)?;
        let file_right = content::digest(&out.join("film.bin"))? == file_hash;
        let folder_right = content::digests(&out.join("papers"))? == folder_hashes;
        println!("SHA-256 of the file: {}", if file_right { "right" } else { "WRONG" });
        println!("SHA-256 of all {SMALL_FILES} files: {}", if folder_right { "right" } else { "WRONG" });
        Ok((vec![seed, library, reader], file_right && folder_right))
    }

    fn measure(&mut self) -> io::Result<Round> {
        let mut round = Round::default();
        let seed = Node::start(self.network, Settings::named("measured seed"))?;
        for lanes in LANES {
            println!("measuring {lanes} lane(s){}", self.label);
            round.lanes.insert(lanes, self.measure_lanes(&seed, lanes)?);
        }
        self.note_peak(&seed)?;
        drop(seed);
        if let Some(stream) = build::stream() {
            println!("measuring bare streams{}", self.label);
            round.bare = Some(bare::measure(self.network, &stream, FILE, BARE)?);
        }
        println!("measuring C tor, nginx and curl{}", self.label);
        round.c_tor = yardstick::measure(self.network)?;
        Ok(round)
    }

    /// One fetch by a fresh node. Each has a file of its own, so that only `seed` can serve it.
    fn measure_lanes(&mut self, seed: &Node, lanes: u8) -> io::Result<Measured> {
        let name = format!("{lanes}-lanes.bin");
        let (file, out) = (self.files.join(&name), self.files.join("measured"));
        let hash = content::write_file(&file, FILE, u64::from(lanes) + 10)?;
        fs::create_dir_all(&out)?;
        let settings = Settings {
            lanes: Some((lanes, lanes)),
            ..Settings::named(&format!("reader with {lanes} lane{}", if lanes == 1 { "" } else { "s" }))
        };
        let reader = Node::start(self.network, settings)?;
        let link = seed.share(&file)?;
        let (before, machine) = ((seed.cpu_s()?, reader.cpu_s()?), Machine::now()?);
        let (seconds, command_cpu_s) = self.fetch(&reader, &link, &out)?;
        let measured = Measured {
            bytes: FILE,
            seconds,
            serve_cpu_s: seed.cpu_s()? - before.0,
            fetch_cpu_s: reader.cpu_s()? - before.1 + command_cpu_s,
            busy: Machine::now()?.busy_since(machine),
            verified: content::digest(&out.join(&name))? == hash,
        };
        self.note_peak(&reader)?;
        fs::remove_dir_all(&out)?;
        Ok(measured)
    }

    /// Returns seconds from the start of the command to its end, and its CPU seconds.
    fn fetch(&self, reader: &Node, link: &str, out: &Path) -> io::Result<(f64, f64)> {
        let log: PathBuf = self.files.join("fetch.log");
        let mut command = reader.start_fetch(link, out, &log)?;
        let (status, usage, elapsed) = command.finish(FETCH_LIMIT)?;
        if status.success() {
            Ok((elapsed.as_secs_f64(), usage.cpu_s))
        } else {
            Err(io::Error::other(format!("bulbil fetch failed ({status}): see above")))
        }
    }

    fn note_peak(&mut self, node: &Node) -> io::Result<()> {
        let name = format!("{}{}", node.name(), self.label);
        self.report.rss_peak.insert(name, node.rss_peak()?);
        Ok(())
    }
}

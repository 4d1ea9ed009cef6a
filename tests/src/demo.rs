//! `cargo demo`: Bulbil doing its work on this machine, beside what people use today.

mod bare;
mod boards;
mod build;
mod files;
mod install;
mod memory;
mod plot;
mod proxy;
mod report;
mod rows;
mod tracker;
mod yardstick;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::packages;

/// Runs the story that the arguments (program name excluded) ask for.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<bool> {
    packages::ensure(&packages::NETWORK)?;
    match options.story {
        Story::Boards => boards::run(options),
        Story::Images => boards::images::run(options),
        Story::Power => boards::power::run(options),
        Story::Faults => boards::faults::run(options),
        Story::Files => files::run(options),
        Story::Memory => memory::run(options),
        Story::Proxy => proxy::run(options),
        Story::Baseline => yardstick::run(options),
        Story::Tracker => tracker::run(options),
        Story::Install => install::run(options),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Story {
    Boards,
    Images,
    Power,
    Faults,
    Files,
    Memory,
    Proxy,
    Baseline,
    Tracker,
    Install,
}

#[derive(Debug, Eq, PartialEq)]
struct Options {
    story: Story,
    once: bool,
    /// Whether the story's table goes into the documentation.
    table: bool,
    json: Option<PathBuf>,
    /// Bytes to move, where the story lets one choose.
    size: Option<u64>,
    /// A word that the names of the parts to play hold.
    only: Option<String>,
    /// Whether the story `proxy` may build arti to compare with.
    with_arti: bool,
}

impl Options {
    const fn usual() -> Self {
        let (once, table, with_arti) = (false, false, false);
        Self { story: Story::Files, once, table, json: None, size: None, only: None, with_arti }
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut this = Self::usual();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "boards" => this.story = Story::Boards,
                "images" => this.story = Story::Images,
                "power" => this.story = Story::Power,
                "faults" => this.story = Story::Faults,
                "files" => this.story = Story::Files,
                "memory" => this.story = Story::Memory,
                "proxy" => this.story = Story::Proxy,
                "baseline" => this.story = Story::Baseline,
                "tracker" => this.story = Story::Tracker,
                "install" => this.story = Story::Install,
                "--once" => this.once = true,
                "--table" => this.table = true,
                "--with-arti" => this.with_arti = true,
                "--json" => this.json = Some(arguments.next().ok_or("--json needs a file name")?.into()),
                "--only" => this.only = Some(arguments.next().ok_or("--only needs a word")?),
                "--size" => this.size = Some(size(arguments.next().as_deref())?),
                other => return Err(format!("unknown argument: {other}")),
            }
        }
        if this.table && this.story != Story::Boards {
            return Err("--table belongs to the story `boards`".to_owned());
        }
        if this.with_arti && this.story != Story::Proxy {
            return Err("--with-arti belongs to the story `proxy`".to_owned());
        }
        if this.size.is_some() && !matches!(this.story, Story::Memory | Story::Proxy) {
            return Err("--size belongs to the stories `memory` and `proxy`".to_owned());
        }
        if this.only.is_some()
            && !matches!(this.story, Story::Install | Story::Proxy | Story::Faults | Story::Images)
        {
            return Err("--only belongs to the stories `install`, `proxy`, `faults` and `images`".to_owned());
        }
        Ok(this)
    }

    /// Writes `document` to the file asked for, if one was.
    fn write_json(&self, document: &Value) -> io::Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot write {}: {e}", path.display()));
        fs::write(path, format!("{document:#}\n")).map_err(named)
    }
}

/// Bytes of so many MiB.
fn size(text: Option<&str>) -> Result<u64, String> {
    let mib: Option<u64> = text.and_then(|text| text.parse().ok()).filter(|mib| (1..=MOST_MIB).contains(mib));
    mib.map(|mib| mib << 20).ok_or_else(|| format!("--size needs a number of MiB, 1 to {MOST_MIB}"))
}

/// 1 TiB: more than any disk this runs on has to spare.
const MOST_MIB: u64 = 1 << 20;

const USAGE: &str = "\
usage: cargo demo [-- [STORY] [--once] [--json FILE] [--size MIB] [--only WORD] [--with-arti] [--table]]

  files      share and fetch files between nodes, and measure it (the usual story)
  memory     a long transfer (3072 MiB, or --size), and whether memory stays flat under it; draws a plot
  proxy      what other programs get from SOCKS and DNS, beside C tor: speed, load, and memory over long transfers
  boards     images boot in QEMU, share a file over Tor and switch off (as root)
  images     every board's image, built twice in different circumstances, checked by fsck.fat and xz
  power      a board in QEMU loses its power at ten random moments, and what it knows afterwards (as root)
  faults     what can go wrong around a board in QEMU, and whether its console or page says what to do (as root)
  baseline   the same measurement of C tor, nginx and curl alone
  tracker    six nodes: a link by message, publish, trust, search, mirror; then the owner of the share dies
  install    the systemd unit, the Debian package and the container image, installed and used (as root)

  --once     end after the story instead of leaving the status page up until Ctrl-C
  --json     also write the figures to FILE
  --only     of `proxy`, `install` and `faults`, only the parts whose names hold WORD; of `images`, one board
  --with-arti  of `proxy`, build the program arti to compare with, where there is none yet (once, 10 minutes)
  --table    of `boards`, write the table into boards/README.md";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_usual_story_needs_no_name() {
        let json = Some(PathBuf::from("out.json"));
        assert_eq!(parse("--once --json out.json"), Ok(Options { once: true, json, ..Options::usual() }));
        assert_eq!(parse("baseline").unwrap().story, Story::Baseline);
        assert_eq!(parse("tracker --json out.json").unwrap().story, Story::Tracker);
        assert_eq!(parse("memory --size 64").unwrap().size, Some(64 << 20));
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert!(parse("--twice").unwrap_err().contains("--twice"));
        assert!(parse("--json").unwrap_err().contains("file name"));
        assert!(parse("memory --size 0").unwrap_err().contains("MiB"));
        assert!(parse("memory --with-arti").unwrap_err().contains("proxy"));
        assert!(parse("files --table").unwrap_err().contains("boards"));
        assert!(parse("files --size 64").unwrap_err().contains("memory"));
    }
}

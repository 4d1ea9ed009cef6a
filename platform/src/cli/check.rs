//! `bulbil check`: is a `.torrent` file valid, and does the data match.

use std::path::PathBuf;

use super::progress::Meter;
use super::{Failure, print, print_json};
use crate::check::{self, CheckReport};
use crate::words::size;

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The .torrent file
    torrent: PathBuf,
    /// The shared file or folder, or the folder it lies in
    path: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut meter = Meter::new("comparing");
    let report = check::run(&args.torrent, args.path.as_deref(), |done, all| meter.show(done, all));
    meter.end();
    let report = report.map_err(Failure::failed)?;
    if args.json {
        print_json(&report)?;
    } else if report.valid {
        describe(&report)?;
    }
    if report.is_good() {
        return Ok(());
    }
    let fault = report.bad.map(|bad| bad.text).or(report.error);
    let fault = fault.unwrap_or_else(|| "the metadata is not valid".to_owned());
    Err(if args.json { Failure::Told(fault) } else { Failure::Failed(fault) })
}

fn describe(report: &CheckReport) -> Result<(), Failure> {
    print(format_args!("name          {}", report.name.as_deref().unwrap_or_default()))?;
    print(format_args!("info-hash     {}", report.info_hash.as_deref().unwrap_or_default()))?;
    print(format_args!("piece length  {}", size(u64::from(report.piece_length.unwrap_or(0)))))?;
    let files = report.files.unwrap_or(0);
    print(format_args!("size          {} in {files} files", size(report.size.unwrap_or(0))))?;
    match report.matches {
        Some(true) => print("data          matches to the last byte")?,
        Some(false) => print("data          does not match")?,
        None => {}
    }
    report.extra.iter().try_for_each(|path| print(format_args!("also there    {path}")))
}

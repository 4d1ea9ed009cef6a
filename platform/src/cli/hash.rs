//! `bulbil hash`: what a path would be as a share.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::progress::Meter;
use super::{Failure, print, print_json};
use crate::hash::{self, HashError};
use crate::words::size;

/// What to hash.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File or folder
    path: PathBuf,
    /// Bytes of a piece: a power of two from 16384 to 67108864 [default: chosen from the size]
    #[arg(long, value_name = "BYTES")]
    piece_length: Option<u32>,
    /// Also write a .torrent file, which must not exist
    #[arg(long, value_name = "FILE")]
    torrent: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut meter = Meter::new("hashing");
    let path = std::path::absolute(&args.path).map_err(Failure::failed)?;
    let hashed = hash::run(&[path], None, args.piece_length, |done, all| meter.show(done, all));
    meter.end();
    let hashed = hashed.map_err(|error| match error {
        HashError::PieceLength(_) => Failure::Usage(error.to_string()),
        other => Failure::failed(other),
    })?;
    if let Some(file) = &args.torrent {
        write_new(file, &hashed.torrent()).map_err(|error| refused(file, &error))?;
    }
    let summary = hashed.summary();
    if args.json {
        return print_json(&summary);
    }
    print(format_args!("info-hash     {}", summary.info_hash))?;
    print(format_args!("magnet        {}", summary.magnet))?;
    print(format_args!("piece length  {}", size(u64::from(summary.piece_length))))?;
    print(format_args!("size          {} in {} files", size(summary.size), summary.files.len()))
}

/// Writes a file that did not exist; nothing is left of it if that fails.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::AlreadyExists => "move it away or name another with --torrent",
        _ => "check its folder",
    };
    Failure::Failed(format!("cannot write {}: {error}; {advice}", path.display()))
}

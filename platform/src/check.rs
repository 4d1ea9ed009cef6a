//! A `.torrent` file against the rules, and against data on disk. Needs no node.

mod data;

use std::path::Path;

use bulbil_core::content::metainfo::Torrent;
use serde::Serialize;

pub use data::{Bad, Fault};

/// What `bulbil check --json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// Whether the metadata can be used. If not, `error` says why and the rest is empty.
    pub valid: bool,
    /// What is wrong with the metadata.
    pub error: Option<String>,
    /// 64 hexadecimal digits.
    pub info_hash: Option<String>,
    /// What people call the share.
    pub name: Option<String>,
    /// Bytes of a piece.
    pub piece_length: Option<u32>,
    /// Bytes of all files.
    pub size: Option<u64>,
    /// Files of the share.
    pub files: Option<u32>,
    /// Whether the data is, to the last byte, what the metadata says; `null` where no data was given.
    pub matches: Option<bool>,
    /// The first file that does not match.
    pub bad: Option<Bad>,
    /// Files beside those of the share, up to 100, sorted. They do no harm.
    pub extra: Vec<String>,
}

/// Bytes of the largest `.torrent` file looked at: metadata at its limits takes 45 MiB.
pub const MAX_TORRENT: u64 = 64 * 1024 * 1024;

/// The check itself could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The system refused.
    #[error("{path}: {error}; check that it exists and that you may read it")]
    Io {
        /// Where it lies.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// Far too large for metadata.
    #[error("{0}: larger than {MAX_TORRENT} bytes, which no .torrent file of ours is")]
    TooLarge(String),
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.valid && self.matches != Some(false)
    }
}

/// Reads a `.torrent` file and checks it; with `data` also compares the files there. `progress` hears bytes compared
/// and bytes in all.
///
/// `data` is the shared file or folder itself, or the folder it lies in.
pub fn run(
    torrent: &Path,
    data: Option<&Path>,
    progress: impl FnMut(u64, u64),
) -> Result<CheckReport, CheckError> {
    let refused = |error| CheckError::Io { path: torrent.display().to_string(), error };
    if std::fs::metadata(torrent).map_err(refused)?.len() > MAX_TORRENT {
        return Err(CheckError::TooLarge(torrent.display().to_string()));
    }
    check(&std::fs::read(torrent).map_err(refused)?, data, progress)
}

/// As [`run`], for the bytes of a `.torrent` file.
pub fn check(
    torrent: &[u8],
    data: Option<&Path>,
    progress: impl FnMut(u64, u64),
) -> Result<CheckReport, CheckError> {
    let torrent = match Torrent::parse(torrent) {
        Ok(torrent) => torrent,
        Err(error) => return Ok(CheckReport { error: Some(error.to_string()), ..CheckReport::default() }),
    };
    let info = torrent.info();
    let mut report = CheckReport {
        valid: true,
        info_hash: Some(info.info_hash().to_string()),
        name: Some(info.name().to_owned()),
        piece_length: Some(info.piece_len()),
        size: Some(info.total()),
        files: Some(info.file_count()),
        ..CheckReport::default()
    };
    if let Some(data) = data {
        let root = data::root(info, data);
        report.bad = data::first_bad(&torrent, &root, progress)?;
        report.matches = Some(report.bad.is_none());
        report.extra = data::extra(info, &root);
    }
    Ok(report)
}

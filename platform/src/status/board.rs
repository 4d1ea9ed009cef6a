//! What the first process of a board tells its node, to be shown: a file in memory that is written anew when something changes.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file system of 1 MiB of its own, in memory; only [`crate::init`] can write there.
pub const FOLDER: &str = "/run/board";

/// The file.
pub const FILE: &str = "/run/board/report.json";

/// Bytes of it at most.
const MAX_FILE: u64 = 256 * 1024;

/// The owner's file on the boot partition.
pub const OURS: &str = "bulbil.toml";

/// The machine around the node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Board {
    /// Which image this is: a folder of `boards/`.
    pub image: String,
    /// The machine's name on the local network.
    pub name: String,
    /// Memory of the machine, in bytes.
    #[serde(default)]
    pub memory: u64,
    /// What of it programs could still have.
    #[serde(default)]
    pub available: u64,
    /// One for each network interface, in the order they appeared.
    pub links: Vec<Link>,
    /// What became of each key of the files on the boot partition, and what was found out while the board runs.
    pub notes: Vec<Note>,
}

/// One network interface.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Link {
    /// The kernel's name for it.
    pub interface: String,
    /// Its address and the length of its network, when it has one.
    pub address: Option<String>,
    /// What it is doing, and what to do when it does not get on.
    pub doing: String,
}

/// One key of a file on the boot partition.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Note {
    /// Its file, such as [`OURS`]; empty for what stands in none.
    #[serde(default)]
    pub file: String,
    /// Such as `board.name`; empty for the file as a whole.
    pub key: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, unless it was understood.
    pub why: String,
}

impl Note {
    /// What it is about, as its owner looks for it: the key, with its file in front where that is not [`OURS`].
    #[must_use]
    pub fn title(&self) -> String {
        match (self.file.as_str(), self.key.as_str()) {
            ("" | OURS, key) if !key.is_empty() => key.to_owned(),
            (file, "") => file.to_owned(),
            (file, key) => format!("{file}: {key}"),
        }
    }
}

/// What became of a key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It counts.
    Understood,
    /// It means nothing here, and does no harm.
    Ignored,
    /// It does not count until it is mended.
    Wrong,
}

/// The board this node runs on; `None` on any other machine.
pub(crate) fn read() -> Option<Board> {
    let path = Path::new(FILE);
    let small = std::fs::metadata(path).is_ok_and(|about| about.len() <= MAX_FILE);
    let mut board: Board = serde_json::from_slice(&std::fs::read(path).ok().filter(|_| small)?).ok()?;
    (board.memory, board.available) = crate::sys::board::process::machine_memory();
    Some(board)
}

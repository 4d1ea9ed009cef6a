//! Copies of mirrored records beside the state, so that a restart does not lose what its origin cannot give any more.
//! They lie in memory like the rest of the state, unless the owner said otherwise.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bulbil_core::limits::MAX_RECORD;
use bulbil_core::tracker::Record;
use bulbil_core::wire::tracker::unpack;
use log::{debug, warn};

use super::Tracker;
use super::neighbour::{Bond, Neighbour};

/// Records checked before others on this thread have their turn.
const TURN: usize = 32;

impl Tracker {
    /// Keeps every mirror that changed since it was last kept.
    pub(super) fn keep(&self) {
        for neighbour in self.neighbours.borrow().iter().filter(|one| one.bond != Bond::Trusted) {
            let now = neighbour.records.with(|store| store.summary(bulbil_core::tracker::Range::ALL));
            if neighbour.kept.replace(Some(now)) == Some(now) {
                continue;
            }
            if let Err(why) = save(&self.path(neighbour), neighbour) {
                warn!("a mirror could not be kept for a restart: {why}; make room in the state directory");
            }
        }
    }

    /// Takes up what was kept of a mirror.
    pub(super) async fn take_up(&self, neighbour: &Neighbour) {
        let path = self.path(neighbour);
        let most = neighbour.records.places().saturating_mul(MAX_RECORD.saturating_add(2));
        let small = fs::metadata(&path).is_ok_and(|about| about.len() <= u64::try_from(most).unwrap_or(0));
        let packed = if small { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        for (number, bytes) in unpack(&packed).filter_map(Result::ok).enumerate() {
            let author = Record::decode(bytes).ok().map(|record| record.author);
            if let Some(rank) = author.and_then(|author| self.rank_of(&author)) {
                neighbour.records.put(bytes, rank);
            }
            if number % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Forgets what was kept of a mirror.
    pub(super) fn let_lie(&self, neighbour: &Neighbour) {
        if let Err(why) = fs::remove_file(self.path(neighbour)) {
            debug!("there was nothing kept of a mirror: {why}");
        }
    }

    fn path(&self, neighbour: &Neighbour) -> PathBuf {
        let name = data_encoding::HEXLOWER.encode(&neighbour.address.key);
        self.folder.join(format!("{name}.records"))
    }
}

/// Writes all of it, or nothing.
fn save(path: &Path, neighbour: &Neighbour) -> io::Result<()> {
    let packed = neighbour.records.with(|store| {
        let mut packed: Vec<u8> = Vec::new();
        for (bytes, _) in store.iter() {
            let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX); // a record has 1 024 at most
            packed.extend(len.to_be_bytes());
            packed.extend(bytes);
        }
        packed
    });
    let fresh = path.with_extension("new");
    fs::write(&fresh, packed)?;
    fs::rename(fresh, path)
}

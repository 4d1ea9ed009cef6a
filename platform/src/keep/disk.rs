//! The disk that the keep file is on, which may come after the node: a USB disk spins up while a board starts.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::sys::mount;

/// Where a board mounts its owner's disks, each in a folder of its own.
const DISKS: &str = "/disks";

/// How long a disk may take to come; a hard disk needs some ten seconds.
const COMES: Duration = Duration::from_secs(30);

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// On a board, waits for the disk that this keep file is on. Tells whether it is there; true where there is no way to know.
///
/// Blocks, so only before the node runs.
pub(crate) fn wait(file: &Path) -> bool {
    let Some(disk) = disk(file) else { return true };
    if mount::is_mount_point(&disk) {
        return true;
    }
    log::info!("waiting for the disk of the keep file, {} s at most", COMES.as_secs());
    let end = Instant::now() + COMES;
    while Instant::now() < end {
        std::thread::sleep(LOOK);
        if mount::is_mount_point(&disk) {
            return true;
        }
    }
    false
}

/// The folder of a board's disk that a file is on; nothing on other machines, where disks may be mounted anywhere.
fn disk(file: &Path) -> Option<PathBuf> {
    let name = file.strip_prefix(DISKS).ok()?.iter().next()?;
    let disk = Path::new(DISKS).join(name);
    (crate::status::board::read().is_some() && disk != file).then_some(disk)
}

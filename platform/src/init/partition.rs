//! Finds the boot partition among all disks by the name of its file system.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::aside;

/// The name that the builder of the image gave it (11 letters, padded).
const LABEL: &[u8] = b"BULBIL     ";

/// Where the name stands in the first sector of FAT32, and the word that tells FAT32 apart.
const LABEL_AT: usize = 71;
const KIND_AT: usize = 82;
const KIND: &[u8] = b"FAT32   ";

/// Pause between two looks for disks; no event comes to a program that is not udev.
const LOOK: Duration = Duration::from_millis(100);

/// Devices that are looked at, at most; a thread each, for a moment unless the device hangs.
const MAX_DEVICES: usize = 128;

/// The device of the boot partition, once the kernel has found it. Whoever waits sets the limit.
pub(super) async fn find() -> PathBuf {
    search(devices).await
}

/// Looks at each device apart from all others: one that hangs keeps none of them waiting.
async fn search(devices: impl Fn() -> Vec<PathBuf>) -> PathBuf {
    let (tell, mut told) = mpsc::channel(1);
    let mut seen: Vec<PathBuf> = Vec::new();
    loop {
        for device in devices() {
            if !seen.contains(&device) && seen.len() < MAX_DEVICES {
                seen.push(device.clone());
                let tell = tell.clone();
                // Without a thread it is not looked at; the search ends by its limit, and that is told.
                let _ = aside::start(move || look(device, &tell));
            }
        }
        if let Ok(Some(found)) = timeout(LOOK, told.recv()).await {
            return found;
        }
    }
}

/// One device, again for as long as it cannot be read and somebody searches: a card may be on its way into its slot.
fn look(device: PathBuf, tell: &mpsc::Sender<PathBuf>) {
    loop {
        match holds_boot(&device) {
            Ok(true) => return drop(tell.blocking_send(device)), // nobody searches any more
            Ok(false) => return,
            Err(_) if tell.is_closed() => return,
            Err(_) => thread::sleep(LOOK),
        }
    }
}

fn holds_boot(device: &Path) -> io::Result<bool> {
    let mut sector = [0; 512];
    File::open(device)?.read_exact(&mut sector)?;
    Ok(is_boot(&sector))
}

/// All disks and partitions that the kernel knows, sorted.
pub(super) fn devices() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/sys/class/block") else { return Vec::new() };
    let mut devices: Vec<PathBuf> =
        entries.filter_map(|entry| Some(PathBuf::from("/dev").join(entry.ok()?.file_name()))).collect();
    devices.sort();
    devices
}

/// Whether a file system that starts like this is the boot partition.
pub(super) fn is_boot(sector: &[u8]) -> bool {
    let at = |start: usize, word: &[u8]| sector.get(start..).is_some_and(|rest| rest.starts_with(word));
    at(LABEL_AT, LABEL) && at(KIND_AT, KIND)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::process::Command;

    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn the_name_and_the_kind_must_both_be_right() {
        let mut sector = [0; 512];
        assert!(!is_boot(&sector));
        sector[71..82].copy_from_slice(LABEL);
        assert!(!is_boot(&sector));
        sector[82..90].copy_from_slice(KIND);
        assert!(is_boot(&sector));
        assert!(!is_boot(&sector[..80]));
    }

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_no_other_from_being_found() {
        let folder = Scratch::new("partition");
        let [dying, late, other] = ["a-dying", "b-late", "c-other"].map(|name| folder.path().join(name));
        // Whoever opens it waits until somebody writes.
        assert!(Command::new("mkfifo").arg(&dying).status().unwrap().success());
        let mut sector = [0; 512];
        fs::write(&other, sector).unwrap();
        sector[71..82].copy_from_slice(LABEL);
        sector[82..90].copy_from_slice(KIND);
        let looks = Cell::new(0);
        let devices = || {
            looks.set(looks.get() + 1);
            if looks.get() == 3 {
                fs::write(&late, sector).unwrap(); // until now it could not be read
            }
            vec![dying.clone(), late.clone(), other.clone()]
        };
        let found = timeout(Duration::from_secs(20), search(devices)).await.unwrap();
        assert_eq!(found, late);
    }
}

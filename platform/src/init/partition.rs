//! Finds the boot partition among all disks by the name of its file system.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

/// The name that the builder of the image gave it (11 letters, padded).
const LABEL: &[u8] = b"BULBIL     ";

/// Where the name stands in the first sector of FAT32, and the word that tells FAT32 apart.
const LABEL_AT: usize = 71;
const KIND_AT: usize = 82;
const KIND: &[u8] = b"FAT32   ";

/// The device of the boot partition, if the kernel has found it yet.
pub(super) fn find() -> Option<PathBuf> {
    devices().into_iter().find(|device| {
        let mut sector = [0; 512];
        File::open(device).and_then(|mut file| file.read_exact(&mut sector)).is_ok() && is_boot(&sector)
    })
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
    use super::*;

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
}

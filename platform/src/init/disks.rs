//! The owner's disks: whatever file system appears is mounted for the node, and taken off when its disk is pulled.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::child::ID;
use super::console::say;
use super::partition;
use crate::sys::board::system::{Access, mount, unmount};

/// Pause between two looks: nothing tells a program without udev that a disk came.
const LOOK: Duration = Duration::from_secs(2);

/// Disks that are mounted at most.
const MAX_DISKS: usize = 16;

/// Where they are mounted, each in a folder by the kernel's name for it.
const HOME: &str = "/disks";

/// Bytes at the start of a file system that tell which one it is.
const HEAD: usize = 2048;

/// A disk that is mounted.
#[derive(Debug)]
struct Disk {
    device: PathBuf,
    at: PathBuf,
}

/// Serves all disks, for ever.
pub(super) async fn run() {
    let mut disks: Vec<Disk> = Vec::new();
    let mut refused: Vec<PathBuf> = Vec::new();
    loop {
        disks.retain(|disk| disk.device.exists() || take_off(disk));
        refused.retain(|device| device.exists());
        for device in partition::devices() {
            let known = disks.iter().any(|disk| disk.device == device) || refused.contains(&device);
            if known || disks.len() == MAX_DISKS {
                continue;
            }
            match put_on(&device) {
                Some(at) => disks.push(Disk { device, at }),
                None => refused.push(device),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Mounts what is on a device, if it is anything.
fn put_on(device: &Path) -> Option<PathBuf> {
    let mut head = [0; HEAD];
    File::open(device).and_then(|mut file| file.read_exact(&mut head)).ok()?;
    if partition::is_boot(&head) {
        return None;
    }
    let (kind, options) = kind(&head)?;
    let name = device.file_name()?;
    let at = Path::new(HOME).join(name);
    let mounted = fs::create_dir_all(&at)
        .and_then(|()| mount(device.to_str().unwrap_or_default(), &at, kind, Access::Write, &options));
    match mounted {
        Ok(()) => {
            say(&format!("{} ({kind}) is at {}", name.display(), at.display()));
            Some(at)
        }
        Err(error) => {
            say(&format!("{} ({kind}) cannot be used: {error}; check it on another machine", name.display()));
            None
        }
    }
}

/// Always false: the disk is not ours any more.
fn take_off(disk: &Disk) -> bool {
    say(&format!("the disk at {} was pulled", disk.at.display()));
    let _ = unmount(&disk.at, true); // the kernel may have done it
    let _ = fs::remove_dir(&disk.at);
    false
}

/// The kernel's name of a file system, and options that let the node use it. FAT knows no owners: all of it is the node's.
fn kind(head: &[u8]) -> Option<(&'static str, String)> {
    let at = |start: usize, word: &[u8]| head.get(start..).is_some_and(|rest| rest.starts_with(word));
    let owner = format!("uid={ID},gid={ID},umask=077");
    if at(3, b"EXFAT   ") {
        Some(("exfat", owner))
    } else if at(510, &[0x55, 0xaa]) && (at(82, b"FAT32") || at(54, b"FAT1")) {
        Some(("vfat", format!("{owner},utf8=1,iocharset=ascii,flush")))
    } else if at(1080, &[0x53, 0xef]) {
        Some(("ext4", String::new()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_by_their_marks() {
        let with = |at: usize, word: &[u8]| {
            let mut head = [0; HEAD];
            head[510..512].copy_from_slice(&[0x55, 0xaa]);
            head[at..at + word.len()].copy_from_slice(word);
            kind(&head).map(|(kind, _)| kind)
        };
        assert_eq!(with(3, b"EXFAT   "), Some("exfat"));
        assert_eq!(with(82, b"FAT32   "), Some("vfat"));
        assert_eq!(with(54, b"FAT16   "), Some("vfat"));
        assert_eq!(with(1080, &[0x53, 0xef]), Some("ext4"));
        assert_eq!(with(0, b"LUKS"), None, "locked, and a partition table alone");
    }
}

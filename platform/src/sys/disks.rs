//! The mounted disks (proc(5), `/proc/self/mountinfo`).

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

/// Disks named at most.
const DISKS: usize = 32;

/// File systems that hold files of people.
const KINDS: [&str; 15] = [
    "ext2", "ext3", "ext4", "btrfs", "xfs", "f2fs", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "hfsplus",
    "nfs4", "cifs", "zfs",
];

/// Places of the system itself: nothing in there is meant to be shared.
const SYSTEM: [&str; 9] = ["/boot", "/etc", "/usr", "/var", "/proc", "/sys", "/dev", "/run", "/tmp"];

/// What desktops mount for one user lies among them all the same.
const USERS: &str = "/run/media";

/// One mounted disk.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Disk {
    /// Where it is mounted.
    pub at: PathBuf,
    /// Its file system.
    pub kind: String,
    /// Bytes in all.
    pub size: u64,
    /// Bytes that may still be written.
    pub free: u64,
    /// Whether nothing can be written there.
    pub read_only: bool,
    /// Whether its top folder is closed to this process, which then can only read what is open to it.
    pub closed: bool,
    /// Whether it did not answer when it was asked.
    pub silent: bool,
}

impl Disk {
    /// Whether this process can write there.
    pub const fn is_writable(&self) -> bool {
        !self.read_only && !self.closed && !self.silent
    }

    /// The same with its sizes; nothing if it is none after all, as a file may be mounted too. Asks the disk, which may take
    /// as long as it likes.
    pub fn measured(self) -> Option<Self> {
        let stat = self.at.is_dir().then(|| statvfs(&self.at).ok()).flatten()?;
        let unit = stat.fragment_size();
        let closed = is_closed(&self.at);
        Some(Self {
            size: stat.blocks().saturating_mul(unit),
            free: stat.blocks_available().saturating_mul(unit),
            closed,
            ..self
        })
    }
}

/// All mounted disks but those of the system itself, as the kernel lists them: none of them is asked for anything.
pub fn listed() -> Vec<Disk> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut disks: Vec<Disk> = Vec::new();
    for line in table.lines() {
        let Some((at, kind, read_only)) = entry(line) else { continue };
        // The same place may be mounted over.
        if disks.len() < DISKS && !disks.iter().any(|disk| disk.at == at) {
            disks.push(Disk { at, kind, read_only, ..Disk::default() });
        }
    }
    disks
}

/// Whether this user may not make anything in a folder (access(2)).
fn is_closed(folder: &Path) -> bool {
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_err()
}

/// Place, file system and whether it is read-only, if that is a disk of people.
fn entry(line: &str) -> Option<(PathBuf, String, bool)> {
    let (first, second) = line.split_once(" - ")?;
    let mut fields = first.split(' ').skip(4);
    let (at, options) = (unescape(fields.next()?), fields.next()?);
    let kind = second.split(' ').next()?;
    let system = SYSTEM.iter().any(|place| at.starts_with(place)) && !at.starts_with(USERS);
    let wanted = KINDS.contains(&kind) && !system && at.as_os_str() != "/";
    wanted.then(|| (at, kind.to_owned(), options.split(',').any(|option| option == "ro")))
}

/// Blanks and backslashes stand as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let plain = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    PathBuf::from(plain.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn a_folder_that_cannot_be_written_is_closed() {
        let scratch = Scratch::new("disks");
        assert!(!is_closed(scratch.path()));
        assert!(is_closed(Path::new("/nowhere")));
        // Root may write anywhere.
        let root = crate::sys::process::uid() == 0;
        assert_eq!(is_closed(Path::new("/proc/self/fdinfo")), !root);
    }

    #[test]
    fn disks_of_people_are_told_from_the_rest() {
        let usb = "41 29 8:1 / /media/my\\040stick rw,noatime shared:1 - exfat /dev/sda1 rw";
        assert_eq!(entry(usb), Some(("/media/my stick".into(), "exfat".into(), false)));
        let stick = "41 29 8:1 / /run/media/me/stick rw - vfat /dev/sda1 rw";
        assert_eq!(entry(stick).map(|(at, ..)| at), Some("/run/media/me/stick".into()));
        let card = "41 29 8:1 / /data ro,noatime - ext4 /dev/mmcblk0p2 ro";
        assert_eq!(entry(card), Some(("/data".into(), "ext4".into(), true)));
        for other in [
            "22 29 0:21 / /proc rw - proc proc rw",
            "29 1 8:2 / / rw - ext4 /dev/root rw",
            "30 29 8:3 / /boot/firmware rw - vfat /dev/sda rw",
            "nonsense",
        ] {
            assert_eq!(entry(other), None, "{other}");
        }
        assert!(listed().into_iter().filter_map(Disk::measured).all(|disk| disk.size >= disk.free));
    }
}

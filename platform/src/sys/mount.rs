//! What kind of file system a path lies on, and what room it has.

use std::io;
use std::path::Path;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::statvfs;

/// ramfs, which nix does not name (linux/magic.h).
const RAMFS_MAGIC: i64 = 0x8584_58f6;

/// Whether what is written there stays in memory: tmpfs or ramfs.
pub fn is_memory(path: &Path) -> io::Result<bool> {
    let kind = statfs(path)?.filesystem_type();
    // The type of the field differs between C libraries.
    #[allow(clippy::useless_conversion, reason = "it is none on some targets")]
    let number = i64::try_from(kind.0).unwrap_or(0);
    Ok(kind == TMPFS_MAGIC || number == RAMFS_MAGIC)
}

/// Bytes that this user may still write there.
pub fn free(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Whether something is mounted at this very folder.
pub fn is_mount_point(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // A bind mount of the same file system has the device of its parent; the mount table knows better.
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let listed =
        path.to_str().is_some_and(|path| table.lines().any(|line| line.split(' ').nth(4) == Some(path)));
    let device = |path: &Path| std::fs::metadata(path).map(|about| about.dev()).ok();
    let other = path.parent().is_some_and(|parent| device(path).is_some() && device(path) != device(parent));
    listed || other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_memory_and_proc_is_not() {
        assert!(is_memory(Path::new("/dev/shm")).unwrap());
        assert!(!is_memory(Path::new("/proc")).unwrap());
        assert!(is_memory(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn proc_is_mounted_and_its_folders_are_not() {
        assert!(is_mount_point(Path::new("/proc")));
        assert!(!is_mount_point(Path::new("/proc/self")) && !is_mount_point(Path::new("/nowhere")));
    }

    #[test]
    fn there_is_room_somewhere() {
        assert!(free(&std::env::temp_dir()).unwrap() > 0);
    }
}

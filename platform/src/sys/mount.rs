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
    fn there_is_room_somewhere() {
        assert!(free(&std::env::temp_dir()).unwrap() > 0);
    }
}

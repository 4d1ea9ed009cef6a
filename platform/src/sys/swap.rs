//! Whether memory of this process can end up on a disk, and keeping it from that.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Bit of `CAP_IPC_LOCK` (linux/capability.h).
const IPC_LOCK: u32 = 14;

/// How this process's memory is kept from disks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keeping {
    /// The machine swaps to nothing, or to its own memory only.
    NoSwap,
    /// The process's control group may not swap.
    Group,
    /// Locked.
    Locked,
}

/// Finds or makes a reason why nothing of this process, its files on tmpfs aside, can be swapped out. `None` if there
/// is none: the system swaps, and locking is not allowed. A limit below infinity does not do: keys wander through the heap, and
/// whatever is mapped after the limit was reached would fail.
pub fn keep_from_disk() -> io::Result<Option<Keeping>> {
    // What cannot be read is not known to be empty.
    if fs::read_to_string("/proc/swaps").is_ok_and(|swaps| !swaps_to_disk(&swaps)) {
        return Ok(Some(Keeping::NoSwap));
    }
    if group_may_not_swap() {
        return Ok(Some(Keeping::Group));
    }
    let (mut limit, most) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    if limit != RLIM_INFINITY && most == RLIM_INFINITY {
        setrlimit(Resource::RLIMIT_MEMLOCK, most, most)?;
        limit = most;
    }
    if limit != RLIM_INFINITY && !may_lock() {
        return Ok(None);
    }
    // ONFAULT: what is never touched is not read in. Maps of shared files unlock themselves, see `map`.
    // SAFETY: it takes flags and touches no memory.
    Errno::result(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) })?;
    Ok(Some(Keeping::Locked))
}

/// Whether a `/proc/swaps` (proc(5)) names anything but compressed memory.
fn swaps_to_disk(swaps: &str) -> bool {
    swaps
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .any(|device| !device.starts_with("/dev/zram"))
}

/// `memory.swap.max` of this process's group, or one above it (cgroups(7), version 2).
fn group_may_not_swap() -> bool {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(group) = groups.lines().find_map(|line| line.strip_prefix("0::/")) else { return false };
    let mut path = std::path::PathBuf::from("/sys/fs/cgroup").join(group);
    while path.starts_with("/sys/fs/cgroup") {
        if fs::read_to_string(path.join("memory.swap.max")).is_ok_and(|max| max.trim() == "0") {
            return true;
        }
        path.pop();
    }
    false
}

/// Whether `CAP_IPC_LOCK` is in force.
fn may_lock() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> IPC_LOCK & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_memory_is_no_disk() {
        let head = "Filename\tType\tSize\tUsed\tPriority\n";
        assert!(!swaps_to_disk("") && !swaps_to_disk(head));
        assert!(!swaps_to_disk(&format!("{head}/dev/zram0 partition 1 0 100\n")));
        assert!(swaps_to_disk(&format!("{head}/dev/zram0 partition 1 0 100\n/swapfile file 1 0 -2\n")));
    }
}

//! The kernel's own file systems, and room in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::aside;
use super::console::say;
use crate::status::board::FOLDER;
use crate::sys::board::system::{self, Access, mount, unmount};

/// What is mounted first: source, target, kind, access, options. `/run` is where the node's state lies; `/tmp` is for nobody. What we
/// tell the node has room of its own, so that a node that filled all of its memory can be started again.
const KERNEL: [(&str, &str, &str, Access, &str); 5] = [
    ("proc", "/proc", "proc", Access::Kernel, "hidepid=invisible"),
    ("sysfs", "/sys", "sysfs", Access::Kernel, ""),
    ("devtmpfs", "/dev", "devtmpfs", Access::Kernel, ""),
    ("tmpfs", "/run", "tmpfs", Access::Write, "mode=755,size=50%"),
    ("tmpfs", FOLDER, "tmpfs", Access::Write, "mode=755,size=1m"),
];

/// How long a disk may take to write out what it was given and let go, and how long once it is only told to go. Both, and
/// [`FLUSH`], fit into what the watchdog grants for the end.
const LET_GO: Duration = Duration::from_secs(60);
const GO: Duration = Duration::from_secs(5);

/// How long everything that is left may take to be written.
const FLUSH: Duration = Duration::from_secs(20);

/// Mounts them. What fails is told on the console; the node will say what it lacks.
pub(super) fn kernel() {
    for (source, target, kind, access, options) in KERNEL {
        let target = Path::new(target);
        let _ = fs::create_dir(target); // the image has all but ours
        if let Err(error) = mount(source, target, kind, access, options) {
            say(&format!("cannot mount {}: {error}", target.display()));
        }
    }
    // The node may look at its disks and nothing else here.
    let _ = fs::set_permissions("/dev", fs::Permissions::from_mode(0o755));
}

/// Takes off every disk, so that it is left whole, and writes out what is left. Nobody uses them any more; a disk that hangs has its
/// time and no more.
pub(super) fn release() {
    let mounted = disks(&fs::read_to_string("/proc/mounts").unwrap_or_default());
    let left = release_all(mounted, LET_GO, |disk| unmount(disk, false).is_ok());
    for disk in &left {
        say(&format!("{} is not taken off; it may have to be checked", disk.display()));
    }
    // They go with their last user, or with the machine.
    release_all(left, GO, |disk| unmount(disk, true).is_ok());
    if aside::within(FLUSH, system::flush).is_none() {
        say("a disk does not take what it was given; what came last may be lost");
    }
}

/// Where disks are mounted, the newest first.
fn disks(mounts: &str) -> Vec<PathBuf> {
    let disks = mounts.lines().rev().filter_map(|line| {
        let mut words = line.split(' ');
        let (source, target) = (words.next()?, words.next()?);
        source.starts_with("/dev/").then(|| target.into())
    });
    disks.collect()
}

/// Takes each off on a thread of its own, within `limit` for all of them; those that did not go.
fn release_all(mut disks: Vec<PathBuf>, limit: Duration, take_off: fn(&Path) -> bool) -> Vec<PathBuf> {
    let until = Instant::now() + limit;
    let (tell, told) = mpsc::channel();
    for disk in disks.clone() {
        let tell = tell.clone();
        let work = move || {
            let gone = take_off(&disk);
            let _ = tell.send((disk, gone)); // nobody waits any more: it came too late
        };
        // Without a thread, it is among those that did not go.
        let _ = thread::Builder::new().name("disk".to_owned()).spawn(work);
    }
    drop(tell);
    while let Ok((disk, gone)) = told.recv_timeout(until.saturating_duration_since(Instant::now())) {
        disks.retain(|other| !gone || *other != disk);
    }
    disks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disks_are_taken_off() {
        let mounts = "proc /proc proc rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/sda1 /disks/sda1 ext4 rw 0 0\n\
                      /dev/sdb1 /disks/sdb1 vfat rw 0 0\nbroken\n";
        assert_eq!(disks(mounts), [PathBuf::from("/disks/sdb1"), "/disks/sda1".into()]);
    }

    #[test]
    fn a_disk_that_hangs_keeps_no_other_from_going() {
        let take_off = |disk: &Path| {
            if disk.ends_with("dying") {
                thread::park(); // nobody wakes it
            }
            !disk.ends_with("busy")
        };
        let disks = ["/dying", "/busy", "/fine"].map(PathBuf::from).to_vec();
        let [dying, busy] = ["/dying", "/busy"].map(PathBuf::from);
        assert_eq!(release_all(disks, Duration::from_millis(500), take_off), [dying, busy.clone()]);
        let rest = [busy.clone(), "/fine".into()].to_vec();
        assert_eq!(release_all(rest, Duration::from_secs(600), take_off), [busy], "no waiting for nothing");
    }
}

//! The kernel's own file systems, and room in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::console::say;
use crate::sys::board::system::{Access, mount, unmount};

/// What is mounted first: source, target, kind, access, options. `/run` is where the node's state lies; `/tmp` is for nobody.
const KERNEL: [(&str, &str, &str, Access, &str); 4] = [
    ("proc", "/proc", "proc", Access::Kernel, "hidepid=invisible"),
    ("sysfs", "/sys", "sysfs", Access::Kernel, ""),
    ("devtmpfs", "/dev", "devtmpfs", Access::Kernel, ""),
    ("tmpfs", "/run", "tmpfs", Access::Write, "mode=755,size=50%"),
];

/// Mounts them. What fails is told on the console; the node will say what it lacks.
pub(super) fn kernel() {
    for (source, target, kind, access, options) in KERNEL {
        if let Err(error) = mount(source, Path::new(target), kind, access, options) {
            say(&format!("cannot mount {target}: {error}"));
        }
    }
    // The node may look at its disks and nothing else here.
    let _ = fs::set_permissions("/dev", fs::Permissions::from_mode(0o755));
}

/// Takes off every disk, so that it is left whole.
pub(super) fn release() {
    let mounted = fs::read_to_string("/proc/mounts").unwrap_or_default();
    for line in mounted.lines().rev() {
        let mut words = line.split(' ');
        let (source, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if source.starts_with("/dev/")
            && let Err(error) = unmount(Path::new(target), true)
        {
            say(&format!("a disk could not be taken off: {error}"));
        }
    }
}

//! What the owner sees on a screen or a serial line: the only voice of a board whose node does not run.

use std::fs::{self, OpenOptions};
use std::io::Write;

/// Bytes of a line at most: the kernel's own limit is somewhat below 1 KiB.
const LINE: usize = 900;

/// Shows warnings of the kernel and our lines on every console, and takes the kernel's limit off how many lines may come.
pub(super) fn prepare() {
    // Fails where /proc is not mounted; then the console stays as the kernel left it.
    let _ = fs::write("/proc/sys/kernel/printk", "5");
    let _ = fs::write("/proc/sys/kernel/printk_devkmsg", "on");
    std::panic::set_hook(Box::new(|info| say(&format!("the first process failed: {info}"))));
}

/// One line on every console, through the kernel's log; on the first console alone where that is not there.
pub(super) fn say(text: &str) {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let end = line.char_indices().map(|(at, _)| at).find(|at| *at >= LINE).unwrap_or(line.len());
    let line = format!("<4>bulbil: {}\n", line.get(..end).unwrap_or_default());
    let kernel =
        OpenOptions::new().write(true).open("/dev/kmsg").and_then(|mut log| log.write_all(line.as_bytes()));
    if kernel.is_err() {
        eprint!("{}", line.get(3..).unwrap_or_default());
    }
}

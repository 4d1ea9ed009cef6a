//! What this process may do and how much memory it takes.

use std::io;

use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::{Mode, umask};

/// The user this process acts as.
pub fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The name of this machine (uname(2)), also where `/proc` shows processes alone. Empty if it is no text.
pub fn host_name() -> String {
    // SAFETY: all-zero bytes are a value of this type.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills in the structure, each text in it with its end.
    if unsafe { libc::uname(&raw mut names) } != 0 {
        return String::new();
    }
    let bytes: Vec<u8> =
        names.nodename.iter().map(|byte| byte.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    String::from_utf8(bytes).unwrap_or_default()
}

/// No core dumps, no tracing by other processes of the same user, and a file-size limit that is an error, not death.
///
/// Memory is not locked as a whole: that would pin every page of every mapped file too.
pub fn harden() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)?;
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
    Ok(())
}

/// Open files that proxies with thousands of connections need.
const FILES: u64 = 8192;

/// As many open files as this program may need: the usual limit of 1 024 is meant for programs that use `select`.
pub fn raise_files() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < FILES.min(hard) {
        setrlimit(Resource::RLIMIT_NOFILE, FILES.min(hard), hard)?;
    }
    Ok(())
}

/// No file of this process may be written past `bytes`: what a full disk looks like to a test.
#[cfg(test)]
pub(crate) fn limit_files(bytes: u64) -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_FSIZE, bytes, bytes)?)
}

/// Runs `make` while whatever this process creates can be opened by its owner only. The mask is the process's, so
/// call it before other threads make files.
pub fn for_owner_only<T>(make: impl FnOnce() -> T) -> T {
    let before = umask(Mode::from_bits_truncate(0o177));
    let made = make();
    umask(before);
    made
}

/// Resident memory of this process in bytes: now, and the highest so far (proc(5), `VmRSS` and `VmHWM`).
/// Zeros where `/proc` is not mounted.
pub fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    };
    let bytes = |key| kib(key).unwrap_or(0).saturating_mul(1024);
    (bytes("VmRSS:"), bytes("VmHWM:"))
}

/// CPU time of this thread since it began: what other programs do to the machine shows in it less than in any other clock.
#[cfg(test)]
pub(crate) fn thread_cpu() -> std::time::Duration {
    use nix::libc;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, and that is what the pointer is to.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0, "every Linux has this clock");
    std::time::Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_more_than_nothing_and_the_peak_no_less() {
        let (now, peak) = memory();
        assert!(now > 1024 * 1024 && peak >= now / 2, "{now} {peak}");
    }

    #[test]
    fn core_dumps_are_off_after_hardening() {
        harden().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
        assert!(!prctl::get_dumpable().unwrap());
    }
}

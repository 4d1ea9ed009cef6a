//! Mounts, drivers, clock, name and power of the machine. All of it needs root.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::libc;

/// How far a mounted file system may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// No writing, no programs, no devices.
    Read,
    /// No programs, no devices.
    Write,
    /// As the kernel's own file systems are used.
    Kernel,
}

/// Mounts `source` of this kind at `target`. `options` are the file system's own.
pub fn mount(source: &str, target: &Path, kind: &str, access: Access, options: &str) -> io::Result<()> {
    let safe = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let flags = match access {
        Access::Read => safe | libc::MS_RDONLY,
        Access::Write => safe | libc::MS_NOATIME,
        Access::Kernel => libc::MS_NOSUID | libc::MS_NOEXEC,
    };
    let (source, kind, options) = (CString::new(source)?, CString::new(kind)?, CString::new(options)?);
    let target = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: four strings that end with zero and outlive the call.
    let done = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
    };
    Ok(Errno::result(done).map(drop)?)
}

/// Takes a file system off. With `lazy`, as soon as nobody uses it any more.
pub fn unmount(target: &Path, lazy: bool) -> io::Result<()> {
    let target = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: a string that ends with zero and outlives the call.
    let done = unsafe { libc::umount2(target.as_ptr(), if lazy { libc::MNT_DETACH } else { 0 }) };
    Ok(Errno::result(done).map(drop)?)
}

/// Loads one kernel module. One that is loaded already is fine.
pub fn load_module(file: &File) -> io::Result<()> {
    // SAFETY: an open file, an empty string that ends with zero, and no flags.
    let done = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
    match Errno::result(done) {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Names the machine.
pub fn set_name(name: &str) -> io::Result<()> {
    // SAFETY: `name` is readable for the length given.
    let done = unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) };
    Ok(Errno::result(done).map(drop)?)
}

/// Sets the clock.
pub fn set_clock(to: SystemTime) -> io::Result<()> {
    let since = to.duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    let time = libc::timespec {
        tv_sec: since.as_secs().try_into().map_err(io::Error::other)?,
        tv_nsec: since.subsec_nanos().into(),
    };
    // SAFETY: a whole timespec that outlives the call.
    let done = unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const time) };
    Ok(Errno::result(done).map(drop)?)
}

/// What becomes of the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Power {
    /// Switched off.
    Off,
    /// Started anew.
    Reboot,
}

/// Writes out what is to be written, on all disks; takes as long as they do.
pub fn flush() {
    nix::unistd::sync();
}

/// Ends the machine at once; what was not written out before ([`flush`]) is lost. Returns only if that failed.
pub fn end(power: Power) -> io::Error {
    let how = match power {
        Power::Off => libc::RB_POWER_OFF,
        Power::Reboot => libc::RB_AUTOBOOT,
    };
    // SAFETY: takes a number only.
    let done = unsafe { libc::reboot(how) };
    Errno::result(done).map_or_else(io::Error::from, |_| io::Error::other("the machine goes on"))
}

/// Makes Ctrl-Alt-Del a signal to the first process instead of a reboot at once.
pub fn catch_keys() -> io::Result<()> {
    // SAFETY: takes a number only.
    let done = unsafe { libc::reboot(libc::RB_DISABLE_CAD) };
    Ok(Errno::result(done).map(drop)?)
}

/// Tells a watchdog (linux/watchdog.h) how long it should wait; it may choose another time, which is returned.
pub fn watchdog_patience(watchdog: &File, patience: Duration) -> io::Result<Duration> {
    let mut seconds = libc::c_int::try_from(patience.as_secs()).map_err(io::Error::other)?;
    // SAFETY: WDIOC_SETTIMEOUT reads and writes one int.
    let done = unsafe { libc::ioctl(watchdog.as_raw_fd(), WDIOC_SETTIMEOUT, &raw mut seconds) };
    Errno::result(done)?;
    Ok(Duration::from_secs(seconds.try_into().map_err(io::Error::other)?))
}

/// `_IOWR('W', 6, int)`; C libraries differ in the type.
#[cfg(target_env = "musl")]
const WDIOC_SETTIMEOUT: libc::c_int = 0xc004_5706_u32.cast_signed();
#[cfg(not(target_env = "musl"))]
const WDIOC_SETTIMEOUT: libc::c_ulong = 0xc004_5706;

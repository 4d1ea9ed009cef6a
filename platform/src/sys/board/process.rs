//! Children of the first process: started with little, collected when they end.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid, chown};

/// What a child may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// User and group it runs as; it has no others and gains none.
    pub id: u32,
    /// Files it may have open.
    pub files: u64,
    /// Processes and threads of this user.
    pub processes: u64,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ended {
    /// Its process number.
    pub pid: u32,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
}

/// Starts a program as another user. It is collected by [`reap`], and dies with us.
pub fn start(program: &OsStr, name: &str, arguments: &[&OsStr], limits: Limits) -> io::Result<u32> {
    let mut command = Command::new(program);
    command.arg0(name).args(arguments).env_clear().current_dir("/").stdin(Stdio::null());
    command.uid(limits.id).gid(limits.id).process_group(0);
    // What the kernel chose for a small machine may be less, and the child may not raise it.
    let within = |resource, wanted: u64| getrlimit(resource).map(|(_, most)| wanted.min(most));
    let files = within(Resource::RLIMIT_NOFILE, limits.files)?;
    let processes = within(Resource::RLIMIT_NPROC, limits.processes)?;
    let confine = move || {
        setrlimit(Resource::RLIMIT_NOFILE, files, files)?;
        setrlimit(Resource::RLIMIT_NPROC, processes, processes)?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        nix::sys::prctl::set_no_new_privs()?;
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made; nothing is allocated and no lock is taken.
    unsafe { command.pre_exec(confine) };
    let child = command.spawn()?;
    // Not waited for here: whoever is the first process collects all.
    Ok(child.id())
}

/// All children that ended since the last call, adopted ones too.
pub fn reap() -> Vec<Ended> {
    let mut ended = Vec::new();
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        let (pid, code) = match status {
            WaitStatus::Exited(pid, code) => (pid, Some(code)),
            WaitStatus::Signaled(pid, ..) => (pid, None),
            WaitStatus::StillAlive => break,
            _ => continue,
        };
        ended.push(Ended { pid: pid.as_raw().cast_unsigned(), code });
    }
    ended
}

/// Collects children until there are none, for as long as `limit`: whether all are gone. Of the first process every other one is a child
/// or has a parent that is. Waits, so for the end only.
pub fn outlive_all(limit: Duration) -> bool {
    let until = Instant::now() + limit;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return true,
            Ok(WaitStatus::StillAlive) if Instant::now() >= until => return false,
            Ok(WaitStatus::StillAlive) => std::thread::sleep(LOOK),
            _ => {}
        }
    }
}

/// Pause between two looks for a child that ended.
const LOOK: Duration = Duration::from_millis(20);

/// Asks a child to stop (SIGTERM), or makes it (SIGKILL).
pub fn stop(pid: u32, by_force: bool) -> io::Result<()> {
    let signal = if by_force { Signal::SIGKILL } else { Signal::SIGTERM };
    Ok(kill(Pid::from_raw(pid.cast_signed()), signal)?)
}

/// Ends every other process. Only for the first process: anyone else would end their own session.
pub fn stop_all() -> io::Result<()> {
    match kill(Pid::from_raw(-1), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Gives a file or folder to this group, and to this user if one is named. Follows links: only for folders that nobody else writes to.
pub fn give(path: &std::path::Path, user: Option<u32>, group: u32) -> io::Result<()> {
    Ok(chown(path, user.map(Uid::from_raw), Some(Gid::from_raw(group)))?)
}

/// Memory of the machine in bytes: all of it, and what programs could still have (proc(5), `MemTotal`, `MemAvailable`). Where
/// `/proc` shows processes alone, the latter is what is free (sysinfo(2)).
pub fn machine_memory() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    match (bytes("MemTotal:"), bytes("MemAvailable:")) {
        (Some(total), Some(available)) => (total, available),
        _ => memory_without_proc(),
    }
}

/// All memory and what is free of it, as the kernel says it without `/proc`.
fn memory_without_proc() -> (u64, u64) {
    // SAFETY: all-zero bytes are a value of this type.
    let mut told: libc::sysinfo = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills in the structure and keeps nothing of it.
    if unsafe { libc::sysinfo(&raw mut told) } != 0 {
        return (0, 0);
    }
    // The fields are as wide as a word of the machine.
    #[allow(clippy::useless_conversion, reason = "it is none on some targets")]
    let bytes = |units| u64::from(told.mem_unit).saturating_mul(u64::try_from(units).unwrap_or(0));
    (bytes(told.totalram), bytes(told.freeram))
}

/// Whether this process is the first one of the machine, started by the kernel as `/init`. In a container we may be the first one
/// too, but by our own name.
pub fn is_init() -> bool {
    let name = std::env::args_os().next();
    std::process::id() == 1 && name.is_some_and(|name| name == "/init" || name == "init")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_known_without_proc() {
        let ((total, available), (whole, free)) = (machine_memory(), memory_without_proc());
        assert_eq!(total, whole);
        assert!(free > 0 && free <= whole && available <= total);
    }
}

//! A program started by us: its output goes to a log file, and it ends with this value.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::usage::Usage;
use crate::{wait, warden};

/// One running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    reaped: bool,
    started: Instant,
}

impl Process {
    /// Starts `command` in a process group of its own, with both outputs appended to the file `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        Self::launch(name, command.stdout(file.try_clone()?).stderr(file), log)
    }

    /// The same, except that standard error goes where ours goes: for progress that people should see.
    pub fn start_shown(name: &str, command: &mut Command, log: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        Self::launch(name, command.stdout(file).stderr(Stdio::inherit()), log)
    }

    /// The same, with each output in a file of its own. The log is that of standard error.
    pub fn start_apart(name: &str, command: &mut Command, out: &Path, err: &Path) -> io::Result<Self> {
        Self::launch(name, command.stdout(File::create(out)?).stderr(File::create(err)?), err)
    }

    fn launch(name: &str, command: &mut Command, log: &Path) -> io::Result<Self> {
        command.stdin(Stdio::null()).process_group(0);
        let started = Instant::now();
        let child = command.spawn().map_err(|e| {
            io::Error::new(e.kind(), format!("cannot start {}: {e}", command.get_program().display()))
        })?;
        let this = Self { name: name.to_owned(), child, log: log.to_owned(), reaped: false, started };
        warden::guard_process(this.pid())?;
        Ok(this)
    }

    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far; invalid UTF-8 is replaced.
    pub fn output(&self) -> io::Result<String> {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() && !self.reaped {
            self.reaped = true;
            warden::release_process(self.pid())?;
        }
        Ok(status)
    }

    /// CPU and memory so far. An error once it has been reaped.
    pub fn usage(&self) -> io::Result<Usage> {
        Usage::of(self.pid())
    }

    /// Waits until it ends by itself, and says how, what it cost, and how long it ran. An error, and still running,
    /// `limit` from now.
    pub fn finish(&mut self, limit: Duration) -> io::Result<(ExitStatus, Usage, Duration)> {
        let what = format!("{} to end", self.name);
        // Its times can be read between its end and our taking notice of it.
        let usage = wait::found(limit, &what, || self.usage().map(|usage| usage.ended.then_some(usage)))?;
        let elapsed = self.started.elapsed();
        let status = wait::found(limit, &what, || self.ended())?;
        Ok((status, usage, elapsed))
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        if self.ended()?.is_none() {
            self.child.kill()?;
            self.child.wait()?;
            self.ended()?;
        }
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits for that. An error, and still running, after `limit`.
    pub fn stop(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGTERM)?;
        let what = format!("{} to stop after SIGTERM", self.name);
        wait::found(limit, &what, || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill(); // the warden makes a second attempt
    }
}

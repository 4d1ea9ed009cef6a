//! QEMU's monitor (QMP): one JSON document in each line.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::process::Process;
use crate::wait;

/// From the start of QEMU to its monitor, and for each answer.
const LIMIT: Duration = Duration::from_secs(30);

/// A conversation with one QEMU.
#[derive(Debug)]
pub(super) struct Monitor(BufReader<UnixStream>);

impl Monitor {
    /// Waits for the socket and says hello.
    pub(super) fn open(socket: &Path, process: &Process) -> io::Result<Self> {
        let stream = wait::found(LIMIT, "QEMU's monitor", || Ok(UnixStream::connect(socket).ok())).map_err(
            |error| io::Error::other(format!("{error}: {}", process.output().unwrap_or_default())),
        )?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut monitor = Self(BufReader::new(stream));
        monitor.line()?; // its greeting
        monitor.say("{\"execute\":\"qmp_capabilities\"}")?;
        Ok(monitor)
    }

    /// Sends one command and reads until its answer; what happened in between is passed over.
    pub(super) fn say(&mut self, command: &str) -> io::Result<()> {
        let stream = self.0.get_mut();
        stream.write_all(command.as_bytes())?;
        stream.write_all(b"\n")?;
        loop {
            let line = self.line()?;
            if line.starts_with("{\"return\"") {
                return Ok(());
            }
            if line.starts_with("{\"error\"") {
                return Err(io::Error::other(format!("QEMU refuses {command}: {line}")));
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }
}

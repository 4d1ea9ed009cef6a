//! Tests in namespaces of their own (namespaces(7)): what they mount, or do to network cards, nobody else sees, and it
//! is gone with them.

use std::env;
use std::io;
use std::process::Command;

use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;
use std::path::PathBuf;
use std::time::Duration;

/// Set in the process that runs inside.
const INSIDE: &str = "BULBIL_TESTS_INSIDE";

/// Runs the test called `test` once more, inside new namespaces of these kinds (options of unshare(1)), and returns
/// false when it passed there; returns true inside. Needs root.
pub fn inside(kinds: &[&str], test: &str) -> io::Result<bool> {
    if env::var_os(INSIDE).is_some() {
        return Ok(true);
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(io::Error::other(
            "this story makes namespaces: run it as root, or in a container as its root",
        ));
    }
    let mut command = Command::new("unshare");
    command.args(kinds).arg("--").arg(env::current_exe()?).args(["--exact", test, "--nocapture"]);
    // Ends with us, whatever happens to us.
    let status = command.env(INSIDE, "1").env("BULBIL_BIN", crate::program::bulbil()?).status()?;
    if status.success() {
        Ok(false)
    } else {
        Err(io::Error::other(format!("inside its namespace: {status}")))
    }
}

/// A network namespace apart from ours, joined to it by one cable.
#[derive(Debug)]
pub struct Yard {
    keeper: Process,
    _folder: Scratch,
}

impl Yard {
    /// Makes it. Our end of the cable gets the address `ours`, the other `theirs`, both with their prefix length
    /// (`10.0.0.1/24`); everything that leaves the yard goes to us. Call within a network namespace of our own.
    pub fn make(ours: &str, theirs: &str) -> io::Result<Self> {
        let folder = Scratch::new("yard")?;
        let mut command = Command::new("unshare");
        command.args(["--net", "sleep", "3600"]);
        let keeper = Process::start("yard", &mut command, &folder.join("log"))?;
        let yard = Self { keeper, _folder: folder };
        let own = std::fs::read_link("/proc/self/ns/net")?;
        wait::found(Duration::from_secs(10), "a new network namespace", || {
            let its = std::fs::read_link(yard.file()).ok();
            Ok(its.filter(|its| *its != own).map(drop))
        })?;
        let gateway = ours.split('/').next().unwrap_or_default();
        run(&["ip", "link", "set", "lo", "up"])?;
        run(&["ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1"])?;
        run(&["ip", "link", "set", "cable1", "netns", &yard.keeper.pid().to_string()])?;
        run(&["ip", "address", "add", ours, "dev", "cable0"])?;
        run(&["ip", "link", "set", "cable0", "up"])?;
        yard.run(&["ip", "link", "set", "lo", "up"])?;
        yard.run(&["ip", "address", "add", theirs, "dev", "cable1"])?;
        // Else the kernel looks for IPv6 routers of its own accord.
        yard.run(&["ip", "link", "set", "cable1", "addrgenmode", "none"])?;
        yard.run(&["ip", "link", "set", "cable1", "up"])?;
        yard.run(&["ip", "route", "add", "default", "via", gateway])?;
        Ok(yard)
    }

    /// What runs a program inside, when put in front of it.
    #[must_use]
    pub fn launcher(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={}", self.file().display()), "--".to_owned()]
    }

    /// Runs a program inside and returns what it printed.
    pub fn run(&self, words: &[&str]) -> io::Result<String> {
        let launcher = self.launcher();
        let all: Vec<&str> = launcher.iter().map(String::as_str).chain(words.iter().copied()).collect();
        run(&all)
    }

    fn file(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.keeper.pid()))
    }
}

/// Runs a program and returns what it printed.
pub fn run(words: &[&str]) -> io::Result<String> {
    let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("no program named"))?;
    let output = Command::new(program).args(arguments).output()?;
    let line = words.join(" ");
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{line} failed ({}): {}", output.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

//! Programs that tests need from the system: installed where we may, named in one command where we may not.

use std::env;
use std::io;
use std::process::{Command, Stdio};

/// A program and the Debian package that brings it.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Looked for in `PATH` and in `/usr/sbin`, where Debian puts servers. With spaces in it, it is a command that must
    /// succeed when it is asked for its `--version`; a path is a file that must be there.
    pub program: &'static str,
    /// Its package in Debian 12.
    pub package: &'static str,
}

/// What the private network and the yardstick need.
pub const NETWORK: [Need; 4] = [
    Need { program: "tor", package: "tor" },
    Need { program: "tor-gencert", package: "tor" },
    Need { program: "nginx", package: "nginx-light" },
    Need { program: "curl", package: "curl" },
];

/// What the stories about clocks need.
pub const CLOCK: [Need; 1] = [Need { program: "faketime", package: "faketime" }];

/// What only `cargo verify` needs.
pub const VERIFY: [Need; 8] = [
    CLOCK[0],
    Need { program: "musl-gcc", package: "musl-tools" },
    Need { program: "qemu-aarch64-static", package: "qemu-user-static" },
    Need { program: "qemu-system-arm", package: "qemu-system-arm" },
    Need { program: "ip", package: "iproute2" },
    Need { program: "nft", package: "nftables" },
    Need { program: "python3", package: "python3" },
    Need { program: "python3 -m ensurepip", package: "python3-venv" },
];

/// Makes sure that all of `needs` are there. Installs with apt-get when we are root on a Debian; otherwise the error
/// is the one command to run. Returns the packages installed.
pub fn ensure(needs: &[Need]) -> io::Result<Vec<&'static str>> {
    let mut missing: Vec<&str> =
        needs.iter().filter(|need| !is_installed(need.program)).map(|need| need.package).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(missing);
    }
    let by_hand = format!("sudo apt-get install --no-install-recommends {}", missing.join(" "));
    if !nix::unistd::geteuid().is_root() || !is_installed("apt-get") {
        return Err(io::Error::other(format!("some programs are missing; please run: {by_hand}")));
    }
    println!("installing {}", missing.join(", "));
    apt_get(&["update"], &[])?;
    apt_get(&["install", "-y", "--no-install-recommends"], &missing)?;
    match needs.iter().find(|need| !is_installed(need.program)) {
        Some(need) => Err(io::Error::other(format!("{} is still missing after: {by_hand}", need.program))),
        None => Ok(missing),
    }
}

/// Whether `program` can be run.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    if let Some((name, arguments)) = program.split_once(' ') {
        let mut command = Command::new(name);
        command.args(arguments.split(' ')).arg("--version").stdin(Stdio::null());
        return command.output().is_ok_and(|output| output.status.success());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(["/usr/sbin".into()]).any(|folder| folder.join(program).is_file())
}

fn apt_get(arguments: &[&str], packages: &[&str]) -> io::Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "Dpkg::Use-Pty=0"]).args(arguments).args(packages).stdin(Stdio::null());
    // RUNLEVEL=1 keeps Debian from starting the servers it installs; we run our own.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    let status = command.status()?;
    if status.success() {
        return Ok(());
    }
    let what = arguments.first().copied().unwrap_or_default();
    Err(io::Error::other(format!("apt-get {what} failed ({status}): see above")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_where_the_shell_looks() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program-here"));
        assert!(is_installed("sh -c true") && !is_installed("sh -c false"));
        assert!(is_installed("/bin/sh") && !is_installed("/bin/no-such-program-here"));
    }
}

//! One more address for this machine: reachable from a guest of QEMU, as 127.0.0.1 is not, and from nowhere else.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

/// The one that all stories take.
pub const BESIDE: Ipv4Addr = Ipv4Addr::new(10, 213, 77, 1);

/// An address on loopback, taken away on drop unless it was there before.
#[derive(Debug)]
pub struct Alias {
    address: Ipv4Addr,
    ours: bool,
}

impl Alias {
    /// Adds `address`. Needs root, unless the machine has it already.
    pub fn add(address: Ipv4Addr) -> io::Result<Self> {
        if TcpListener::bind((address, 0)).is_ok() {
            return Ok(Self { address, ours: false });
        }
        ip("add", address).map_err(|error| {
            io::Error::other(format!("{error}; as root: ip address add {address}/32 dev lo"))
        })?;
        Ok(Self { address, ours: true })
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        if self.ours {
            let _ = ip("del", self.address); // gone with the next start of the machine
        }
    }
}

fn ip(verb: &str, address: Ipv4Addr) -> io::Result<()> {
    let output =
        Command::new("ip").args(["address", verb, &format!("{address}/32"), "dev", "lo"]).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("ip address {verb} {address} failed: {said}")))
}

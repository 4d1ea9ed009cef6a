//! Port numbers that nobody else uses, also when several tests start at once.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A block of ports that is ours while this value lives.
#[derive(Debug)]
pub struct Ports {
    address: Ipv4Addr,
    next: u16,
    end: u16,
    /// Bound to the block's first port: the kernel gives it to one process only, and takes it back when that dies.
    _lock: TcpListener,
}

impl Ports {
    /// Reserves a block of [`Ports::BLOCK`] minus one ports on `address`.
    pub fn reserve(address: Ipv4Addr) -> io::Result<Self> {
        let blocks = (RANGE.1 - RANGE.0) / Self::BLOCK;
        // Where to start looking does not matter; starting apart saves attempts.
        let first = u16::try_from(std::process::id() % u32::from(blocks)).unwrap_or(0);
        for count in 0..blocks {
            let base = RANGE.0 + (first + count) % blocks * Self::BLOCK;
            if let Ok(lock) = TcpListener::bind((address, base)) {
                return Ok(Self { address, next: base + 1, end: base + Self::BLOCK, _lock: lock });
            }
        }
        Err(io::Error::other(format!("no free ports on {address} between {} and {}", RANGE.0, RANGE.1)))
    }

    /// A port that is free now for TCP and UDP; never the same twice.
    pub fn take(&mut self) -> io::Result<u16> {
        while self.next < self.end {
            let port = self.next;
            self.next += 1;
            let tcp = TcpListener::bind((self.address, port));
            if tcp.is_ok() && UdpSocket::bind((self.address, port)).is_ok() {
                return Ok(port);
            }
        }
        Err(io::Error::other("this block of ports is used up: reserve another one"))
    }

    /// Ports in a block.
    pub const BLOCK: u16 = 64;
}

/// Below the kernel's range for outgoing connections (32768 and up), above what services commonly use.
const RANGE: (u16, u16) = (23_000, 32_000);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn two_blocks_share_no_port() {
        let mut blocks =
            [Ports::reserve(Ipv4Addr::LOCALHOST).unwrap(), Ports::reserve(Ipv4Addr::LOCALHOST).unwrap()];
        let mut seen = HashSet::new();
        for block in &mut blocks {
            while let Ok(port) = block.take() {
                assert!(seen.insert(port));
            }
        }
        assert!(seen.len() > usize::from(Ports::BLOCK));
    }
}

//! What the authorities have agreed on so far.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How many relays of the consensus have which flag.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Consensus {
    pub(super) running: usize,
    pub(super) guards: usize,
    pub(super) onion_directories: usize,
    pub(super) exits: usize,
}

impl Consensus {
    /// Asks one authority. `None` while it has no consensus or does not answer.
    pub(super) fn fetch(address: Ipv4Addr, dir_port: u16) -> Option<Self> {
        get(SocketAddr::from((address, dir_port))).ok().and_then(|text| Self::parse(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        if !text.starts_with("HTTP/1.0 200") {
            return None;
        }
        let mut this = Self::default();
        for flags in text.lines().filter_map(|line| line.strip_prefix("s ")) {
            let has = |flag| usize::from(flags.split(' ').any(|word| word == flag));
            this.running += has("Running");
            this.guards += has("Guard");
            this.onion_directories += has("HSDir");
            this.exits += has("Exit");
        }
        Some(this)
    }
}

fn get(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"GET /tor/status-vote/current/consensus-microdesc HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// For one answer over loopback.
const LIMIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_flags_and_not_their_parts() {
        let text =
            "HTTP/1.0 200 OK\r\n\r\nr a\ns Exit Fast Guard HSDir Running V2Dir\nr b\ns BadExit Running\n";
        let counted = Consensus { running: 2, guards: 1, onion_directories: 1, exits: 1 };
        assert_eq!(Consensus::parse(text), Some(counted));
        assert_eq!(Consensus::parse("HTTP/1.0 404 Not found\r\n\r\n"), None);
    }
}

//! Somebody with a browser and without Bulbil: a C `tor` client, and curl through it.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::baseline::start_tor;
use crate::net::Network;
use crate::ports::Ports;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::talk::{Said, Talk};
use crate::wait;

/// See the module.
#[derive(Debug)]
pub struct Visitor {
    _client: Process,
    socks: u16,
    _scratch: Scratch,
    _ports: Ports,
}

impl Visitor {
    /// Starts the client. Its first requests may take longer or fail while it makes circuits.
    pub fn start(network: &Network) -> io::Result<Self> {
        let scratch = Scratch::new("visitor")?;
        let mut ports = Ports::reserve(Ipv4Addr::LOCALHOST)?;
        let socks = ports.take()?;
        let client = start_tor(&scratch, network, "client", &format!("SocksPort 127.0.0.1:{socks}\n"))?;
        Ok(Self { _client: client, socks, _scratch: scratch, _ports: ports })
    }

    /// The port of its SOCKS listener, on 127.0.0.1.
    #[must_use]
    pub const fn socks(&self) -> u16 {
        self.socks
    }

    /// Runs curl with these arguments. Says what it printed; with `-D -` that begins with the head of the answer.
    pub fn curl(&self, arguments: &[&str]) -> io::Result<Said> {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "120", "--socks5-hostname", &format!("127.0.0.1:{}", self.socks)]);
        command.args(arguments);
        Talk::begin(&mut command)?.end(LIMIT)
    }

    /// Asks until an HTTP answer comes, and gives its code.
    pub fn wait_code(&self, url: &str) -> io::Result<String> {
        wait::found(LIMIT, "an answer from an onion service", || {
            let said = self.curl(&["-o", "/dev/null", "-w", "%{http_code}", url])?;
            Ok((said.code == Some(0)).then_some(said.out))
        })
    }

    /// Writes what is at `url` to a file, from where the file ends.
    pub fn download(&self, url: &str, to: &Path) -> io::Result<Said> {
        let to = to.to_str().ok_or_else(|| io::Error::other("the path must be plain text"))?;
        self.curl(&["--fail", "-C", "-", "-o", to, url])
    }
}

/// For one command, and for a client's first circuit.
const LIMIT: Duration = Duration::from_mins(2);

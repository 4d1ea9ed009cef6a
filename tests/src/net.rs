//! A private Tor network: real `tor` processes on one address, with authorities, relays and exits of its own.
//!
//! Nothing of it reaches the outside, except that an exit would connect wherever a client asks. Several networks can
//! run at once. [`Network::start`] returns when a client can use it, commonly after 20 to 30 seconds.

mod consensus;
mod crowd;
mod delay;
mod dns;
mod random;
mod relay;
mod torrc;

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::ports::Ports;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;
use consensus::Consensus;
use crowd::Crowd;
use delay::Delay;
use dns::Dns;
pub use relay::{Fingerprints, Kind, Relay};

/// How large the network is and how it behaves.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Directory authorities; they relay too. An odd number, so that they can agree.
    pub authorities: u16,
    /// Other relays, exits included.
    pub relays: u16,
    /// How many of these are exits.
    pub exits: u16,
    /// Added to every byte on every connection between relays or from a client to one, each way.
    pub latency: Duration,
    /// Where everything listens.
    pub address: Ipv4Addr,
    /// Seconds between votes once the first one is through. An onion service period is 24 of these, which must be
    /// 5 minutes or more (Arti's minimum).
    pub interval_s: u64,
    /// More consensus parameters, `key=value` with spaces between.
    pub parameters: String,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            authorities: 3,
            relays: 6,
            exits: 3,
            latency: Duration::ZERO,
            address: Ipv4Addr::LOCALHOST,
            // A new consensus in the middle of a story costs minutes of circuits built again.
            interval_s: 3600,
            parameters: String::new(),
        }
    }
}

impl Shape {
    /// The usual network with `ms` milliseconds added per hop and way. 20 give a round trip of 0.29 s between the two
    /// ends of an onion circuit.
    #[must_use]
    pub fn with_latency_ms(ms: u64) -> Self {
        Self { latency: Duration::from_millis(ms), ..Self::default() }
    }
}

/// A running network. Dropping it stops everything and removes its files.
#[derive(Debug)]
pub struct Network {
    shape: Shape,
    relays: Vec<Relay>,
    processes: Vec<Process>,
    _dns: Dns,
    _delay: Option<Delay>,
    _scratch: Scratch,
    _ports: Vec<Ports>,
}

impl Network {
    /// Starts a network and waits until it can be used.
    pub fn start(shape: Shape) -> io::Result<Self> {
        let scratch = Scratch::new("net")?;
        let (mut relays, dns_port, ports) = plan(&shape, scratch.path())?;
        make_keys(&mut relays)?;
        let resolver = scratch.join("resolv.conf");
        fs::write(&resolver, format!("nameserver {}:{dns_port}\n", shape.address))?;
        let random = random::state(&tor_version()?, shape.interval_s)?;
        for relay in relays.iter().filter(|relay| relay.kind == Kind::Authority) {
            fs::write(relay.folder.join("sr-state"), &random)?;
        }
        let routes: Vec<(u16, u16)> = relays.iter().map(|relay| (relay.or_port, relay.own_port)).collect();
        let delay = if shape.latency.is_zero() {
            None
        } else {
            Some(Delay::start(shape.address, &routes, shape.latency)?)
        };
        let mut this = Self {
            _dns: Dns::start(shape.address, dns_port)?,
            _delay: delay,
            shape,
            relays,
            processes: Vec::new(),
            _scratch: scratch,
            _ports: ports,
        };
        this.launch(&resolver)?;
        Ok(this)
    }

    /// Makes the directory longer by `count` relays that exist there only, as long as the public one with 9 000. Nodes
    /// must start after this: the relays are started again. Returns bytes of the microdescriptors that were added.
    pub fn crowd(&mut self, count: u32) -> io::Result<u64> {
        self.processes.clear();
        let crowd = Crowd::join(&self.relays, count)?;
        for relay in &self.relays {
            crowd.settle(&relay.folder)?;
        }
        for relay in &self.relays {
            self.processes.push(start(relay)?);
        }
        let authority = self.relays.first().map_or(0, |relay| relay.dir_port);
        let all = self.relays.len() + usize::try_from(count).unwrap_or(usize::MAX);
        wait::found(USABLE_LIMIT, "the relays to serve the long directory", || {
            let served = Consensus::fetch(self.shape.address, authority);
            let whole = served.is_some_and(|served| served.running == all);
            Ok((whole && self.relays.iter().all(bootstrapped)).then_some(()))
        })?;
        Ok(crowd.bytes())
    }

    /// The address that everything listens on.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.shape.address
    }

    /// All relays, authorities first.
    #[must_use]
    pub fn relays(&self) -> &[Relay] {
        &self.relays
    }

    /// Arti's configuration for this network: the sections `tor_network`, `path_rules` and `address_filter`.
    #[must_use]
    pub fn arti_toml(&self) -> String {
        torrc::arti(self.shape.address, &self.relays)
    }

    /// The lines that a C `tor` client or onion service needs, data folder and ports aside.
    #[must_use]
    pub fn client_torrc(&self) -> String {
        torrc::client(self.shape.address, &self.relays)
    }

    /// Process numbers of all relays.
    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.processes.iter().map(Process::pid)
    }

    /// Seconds of CPU that all relays have used so far.
    pub fn cpu_s(&self) -> io::Result<f64> {
        self.processes.iter().map(|process| Ok(process.usage()?.cpu_s)).sum()
    }

    /// Launches the relays as an interval begins: an authority that starts after the moment of voting but before the end
    /// of its interval votes at once, on what little it knows. A relay that misses the first vote would be missing
    /// for a whole steady interval, so on a machine too busy for a short first interval the launch is repeated with a
    /// longer one, and more time before the vote.
    fn launch(&mut self, resolver: &Path) -> io::Result<()> {
        let mut outcome = Err(io::Error::other("not launched"));
        for (first_interval, ahead) in FIRST_INTERVALS_S {
            self.processes.clear();
            for relay in &self.relays {
                forget_run(&relay.folder)?;
                let text = torrc::relay(&self.shape, &self.relays, relay, resolver, first_interval);
                fs::write(relay.folder.join("torrc"), text)?;
            }
            let room = first_interval - 2 * torrc::vote_delay(first_interval) - ahead;
            #[allow(clippy::cast_precision_loss)] // tens of seconds
            let (interval, room) = (first_interval as f64, room as f64);
            wait::clock_phase(interval, interval - EARLY_S, room + EARLY_S);
            for relay in &self.relays {
                self.processes.push(start(relay)?);
            }
            outcome = self.wait_usable();
            if !matches!(&outcome, Err(e) if e.kind() == io::ErrorKind::InvalidData) {
                break;
            }
        }
        outcome
    }

    /// `InvalidData` when the first vote missed a relay.
    fn wait_usable(&mut self) -> io::Result<()> {
        let (address, all, exits) = (self.shape.address, self.relays.len(), usize::from(self.shape.exits));
        let authority = self.relays.first().map_or(0, |relay| relay.dir_port);
        let mut agreed: Option<Consensus> = None;
        let start = Instant::now();
        wait::found(USABLE_LIMIT, "the private network to become usable", || {
            for process in &mut self.processes {
                if let Some(status) = process.ended()? {
                    let said = process.output().unwrap_or_default();
                    let why = format!("{} ended ({status}): {}", process.name(), said.trim());
                    return Err(io::Error::other(why));
                }
            }
            let Some(now) = Consensus::fetch(address, authority) else { return Ok(None) };
            let first = agreed.get_or_insert(now);
            if first.running < all
                || first.onion_directories < all
                || first.guards < all
                || first.exits < exits
            {
                let why =
                    format!("after {:.0} s the vote missed relays: {first:?}", start.elapsed().as_secs_f64());
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            Ok(self.relays.iter().all(bootstrapped).then_some(()))
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Relays first: their folders are removed after this.
        self.processes.clear();
    }
}

/// Names, ports and folders of all relays; the resolver's port; and the reservation of these ports.
fn plan(shape: &Shape, folder: &Path) -> io::Result<(Vec<Relay>, u16, Vec<Ports>)> {
    let mut ports = vec![Ports::reserve(shape.address)?];
    let mut port = || -> io::Result<u16> {
        if let Some(port) = ports.last_mut().and_then(|block| block.take().ok()) {
            return Ok(port);
        }
        let mut block = Ports::reserve(shape.address)?;
        let port = block.take()?;
        ports.push(block);
        Ok(port)
    };
    let mut relays = Vec::new();
    for index in 0..shape.authorities + shape.relays {
        let other = index.checked_sub(shape.authorities);
        let (name, kind) = match other {
            None => (format!("authority{index}"), Kind::Authority),
            Some(number) if number + shape.exits >= shape.relays => (format!("exit{number}"), Kind::Exit),
            Some(number) => (format!("middle{number}"), Kind::Middle),
        };
        let or_port = port()?;
        let own_port = if shape.latency.is_zero() { or_port } else { port()? };
        let dir_port = if kind == Kind::Authority { port()? } else { 0 };
        let folder: PathBuf = folder.join(&name);
        relays.push(Relay { name, kind, or_port, own_port, dir_port, folder, keys: Fingerprints::default() });
    }
    let dns_port = port()?;
    Ok((relays, dns_port, ports))
}

/// Makes all keys, a few at a time; authorities come first because theirs take longest.
fn make_keys(relays: &mut [Relay]) -> io::Result<()> {
    let queue = Mutex::new(relays.iter_mut());
    let work = || -> io::Result<()> {
        loop {
            let Some(relay) = queue.lock().ok().and_then(|mut queue| queue.next()) else { return Ok(()) };
            relay.make_keys()?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..KEY_WORKERS).map(|_| scope.spawn(work)).collect();
        let failed = |_| io::Error::other("making keys panicked");
        workers.into_iter().try_for_each(|worker| worker.join().map_err(failed)?)
    })
}

/// Removes all that an earlier launch of this relay left but its keys, or it would serve the old consensus again.
fn forget_run(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if KEPT.iter().any(|kept| entry.file_name() == *kept) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn start(relay: &Relay) -> io::Result<Process> {
    let mut command = Command::new("tor");
    command.arg("-f").arg(relay.folder.join("torrc"));
    command.arg("--defaults-torrc").arg(relay.folder.join("empty")).arg("--hush");
    Process::start(&relay.name, &mut command, &relay.folder.join("output.log"))
}

fn bootstrapped(relay: &Relay) -> bool {
    fs::read_to_string(relay.folder.join("tor.log")).is_ok_and(|log| log.contains("Bootstrapped 100%"))
}

fn tor_version() -> io::Result<String> {
    let missing = |e| io::Error::other(format!("cannot run tor ({e}); install it: apt-get install tor"));
    let output = Command::new("tor").arg("--version").output().map_err(missing)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = text.lines().next().and_then(|line| line.split_whitespace().nth(2));
    word.map(|word| word.trim_end_matches('.').to_owned())
        .ok_or_else(|| io::Error::other("tor has no version"))
}

/// Attempt by attempt: seconds between the first votes, of which 10 is `tor`'s minimum, and the seconds that all relays
/// are given from launch to having told the authorities about themselves.
const FIRST_INTERVALS_S: [(u64, u64); 3] = [(10, 5), (20, 8), (40, 16)];

/// A launch this many seconds before an interval ends is in time for the next one only.
const EARLY_S: f64 = 0.8;

/// What a relay keeps when it is launched again.
const KEPT: [&str; 5] = ["keys", "fingerprint", "fingerprint-ed25519", "sr-state", "empty"];

/// Key makers at once.
const KEY_WORKERS: usize = 4;

/// From launch to usable, on a busy machine.
const USABLE_LIMIT: Duration = Duration::from_mins(2);

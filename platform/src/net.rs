//! The networks a node can live in, behind one face. Which one runs is decided by the configuration alone.
//!
//! A network gives two things: services (a name of ours at which others open streams to us) and streams to others'
//! names. Everything above speaks [`Network`], [`Service`] and [`Stream`] and never learns which network it is.

pub mod address;
mod client_key;
mod half;
mod identity;
pub mod keys;
mod knock;
pub mod memory;
mod plug;
mod published;
mod room;
mod stream;
pub mod tor;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;

pub use address::{Address, BadAddress};
pub use client_key::{BadClientKey, ClientKey};
pub use half::{Broke, Half};
pub use identity::IdentityKey;
pub use keys::{AccessKey, ServiceKey};
pub use knock::{Knock, Limits, Offer};
pub use plug::{Hears, Plug};
pub use published::Published;
pub use stream::Stream;
pub(crate) use tor::check_bridges;

use crate::config::{self, Config, NetKind};
use crate::exit::{Host, Isolation, Name, ReachError};
use crate::status::NetStatus;

/// Longest wait of [`Network::connect`]. A cold onion connect takes 2 to 5 s, a bad path 20 to 40 s.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(90);

/// When paths are tried by [`Network::connect`], each beside those before it. A peer that was just killed leaves
/// introduction points that take a message for it and never pass it on, which Tor notices after more than a minute only.
/// Each path asks for the peer's descriptor anew: one of the last two finds that of a peer that is back since.
pub const PATHS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(15), Duration::from_secs(30)];

/// Streams of one service that were accepted by the network and wait for [`Service::accept`]; more are refused.
pub const ACCEPT_QUEUE: usize = 16;

/// Circuit numbers that conversations which follow each other take in turns, where each may share nothing with the last:
/// Tor keeps what it knows of a service for each number, for two days after it was used. A number that failed begins anew.
pub(crate) const TURNS: u32 = 8;

/// Streams of one published service that wait for [`Published::next`]; more are refused.
pub const KNOCK_QUEUE: usize = 64;

/// What a stream may share with others: streams with equal values may share a circuit, others never do.
///
/// A lane that is opened again because its circuit is worn or slow needs a number it never had.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Circuit {
    /// The swarm, or any number that stands for one purpose.
    pub swarm: u64,
    /// The lane within it.
    pub lane: u32,
}

impl Circuit {
    /// For path number `at` of [`PATHS`]: shares nothing with those before it. Lanes are counted from below, and
    /// whoever counts otherwise leaves these two bits alone.
    const fn beside(self, at: usize) -> Self {
        let bits = match at {
            0 => 0,
            1 => 1 << 31,
            _ => 1 << 29,
        };
        Self { lane: self.lane ^ bits, ..self }
    }
}

/// Why the network did not do it, by whom to blame. Never holds an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NetError {
    /// Ours: the network is not up yet.
    #[error("the network is not ready; wait until the status says it is")]
    NotReady,
    /// Theirs: nobody publishes that name.
    #[error(
        "no such onion service; it is offline, or the address is wrong: check the link and try again later"
    )]
    NotFound,
    /// Theirs: the service was there, and none of the introduction points it named knows it any more.
    #[error("the onion service went offline, or this is offered no more: check the link and try again later")]
    Offline,
    /// Our caller's: the service wants a client key and got none or another one.
    #[error("the service refused the key of the link; ask for a new link, this one was changed or revoked")]
    Unauthorized,
    /// The network's, or the peer vanished: no answer in time.
    #[error("no answer in time; the peer or the path to it is slow or gone, try again")]
    Timeout,
    /// Theirs: the service is there and does not want the stream.
    #[error("the peer refused the stream; it is busy, or does not offer this any more")]
    Refused,
    /// The network's: the path broke, or the service misbehaved.
    #[error("the path to the peer failed; try again")]
    Failed,
    /// Ours: the network was shut down.
    #[error("the network is shut down; start the node again")]
    Shutdown,
    /// Ours: something on this machine. The text says what to do.
    #[error("{0}")]
    Local(&'static str),
}

/// A running network. Cheap to clone; all clones are one network.
#[derive(Clone, Debug)]
pub enum Network {
    /// Onion services.
    Tor(tor::Tor),
    /// One process.
    Memory(memory::Memory),
}

impl Network {
    /// Starts the network that the configuration names. Tor's directories lie in `state_dir`, which is memory.
    ///
    /// Returns as soon as it runs; [`status`](Self::status) tells how it comes up.
    pub async fn start(config: &Config, state_dir: &Path) -> Result<Self, tor::StartError> {
        match config.net.kind {
            NetKind::Memory => Ok(Self::Memory(memory::Memory::new())),
            NetKind::Tor => tor::Tor::start(&tor_config(config, state_dir)).await.map(Self::Tor),
        }
    }

    /// Enters the network by these bridges from now on; by public relays if there are none. An error says which line is wrong.
    pub fn set_bridges(&self, lines: &[String]) -> Result<(), String> {
        match self {
            Self::Tor(tor) => tor.set_bridges(lines).map_err(|why| why.to_string()),
            Self::Memory(_) => check_bridges(lines),
        }
    }

    /// Offers `key`'s address at `port`. With `access`, only those who hold the same secret can even find it.
    ///
    /// Returns as soon as the service runs; [`Service::reachable`] tells when others can reach it.
    pub async fn serve(
        &self,
        key: &ServiceKey,
        port: u16,
        access: Option<&AccessKey>,
    ) -> Result<Service, NetError> {
        match self {
            Self::Tor(tor) => tor.serve(key, port, access).await.map(Service::Tor),
            Self::Memory(memory) => memory.serve(key, port, access).map(Service::Memory),
        }
    }

    /// Publishes `key`'s address with all that `offer` names; each stream is for the caller to take or refuse.
    ///
    /// Returns as soon as the service runs; [`Published::reachable`] tells when others can reach it.
    pub async fn publish(&self, key: &IdentityKey, offer: &Offer) -> Result<Published, NetError> {
        match self {
            Self::Tor(tor) => tor.publish(key, offer).await.map(Published::Tor),
            Self::Memory(memory) => memory.publish(key, offer).map(Published::Memory),
        }
    }

    /// Opens a stream. Tries other paths beside a slow one as [`PATHS`] says, gives up after [`CONNECT_DEADLINE`].
    pub async fn connect(
        &self,
        to: Address,
        access: Option<&AccessKey>,
        circuit: Circuit,
    ) -> Result<Stream, NetError> {
        let begun = tokio::time::Instant::now();
        let mut paths: FuturesUnordered<_> = PATHS
            .into_iter()
            .enumerate()
            .map(|(at, after)| async move {
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                // Boxed, because Arti's part is large.
                (at, Box::pin(self.open(to, access, circuit.beside(at))).await)
            })
            .collect();
        let first = async {
            while let Some((at, outcome)) = paths.next().await {
                let started = PATHS.iter().filter(|after| **after <= begun.elapsed()).count();
                // What the newest path says counts, also where that is an error: it tells more than those that hang, and
                // the caller tries again.
                if outcome.is_ok() || at.saturating_add(1) >= started {
                    return outcome;
                }
            }
            Err(NetError::Timeout)
        };
        tokio::time::timeout(CONNECT_DEADLINE, first).await.map_err(|_| NetError::Timeout)?
    }

    async fn open(
        &self,
        to: Address,
        access: Option<&AccessKey>,
        circuit: Circuit,
    ) -> Result<Stream, NetError> {
        match self {
            Self::Tor(tor) => tor.connect(to, access, circuit).await.map(Stream::tor),
            Self::Memory(memory) => memory.connect(to, access).await.map(Stream::memory),
        }
    }

    /// Opens a stream to a target outside or to an onion service. [`Exit`](crate::exit::Exit) is how programs use it:
    /// it sets the limit and keeps identities apart.
    pub async fn reach(&self, host: &Host, port: u16, isolation: &Isolation) -> Result<Stream, ReachError> {
        match self {
            Self::Tor(tor) => tor.reach(host, port, isolation).await.map(Stream::tor),
            Self::Memory(memory) => memory.reach(host, port).await.map(Stream::memory),
        }
    }

    /// The addresses of a name, one at least. The caller sets the limit.
    pub async fn resolve(&self, name: &Name, isolation: &Isolation) -> Result<Vec<IpAddr>, ReachError> {
        match self {
            Self::Tor(tor) => tor.resolve(name, isolation).await,
            Self::Memory(memory) => memory.resolve(name),
        }
    }

    /// The names of an address, one at least. The caller sets the limit.
    pub async fn resolve_ptr(
        &self,
        address: IpAddr,
        isolation: &Isolation,
    ) -> Result<Vec<String>, ReachError> {
        match self {
            Self::Tor(tor) => tor.resolve_ptr(address, isolation).await,
            Self::Memory(memory) => memory.resolve_ptr(address),
        }
    }

    /// Forgets what was learned about targets outside: whoever asks from now on is somebody else.
    pub(crate) fn forget(&self) {
        match self {
            Self::Tor(tor) => tor.forget(),
            Self::Memory(_) => {}
        }
    }

    /// Whether the network itself listens at this address: the only kind of address that this process may connect to.
    pub fn knows(&self, address: std::net::SocketAddr) -> bool {
        match self {
            Self::Tor(tor) => tor.knows(address),
            Self::Memory(_) => false,
        }
    }

    /// How far the network is, now and from now on.
    pub fn status(&self) -> watch::Receiver<NetStatus> {
        match self {
            Self::Tor(tor) => tor.status(),
            Self::Memory(memory) => memory.status(),
        }
    }

    /// Waits until streams can be opened. The caller sets the limit: without a network this lasts for ever.
    pub async fn ready(&self) -> Result<(), NetError> {
        let mut status = self.status();
        status.wait_for(|now| now.ready).await.map(|_| ()).map_err(|_| NetError::Shutdown)
    }

    /// Ends it: streams break, services vanish, what was on its way is lost.
    pub async fn shutdown(self) {
        match self {
            Self::Tor(tor) => tor.shutdown().await,
            Self::Memory(memory) => memory.shutdown(),
        }
    }
}

/// What a network remembers of its entries, by the names it gives them.
pub(crate) type Guards = BTreeMap<String, serde_json::Value>;

/// Circuits to exits for these are made before anybody asks, where there is a proxy: what browsers ask for first.
const PROXY_PORTS: [u16; 2] = [443, 80];

/// What Tor is told, from what the owner said.
fn tor_config(config: &Config, state_dir: &Path) -> tor::TorConfig {
    let tor = &config.net.tor;
    let inline = (!tor.arti.is_empty()).then(|| tor::NetworkSource::Inline(tor.arti.clone()));
    tor::TorConfig {
        memory: room::of(config),
        wear: room::wear(config),
        network: inline.or_else(|| tor.network_file.clone().map(tor::NetworkSource::File)),
        vanguards: match tor.vanguards {
            config::Vanguards::Lite => tor::Vanguards::Lite,
            config::Vanguards::Full => tor::Vanguards::Full,
        },
        reduced_padding: tor.reduced_padding,
        upload_ports: tor.upload_ports.clone(),
        bridges: tor.bridges.clone(),
        predicted_ports: if config.proxy.any() { PROXY_PORTS.to_vec() } else { Vec::new() },
        ..tor::TorConfig::new(tor_state(state_dir), state_dir.join("cache"))
    }
}

/// Where Tor's own state lies.
fn tor_state(state_dir: &Path) -> PathBuf {
    state_dir.join("tor")
}

/// The relays by which the node that has this state directory enters the network, for the keep file.
pub(crate) fn guards(state_dir: &Path) -> Guards {
    tor::guards::read(&tor_state(state_dir))
}

/// Brings them back for a node that does not run.
pub(crate) fn restore_guards(state_dir: &Path, guards: &Guards) -> io::Result<()> {
    tor::guards::write(&tor_state(state_dir), guards)
}

/// A name of ours that others can connect to. Dropping it takes it off the network and refuses new streams at once;
/// open streams live on until they are dropped.
#[derive(Debug)]
pub enum Service {
    /// An onion service.
    Tor(tor::TorService),
    /// An entry in a process's table.
    Memory(memory::MemoryService),
}

impl Service {
    /// The next stream to us, or `None` when the network ended. Who is calling is not known here.
    pub async fn accept(&mut self) -> Option<Stream> {
        match self {
            Self::Tor(service) => service.accept().await.map(Stream::tor),
            Self::Memory(service) => service.accept().await.map(Stream::memory),
        }
    }

    /// Where it is reached.
    pub fn address(&self) -> Address {
        match self {
            Self::Tor(service) => service.address(),
            Self::Memory(service) => service.address(),
        }
    }

    /// Whether others can reach it, as far as the network says, now and from now on.
    pub fn reachable(&self) -> watch::Receiver<bool> {
        match self {
            Self::Tor(service) => service.reachable(),
            Self::Memory(service) => service.reachable(),
        }
    }

    /// Takes it off the network and waits until its keys and state are gone.
    pub async fn close(self) {
        match self {
            Self::Tor(service) => service.close().await,
            Self::Memory(service) => drop(service),
        }
    }
}

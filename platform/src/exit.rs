//! The way out for everything that is no peer: names and addresses of the whole internet, and onion services.
//!
//! Proxies, the resolver and the library all reach targets through one [`Exit`], so that one switch (a new identity)
//! closes what is open and separates what comes after from what was before.

mod circuits;
mod host;
mod identity;
mod isolation;
pub(crate) mod public;
mod stream;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use host::{BadHost, Host, Name, Onion};
pub use isolation::Isolation;
pub use stream::ExitStream;

use crate::net::Network;
use circuits::Circuits;
use identity::Identity;

/// Longest wait of [`Exit::reach`] and the two look-ups, over all tries. C tor's `SocksTimeout` is 2 minutes; programs
/// give up after a minute or less.
pub const REACH_DEADLINE: Duration = Duration::from_secs(60);

/// Why a target was not reached, by whom to blame. Never holds a name or an address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum ReachError {
    /// Ours: the network is not up yet.
    #[error("the network is not ready; wait until the status says it is")]
    NotReady,
    /// The target's: nothing listens there.
    #[error("the target refused the connection; check the port, or whether the server runs")]
    Refused,
    /// The target's network's: no way there.
    #[error("the target cannot be reached from the exit; check the address, or try again for another exit")]
    Unreachable,
    /// The network's: no exit carries this.
    #[error("no Tor exit allows that port or address; use another port")]
    Forbidden,
    /// Our caller's: an address of a private network, which no exit leads to.
    #[error("that is an address of a private network; Tor leads to public addresses only")]
    Private,
    /// The target or the path to it: no answer in time.
    #[error("no answer in time; the target or the path to it is slow or gone, try again")]
    Timeout,
    /// The name system says that there is no such name.
    #[error("no such name; check its spelling")]
    NoSuchName,
    /// The exit could not look the name up.
    #[error("the exit could not look up the name; try again")]
    NameFailed,
    /// Our caller's: no name, and no address either.
    #[error("that is no host name; check its spelling")]
    BadName,
    /// Our caller's: an onion address with a mistake in it (proposal 304, F6).
    #[error("the onion address is not valid; copy it again")]
    OnionAddress,
    /// Nobody publishes that onion service (F0).
    #[error("no such onion service; it is offline, or the address is wrong")]
    OnionNotFound,
    /// What it publishes cannot be used, or does not lead to it (F2).
    #[error("the onion service could not be introduced to; it may be offline, try again")]
    OnionNotRunning,
    /// The onion service wants a client key (F4).
    #[error("the onion service wants a client key; ask its owner for one")]
    OnionKeyMissing,
    /// The onion service wants another client key (F5).
    #[error("the onion service does not accept this client key; ask its owner")]
    OnionKeyWrong,
    /// The path to the onion service broke (F3).
    #[error("the path to the onion service failed; try again")]
    OnionFailed,
    /// The onion service did not answer in time (F7).
    #[error("the onion service did not answer in time; try again")]
    OnionTimeout,
    /// Ours: a new identity was taken meanwhile.
    #[error("the identity was changed meanwhile; try again")]
    NewIdentity,
    /// The network's: the path broke.
    #[error("the path to the target failed; try again")]
    Failed,
    /// Ours: the network was shut down.
    #[error("the network is shut down; start the node again")]
    Shutdown,
}

impl ReachError {
    /// All there are.
    pub const ALL: [Self; 19] = [
        Self::NotReady,
        Self::Refused,
        Self::Unreachable,
        Self::Forbidden,
        Self::Private,
        Self::Timeout,
        Self::NoSuchName,
        Self::NameFailed,
        Self::BadName,
        Self::OnionAddress,
        Self::OnionNotFound,
        Self::OnionNotRunning,
        Self::OnionKeyMissing,
        Self::OnionKeyWrong,
        Self::OnionFailed,
        Self::OnionTimeout,
        Self::NewIdentity,
        Self::Failed,
        Self::Shutdown,
    ];

    /// One word for statistics. Stable.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Forbidden => "forbidden",
            Self::Private => "private",
            Self::Timeout => "timeout",
            Self::NoSuchName => "no_such_name",
            Self::NameFailed => "name_failed",
            Self::BadName => "bad_name",
            Self::OnionAddress => "onion_address",
            Self::OnionNotFound => "onion_not_found",
            Self::OnionNotRunning => "onion_not_running",
            Self::OnionKeyMissing => "onion_key_missing",
            Self::OnionKeyWrong => "onion_key_wrong",
            Self::OnionFailed => "onion_failed",
            Self::OnionTimeout => "onion_timeout",
            Self::NewIdentity => "new_identity",
            Self::Failed => "failed",
            Self::Shutdown => "shutdown",
        }
    }
}

impl From<BadHost> for ReachError {
    fn from(why: BadHost) -> Self {
        match why {
            BadHost::Name => Self::BadName,
            BadHost::Onion => Self::OnionAddress,
        }
    }
}

/// The network, and who we are on it at present. Cheap to clone; all clones change identity together.
#[derive(Clone, Debug)]
pub struct Exit {
    network: Network,
    identity: Arc<Identity>,
    circuits: Arc<Circuits>,
}

impl Exit {
    /// With the first identity.
    pub fn new(network: Network) -> Self {
        Self { network, identity: Arc::default(), circuits: Arc::default() }
    }

    /// Opens a stream. Streams of equal `isolation` may share a circuit, others never do; nor do those of before and
    /// after a new identity. Gives up after [`REACH_DEADLINE`].
    pub async fn reach(
        &self,
        host: &Host,
        port: u16,
        isolation: &Isolation,
    ) -> Result<ExitStream, ReachError> {
        self.reach_within(host, port, isolation, REACH_DEADLINE).await
    }

    /// The same within a limit of the caller's, for those that know another way.
    pub(crate) async fn reach_within(
        &self,
        host: &Host,
        port: u16,
        isolation: &Isolation,
        limit: Duration,
    ) -> Result<ExitStream, ReachError> {
        let now = self.identity.generation();
        let isolation = isolation.and(&now.to_be_bytes());
        self.circuits.call(&isolation, std::time::Instant::now());
        let opening = Box::pin(self.network.reach(host, port, &isolation));
        let late =
            if matches!(host, Host::Onion(_)) { ReachError::OnionTimeout } else { ReachError::Timeout };
        let stream = tokio::time::timeout(limit, opening).await.map_err(|_| late)??;
        let cut = self.identity.admit(now).ok_or(ReachError::NewIdentity)?;
        Ok(ExitStream::new(stream, cut))
    }

    /// The addresses of a name, as an exit sees them. One at least.
    pub async fn resolve(&self, name: &Name, isolation: &Isolation) -> Result<Vec<IpAddr>, ReachError> {
        let isolation = isolation.and(&self.identity.generation().to_be_bytes());
        let asking = Box::pin(self.network.resolve(name, &isolation));
        tokio::time::timeout(REACH_DEADLINE, asking).await.map_err(|_| ReachError::Timeout)?
    }

    /// The names of an address, as an exit sees them. One at least.
    pub async fn resolve_ptr(
        &self,
        address: IpAddr,
        isolation: &Isolation,
    ) -> Result<Vec<String>, ReachError> {
        let isolation = isolation.and(&self.identity.generation().to_be_bytes());
        let asking = Box::pin(self.network.resolve_ptr(address, &isolation));
        tokio::time::timeout(REACH_DEADLINE, asking).await.map_err(|_| ReachError::Timeout)?
    }

    /// Breaks every open stream and shares no circuit with what was before. Says how many streams that were.
    pub fn new_identity(&self) -> usize {
        let cut = self.identity.change();
        self.network.forget();
        cut
    }

    /// How often the identity was changed.
    pub fn generation(&self) -> u64 {
        self.identity.generation()
    }

    /// Circuits that streams called for so far: one for each isolation in ten minutes.
    pub fn circuits(&self) -> u64 {
        self.circuits.called()
    }

    /// Streams that are open now.
    pub fn open(&self) -> usize {
        self.identity.open()
    }

    /// The network below.
    pub const fn network(&self) -> &Network {
        &self.network
    }
}

#[cfg(test)]
mod tests;

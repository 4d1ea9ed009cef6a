//! Whom a Tor client may talk to: relays of the directory, the caches it starts from, and its bridges.

use std::net::SocketAddr;
use std::sync::PoisonError;

use tor_linkspec::HasAddrs;

use super::Tor;

impl Tor {
    /// Whether a relay, a bridge, or a directory cache of the configuration listens there.
    pub(in crate::net) fn knows(&self, address: SocketAddr) -> bool {
        let is_bridge = self.0.bridges.lock().unwrap_or_else(PoisonError::into_inner).contains(&address);
        if is_bridge || self.0.caches.contains(&address) {
            return true;
        }
        let directory = self.client().ok().and_then(|client| client.dirmgr().ok()?.timely_netdir().ok());
        directory.is_some_and(|directory| {
            directory.relays().any(|relay| relay.addrs().any(|listens| listens == address))
        })
    }
}

/// The caches that a configuration names.
pub(super) fn caches(config: &arti_client::TorClientConfig) -> Vec<SocketAddr> {
    let directory = config.dir_mgr_config().ok();
    directory.map_or_else(Vec::new, |config| config.fallbacks().iter().flat_map(HasAddrs::addrs).collect())
}

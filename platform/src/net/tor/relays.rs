//! Whom a Tor client may talk to: relays of the directory, and the caches it starts from.

use std::net::SocketAddr;

use tor_linkspec::HasAddrs;

use super::Tor;

impl Tor {
    /// Whether a relay, or a directory cache of the configuration, listens there.
    pub(in crate::net) fn knows(&self, address: SocketAddr) -> bool {
        if self.0.caches.contains(&address) {
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

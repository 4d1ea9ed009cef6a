//! Arti's configuration of a published service, at its start and when its clients change.

use tor_config::Reconfigure;
use tor_hsservice::config::{OnionServiceConfigBuilder, TokenBucketConfig};
use tor_hsservice::{HsNickname, OnionServiceConfig};

use super::{LAUNCH_FAILED, TorKnock, TorService};
use crate::net::tor::onion;
use crate::net::{AccessKey, NetError, Offer};

/// A client of ours that nobody is: Arti refuses a restricted service without any.
const NOBODY: &str = "nobody";

pub(super) fn configure(nickname: HsNickname, offer: &Offer) -> Result<OnionServiceConfig, NetError> {
    let limits = offer.limits;
    let mut builder = OnionServiceConfigBuilder::default();
    builder
        .nickname(nickname)
        .num_intro_points(limits.introduction_points)
        .rate_limit_at_intro(Some(TokenBucketConfig::new(limits.introductions, limits.introductions_burst)))
        // Ours refuse politely; whoever goes on loses the circuit.
        .max_concurrent_streams_per_circuit(limits.streams_per_circuit.saturating_mul(2));
    if let Some(clients) = &offer.clients {
        let discovery = builder.restricted_discovery();
        discovery.enabled(true);
        let nobody = NOBODY.parse().map_err(|_| LAUNCH_FAILED)?;
        discovery.static_keys().access().push((nobody, onion::client(AccessKey::random()?.public())));
        for (number, client) in clients.iter().enumerate() {
            let name = format!("c{number}").parse().map_err(|_| LAUNCH_FAILED)?;
            discovery.static_keys().access().push((name, onion::client(*client)));
        }
    }
    builder.build().map_err(|error| {
        log::warn!("the configuration of a published onion service was refused: {error}");
        LAUNCH_FAILED
    })
}

impl TorService<TorKnock> {
    /// Publishes the descriptor anew for these clients. Whoever has the descriptor of before can still get in.
    pub(in crate::net) fn admit(&self, offer: &Offer) -> Result<(), NetError> {
        let running = self.running.upgrade().ok_or(NetError::Shutdown)?;
        let config = configure(self.nickname.clone(), offer)?;
        running.reconfigure(config, Reconfigure::AllOrNothing).map_err(|error| {
            log::warn!("an onion service did not take its new clients: {error}");
            NetError::Local("the onion service did not take the change; start the node again")
        })
    }
}

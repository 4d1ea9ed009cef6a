//! Visits to ourselves through Tor: the only way to know that others can come.

use std::cell::Cell;
use std::rc::Weak;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

use super::Service;
use crate::config::publish::Publish;
use crate::net::{AccessKey, Circuit};

/// After a probe that failed the next one comes so soon.
const PROBE_AGAIN: Duration = Duration::from_secs(30);

/// Circuit numbers of probes: the swarms count theirs from 1 up.
const PROBES: u64 = u64::MAX - 1;

/// Virtual ports that probes may use: nobody else knows which it is.
const PROBE_PORTS: std::ops::RangeInclusive<u16> = 20_000..=60_000;

/// Our own visits.
pub(super) struct Probe {
    pub(super) port: u16,
    pub(super) access: AccessKey,
    pub(super) number: u64,
    pub(super) seen: Cell<Option<Seen>>,
    /// A new life of the service is to be looked at.
    pub(super) look: Notify,
}

/// What the last visit found.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) took: Option<Duration>,
}

impl Service {
    /// One visit over a circuit of its own.
    async fn visit(&self, turn: u32) {
        let to = self.identity.borrow().address(self.probe.port);
        let access = self.closed.get().then(|| self.probe.access.clone());
        let circuit = Circuit { swarm: PROBES.saturating_sub(self.probe.number), lane: turn };
        let begun = Instant::now();
        let reached = self.network.connect(to, access.as_ref(), circuit).await;
        // What was found of a service that has started anew since says nothing.
        if self.published.get() && self.identity.borrow().address(self.probe.port) == to {
            let took = reached.is_ok().then(|| begun.elapsed());
            self.probe.seen.set(Some(Seen { at: Instant::now(), took }));
        }
    }
}

/// Visits the service for as long as it lives: as soon as it is published, then now and again.
pub(super) async fn probe_all(service: Weak<Service>) {
    let mut turn = 0_u32;
    while let Some(service) = service.upgrade() {
        let every = Duration::from_secs(service.settings.probe_every.0);
        if every.is_zero() {
            return;
        }
        if !service.published.get() {
            service.probe.look.notified().await;
        }
        // Below the half that second tries count in. Ever new numbers: Tor would not ask again for what it knows of an old one,
        // and whether strangers find us is what a visit is for.
        turn = turn.wrapping_add(1) & (u32::MAX >> 1);
        service.visit(turn).await;
        let well = service.probe.seen.get().is_some_and(|seen| seen.took.is_some());
        let pause = if well { every } else { PROBE_AGAIN.min(every) };
        tokio::select! {
            () = sleep(pause) => {}
            () = service.probe.look.notified() => {}
        }
    }
}

/// A port that the service does not offer, chosen by chance.
pub(super) fn free_port(settings: &Publish) -> u16 {
    let taken: Vec<u16> = settings.routes().map(|(port, _)| port).collect();
    let mut bytes = [0; 2];
    // Without randomness the first free one serves as well.
    let _ = getrandom::fill(&mut bytes);
    let start = usize::from(u16::from_le_bytes(bytes));
    let mut all = PROBE_PORTS.cycle().skip(start % PROBE_PORTS.len());
    all.find(|port| !taken.contains(port)).unwrap_or(*PROBE_PORTS.start())
}

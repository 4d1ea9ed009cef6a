//! Targets outside, through Tor's exits, and onion services as any Tor client reaches them.

use std::future::Future;
use std::net::IpAddr;

use arti_client::{DangerouslyIntoTorAddr, ErrorKind, HasKind, IntoTorAddr, StreamPrefs, TorAddr};
use tor_circmgr::isolation::IsolationHelper;

use super::{EARLY, EARLY_STEP, Tor, TorStream, fault};
use crate::exit::{Host, Isolation, Name, ReachError};
use crate::net::NetError;

/// Circuits that are tried where the exit or the path is at fault, not the target.
const TRIES: u8 = 3;

/// The same where the exit did not answer in 10 s, which may well be the target's fault.
const PATIENT_TRIES: u8 = 2;

/// The isolation of one value; another try gets another circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ByValue(pub(super) Isolation, pub(super) u8);

impl IsolationHelper for ByValue {
    fn compatible_same_type(&self, other: &Self) -> bool {
        self.0 == other.0 && self.1 == other.1
    }

    fn join_same_type(&self, other: &Self) -> Option<Self> {
        self.compatible_same_type(other).then_some(*self)
    }
}

impl Tor {
    pub(in crate::net) async fn reach(
        &self,
        host: &Host,
        port: u16,
        isolation: &Isolation,
    ) -> Result<TorStream, ReachError> {
        if self.0.steady.refuses(host) {
            return Err(ReachError::Private);
        }
        let client = self.exit_client()?;
        let target = target(host, port)?;
        let onion = matches!(host, Host::Onion(_));
        let six = matches!(host, Host::Ip(IpAddr::V6(_)));
        let steady = self.0.steady.target(host, port, isolation);
        let opened = attempt(isolation, onion, async |mut prefs: StreamPrefs, own| {
            if let Some(target) = &steady {
                return self.0.steady.open(&client, target, own).await;
            }
            if six {
                // Else an exit is chosen that need not know IPv6.
                prefs.ipv6_only();
            }
            let stream = client.connect_with_prefs(target.clone(), &prefs).await;
            stream.map(|stream| (stream, false)).map_err(|error| error.kind())
        });
        Ok(match opened.await? {
            (stream, true) => TorStream::steady(stream, &self.0.lasting),
            (stream, false) => {
                let lesson = self.0.steady.lesson(host, port, isolation);
                TorStream::new(stream, None, &self.0.lasting).teaching(lesson)
            }
        })
    }

    /// Whoever asks from now on is somebody else.
    pub(in crate::net) fn forget(&self) {
        self.0.steady.forget();
    }

    pub(in crate::net) async fn resolve(
        &self,
        name: &Name,
        isolation: &Isolation,
    ) -> Result<Vec<IpAddr>, ReachError> {
        let client = self.exit_client()?;
        let found = attempt(isolation, false, async |prefs, _| {
            client.resolve_with_prefs(name.as_str(), &prefs).await.map_err(|error| error.kind())
        });
        found.await.and_then(some)
    }

    pub(in crate::net) async fn resolve_ptr(
        &self,
        address: IpAddr,
        isolation: &Isolation,
    ) -> Result<Vec<String>, ReachError> {
        let client = self.exit_client()?;
        let found = attempt(isolation, false, async |prefs, _| {
            client.resolve_ptr_with_prefs(address, &prefs).await.map_err(|error| error.kind())
        });
        found.await.and_then(some)
    }

    fn exit_client(&self) -> Result<std::sync::Arc<super::Client>, ReachError> {
        let client = self.client().map_err(|why| match why {
            NetError::Shutdown => ReachError::Shutdown,
            _ => ReachError::NotReady,
        })?;
        if client.bootstrap_status().ready_for_traffic() { Ok(client) } else { Err(ReachError::NotReady) }
    }
}

/// Does it on one circuit after the other until the answer is the target's own.
async fn attempt<T, F>(
    isolation: &Isolation,
    onion: bool,
    go: impl Fn(StreamPrefs, ByValue) -> F,
) -> Result<T, ReachError>
where
    F: Future<Output = Result<T, ErrorKind>>,
{
    let started = tokio::time::Instant::now();
    let mut tried = 0;
    loop {
        let mut prefs = StreamPrefs::new();
        let own = ByValue(*isolation, tried);
        prefs.set_isolation(own);
        let kind = match go(prefs, own).await {
            Ok(done) => return Ok(done),
            Err(kind) => kind,
        };
        if fault::too_early(kind) && started.elapsed() < EARLY {
            tokio::time::sleep(EARLY_STEP).await;
            continue;
        }
        tried += 1;
        let most = if fault::of_silence(kind) { PATIENT_TRIES } else { TRIES };
        if onion || tried >= most || !fault::of_path(kind) {
            return Err(fault::of_reach(kind, onion));
        }
    }
}

/// Nothing is no answer.
fn some<T>(found: Vec<T>) -> Result<Vec<T>, ReachError> {
    if found.is_empty() { Err(ReachError::NoSuchName) } else { Ok(found) }
}

fn target(host: &Host, port: u16) -> Result<TorAddr, ReachError> {
    match host {
        // Whoever gave an address knows it already; nothing is looked up here.
        Host::Ip(ip) => (*ip, port).into_tor_addr_dangerously(),
        Host::Name(name) => (name.as_str(), port).into_tor_addr(),
        Host::Onion(onion) => (onion.address(port).host().as_str(), port).into_tor_addr(),
    }
    .map_err(|_| ReachError::BadName)
}

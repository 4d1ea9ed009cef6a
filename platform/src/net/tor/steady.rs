//! Streams to targets outside on circuits with Tor's old windows instead of congestion control (proposal 324).
//!
//! A window lets 250 KB be under way at a time, which is slower where paths are good, but costs no memory however much is
//! uploaded: tor-proto's leak (see [`wear`](super::wear)) is in what congestion control needs.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arti_client::{DataStream, ErrorKind, HasKind};
use tor_circmgr::TargetPort;
use tor_circmgr::isolation::StreamIsolationBuilder;
use tor_netdir::NetDir;

use super::Client;
use super::exit::ByValue;
use crate::exit::Host;

/// Wait for the answer of an exit: what Arti waits.
const ANSWER: Duration = Duration::from_secs(10);

/// Which streams these are.
#[derive(Debug)]
pub(super) struct Steady {
    ports: Vec<u16>,
    /// Arti was told that it may ask exits for addresses of theirs.
    local: bool,
    /// A directory that says windows, and the one it was made of.
    directory: Mutex<Option<(Weak<NetDir>, Arc<NetDir>)>>,
}

impl Steady {
    pub(super) fn new(ports: &[u16], local: bool) -> Self {
        Self { ports: ports.to_vec(), local, directory: Mutex::default() }
    }

    /// How the target is called in a request to an exit, if its streams are of this kind.
    pub(super) fn target(&self, host: &Host, port: u16) -> Option<String> {
        if !self.ports.contains(&port) {
            return None;
        }
        match host {
            Host::Name(name) => Some(name.as_str().to_owned()),
            // Addresses that are nobody's outside, and all of IPv6, are left to Arti, which knows what to refuse.
            Host::Ip(IpAddr::V4(ip)) => {
                let outside =
                    !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.octets()[0] == 0);
                (self.local || outside).then(|| ip.to_string())
            }
            Host::Ip(IpAddr::V6(_)) | Host::Onion(_) => None,
        }
    }

    /// Opens one.
    pub(super) async fn open(
        &self,
        client: &Client,
        (target, port): (&str, u16),
        isolation: ByValue,
    ) -> Result<DataStream, ErrorKind> {
        let kind = |error: &dyn HasKind| error.kind();
        let now =
            client.dirmgr().map_err(|error| kind(&error))?.timely_netdir().map_err(|error| kind(&error))?;
        let directory = self.directory(&now);
        drop(now);
        let mut own = StreamIsolationBuilder::new();
        own.stream_isolation(Box::new(isolation));
        let own = own.build().map_err(|_| ErrorKind::Internal)?;
        let circuits = client.circmgr().map_err(|error| kind(&error))?;
        let ports = [TargetPort::ipv4(port)];
        let tunnel = circuits.get_or_launch_exit(directory.as_ref().into(), &ports, own).await;
        let tunnel = tunnel.map_err(|error| kind(&error))?;
        drop(directory);
        match tokio::time::timeout(ANSWER, tunnel.begin_stream(target, port, None)).await {
            Ok(stream) => stream.map_err(|error| kind(&error)),
            Err(_) => Err(ErrorKind::ExitTimeout),
        }
    }

    /// The directory `now`, with windows. Some 0.7 MB for 9 000 relays.
    fn directory(&self, now: &Arc<NetDir>) -> Arc<NetDir> {
        let mut kept = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, made)) = &*kept
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(now))
        {
            return Arc::clone(made);
        }
        let mut made = NetDir::clone(now);
        made.replace_overridden_parameters(&std::iter::once(("cc_alg".to_owned(), 0)).collect());
        let made = Arc::new(made);
        *kept = Some((Arc::downgrade(now), Arc::clone(&made)));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_steady() {
        let steady = Steady::new(&[22], false);
        let name = |text: &str| text.parse::<Host>().unwrap();
        assert_eq!(steady.target(&name("backup.example.com"), 22).unwrap(), "backup.example.com");
        assert_eq!(steady.target(&name("192.0.2.7"), 22).unwrap(), "192.0.2.7");
        assert_eq!(steady.target(&name("backup.example.com"), 443), None);
        for other in ["192.168.1.1", "127.0.0.1", "169.254.1.1", "[2001:db8::1]"] {
            if let Ok(host) = other.parse::<Host>() {
                assert_eq!(steady.target(&host, 22), None, "{other}");
            }
        }
        assert!(Steady::new(&[22], true).target(&name("127.0.0.1"), 22).is_some());
    }
}

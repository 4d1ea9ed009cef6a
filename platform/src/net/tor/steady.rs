//! Streams to targets outside on circuits with Tor's old windows instead of congestion control (proposal 324).
//!
//! A window lets 250 KB be under way at a time, which is slower where paths are good, but costs no memory however much is
//! uploaded: tor-proto's leak (see [`wear`](super::wear)) is in what congestion control needs.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arti_client::{DataStream, ErrorKind, HasKind};
use tor_netdir::NetDir;

use super::Client;
use super::exit::ByValue;
use super::learned::{Learned, Lesson, Place};
use super::windows::{Purpose, Windows};
use crate::exit::public::{is_loopback, is_public};
use crate::exit::{Host, Isolation};

/// Wait for the answer of an exit: what Arti waits.
const ANSWER: Duration = Duration::from_secs(10);

/// Which streams these are.
#[derive(Debug)]
pub(super) struct Steady {
    ports: Vec<u16>,
    learned: Learned,
    /// Arti was told that it may ask exits for addresses of theirs.
    local: bool,
    windows: Windows,
    /// A directory that says windows, and the one it was made of.
    directory: Mutex<Option<(Weak<NetDir>, Arc<NetDir>)>>,
}

/// A target whose streams are of this kind.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// How it is called in a request to an exit.
    name: String,
    port: u16,
    six: bool,
}

impl Steady {
    pub(super) fn new(ports: &[u16], local: bool) -> Self {
        Self {
            ports: ports.to_vec(),
            learned: Learned::default(),
            local,
            windows: Windows::default(),
            directory: Mutex::default(),
        }
    }

    /// The target, if its streams are to be of this kind.
    pub(super) fn target(&self, host: &Host, port: u16, isolation: &Isolation) -> Option<Target> {
        if !self.ports.contains(&port) && !self.learned.has(Place::new(host, port, isolation)) {
            return None;
        }
        let (name, six) = match host {
            Host::Name(name) if self.local || !is_loopback(name) => (name.as_str().to_owned(), false),
            // Addresses that are nobody's outside are left to Arti, which knows what to refuse.
            Host::Ip(ip) if self.local || is_public(*ip) => (ip.to_string(), matches!(ip, IpAddr::V6(_))),
            // An onion service's circuit is as the service wants it, which is with congestion control.
            Host::Name(_) | Host::Ip(_) | Host::Onion(_) => return None,
        };
        Some(Target { name, port, six })
    }

    /// What another stream to the target will learn from one that is not of this kind.
    pub(super) fn lesson(&self, host: &Host, port: u16, isolation: &Isolation) -> Option<Lesson> {
        let outside = !matches!(host, Host::Onion(_));
        outside.then(|| Lesson::new(self.learned.clone(), Place::new(host, port, isolation)))
    }

    /// Whether a target is the machine that looks it up, where that may not be.
    pub(super) fn refuses(&self, host: &Host) -> bool {
        matches!(host, Host::Name(name) if !self.local && is_loopback(name))
    }

    /// Opens one. Says whether it has windows, which it lacks where Arti had too many circuits of the other kind.
    pub(super) async fn open(
        &self,
        client: &Client,
        target: &Target,
        isolation: ByValue,
    ) -> Result<(DataStream, bool), ErrorKind> {
        let kind = |error: &dyn HasKind| error.kind();
        let now =
            client.dirmgr().map_err(|error| kind(&error))?.timely_netdir().map_err(|error| kind(&error))?;
        let directory = self.directory(&now);
        drop(now);
        let circuits = client.circmgr().map_err(|error| kind(&error))?;
        let purpose = Purpose { isolation, port: target.port, six: target.six };
        let circuit = self.windows.get(&circuits, &directory, purpose).await?;
        drop(directory);
        let begun = circuit.tunnel.begin_stream(&target.name, target.port, None);
        match tokio::time::timeout(ANSWER, begun).await {
            Ok(Ok(stream)) => Ok((stream, circuit.windows)),
            Ok(Err(error)) => Err(error.kind()),
            Err(_) => Err(ErrorKind::ExitTimeout),
        }
    }

    /// Lets go of what is kept for streams to come and has no use. To be called now and then.
    pub(super) fn tidy(&self) {
        self.windows.tidy();
    }

    /// Keeps no circuit for streams to come.
    pub(super) fn clear(&self) {
        self.windows.clear();
    }

    /// The same, and nothing of what was learned.
    pub(super) fn forget(&self) {
        self.learned.forget();
        self.clear();
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

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    fn name(steady: &Steady, text: &str, port: u16) -> Option<String> {
        steady.target(&host(text), port, &Isolation::of("test")).map(|target| target.name)
    }

    #[test]
    fn only_what_was_asked_for_is_steady() {
        let steady = Steady::new(&[22], false);
        for target in ["backup.example.com", "8.8.8.8", "2606:4700::1111"] {
            assert_eq!(name(&steady, target, 22).unwrap(), target);
            assert_eq!(name(&steady, target, 443), None);
        }
        let six = |text: &str| steady.target(&host(text), 22, &Isolation::of("test")).unwrap().six;
        assert!(six("[2606:4700::1111]") && !six("8.8.8.8") && !six("backup.example.com"));
    }

    #[test]
    fn what_is_nobodys_outside_is_left_alone() {
        let steady = Steady::new(&[22], false);
        let others = "192.168.1.1 127.0.0.1 169.254.1.1 100.64.0.1 198.18.0.1 224.0.0.1 240.0.0.1 [2001:db8::1] [::1] \
                      [fd00::1] localhost here.localhost";
        for other in others.split(' ') {
            assert_eq!(name(&steady, other, 22), None, "{other}");
            assert!(name(&Steady::new(&[22], true), other, 22).is_some(), "{other}");
        }
        assert!(steady.refuses(&host("localhost")) && steady.refuses(&host("here.localhost")));
        assert!(!steady.refuses(&host("example.com")) && !Steady::new(&[], true).refuses(&host("localhost")));
        let onion = Host::Onion(crate::exit::Onion([7; 32]));
        assert!(steady.target(&onion, 22, &Isolation::of("test")).is_none());
        assert!(steady.lesson(&onion, 22, &Isolation::of("test")).is_none());
    }

    #[test]
    fn what_was_uploaded_to_for_long_is_steady_until_somebody_else_asks() {
        let (steady, isolation) = (Steady::new(&[], false), Isolation::of("test"));
        let target = host("backup.example.com");
        let mut lesson = steady.lesson(&target, 443, &isolation).unwrap();
        lesson.sent(31 << 20);
        assert!(steady.target(&target, 443, &isolation).is_none());
        lesson.sent(1 << 20);
        assert!(steady.target(&target, 443, &isolation).is_some());
        assert!(steady.target(&target, 443, &Isolation::of("other")).is_none());
        steady.forget();
        assert!(steady.target(&target, 443, &isolation).is_none());
    }
}

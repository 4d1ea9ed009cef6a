//! What a board's node tells the first process, over a socket in memory: whether Tor works, and what time the network thinks it is.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::status::NetStatus;

/// Where the first process listens; nobody but its node may write there.
pub(crate) const PLACE: &str = "/run/tidings";

/// Bytes of one message at most.
pub(crate) const MAX_BYTES: usize = 256;

/// One message.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tidings {
    /// Whether conversations can be opened.
    pub(crate) ready: bool,
    /// Whether the owner has to do something about it.
    pub(crate) stuck: bool,
    /// Seconds by which the clock is ahead of the network's (negative: behind), if that is known.
    pub(crate) skew_s: Option<i64>,
}

impl Tidings {
    pub(crate) const fn of(net: &NetStatus) -> Self {
        Self { ready: net.ready, stuck: net.blocked.is_some(), skew_s: net.clock_skew_s }
    }

    /// Reads a message; `None` if it is none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// The node's side. Says everything once.
#[derive(Debug)]
pub(crate) struct Teller {
    socket: Option<UnixDatagram>,
    told: Option<Tidings>,
}

impl Teller {
    /// For a node that runs on a board; on other machines nobody listens and nothing is said.
    pub(crate) fn new() -> Self {
        let socket = crate::power::is_offered().then(Self::open).and_then(Result::ok);
        Self { socket, told: None }
    }

    fn open() -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Tells it if it is news.
    pub(crate) fn tell(&mut self, net: &NetStatus) {
        self.tell_at(net, Path::new(PLACE));
    }

    fn tell_at(&mut self, net: &NetStatus, place: &Path) {
        let tidings = Tidings::of(net);
        let Some(socket) = self.socket.as_ref().filter(|_| self.told != Some(tidings)) else { return };
        let bytes = serde_json::to_vec(&tidings).unwrap_or_default();
        // What could not be said is said the next time: the status is built every 2 s.
        if socket.send_to(&bytes, place).is_ok() {
            self.told = Some(tidings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn everything_is_said_once_and_understood() {
        let folder = Scratch::new("tidings");
        let place = folder.path().join("ear");
        let mut teller = Teller { socket: Some(Teller::open().unwrap()), told: None };
        let net = NetStatus { ready: true, clock_skew_s: Some(-7), ..NetStatus::default() };
        teller.tell_at(&net, &place); // nobody listens yet
        let ear = UnixDatagram::bind(&place).unwrap();
        ear.set_nonblocking(true).unwrap();
        teller.tell_at(&net, &place);
        teller.tell_at(&net, &place);
        let mut bytes = [0; MAX_BYTES];
        let length = ear.recv(&mut bytes).unwrap();
        let tidings = Tidings { ready: true, stuck: false, skew_s: Some(-7) };
        assert_eq!(Tidings::read(&bytes[..length]), Some(tidings));
        assert!(ear.recv(&mut bytes).is_err(), "no news");
        assert!(
            [&b""[..], b"{", b"{\"ready\":1}", b"{\"x\":1}"]
                .into_iter()
                .all(|text| Tidings::read(text).is_none())
        );
        let widest = Tidings { ready: false, stuck: false, skew_s: Some(i64::MIN) };
        assert!(serde_json::to_vec(&widest).unwrap().len() <= MAX_BYTES);
    }
}

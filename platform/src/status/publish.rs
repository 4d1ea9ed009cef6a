//! Published onion services, as everyone may see them.

use serde::{Deserialize, Serialize};

/// One published service.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Published {
    /// What the configuration calls it.
    pub name: String,
    /// `<56 characters>.onion`.
    pub host: String,
    /// What to give to people: one for each virtual port, `http://host`, or `http://host:port`.
    pub urls: Vec<String>,
    /// Published, reachable, and with a backend that works behind each virtual port.
    pub healthy: bool,
    /// What is wrong and what to do about it, if something is.
    pub trouble: Option<String>,
    /// Whether the network has taken its descriptor.
    pub published: bool,
    /// Whether we reached it ourselves through Tor when we last tried; not known yet without.
    pub reachable: Option<bool>,
    /// Seconds since we last tried.
    pub probed_s: Option<u64>,
    /// How long that took, in milliseconds, if it worked.
    pub probe_ms: Option<u64>,
    /// Only those with a key may find it.
    pub restricted: bool,
    /// Those.
    pub clients: Vec<Client>,
    /// Virtual ports and what is behind them.
    pub routes: Vec<Route>,
    /// Streams open now.
    pub streams: u32,
    /// Streams refused so far: too many, or no backend.
    pub refused: u64,
    /// Bytes from clients so far.
    pub received: u64,
    /// Bytes to clients so far.
    pub sent: u64,
}

/// Who may find a restricted service.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Client {
    /// What the owner calls it.
    pub name: String,
    /// Its public key, `descriptor:x25519:…`.
    pub key: String,
}

/// One virtual port.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Route {
    /// Its number.
    pub port: u16,
    /// Its backends, in the order of the configuration.
    pub backends: Vec<Backend>,
}

/// One backend.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Backend {
    /// Where it is.
    pub target: String,
    /// Whether it is given streams.
    pub up: bool,
    /// Streams it serves now.
    pub streams: u32,
    /// Streams it was given so far.
    pub served: u64,
}

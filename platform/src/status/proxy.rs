//! What other programs use: listeners, and how it goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The proxies at one moment. Holds no target and no client.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Proxy {
    /// In the order in which they were opened.
    pub listeners: Vec<Listener>,
    /// Streams to targets that are open now.
    pub streams: u32,
    /// How often a new identity was taken.
    pub identities: u64,
    /// Circuits that streams called for so far: one for each isolation in ten minutes. Arti does not tell how many it built.
    #[serde(default)]
    pub circuits: u64,
}

/// One listener.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Listener {
    /// `socks`, `dns` or `http`.
    pub kind: String,
    /// Address and port.
    pub address: String,
    /// Whether it works.
    pub state: ListenerState,
    /// Connections that are open now.
    pub open: u32,
    /// Requests so far.
    pub requests: u64,
    /// Bytes from clients to targets.
    pub up: u64,
    /// Bytes from targets to clients.
    pub down: u64,
    /// Failures so far, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Successful requests by the time their target took to answer: up to each of [`LATENCY_S`], and longer.
    pub latency: Vec<u64>,
    /// All those times together, in milliseconds.
    #[serde(default)]
    pub latency_ms: u64,
}

/// Upper bounds of the classes of [`Listener::latency`], in seconds. Coarse, so that nobody can be timed by them.
pub const LATENCY_S: [f64; 8] = [0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 30.0, 60.0];

/// Whether a listener works.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "is", content = "why", rename_all = "snake_case")]
pub enum ListenerState {
    /// It takes connections.
    #[default]
    Listening,
    /// It does not: what happened and what to do.
    Failed(String),
}

/// What a new identity changed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct NewIdentity {
    /// Streams that were closed.
    pub streams_closed: u64,
    /// DNS answers that were forgotten.
    pub answers_forgotten: u64,
    /// How often a new identity was taken, this one included.
    pub identities: u64,
}

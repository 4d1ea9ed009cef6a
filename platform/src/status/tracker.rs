//! What the status says of records, trust and mirrors.

use serde::{Deserialize, Serialize};

/// Records kept here.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Records {
    /// Given to whoever asks: our own and those of mirrors.
    pub served: u64,
    /// Of trusted nodes: searched, not given to anyone.
    pub seen: u64,
    /// Of those served, so many fit at most.
    pub limit: u64,
}

/// Whom the owner trusts, and through them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Trust {
    /// Longest chain that is followed.
    pub degree: u8,
    /// Nodes trusted at most.
    pub budget: u64,
    /// Whether the budget leaves out nodes that the degree would reach.
    pub capped: bool,
    /// Everyone trusted, nearest first.
    pub nodes: Vec<Trusted>,
    /// Addresses blocked.
    pub blocked: Vec<String>,
}

/// A trusted node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Trusted {
    /// Its onion address.
    pub address: String,
    /// What the owner calls it; only those the owner trusts himself have a name.
    pub name: Option<String>,
    /// Length of the chain: 1 for those the owner trusts himself.
    pub degree: u8,
    /// Through whom: names or addresses, from the one the owner trusts on. Without this node itself.
    pub through: Vec<String>,
    /// Whether we tell others that we trust it.
    pub told: bool,
    /// Records of it that are here.
    pub records: u64,
    /// How we keep up with it.
    pub state: NodeState,
    /// Seconds since its records were last compared with ours.
    pub age_s: Option<u64>,
}

/// A node whose records we copy and serve.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Mirror {
    /// Its onion address.
    pub address: String,
    /// Whether the copy is kept up to date.
    pub follow: bool,
    /// How far the copy is.
    pub progress: Progress,
    /// How we keep up with it.
    pub state: NodeState,
    /// Seconds since its records were last equal to ours, if they ever were.
    pub age_s: Option<u64>,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Progress {
    /// Records here.
    pub here: u64,
    /// Records there, when a conversation is under way and it was told.
    pub there: Option<u64>,
}

/// How we keep up with a node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "is", content = "why", rename_all = "snake_case")]
pub enum NodeState {
    /// Not called yet.
    #[default]
    Unknown,
    /// Being called.
    Connecting,
    /// Records are compared and copied.
    Copying,
    /// All is the same, and the conversation goes on: changes come at once.
    Current,
    /// All was the same when it was last asked.
    Visited,
    /// Could not be reached or was lost: why. Followed ones are tried again.
    Waiting(String),
}

/// What a degree of trust would cost.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct TrustCost {
    /// The degree asked about.
    pub degree: u8,
    /// Nodes it would trust.
    pub nodes: u64,
    /// Of these, not trusted yet.
    pub added: u64,
    /// Bytes of memory for their records at most.
    pub bytes: u64,
    /// Nodes of whose own trust nothing is known yet: behind them there may be more.
    pub unknown: u64,
    /// Whether the budget ends it earlier than the degree.
    pub capped: bool,
    /// Whether it was turned on.
    pub applied: bool,
}

/// One share that a search found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Hit {
    /// 64 hexadecimal digits.
    pub info_hash: String,
    /// What its author calls it.
    pub name: String,
    /// Bytes of all files, as its author says.
    pub size: u64,
    /// Separated by commas.
    pub tags: String,
    /// What its author says about it.
    pub text: String,
    /// Seconds since that was said or renewed.
    pub age_s: u64,
    /// Nodes known to serve it.
    pub sources: u64,
    /// What `bulbil fetch` takes.
    pub link: Option<String>,
    /// How far away its author is: 0 ourselves, 1 whom we trust; `None` for strangers.
    pub degree: Option<u8>,
    /// Through whom we know of it: names or addresses, from ourselves on; empty for what is here.
    pub through: Vec<String>,
}

/// One line of a search.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SearchEvent {
    /// Found, or found with more sources than before.
    Hit(Hit),
    /// A node was asked.
    Asked {
        /// Its name or address.
        node: String,
        /// Why it did not answer, if so.
        failed: Option<String>,
    },
    /// Everyone was asked.
    Done {
        /// Nodes that answered.
        asked: u64,
        /// Nodes that did not.
        failed: u64,
    },
}

//! All that pages, JSON, the command line and tests may see of a node. Built by the node, read by everyone else.
//!
//! Links and onion addresses stand in here because the owner asks for them through the control socket; nothing of
//! this is ever logged.

pub mod board;
pub mod hardening;
mod keep;
mod mail;
mod meeting;
mod proxy;
pub mod publish;
pub mod shortage;
pub mod standing;
mod tracker;

use serde::{Deserialize, Serialize};

pub use keep::{Keep, Losses};
pub use mail::Mail;
pub use meeting::{MAX_MEETINGS, Meeting, MeetingState};
pub use proxy::{LATENCY_S, Listener, ListenerState, NewIdentity, Proxy};
pub use tracker::{Hit, Mirror, NodeState, Progress, Records, SearchEvent, Trust, TrustCost, Trusted};

/// One node at one moment.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Seconds since the node started.
    pub uptime_s: u64,
    /// How far the network is.
    pub net: NetStatus,
    /// What memory is used and allowed.
    pub memory: Memory,
    /// What was given up because memory was short.
    #[serde(default)]
    pub shortage: shortage::Shortage,
    /// What is offered, oldest first.
    pub shares: Vec<Share>,
    /// What became of the `[[share]]` blocks of the configuration, in their order.
    #[serde(default)]
    pub standing: Vec<standing::Standing>,
    /// What is being fetched or was, oldest first.
    pub fetches: Vec<Fetch>,
    /// Conversations of all swarms.
    pub peers: Vec<Peer>,
    /// Peers that were dropped for what they did, newest last, at most [`MAX_DROPPED`].
    pub dropped: Vec<Dropped>,
    /// The machine around the node, where that is an image of ours.
    pub board: Option<board::Board>,
    /// Messages from and to other nodes.
    pub mail: Mail,
    /// What a power cut would cost.
    #[serde(default)]
    pub keep: Keep,
    /// Friend codes given out and typed in, oldest first, at most [`MAX_MEETINGS`].
    #[serde(default)]
    pub meetings: Vec<Meeting>,
    /// Onion services in front of other programs, in the order of the configuration.
    #[serde(default)]
    pub publish: Vec<publish::Published>,
    /// What the process gave up, and what it could not.
    #[serde(default)]
    pub hardening: Vec<hardening::Measure>,
    /// The node's own onion address, for other nodes: to be trusted, mirrored and written to. None while it has none.
    pub address: Option<String>,
    /// Whether it can be reached there.
    pub address_reachable: bool,
    /// Records kept.
    pub records: Records,
    /// Whom the owner trusts.
    pub trust: Trust,
    /// Nodes whose records are copied.
    pub mirrors: Vec<Mirror>,
    /// What other programs use.
    pub proxy: Proxy,
}

/// Dropped peers that are remembered.
pub const MAX_DROPPED: usize = 64;

/// How far the network is, and why it is not further.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct NetStatus {
    /// `tor` or `memory`.
    pub kind: String,
    /// Whether conversations can be opened now.
    pub ready: bool,
    /// Bootstrap, 0 to 100.
    pub percent: u8,
    /// One line for a person: what it is doing.
    pub doing: String,
    /// Why it does not move and what to do about it, if it is stuck.
    pub blocked: Option<String>,
    /// Seconds by which our clock is ahead of the network's (negative: behind), if that is known.
    pub clock_skew_s: Option<i64>,
    /// Bridges by which it is entered; 0 where it is entered by public relays.
    #[serde(default)]
    pub bridges: u32,
    /// Onion services that run.
    pub services: u32,
    /// Of these, reachable as far as the network says.
    pub services_reachable: u32,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Memory {
    /// Resident set of the process now.
    pub rss: u64,
    /// Its highest value so far.
    pub rss_peak: u64,
    /// The `memory` setting.
    pub limit: u64,
}

/// One share.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Share {
    /// 64 hexadecimal digits.
    pub info_hash: String,
    /// Name of the file or folder.
    pub name: String,
    /// Bytes of all files.
    pub size: u64,
    /// Number of files.
    pub files: u64,
    /// The link to give away.
    pub link: String,
    /// Private (one onion for it alone) or in the public catalogue.
    pub public: bool,
    /// What is said about it once it is public, separated by commas.
    #[serde(default)]
    pub tags: String,
    /// The same as a line of text.
    #[serde(default)]
    pub text: String,
    /// Any browser may read the files at the link; otherwise it finds a page about the share.
    pub browser: bool,
    /// What works: see [`ShareState`].
    pub state: ShareState,
    /// Bytes served so far.
    pub uploaded: u64,
    /// Peers connected to it now.
    pub peers: u32,
}

/// What a share is doing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "is", content = "why", rename_all = "snake_case")]
pub enum ShareState {
    /// Its onion service is being published.
    #[default]
    Publishing,
    /// Can be fetched.
    Reachable,
    /// Cannot be served: what happened and what to do.
    Failed(String),
}

/// One fetch.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Fetch {
    /// Number of this fetch on this node.
    pub id: u64,
    /// 64 hexadecimal digits, once known.
    pub info_hash: Option<String>,
    /// Name, once known.
    pub name: Option<String>,
    /// The folder it is written into.
    pub out: String,
    /// Bytes of all files, once known.
    pub size: Option<u64>,
    /// Bytes verified and written.
    pub done: u64,
    /// Content bytes received over the network by this process, verified or not: what a restart cost shows here.
    pub downloaded: u64,
    /// Content bytes served to others.
    pub uploaded: u64,
    /// Bytes a second, averaged over some seconds.
    pub rate: u64,
    /// Lanes open now, over all peers.
    pub lanes: u32,
    /// Peers connected now.
    pub peers: u32,
    /// What it is doing.
    pub state: FetchState,
}

/// What a fetch is doing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "is", content = "why", rename_all = "snake_case")]
pub enum FetchState {
    /// Reaching the first peer; the text says what is known about why it takes long, if anything.
    #[default]
    Connecting,
    /// Waiting to try again: why.
    Waiting(String),
    /// Reading the metadata.
    Learning,
    /// Fetching blocks.
    Fetching,
    /// Every byte is verified and on disk.
    Done,
    /// Given up: what happened and what to do. What was verified is kept.
    Failed(String),
}

/// One conversation.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Peer {
    /// A number of this node's own, as the log uses it.
    pub id: u64,
    /// Info-hash of the share it is about.
    pub info_hash: String,
    /// Circuits to it.
    pub lanes: Vec<Lane>,
    /// Pieces it has, in percent.
    pub has_percent: u8,
    /// Verified bytes it gave us.
    pub downloaded: u64,
    /// Bytes we gave it.
    pub uploaded: u64,
    /// It refuses our requests for now.
    pub chokes_us: bool,
    /// We refuse its requests for now.
    pub choked: bool,
}

/// One circuit to a peer.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Lane {
    /// Round trip in milliseconds, 0 while unknown.
    pub rtt_ms: u32,
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests that may be in flight.
    pub depth: u32,
    /// Bytes a second towards us.
    pub rate: u64,
}

/// A peer that was dropped.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Dropped {
    /// Its number, as the log uses it.
    pub id: u64,
    /// Info-hash of the share.
    pub info_hash: String,
    /// What it did.
    pub why: String,
}

/// One line of the live event stream.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The network moved on, or got stuck.
    Net(NetStatus),
    /// A share appeared or changed state.
    Share(Share),
    /// A share was removed.
    Unshared {
        /// 64 hexadecimal digits.
        info_hash: String,
    },
    /// A fetch moved on (at most four times a second each).
    Fetch(Fetch),
    /// A fetch was forgotten.
    Forgotten {
        /// The number it had.
        id: u64,
    },
    /// A peer was dropped.
    Dropped(Dropped),
    /// A message came, left, or could not be delivered.
    Mail(Mail),
    /// A friend code moved on.
    Meeting(Meeting),
}

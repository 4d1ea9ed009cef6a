//! Mail as a restart needs it.

use serde::{Deserialize, Serialize};

/// All mail of a node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailEntries {
    /// Number of the newest letter in the inbox.
    pub last: u64,
    /// What came, and what could not be delivered, oldest first.
    pub inbox: Vec<InEntry>,
    /// What waits to be sent, oldest first.
    pub outbox: Vec<OutEntry>,
}

/// One letter of the inbox.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InEntry {
    /// By which its owner names it.
    pub number: u64,
    /// Whom it is from, or could not be delivered to: the node's address, `<56 characters>.onion`.
    pub peer: String,
    /// Its sender's number for it.
    pub id: u64,
    /// When it came by this node's clock, in seconds since 1970.
    pub at_s: u64,
    /// What it says.
    pub text: String,
    /// Our own letter, which could not be delivered.
    pub undelivered: bool,
}

/// One letter of the outbox.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OutEntry {
    /// By which the receiver knows a letter that comes twice.
    pub id: u64,
    /// For whom: the node's address, `<56 characters>.onion`.
    pub to: String,
    /// What it says.
    pub text: String,
    /// Milliseconds since it was written during which this node ran. Boards have no clock.
    pub age_ms: u64,
}

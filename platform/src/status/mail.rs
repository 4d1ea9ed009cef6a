//! Mail, counted. The letters themselves are asked for with [`Handle::inbox`](crate::node::Handle::inbox).

use serde::{Deserialize, Serialize};

/// How much mail there is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Mail {
    /// Letters in the inbox, undelivered ones of our own included.
    pub inbox: u32,
    /// Of these, our own that could not be delivered within a day.
    pub undelivered: u32,
    /// Letters that wait to be sent.
    pub outbox: u32,
    /// Conversations kept warm.
    pub warm: u32,
}

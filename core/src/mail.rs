//! Messages between nodes: what waits to be sent, what came, and the conversations they go over.
//!
//! Three machines that know nothing of each other: [`Outbox`], [`Inbox`], [`Pool`]. The owner asks the outbox whom to
//! serve, takes a conversation to that node from the pool or opens one, sends the letter, and tells the outbox what became
//! of it.

mod inbox;
mod outbox;
mod pool;

pub use inbox::{Arrival, Inbox};
pub use outbox::{Letter, Outbox, OutboxFull, Waiting};
pub use pool::{Lease, Pool, Stale};

use heapless::String;

use crate::limits::MAX_MAIL;

/// The text of a letter.
pub type Text = String<MAX_MAIL>;

//! Meetings of friends: codes that were given out or typed in.

use serde::{Deserialize, Serialize};

/// Meetings that are remembered, ended ones too.
pub const MAX_MEETINGS: usize = 16;

/// One meeting.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Meeting {
    /// Number on this node.
    pub id: u64,
    /// The words to read to a friend; `None` where a friend's words were typed in, and once they are used up.
    pub words: Option<String>,
    /// What the owner calls the friend.
    pub name: Option<String>,
    /// Seconds until it is given up.
    pub left_s: u64,
    /// How often somebody called with wrong words.
    pub wrong_guesses: u32,
    /// What it is doing.
    pub state: MeetingState,
}

/// What a meeting is doing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "is", content = "with", rename_all = "snake_case")]
pub enum MeetingState {
    /// The place where both meet is being published. The words can be read out already.
    #[default]
    Publishing,
    /// Waiting for the friend to call.
    Waiting,
    /// Calling the friend; the text says what is known about why it takes long, if anything.
    Calling(String),
    /// Both know each other now: the friend's address.
    Met(String),
    /// Given up: what happened and what to do.
    Failed(String),
}

impl MeetingState {
    /// Whether nothing more will happen.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Met(_) | Self::Failed(_))
    }
}

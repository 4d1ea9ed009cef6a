//! Requests are heard once their piece was hashed, by another thread: this one serves everybody, and must not stop for it.

use bulbil_core::transport::{Hangup, RecvFrame};
use bulbil_core::wire::Message;

use super::room::Room;

/// What one lane hears.
pub(crate) struct Warmth<'r, R> {
    room: &'r Room,
    rx: &'r mut R,
}

impl<'r, R: RecvFrame> Warmth<'r, R> {
    pub(crate) fn new(room: &'r Room, rx: &'r mut R) -> Self {
        Self { room, rx }
    }
}

impl<R: RecvFrame> RecvFrame for Warmth<'_, R> {
    /// Unlike others' this is not cancel-safe: a pump hears to the end of its lane.
    async fn recv(&mut self) -> Result<&[u8], Hangup> {
        let frame = self.rx.recv().await?;
        if let Ok(Message::Request(id)) = Message::decode(frame) {
            self.room.warm(id.piece).await;
        }
        Ok(frame)
    }
}

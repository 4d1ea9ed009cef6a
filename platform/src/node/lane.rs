//! What stands behind one lane: the room's machine.

use std::rc::Rc;

use bulbil_core::limits::MAX_FRAME;
use bulbil_core::pump::Line;
use bulbil_core::swarm::{LaneId, Over};
use bulbil_core::time::Millis;
use tokio::sync::Notify;

use super::halves::Wear;
use super::room::Room;

/// Frames of one lane go through here.
pub(crate) struct LaneLine<'r> {
    room: &'r Room,
    id: LaneId,
    stirred: Rc<Notify>,
    wear: Wear,
}

impl<'r> LaneLine<'r> {
    pub(crate) fn new(room: &'r Room, id: LaneId, stirred: Rc<Notify>, wear: Wear) -> Self {
        Self { room, id, stirred, wear }
    }
}

impl Line for LaneLine<'_> {
    type End = Over;

    fn hear(&self, _: Millis, frame: &[u8]) -> Result<(), Over> {
        self.room.hear(self.id, frame)?;
        if self.wear.worn() {
            self.room.retire(self.id);
        }
        Ok(())
    }

    fn say(&self, _: Millis, tx: &mut [u8]) -> Result<usize, Over> {
        let tx: &mut [u8; MAX_FRAME] = tx.first_chunk_mut().ok_or(Over::Closed)?;
        self.room.say(self.id, tx)
    }

    async fn stirred(&self) {
        self.stirred.notified().await;
    }
}

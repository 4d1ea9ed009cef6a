//! Calls that a room's machine asks for.

use std::rc::Weak;

use bulbil_core::swarm::Dial;
use log::debug;

use super::halves::halves;
use super::open::{self, NotOpened, address_of};
use super::room::Room;
use crate::net::{Circuit, NetError};

/// Makes one call and carries the lane that comes of it.
pub(crate) async fn call(room: Weak<Room>, call: Dial) {
    let Some(room) = room.upgrade() else { return };
    let Some(address) = address_of(&call.name) else {
        room.call_failed(&call.name, Some(NetError::NotFound));
        return;
    };
    let circuit = Circuit { swarm: room.number, lane: call.lane };
    let stream = match room.ground.network.connect(address, room.access(&call.name).as_ref(), circuit).await {
        Ok(stream) => stream,
        Err(error) => {
            debug!("call failed: {error}");
            room.call_failed(&call.name, Some(error));
            return;
        }
    };
    let mut halves = halves(stream);
    match open::dialed(room.secrets(&call.name), &call.name, &mut halves).await {
        Ok(key) => room.carry(key, Some(&call.name), halves).await,
        Err(NotOpened::Refused) => room.call_failed(&call.name, None),
        Err(why) => {
            debug!("no conversation: {why:?}");
            room.call_failed(&call.name, Some(NetError::Failed));
        }
    }
}

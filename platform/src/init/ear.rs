//! Hears what the node tells of Tor: the light shows it, and the clock follows.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

use tokio::net::UnixDatagram;

use super::child::ID;
use super::clock::Clock;
use super::console::say;
use super::light::{Light, Mood};
use crate::sys::board::process;
use crate::tidings::{MAX_BYTES, PLACE, Tidings};

/// Listens for ever.
pub(super) async fn run(clock: Rc<Clock>, light: Rc<Light>) {
    let socket = match open(Path::new(PLACE)) {
        Ok(socket) => socket,
        Err(error) => return say(&format!("what the node says of Tor is not heard: {error}")),
    };
    let mut bytes = [0; MAX_BYTES];
    while let Ok(length) = socket.recv(&mut bytes).await {
        let Some(tidings) = bytes.get(..length).and_then(Tidings::read) else { continue };
        light.show(mood(tidings));
        if let Some(skew) = tidings.skew_s {
            clock.heed_relays(skew);
        }
    }
}

/// Only the node may write there.
fn open(place: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::bind(place)?;
    fs::set_permissions(place, fs::Permissions::from_mode(0o600))?;
    process::give(place, Some(ID), ID)?;
    Ok(socket)
}

const fn mood(tidings: Tidings) -> Mood {
    if tidings.ready {
        Mood::Ready
    } else if tidings.stuck {
        Mood::Trouble
    } else {
        Mood::Starting
    }
}

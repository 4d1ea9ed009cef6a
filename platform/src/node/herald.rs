//! Keeps a fetch in touch with others who hold its link: hears who serves the share, and says when we do.

use std::rc::{Rc, Weak};
use std::time::Duration;

use bulbil_core::rate::Backoff;
use bulbil_core::wire::Purpose;
use log::debug;
use tokio::time::Instant;

use super::fetch::Fetch;
use super::halves::halves;
use super::open::{self, address_of};
use super::room::Room;
use super::tracker::LinkRecords;
use crate::net::{Circuit, TURNS};

/// Milliseconds between two tries, doubling.
const RETRY_MS: (u64, u64) = (5_000, 300_000);

/// A conversation that lasted so long was no failure.
const STEADY: Duration = Duration::from_secs(60);

/// Numbers of circuits for these conversations: lanes of the room count from below.
const FIRST_LANE: u32 = 1 << 30;

/// Runs as long as the room: one conversation at a time, with the owner of the link if he can be reached, else with
/// each of the others in turn.
pub(super) async fn run(fetch: Weak<Fetch>, room: Weak<Room>, links: Rc<LinkRecords>) {
    let mut retry = Backoff::new(RETRY_MS.0, RETRY_MS.1);
    let (mut turn, mut count) = (0_usize, 0_u32);
    loop {
        let Some(names) = fetch.upgrade().map(|fetch| fetch.names()) else { return };
        let Some(now) = room.upgrade() else { return };
        let name = turn.checked_rem(names.len()).and_then(|at| names.get(at)).cloned();
        let began = Instant::now();
        if let Some(name) = name {
            converse(&now, &name, FIRST_LANE + count % TURNS, &links).await;
        }
        drop(now);
        count = count.wrapping_add(1);
        if began.elapsed() >= STEADY {
            retry.succeeded();
            turn = 0;
        } else {
            turn = turn.wrapping_add(1);
        }
        tokio::time::sleep(Duration::from_millis(retry.failed(0))).await;
    }
}

/// One conversation about the records of the share, until it ends.
async fn converse(room: &Rc<Room>, name: &[u8], lane: u32, links: &Rc<LinkRecords>) {
    let Some(address) = address_of(name) else { return };
    let network = room.ground.network.clone();
    let circuit = Circuit { swarm: room.number, lane };
    let (secrets, access) = (room.secrets(name), room.access(name));
    let stream = match network.connect(address, access.as_ref(), circuit).await {
        Ok(stream) => stream,
        Err(why) => {
            debug!("nobody there to ask for the records of a share: {why}");
            return;
        }
    };
    let mut halves = halves(stream);
    match open::dialed_about(Purpose::Mirror, secrets, name, &mut halves).await {
        Ok(_) => drop(links.talk(true, &halves).run(&mut halves).await),
        Err(why) => debug!("no conversation about the records of a share: {why:?}"),
    }
}

//! Opening what is on the disk already, and waiting for a disk that is late.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bulbil_core::bits::Bits;
use bulbil_core::swarm::{block_slot, block_slots};

use super::{Fetch, Trouble};
use crate::node::room::{self, Room};
use crate::node::shelf::Shelf;
use crate::status::FetchState;
use crate::store::{Fetched, Found, OpenError};

/// Between two looks for a finished copy that is not to be seen.
pub(in crate::node) const LOOK: Duration = Duration::from_secs(30);

/// So long after the start nothing is taken to be moved away: an empty folder may wait for its disk.
pub(in crate::node) const GRACE: Duration = Duration::from_secs(5 * 60);

/// What is said of a copy whose disk may come.
const LATE: &str = "its folder is not there yet; it is looked for every 30 s and served again when it comes. If it will \
    not, end this with `bulbil forget`";

/// What is said of a copy that is not whole.
const PARTLY: &str = "some of its files cannot be seen or have another size; put them back, it is served again by itself, \
    or end this with `bulbil forget`";

impl Fetch {
    /// Opens the store and the room, and lets other fetchers reach us.
    pub(super) async fn enter(self: &Rc<Self>) -> Result<Rc<Room>, Trouble> {
        if let Some(room) = self.current_room() {
            return Ok(room);
        }
        let metadata =
            self.metadata.borrow().clone().ok_or_else(|| Trouble::Passing("not learned yet".into()))?;
        let (out, fsync, was_done) = (self.parts.out.clone(), self.parts.fsync, self.parts.was_done);
        // Looking at what is there already hashes it all: not on this thread.
        let opening = tokio::task::spawn_blocking({
            let metadata = Arc::clone(&metadata);
            move || {
                let found = if was_done { Fetched::find(&metadata, &out) } else { Found::There };
                if found != Found::There {
                    return Ok(Err(found));
                }
                let store = Fetched::open(metadata, &out, fsync)?;
                Ok::<_, OpenError>(Ok((here(&store), store)))
            }
        });
        let opened =
            opening.await.map_err(|_| Trouble::Passing("opening the files was interrupted".into()))?;
        let opened = opened.map_err(|why| self.open_trouble(why))?;
        let (blocks, store) = opened.map_err(|found| self.absence(found))?;
        self.late.set(false);
        self.note_heard(); // hashing what is there may take long, and nobody was asked meanwhile
        let layout = metadata.layout().clone();
        let blocks = blocks.ok_or_else(|| Trouble::Final(room::TooLarge.to_string()))?;
        let room = Room::open(
            self.ground.clone(),
            self.parts.pass.clone(),
            self.number,
            Shelf::Fetched(store),
            layout,
            blocks,
        )
        .map_err(|why| Trouble::Final(why.to_string()))?;
        self.room.replace(Some(Rc::clone(&room)));
        self.set_state(FetchState::Fetching);
        let serving = Rc::clone(self);
        room.spawn(async move { serving.serve().await });
        self.get_in_touch(&room, metadata.info_hash());
        Ok(room)
    }

    /// A finished copy is not where it was.
    fn absence(&self, found: Found) -> Trouble {
        match found {
            Found::Moved if self.started.elapsed() >= GRACE => Trouble::Gone,
            Found::Partly => self.late(PARTLY),
            Found::Moved | Found::Late | Found::There => self.late(LATE),
        }
    }

    fn late(&self, why: &str) -> Trouble {
        self.late.set(true);
        Trouble::Late(why.to_owned())
    }

    /// Room may be made while we wait, and another fetch may end; everything else is the owner's to change.
    fn open_trouble(&self, why: OpenError) -> Trouble {
        match why {
            OpenError::Out(..) if self.parts.was_done => self.late(LATE),
            OpenError::Full(..) | OpenError::Busy(_) => {
                self.note_heard(); // nobody was asked meanwhile
                Trouble::Passing(why.to_string())
            }
            other => Trouble::Final(other.to_string()),
        }
    }
}

/// The blocks that are there already, as the swarm counts them.
fn here(store: &Fetched) -> Option<Bits<Box<[u64]>>> {
    let layout = store.content().layout();
    let mut blocks = room::bits(block_slots(layout)?)?;
    for id in store.content().blocks().filter(|id| store.has(*id)) {
        blocks.set(block_slot(layout, id));
    }
    Some(blocks)
}

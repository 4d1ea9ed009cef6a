//! A fetch and the records of its share: whom to call besides, and that we serve it once the copy is whole.

use std::rc::Rc;

use bulbil_core::id::InfoHash;
use bulbil_core::peer::Name;

use super::Fetch;
use crate::node::herald;
use crate::node::open::name_of;
use crate::node::room::Room;
use crate::node::tracker::{LinkRecords, Source};
use crate::status::FetchState;

/// Others remembered; as many as a swarm remembers.
const MAX_KNOWN: usize = 64;

impl Fetch {
    /// Begins to hear of others who serve the share: from records that are here, and from those who hold the link.
    pub(super) fn get_in_touch(self: &Rc<Self>, room: &Rc<Room>, info_hash: InfoHash) {
        let Some(callers) = self.parts.tracker.as_ref().map(|tracker| tracker.link_callers()) else { return };
        let links = LinkRecords::new(self.parts.pass.clone(), info_hash, self.ground.clock, callers);
        let me = Rc::downgrade(self);
        links.set_hear(Rc::new(move |record, _| {
            if let (Some(fetch), Some(source)) = (me.upgrade(), Source::of(record)) {
                fetch.hear_of(&source, info_hash);
            }
        }));
        self.links.replace(Some(Rc::clone(&links)));
        for source in self.ground.sources.find(|source| source.info_hash == info_hash) {
            self.hear_of(&source, info_hash);
        }
        let me = Rc::downgrade(self);
        self.ground.sources.listen(Rc::new(move |source| {
            me.upgrade().is_some_and(|fetch| {
                fetch.hear_of(source, info_hash);
                fetch.current_room().is_some()
            })
        }));
        room.spawn(herald::run(Rc::downgrade(self), Rc::downgrade(room), links));
    }

    /// Somebody serves the share. By a private link only those are called who hold it too: who calls others shows that
    /// he has it.
    fn hear_of(&self, source: &Source, info_hash: InfoHash) {
        let ours = name_of(self.parts.key.address(crate::node::PORT));
        let same = source.token == self.parts.link.token;
        if source.info_hash != info_hash || *source.name == ours || !(same || self.parts.link.public) {
            return;
        }
        let mut known = self.known.borrow_mut();
        if !known.contains(source) && known.len() < MAX_KNOWN {
            known.push(source.clone());
        }
        drop(known);
        if let Some(room) = self.current_room() {
            room.hear_of(source);
        }
    }

    /// Those who hold the link, its own node first.
    pub(in crate::node) fn names(&self) -> Vec<Name> {
        let origin = name_of(self.parts.link.address);
        let origin = origin.as_slice().try_into().into_iter();
        let known = self.known.borrow();
        let others = known.iter().filter(|source| source.token == self.parts.link.token);
        let mut names: Vec<Name> = origin.collect();
        for source in others {
            if !names.contains(&source.name) {
                names.push(source.name.clone());
            }
        }
        names
    }

    /// Says that we serve the share, once that is so: the copy is whole, and we can be called.
    pub(in crate::node) fn declare(&self) {
        let whole = matches!(*self.state.borrow(), FetchState::Done);
        if let Some(links) = self.links.borrow().clone().filter(|_| whole && self.reachable.get()) {
            links.claim(self.parts.key.address(crate::node::PORT));
            if let Some(tracker) = &self.parts.tracker {
                tracker.announce(&links);
            }
        }
    }
}

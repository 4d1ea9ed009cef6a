//! Who serves what, as far as any record here says: where a fetch finds further sources.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bulbil_core::id::{InfoHash, NodeKey};
use bulbil_core::peer::Name;
use bulbil_core::tracker::{Body, Record};

use super::records::Records;
use crate::link::Token;

/// Sources that one question is answered with; as many as a swarm remembers.
const MAX_SOURCES: usize = 64;

/// One of those who serve a share.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Source {
    pub(crate) info_hash: InfoHash,
    pub(crate) name: Name,
    /// What its door asks for.
    pub(crate) token: Token,
}

/// Hears of a new source; says whether it wants to hear more.
pub(crate) type Listener = Rc<dyn Fn(&Source) -> bool>;

/// See the module. Knows every store of records there is but those of private shares.
#[derive(Default)]
pub(crate) struct Sources {
    stores: RefCell<Vec<Weak<Records>>>,
    listeners: RefCell<Vec<Listener>>,
}

impl Source {
    /// What a record says about one, if it does.
    pub(crate) fn of(record: &Record<'_>) -> Option<Self> {
        let Body::Peer { info_hash, name, token } = record.body else { return None };
        Some(Self { info_hash, name: name.try_into().ok()?, token: Token::from_bytes(token) })
    }
}

impl Sources {
    /// Looks into this store as well, for as long as it is there.
    pub(crate) fn add(&self, store: &Rc<Records>) {
        let mut stores = self.stores.borrow_mut();
        stores.retain(|store| store.strong_count() > 0);
        stores.push(Rc::downgrade(store));
    }

    /// Those who are `wanted`.
    pub(crate) fn find(&self, wanted: impl Fn(&Source) -> bool) -> Vec<Source> {
        let stores: Vec<_> = self.stores.borrow().iter().filter_map(Weak::upgrade).collect();
        let mut found: Vec<Source> = Vec::new();
        for store in stores {
            store.each(|record| {
                if found.len() < MAX_SOURCES
                    && let Some(source) = Source::of(record)
                    && wanted(&source)
                    && !found.contains(&source)
                {
                    found.push(source);
                }
            });
        }
        found
    }

    /// Public shares that this node has signed for.
    pub(crate) fn shares_of(&self, node: &NodeKey) -> Vec<InfoHash> {
        let stores: Vec<_> = self.stores.borrow().iter().filter_map(Weak::upgrade).collect();
        let mut shares: Vec<InfoHash> = Vec::new();
        for store in stores {
            store.each(|record| {
                if let Body::Share { info_hash, .. } = record.body
                    && record.author == *node
                    && !shares.contains(&info_hash)
                {
                    shares.push(info_hash); // at most as many as a store keeps of one author
                }
            });
        }
        shares
    }

    /// Tells of sources as they become known.
    pub(crate) fn listen(&self, listener: Listener) {
        self.listeners.borrow_mut().push(listener);
    }

    /// A record came; listeners hear of it if it names a source.
    pub(crate) fn heard(&self, record: &Record<'_>) {
        let Some(source) = Source::of(record) else { return };
        let listeners = self.listeners.take();
        let mut kept: Vec<_> = listeners.into_iter().filter(|listener| listener(&source)).collect();
        let mut added = self.listeners.borrow_mut();
        kept.append(&mut added); // by those who were just called
        *added = kept;
    }
}

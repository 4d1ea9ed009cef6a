//! Peers that were dropped for cause, for the status page.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::broadcast;

use crate::status::{Dropped, Event, MAX_DROPPED};

/// The last [`MAX_DROPPED`] of them, shared by all rooms.
#[derive(Clone)]
pub(crate) struct DroppedList {
    list: Rc<RefCell<VecDeque<Dropped>>>,
    events: broadcast::Sender<Event>,
}

impl DroppedList {
    pub(crate) fn new(events: broadcast::Sender<Event>) -> Self {
        Self { list: Rc::default(), events }
    }

    pub(crate) fn push(&self, id: u64, info_hash: &str, why: &str) {
        let dropped = Dropped { id, info_hash: info_hash.to_owned(), why: why.to_owned() };
        _ = self.events.send(Event::Dropped(dropped.clone())); // nobody may be listening
        let mut list = self.list.borrow_mut();
        if list.len() >= MAX_DROPPED {
            list.pop_front();
        }
        list.push_back(dropped);
    }

    pub(crate) fn all(&self) -> Vec<Dropped> {
        self.list.borrow().iter().cloned().collect()
    }
}

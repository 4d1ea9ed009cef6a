//! A clock that stands still until a test moves it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bulbil_core::pump::Clock;
use bulbil_core::time::Millis;
use tokio::sync::Notify;

/// All clones are one clock.
#[derive(Clone, Default)]
pub(super) struct Noon(Rc<Face>);

#[derive(Default)]
struct Face {
    now: Cell<u64>,
    /// When somebody wants to be woken, each under a number.
    alarms: RefCell<Vec<(u64, Millis)>>,
    last: Cell<u64>,
    moved: Notify,
}

/// Somebody waits.
struct Alarm(Rc<Face>, u64);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.alarms.borrow_mut().retain(|(number, _)| *number != self.1);
    }
}

impl Clock for Noon {
    fn now(&self) -> Millis {
        Millis(self.0.now.get())
    }

    async fn until(&self, at: Millis) {
        let number = self.0.last.get() + 1;
        self.0.last.set(number);
        self.0.alarms.borrow_mut().push((number, at));
        let _alarm = Alarm(Rc::clone(&self.0), number);
        while self.now() < at {
            self.0.moved.notified().await;
        }
    }
}

impl Noon {
    /// Seconds since the beginning.
    pub(super) fn seconds(&self) -> u64 {
        self.0.now.get() / 1000
    }

    /// When the next one wants to be woken.
    pub(super) fn next(&self) -> Option<Millis> {
        self.0.alarms.borrow().iter().map(|(_, at)| *at).min()
    }

    /// Moves the clock forward.
    pub(super) fn set(&self, at: Millis) {
        self.0.now.set(self.0.now.get().max(at.0));
        self.0.moved.notify_waiters();
    }
}

//! Callers who have not shown yet that they know anything: a few at a time, and whoever tarries makes room for the next.
//!
//! So silence, however much of it, keeps nobody out who has something to say.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Strangers at one door at once. More wait in the network's own queue.
pub(super) const STRANGERS: usize = 32;

/// The same while memory is short: each of them is told so, and costs a frame until then.
pub(super) const FEW: usize = 4;

/// After so long a stranger makes room if the porch is full: an opening takes two round trips, a second or two.
const HURRY: Duration = Duration::from_secs(5);

/// Held by a caller for as long as it is a stranger.
pub(crate) struct Place {
    stranger: Rc<Cell<bool>>,
    left: Rc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stranger.set(false);
        self.left.notify_one();
    }
}

struct Stranger {
    since: Instant,
    is: Rc<Cell<bool>>,
    task: AbortHandle,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Porch {
    /// Who came first stands first.
    strangers: VecDeque<Stranger>,
    left: Rc<Notify>,
}

impl Porch {
    /// Waits until one more may come in, of so many at `most`. Cancel-safe.
    pub(super) async fn room(&mut self, most: usize) {
        loop {
            self.strangers.retain(|stranger| stranger.is.get());
            let Some(oldest) = self.strangers.front().filter(|_| self.strangers.len() >= most) else {
                return;
            };
            if oldest.since.elapsed() >= HURRY {
                oldest.task.abort();
                self.strangers.pop_front();
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(oldest.since + HURRY) => {}
                () = self.left.notified() => {}
            }
        }
    }

    /// Lets one in. `start` begins to listen to it.
    pub(super) fn enter(&mut self, start: impl FnOnce(Place) -> AbortHandle) {
        let is = Rc::new(Cell::new(true));
        let task = start(Place { stranger: Rc::clone(&is), left: Rc::clone(&self.left) });
        self.strangers.push_back(Stranger { since: Instant::now(), is, task });
    }
}

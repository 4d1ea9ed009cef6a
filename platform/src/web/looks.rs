//! Looks at disks, away from the one thread that runs the node, Tor and the page: a disk that fails or sleeps may take minutes
//! to answer. Who looks waits for a while only, and a disk that is silent is not asked again before it answered.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::timeout;

use crate::sys::disks::{self, Disk};

/// Longest wait for what a disk has at hand: its size, whether it is there.
const GLANCE: Duration = Duration::from_secs(2);

/// Longest wait for what must be read from it: a disk that sleeps needs some ten seconds to spin up.
const READ: Duration = Duration::from_secs(15);

/// Looks under way at one place, and at all: each that does not end takes a thread.
const AT_ONCE: (usize, usize) = (8, 64);

/// A disk that did not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("its disk does not answer; it may be failing, or asleep: try again in a minute")]
pub(super) struct Silent;

/// See the module: until when each look that is under way should have ended.
#[derive(Debug, Default)]
pub(super) struct Looks(Arc<Mutex<HashMap<PathBuf, Vec<Instant>>>>);

/// A look that is under way, for as long as it lasts.
struct Turn {
    all: Arc<Mutex<HashMap<PathBuf, Vec<Instant>>>>,
    place: PathBuf,
    until: Instant,
}

impl Looks {
    /// Asks what a disk has at hand.
    pub(super) async fn glance<T: Send + 'static>(
        &self,
        place: &Path,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Silent> {
        self.within(GLANCE, place, look).await
    }

    /// Reads from a disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        place: &Path,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Silent> {
        self.within(READ, place, look).await
    }

    /// All mounted disks of people, those that are silent too.
    pub(super) async fn disks(&self) -> Vec<Disk> {
        let look = |disk: Disk| async move {
            let (at, silent) = (disk.at.clone(), Disk { silent: true, ..disk.clone() });
            self.glance(&at, move || disk.measured()).await.unwrap_or(Some(silent))
        };
        join_all(disks::listed().into_iter().map(look)).await.into_iter().flatten().collect()
    }

    async fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        place: &Path,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Silent> {
        let turn = self.begin(limit, place, Instant::now())?;
        let looking = tokio::task::spawn_blocking(move || {
            let seen = look();
            drop(turn); // also when nobody waits for it any more
            seen
        });
        timeout(limit, looking).await.ok().and_then(Result::ok).ok_or(Silent)
    }

    fn begin(&self, limit: Duration, place: &Path, now: Instant) -> Result<Turn, Silent> {
        let mut all = lock(&self.0);
        let here = all.get(place).map(Vec::as_slice).unwrap_or_default();
        let silent = here.iter().any(|until| *until <= now);
        if silent || here.len() >= AT_ONCE.0 || all.values().map(Vec::len).sum::<usize>() >= AT_ONCE.1 {
            return Err(Silent);
        }
        let until = now + limit;
        all.entry(place.to_owned()).or_default().push(until);
        Ok(Turn { all: Arc::clone(&self.0), place: place.to_owned(), until })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        let Some(here) = all.get_mut(&self.place) else { return };
        if let Some(index) = here.iter().position(|until| *until == self.until) {
            here.swap_remove(index);
        }
        if here.is_empty() {
            all.remove(&self.place);
        }
    }
}

fn lock(all: &Mutex<HashMap<PathBuf, Vec<Instant>>>) -> MutexGuard<'_, HashMap<PathBuf, Vec<Instant>>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look that ends when the sender goes.
    fn hung() -> (std::sync::mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (release, held) = std::sync::mpsc::channel::<()>();
        (release, move || _ = held.recv())
    }

    #[tokio::test]
    async fn a_silent_disk_is_asked_once_and_others_answer() {
        let (looks, (dead, fine)) = (Looks::default(), (Path::new("/dead"), Path::new("/fine")));
        let (release, look) = hung();
        assert_eq!(looks.within(Duration::from_millis(1), dead, look).await, Err(Silent));
        assert_eq!(looks.glance(dead, || 1).await, Err(Silent), "not asked again");
        assert_eq!(looks.glance(fine, || 1).await, Ok(1));
        drop(release);
        while !lock(&looks.0).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(looks.glance(dead, || 1).await, Ok(1), "it answered after all");
    }

    #[test]
    fn looks_that_do_not_end_take_so_many_threads_and_no_more() {
        let (looks, now) = (Looks::default(), Instant::now());
        let begin = |place: String| looks.begin(GLANCE, Path::new(&place), now).ok();
        let here: Vec<_> = (0..100).filter_map(|_| begin("/one".into())).collect();
        assert_eq!(here.len(), AT_ONCE.0);
        let others: Vec<_> = (0..100).filter_map(|number| begin(format!("/{number}"))).collect();
        assert_eq!(here.len() + others.len(), AT_ONCE.1);
        drop((here, others));
        assert!(begin("/one".into()).is_some());
        assert!(lock(&looks.0).is_empty());
    }
}

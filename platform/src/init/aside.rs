//! Work that may take as long as a disk likes, or for ever: it gets a thread of its own, and everything else goes on. Nothing can end a
//! thread that waits for a disk.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// Starts it; what comes of it is for a task to wait for.
pub(super) fn start<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (tell, told) = oneshot::channel();
    let work = move || drop(tell.send(work())); // nobody waits any more: it came too late
    thread::Builder::new().name("aside".to_owned()).spawn(work)?;
    Ok(told)
}

/// The same where no task runs any more: what came of it, or `None` when that takes longer than `limit`, or there is no thread.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (tell, told) = mpsc::channel();
    let work = move || drop(tell.send(work())); // as above
    thread::Builder::new().name("aside".to_owned()).spawn(work).ok()?;
    told.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hangs_is_waited_for_no_longer_than_told() {
        let (release, disk) = mpsc::channel::<()>();
        let hangs = move || disk.recv().is_ok();
        assert_eq!(within(Duration::from_millis(1), hangs), None);
        drop(release);
        assert_eq!(within(Duration::from_secs(20), || 7), Some(7));
        assert_eq!(start(|| 7).unwrap().await, Ok(7));
    }
}

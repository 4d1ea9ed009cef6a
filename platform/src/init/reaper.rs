//! Collects every process that ends: the first process inherits all orphans.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use super::console::say;
use crate::sys::board::process::{self, Ended};

/// Ends that may wait for the one who asks; orphans of nobody fill no more than this.
const ENDS: usize = 64;

/// Starts collecting. The ends come out in order; those that nobody takes in time are forgotten.
pub(super) fn start() -> mpsc::Receiver<Ended> {
    let (tell, told) = mpsc::channel(ENDS);
    spawn_local(async move {
        let mut child = match signal(SignalKind::child()) {
            Ok(child) => child,
            Err(error) => return say(&format!("processes that end cannot be collected: {error}")),
        };
        loop {
            for ended in process::reap() {
                let _ = tell.try_send(ended); // full: it was an orphan's
            }
            if child.recv().await.is_none() {
                return;
            }
        }
    });
    told
}

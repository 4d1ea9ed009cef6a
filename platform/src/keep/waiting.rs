//! A keep file that was opened on the page, and waits for the node to end: only then can its state be replaced.

use std::sync::{Mutex, PoisonError};

use super::Kept;

/// Exit code of a node that wants to be started again; one of a failure, so that supervisors do. Not one of
/// [`power`](crate::power)'s.
pub const AGAIN: u8 = 92;

static WAITING: Mutex<Option<Kept>> = Mutex::new(None);

/// Puts it aside; end the node next.
pub(crate) fn put_aside(kept: Kept) {
    *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
}

/// What was put aside, once.
pub(crate) fn take_aside() -> Option<Kept> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner).take()
}

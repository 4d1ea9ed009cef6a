//! A waker that remembers: it wakes whoever listens now, and tells whether it rang since the last look.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures::task::AtomicWaker;

/// One bell. Its wakers may be cloned and kept as long as anybody likes.
#[derive(Debug)]
pub(super) struct Bell {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Debug)]
struct Shared {
    rung: AtomicBool,
    listener: AtomicWaker,
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A flood of wakes is one ring: the listener is woken for the first only.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.listener.wake();
        }
    }
}

impl Bell {
    pub(super) fn new() -> Self {
        let shared = Arc::new(Shared { rung: AtomicBool::new(false), listener: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// Rings the bell.
    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Whether it rang since the last call; the task of `cx` is woken at the next ring.
    pub(super) fn listen(&self, cx: &Context<'_>) -> bool {
        self.shared.listener.register(cx.waker());
        self.shared.rung.swap(false, Ordering::AcqRel)
    }

    /// Whether it rang since the last call, for those who do not want to be woken.
    pub(super) fn rang(&self) -> bool {
        self.shared.rung.swap(false, Ordering::AcqRel)
    }
}

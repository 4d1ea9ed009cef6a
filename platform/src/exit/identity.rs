//! Who we are to the outside at present, and the streams opened as that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures::task::AtomicWaker;

/// The present identity. Its list is as long as there are open streams, which their listeners limit.
#[derive(Debug, Default)]
pub(super) struct Identity(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    generation: u64,
    last: u64,
    open: HashMap<u64, Arc<Flag>>,
}

/// Whether a stream was cut, and who should hear of it.
#[derive(Debug, Default)]
struct Flag {
    cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// A stream's place in the list. Dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Cut {
    flag: Arc<Flag>,
    number: u64,
    identity: Arc<Identity>,
}

impl Identity {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn generation(&self) -> u64 {
        self.book().generation
    }

    pub(super) fn open(&self) -> usize {
        self.book().open.len()
    }

    /// Takes a stream in that was opened as `generation`, unless that is over.
    pub(super) fn admit(self: &Arc<Self>, generation: u64) -> Option<Cut> {
        let mut book = self.book();
        if book.generation != generation {
            return None;
        }
        book.last = book.last.wrapping_add(1);
        let (number, flag) = (book.last, Arc::<Flag>::default());
        book.open.insert(number, Arc::clone(&flag));
        Some(Cut { flag, number, identity: Arc::clone(self) })
    }

    /// Cuts all streams. Says how many.
    pub(super) fn change(&self) -> usize {
        let mut book = self.book();
        book.generation = book.generation.wrapping_add(1);
        let old = std::mem::take(&mut book.open);
        drop(book);
        for flag in old.values() {
            flag.cut.store(true, Ordering::Release);
            flag.reader.wake();
            flag.writer.wake();
        }
        old.len()
    }
}

impl Cut {
    /// Whether the stream may go on reading; if not now, its task is woken.
    pub(super) fn reading(&self, cx: &Context<'_>) -> bool {
        self.flag.reader.register(cx.waker());
        !self.flag.cut.load(Ordering::Acquire)
    }

    /// The same for writing.
    pub(super) fn writing(&self, cx: &Context<'_>) -> bool {
        self.flag.writer.register(cx.waker());
        !self.flag.cut.load(Ordering::Acquire)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.identity.book().open.remove(&self.number);
    }
}

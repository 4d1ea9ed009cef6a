//! What takes longer than a browser waits: reading the files of a new share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Jobs remembered, and so also at work at once.
const JOBS: usize = 16;

/// One job, as pages show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Job {
    pub(super) id: u64,
    /// What it is about, for the owner's eyes.
    pub(super) name: String,
    /// Why it failed; `None` while it is at work.
    pub(super) fault: Option<String>,
}

/// See the module. Jobs that end well are forgotten, their result is to be seen elsewhere.
#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    all: Vec<Job>,
}

impl Jobs {
    /// Notes a new one; `None` if too many are at work.
    pub(super) fn begin(&self, name: &str) -> Option<u64> {
        let mut inner = self.lock();
        if inner.all.len() >= JOBS {
            let failed = inner.all.iter().position(|job| job.fault.is_some())?;
            inner.all.remove(failed);
        }
        inner.next = inner.next.saturating_add(1);
        let id = inner.next;
        inner.all.push(Job { id, name: name.to_owned(), fault: None });
        Some(id)
    }

    /// It ended, well or with a fault.
    pub(super) fn end(&self, id: u64, fault: Option<&str>) {
        let mut inner = self.lock();
        match fault {
            None => inner.all.retain(|job| job.id != id),
            Some(why) => {
                for job in inner.all.iter_mut().filter(|job| job.id == id) {
                    job.fault = Some(why.to_owned());
                }
            }
        }
    }

    /// All that are at work or failed, oldest first.
    pub(super) fn all(&self) -> Vec<Job> {
        self.lock().all.clone()
    }

    /// Forgets the failed ones.
    pub(super) fn forget(&self) {
        self.lock().all.retain(|job| job.fault.is_none());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_jobs_make_room_for_new_ones() {
        let jobs = Jobs::default();
        let ids: Vec<u64> = (0..JOBS).map(|_| jobs.begin("x").unwrap()).collect();
        assert_eq!(jobs.begin("y"), None);
        jobs.end(ids[3], Some("no"));
        assert!(jobs.all().iter().any(|job| job.fault.as_deref() == Some("no")));
        let new = jobs.begin("y").unwrap();
        assert!(jobs.all().iter().all(|job| job.fault.is_none()));
        jobs.end(new, None);
        assert_eq!(jobs.all().len(), JOBS - 1);
    }
}

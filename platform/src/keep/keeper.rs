//! Keeps a running node: saves what changed, not too often, and knows what would be lost.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use log::warn;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::folders::{self, Files};
use super::{Inventory, KeepError, Kept, Mark, Passphrase, claim};
use crate::config;
use crate::net::Guards;
use crate::state::{State, StateDir};
use crate::status::{self, Losses};
use crate::sys::mount;

/// After a change, until it is saved: several that come together are saved together.
const SETTLE: Duration = Duration::from_secs(1);

/// After a save, until the next one: cards wear out by being written.
const PAUSE: Duration = Duration::from_secs(30);

/// Between two looks at what changes aside: the relays by which the node enters Tor soon after a first start, then once in
/// months; keys when a service is added.
const LOOK: Duration = Duration::from_secs(120);

/// What [`take_up`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TakenUp {
    /// The state directory was empty, and now holds what the file held.
    Restored,
    /// The state directory is newer than the file.
    Present,
    /// There is no such file yet.
    Nothing,
    /// It is another node's, or this one's of before it lost its memory. It stays as it is, and nothing is saved.
    Another,
}

/// At the start of a node with a keep file: brings back what it holds if the state directory is empty, or that of a node
/// which began anew because the file's disk was late, and has nothing to lose. Opens the file in any case: a mistyped
/// passphrase must not seal the next one. The mark is of a file that turned out to be this node's.
pub fn take_up(
    file: &Path,
    passphrase: &Passphrase,
    state: &StateDir,
) -> Result<(TakenUp, Option<Mark>), KeepError> {
    let Some(mark) = Mark::read(file)? else { return Ok((TakenUp::Nothing, None)) };
    let kept = Kept::load(file, passphrase)?;
    let own = state.load()?;
    if claim::is_same(&kept.state, &own) {
        return Ok((TakenUp::Present, Some(mark)));
    }
    let bare =
        Inventory::of(&own).is_empty() && folders::collect(state.path()).is_ok_and(|files| files.is_empty());
    if !state.is_new() && !bare {
        return Ok((TakenUp::Another, None));
    }
    kept.restore(state, false)?;
    Ok((TakenUp::Restored, Some(mark)))
}

/// See the module. Lives on the node's thread; the heavy part runs on another.
pub(crate) struct Keeper {
    /// The state directory.
    folder: PathBuf,
    /// Where to, if the node keeps itself.
    automatic: RefCell<Option<(PathBuf, Passphrase)>>,
    /// Whether a power cut takes the state directory with it.
    volatile: bool,
    changes: watch::Receiver<u64>,
    /// One save at a time: each takes memory.
    turn: Mutex<()>,
    last: RefCell<Option<Saved>>,
    /// The keep file that is known to be this node's.
    known: RefCell<Option<Mark>>,
    /// One that is known not to be, and the number of the last change then: not opened again before there is another.
    refused: RefCell<Option<(Mark, u64)>>,
    failed: RefCell<Option<String>>,
    /// As of when the node was last saved by itself.
    saved: Cell<Option<u64>>,
}

/// What was saved last.
struct Saved {
    at: Instant,
    inventory: Inventory,
    aside: Aside,
}

/// What changes without the state being saved: entry guards, and keys of published services.
#[derive(Eq, PartialEq)]
struct Aside(Guards, Files);

impl Keeper {
    pub(crate) fn new(config: &config::Keep, state: &StateDir) -> Rc<Self> {
        Rc::new(Self {
            folder: state.path().to_owned(),
            automatic: RefCell::new(config.file.clone().zip(config.passphrase.clone())),
            volatile: mount::is_memory(state.path()).unwrap_or(true),
            changes: state.changes(),
            turn: Mutex::default(),
            last: RefCell::default(),
            known: RefCell::new(config.mark.clone()),
            refused: RefCell::default(),
            failed: RefCell::default(),
            saved: Cell::new(None),
        })
    }

    /// Saves whatever changes, for as long as the node runs, from the moment it keeps itself.
    pub(crate) async fn watch(self: Rc<Self>) {
        let mut changes = self.changes.clone();
        changes.mark_changed();
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK) => if !self.is_automatic() || !self.aside_moved() { continue },
            }
            if !self.is_automatic() {
                continue;
            }
            tokio::time::sleep(SETTLE).await;
            changes.mark_unchanged();
            if !self.save().await {
                changes.mark_changed();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Saves what is not saved yet, before the node ends.
    pub(crate) async fn finish(&self) {
        let current = *self.changes.borrow();
        if self.is_automatic() && (self.saved.get() != Some(current) || self.aside_moved()) {
            self.save().await;
        }
    }

    /// The sealed bytes of a keep file as of now.
    pub(crate) async fn seal(&self, passphrase: Passphrase) -> Result<Vec<u8>, KeepError> {
        let _turn = self.turn.lock().await;
        let folder = self.folder.clone();
        let (sealed, saved) = blocking(move || {
            let kept = Kept::collect(&folder)?;
            Ok((kept.seal(&passphrase)?, Saved::of(kept)))
        })
        .await?;
        self.last.replace(Some(saved));
        Ok(sealed)
    }

    /// From now on the node keeps itself in `file`, which is written before this returns. A keep file that is there already
    /// must be this node's own and open with the same passphrase: another one would be lost.
    pub(crate) async fn keep_to(&self, file: PathBuf, passphrase: Passphrase) -> Result<(), KeepError> {
        self.save_to(file.clone(), passphrase.clone(), None).await?;
        self.refused.replace(None);
        self.automatic.replace(Some((file, passphrase)));
        Ok(())
    }

    /// From now on the node does not keep itself. What was saved stays where it is.
    pub(crate) fn keep_nowhere(&self) {
        self.automatic.replace(None);
        self.refused.replace(None);
        self.failed.replace(None);
    }

    fn is_automatic(&self) -> bool {
        self.automatic.borrow().is_some()
    }

    /// What the owner should know. `state` is the node's own, now.
    pub(crate) fn view(&self, state: &State) -> status::Keep {
        let last = self.last.borrow();
        let kept = last.as_ref().map_or_else(Inventory::default, |saved| saved.inventory.clone());
        status::Keep {
            automatic: self.is_automatic(),
            saved_ago_s: last.as_ref().map(|saved| saved.at.elapsed().as_secs()),
            failed: self.failed.borrow().clone(),
            would_lose: if self.volatile { Inventory::of(state).without(&kept) } else { Losses::default() },
        }
    }

    /// Saves; tells whether that worked.
    async fn save(&self) -> bool {
        let Some((file, passphrase)) = self.automatic.borrow().clone() else { return true };
        let seen = {
            let file = file.clone();
            blocking(move || Mark::read(&file)).await.ok().flatten()
        };
        let seen = seen.zip(Some(*self.changes.borrow()));
        if seen.is_some() && *self.refused.borrow() == seen {
            return false; // what was said of it stands
        }
        let known = self.known.borrow().clone();
        let Err(why) = self.save_to(file, passphrase, known).await else { return true };
        if let KeepError::Another(_) = why {
            warn!(
                "the keep file that is there now is not this node's: it is left as it is, and nothing is saved; start the \
                 machine anew to take it up, or move it away"
            );
        } else {
            warn!("the node could not be saved to its keep file; its page and `bulbil status` say why");
        }
        self.refused.replace(seen.filter(|_| is_lasting(&why)));
        self.failed.replace(Some(why.to_string()));
        false
    }

    /// Saves to a file that may be replaced: see [`claim::check`].
    async fn save_to(
        &self,
        file: PathBuf,
        passphrase: Passphrase,
        known: Option<Mark>,
    ) -> Result<(), KeepError> {
        let _turn = self.turn.lock().await;
        let (folder, number) = (self.folder.clone(), *self.changes.borrow());
        let (saved, mark) = blocking(move || {
            let seen = claim::check(&file, &passphrase, &State::read(&folder)?, known.as_ref())?;
            let kept = Kept::collect(&folder)?;
            let sealed = kept.seal(&passphrase)?;
            super::replace(&file, &sealed, seen.as_ref())?;
            Ok((Saved::of(kept), Mark::of(&sealed)))
        })
        .await?;
        self.last.replace(Some(saved));
        self.known.replace(mark);
        self.saved.set(Some(number));
        self.failed.replace(None);
        Ok(())
    }

    fn aside_moved(&self) -> bool {
        let files = folders::collect(&self.folder).unwrap_or_default();
        let now = Aside(crate::net::guards(&self.folder), files);
        self.last.borrow().as_ref().is_none_or(|saved| saved.aside != now)
    }
}

impl Saved {
    fn of(kept: Kept) -> Self {
        let inventory = Inventory::of(&kept.state);
        Self { at: Instant::now(), inventory, aside: Aside(kept.guards, kept.files) }
    }
}

/// Whether it is about the file that is there, and stays as long as that does. What is said of size and seal may come of a
/// disk that fails for a moment.
const fn is_lasting(why: &KeepError) -> bool {
    matches!(
        why,
        KeepError::Another(_)
            | KeepError::Passphrase
            | KeepError::Foreign
            | KeepError::Damaged
            | KeepError::Version(_)
            | KeepError::Work
    )
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeepError> + Send + 'static,
) -> Result<T, KeepError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(KeepError::Seal("the node is stopping".to_owned())))
}

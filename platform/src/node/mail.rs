//! The node's post: sends what waits in the outbox, takes in what comes, and tells the owner what became of it.
//!
//! What is decided is decided in `bulbil_core::mail`; here are the conversations, the tasks, and the copy that outlives a
//! restart, which is written before a letter is said to be taken and after one is gone.

mod ask;
mod contacts;
mod deliver;
mod letters;
mod receive;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bulbil_core::id::NodeKey;
use bulbil_core::limits::MAIL_LIFE_MS;
use bulbil_core::mail::{Inbox, Letter, Outbox, Pool, Text};
use bulbil_core::pump::Clock;
use bulbil_core::time::Millis;
use log::warn;
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::NodeError;
use super::halves::Halves;
use crate::net::{Address, Network};
use crate::state::{MailEntries, OutEntry, Secret};
use crate::status;

pub(crate) use ask::Ask;
pub use ask::{InLetter, OutLetter, SendRequest, Sent};
pub(crate) use contacts::Contacts;
use letters::Letters;

/// Letters that wait to be sent at once.
const OUTBOX: usize = 64;

/// Senders whose rate is watched at once. Whoever was silent longest makes room.
const SENDERS: usize = 64;

/// What a post works with.
pub(crate) struct PostParts<C> {
    pub(crate) network: Network,
    pub(crate) clock: C,
    /// Of the node's own key, which receivers know us by.
    pub(crate) seed: Secret<32>,
    pub(crate) me: NodeKey,
    /// Number for circuits.
    pub(crate) number: u64,
    /// Told whenever the owner may want to look.
    pub(crate) news: Rc<Notify>,
    pub(crate) contacts: Rc<dyn Contacts>,
    /// Writes everything down.
    pub(crate) keep: Keep,
}

/// Writes all mail to where it outlives this process.
pub(crate) type Keep = Rc<dyn Fn(MailEntries) -> Result<(), NodeError>>;

/// See the module.
pub(crate) struct Post<C> {
    parts: PostParts<C>,
    outbox: RefCell<Box<Outbox<OUTBOX>>>,
    /// Only watches rates and repetitions; what it takes is moved to `letters`.
    inbox: RefCell<Box<Inbox<SENDERS, 1>>>,
    letters: RefCell<Letters>,
    pool: RefCell<Pool<u32>>,
    warm: RefCell<HashMap<u32, Halves>>,
    conversations: Cell<u32>,
    callers: receive::Callers,
    /// Who waits for the first outcome of a letter.
    outcomes: RefCell<HashMap<u64, oneshot::Sender<bool>>>,
    /// The last copy could not be written.
    unsaved: Cell<bool>,
    changed: Notify,
    task: RefCell<Option<JoinHandle<()>>>,
}

impl<C: Clock + 'static> Post<C> {
    /// Opens the post with the mail of before.
    pub(crate) fn open(parts: PostParts<C>, entries: MailEntries) -> Rc<Self> {
        let post = Rc::new(Self {
            parts,
            outbox: RefCell::new(Box::new(Outbox::new())),
            inbox: RefCell::new(Box::new(Inbox::new())),
            letters: RefCell::new(Letters::new(entries.last, entries.inbox)),
            pool: RefCell::default(),
            warm: RefCell::default(),
            conversations: Cell::new(0),
            callers: receive::Callers::default(),
            outcomes: RefCell::default(),
            unsaved: Cell::new(false),
            changed: Notify::new(),
            task: RefCell::default(),
        });
        for entry in entries.outbox {
            if post.restore(&entry).is_none() {
                warn!("a letter of before cannot be sent: the state names no node for it");
            }
        }
        let running = tokio::task::spawn_local(run(Rc::clone(&post)));
        post.task.replace(Some(running));
        post
    }

    /// Ends everything under way. What waits stays written down.
    pub(crate) fn close(&self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.warm.borrow_mut().clear();
    }

    /// How much there is.
    pub(crate) fn view(&self) -> status::Mail {
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let letters = self.letters.borrow();
        status::Mail {
            inbox: small(letters.all().len()),
            undelivered: small(letters.all().iter().filter(|letter| letter.undelivered).count()),
            outbox: small(self.outbox.borrow().letters().count()),
            warm: small(self.warm.borrow().len()),
        }
    }

    /// Takes a letter for this node. Returns its number, and what tells whether the first try reached it.
    pub(crate) fn post(&self, to: NodeKey, text: &str) -> Result<(u64, oneshot::Receiver<bool>), NodeError> {
        let text = Text::try_from(text).map_err(|_| NodeError::Bad(ask::TOO_LONG.into()))?;
        let mut id = [0; 8];
        getrandom::fill(&mut id)
            .map_err(|_| NodeError::Failed("the system gives no randomness; check /dev/urandom".into()))?;
        let id = u64::from_le_bytes(id);
        let letter = Letter { id, to, text, written: self.now() };
        self.outbox.borrow_mut().post(self.now(), letter).map_err(|_| NodeError::Failed(ask::FULL.into()))?;
        self.save()?;
        let (tell, told) = oneshot::channel();
        self.outcomes.borrow_mut().insert(id, tell);
        self.changed.notify_one();
        Ok((id, told))
    }

    /// A letter as it was before a restart, as old as it was then.
    fn restore(&self, entry: &OutEntry) -> Option<()> {
        let (to, text) = (node_of(&entry.to)?, Text::try_from(entry.text.as_str()).ok()?);
        let now = self.now();
        let written = Millis(now.0.saturating_sub(entry.age_ms));
        self.outbox.borrow_mut().post(now, Letter { id: entry.id, to, text, written }).ok()
    }

    /// Writes everything down.
    fn save(&self) -> Result<(), NodeError> {
        let now = self.now();
        let entry = |letter: &Letter| OutEntry {
            id: letter.id,
            to: host_of(&letter.to),
            text: letter.text.as_str().to_owned(),
            age_ms: now.since(letter.written),
        };
        let letters = self.letters.borrow();
        let entries = MailEntries {
            last: letters.last(),
            inbox: letters.all().to_vec(),
            outbox: self.outbox.borrow().letters().map(entry).collect(),
        };
        let saved = (self.parts.keep)(entries);
        self.unsaved.set(saved.is_err());
        saved
    }

    /// Writes everything down, or tells the owner; nothing else can be done about it here.
    fn save_or_warn(&self) {
        if let Err(why) = self.save() {
            warn!("mail would not outlive a restart: {why}");
        }
        self.parts.news.notify_one();
    }

    /// A day after the clock's beginning: so that a letter of before can be older than this process.
    fn now(&self) -> Millis {
        self.parts.clock.now().plus(MAIL_LIFE_MS)
    }

    async fn until(&self, at: Millis) {
        self.parts.clock.until(Millis(at.0.saturating_sub(MAIL_LIFE_MS))).await;
    }

    /// The outcome, if it comes within so many milliseconds.
    async fn within<T>(&self, ms: u64, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.until(self.now().plus(ms)) => None,
        }
    }

    fn tell_outcome(&self, id: u64, delivered: bool) {
        if let Some(tell) = self.outcomes.borrow_mut().remove(&id) {
            _ = tell.send(delivered); // whoever asked may be gone
        }
    }

    /// Takes out what waited for a day, and says so.
    fn expire(&self) {
        let now = self.now();
        let mut any = false;
        loop {
            let expired = self.outbox.borrow_mut().poll_expired(now);
            let Some(letter) = expired else { break };
            self.tell_outcome(letter.id, false);
            self.letters.borrow_mut().returned(host_of(&letter.to), letter.id, letter.text.as_str());
            any = true;
        }
        if any {
            warn!("a letter could not be delivered within a day; `bulbil inbox` says which");
            self.save_or_warn();
        }
    }

    /// Hangs up on conversations that were idle for long.
    fn cool(&self) {
        let now = self.now();
        while let Some(number) = self.pool.borrow_mut().poll_idle(now) {
            self.warm.borrow_mut().remove(&number);
        }
    }
}

/// Serves the outbox for as long as the post is open.
async fn run<C: Clock + 'static>(post: Rc<Post<C>>) {
    if post.parts.network.ready().await.is_err() {
        return; // the node is stopping
    }
    let mut serving = JoinSet::new();
    loop {
        post.expire();
        post.cool();
        loop {
            let due = post.outbox.borrow_mut().poll_serve(post.now());
            let Some(to) = due else { break };
            serving.spawn_local(Rc::clone(&post).serve(to));
        }
        let next = [post.outbox.borrow().poll_timeout(), post.pool.borrow().poll_timeout()];
        let next = next.into_iter().flatten().min();
        let due = async {
            match next {
                Some(at) => post.until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = post.changed.notified() => {}
            Some(_) = serving.join_next() => {}
        }
    }
}

/// A node's address without the port, which is always the same.
fn host_of(node: &NodeKey) -> String {
    Address { key: node.0, port: super::PORT }.host()
}

fn node_of(host: &str) -> Option<NodeKey> {
    Address::of_node(host).ok().map(|address| NodeKey(address.key))
}

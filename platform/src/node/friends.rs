//! Makes and takes friend codes: a service for each code given out, calls for each code typed in.

mod guest;
mod host;
mod talk;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bulbil_core::limits::FRIEND_LIFE_MS;
use log::info;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::NodeError;
use super::room::Ground;
use crate::friend::{BadCode, Code};
use crate::net::{Address, ServiceKey};
use crate::status::{self, MAX_MEETINGS, MeetingState};

/// Codes that are open at once: each given out is an onion service.
const OPEN: usize = 8;

/// Bytes of what an owner calls a friend.
const MAX_NAME: usize = 64;

/// How long a friend is called who does not answer, if nothing else is said: its place may still be being published.
pub(crate) const CALL: Duration = Duration::from_secs(180);

/// Longest such wait.
const MAX_CALL: Duration = Duration::from_millis(FRIEND_LIFE_MS);

/// What to ask of the friends.
#[derive(Debug)]
pub(crate) enum Ask {
    Invite(InviteRequest, oneshot::Sender<Result<status::Meeting, NodeError>>),
    Accept(AcceptRequest, oneshot::Sender<Result<status::Meeting, NodeError>>),
    Cancel(u64, oneshot::Sender<Result<(), NodeError>>),
}

/// A code to give out.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// What to call the friend.
    #[serde(default)]
    pub name: Option<String>,
}

/// A code that a friend gave out.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    /// The eight words.
    pub words: String,
    /// What to call the friend.
    #[serde(default)]
    pub name: Option<String>,
    /// Seconds to try for; three minutes if nothing is said.
    #[serde(default)]
    pub wait_s: Option<u64>,
}

impl std::fmt::Debug for AcceptRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AcceptRequest(hidden)")
    }
}

/// Is told whom the owner has met and what to call them; says why the node cannot trust them, if so.
type Introduce = dyn Fn(Address, Option<String>) -> Result<(), String>;

/// See the module.
pub(crate) struct Friends {
    ground: Ground,
    /// Who we are.
    key: ServiceKey,
    /// Does what follows from having met somebody: the owner trusts them.
    introduce: RefCell<Option<Box<Introduce>>>,
    meetings: RefCell<Vec<Rc<Meeting>>>,
    last: Cell<u64>,
}

/// One code, given out or typed in.
struct Meeting {
    id: u64,
    code: Code,
    invited: bool,
    name: Option<String>,
    until: Instant,
    wrong: Cell<u32>,
    state: RefCell<MeetingState>,
    task: RefCell<Option<JoinHandle<()>>>,
}

impl Friends {
    /// `key` is that of the node's own address.
    pub(crate) fn new(ground: Ground, key: ServiceKey) -> Rc<Self> {
        let (introduce, meetings, last) = (RefCell::default(), RefCell::default(), Cell::default());
        Rc::new(Self { ground, key, introduce, meetings, last })
    }

    /// Everyone met from now on is introduced to this.
    pub(crate) fn introduce_to(
        &self,
        introduce: impl Fn(Address, Option<String>) -> Result<(), String> + 'static,
    ) {
        self.introduce.replace(Some(Box::new(introduce)));
    }

    /// Does what is asked, and gives what answers it. Whoever asked may be gone; the deed stands.
    pub(crate) fn obey(self: &Rc<Self>, ask: Ask) -> Box<dyn FnOnce()> {
        fn answer<T: 'static>(reply: oneshot::Sender<T>, done: T) -> Box<dyn FnOnce()> {
            Box::new(move || _ = reply.send(done))
        }
        match ask {
            Ask::Invite(request, reply) => answer(reply, self.invite(request)),
            Ask::Accept(request, reply) => answer(reply, self.accept(request)),
            Ask::Cancel(id, reply) => answer(reply, self.cancel(id)),
        }
    }

    /// What the owner should know, oldest first.
    pub(crate) fn view(&self) -> Vec<status::Meeting> {
        self.meetings.borrow().iter().map(|meeting| meeting.view()).collect()
    }

    /// Ends everything.
    pub(crate) fn close(&self) {
        self.meetings.borrow().iter().for_each(|meeting| meeting.end());
    }

    fn invite(self: &Rc<Self>, request: InviteRequest) -> Result<status::Meeting, NodeError> {
        let code = Code::random().map_err(|_| {
            NodeError::Failed("the system gives no randomness; check that /dev/urandom exists".into())
        })?;
        let until = Instant::now() + Duration::from_millis(FRIEND_LIFE_MS);
        let meeting = self.enter(code, true, request.name, until)?;
        info!("a friend code was made");
        let task = host::wait(Party::of(self, &meeting));
        meeting.task.replace(Some(tokio::task::spawn_local(task)));
        Ok(meeting.view())
    }

    fn accept(self: &Rc<Self>, request: AcceptRequest) -> Result<status::Meeting, NodeError> {
        let code: Code = request.words.parse().map_err(|why: BadCode| NodeError::Bad(why.to_string()))?;
        let ours = |meeting: &Rc<Meeting>| meeting.invited && meeting.code == code;
        if self.meetings.borrow().iter().any(ours) {
            return Err(NodeError::Bad("these are the words of this node; read them to your friend".into()));
        }
        let wait = request.wait_s.map_or(CALL, Duration::from_secs).min(MAX_CALL);
        let meeting = self.enter(code, false, request.name, Instant::now() + wait)?;
        let task = guest::call(Party::of(self, &meeting));
        meeting.task.replace(Some(tokio::task::spawn_local(task)));
        Ok(meeting.view())
    }

    fn cancel(&self, id: u64) -> Result<(), NodeError> {
        let mut meetings = self.meetings.borrow_mut();
        let at = meetings.iter().position(|meeting| meeting.id == id);
        let at = at.ok_or_else(|| NodeError::Missing("no friend code has this number any more".into()))?;
        meetings.remove(at).end();
        self.ground.news.notify_one();
        Ok(())
    }

    fn enter(
        &self,
        code: Code,
        invited: bool,
        name: Option<String>,
        until: Instant,
    ) -> Result<Rc<Meeting>, NodeError> {
        let bad =
            |name: &String| name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control);
        if name.as_ref().is_some_and(bad) {
            return Err(NodeError::Bad(format!(
                "a name has 1 to {MAX_NAME} bytes and no control characters"
            )));
        }
        let mut meetings = self.meetings.borrow_mut();
        if meetings.iter().filter(|meeting| !meeting.is_over()).count() >= OPEN {
            return Err(NodeError::Failed(format!(
                "{OPEN} friend codes are open, and no more fit; wait until one is used, or end one"
            )));
        }
        while meetings.len() >= MAX_MEETINGS {
            let oldest = meetings.iter().position(|meeting| meeting.is_over()).unwrap_or(0);
            meetings.remove(oldest).end();
        }
        self.last.set(self.last.get().saturating_add(1));
        let state = if invited { MeetingState::Publishing } else { MeetingState::Calling(String::new()) };
        let meeting = Rc::new(Meeting {
            id: self.last.get(),
            code,
            invited,
            name,
            until,
            wrong: Cell::new(0),
            state: RefCell::new(state),
            task: RefCell::default(),
        });
        meetings.push(Rc::clone(&meeting));
        Ok(meeting)
    }
}

impl Meeting {
    fn view(&self) -> status::Meeting {
        let over = self.is_over();
        status::Meeting {
            id: self.id,
            words: (self.invited && !over).then(|| self.code.words().to_string()),
            name: self.name.clone(),
            left_s: if over { 0 } else { self.until.duration_since(Instant::now()).as_secs() },
            wrong_guesses: self.wrong.get(),
            state: self.state.borrow().clone(),
        }
    }

    fn is_over(&self) -> bool {
        self.state.borrow().is_over()
    }

    fn set(&self, ground: &Ground, state: MeetingState) {
        if !self.is_over() && *self.state.borrow() != state {
            self.state.replace(state);
            ground.news.notify_one();
        }
    }

    /// Takes its service off the network, or stops calling.
    fn end(&self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// What the task of a meeting works with.
struct Party {
    friends: Weak<Friends>,
    meeting: Rc<Meeting>,
    ground: Ground,
    /// Who we are.
    key: ServiceKey,
}

impl Party {
    fn of(friends: &Rc<Friends>, meeting: &Rc<Meeting>) -> Self {
        let (ground, key) = (friends.ground.clone(), friends.key.clone());
        Self { friends: Rc::downgrade(friends), meeting: Rc::clone(meeting), ground, key }
    }

    fn set(&self, state: MeetingState) {
        self.meeting.set(&self.ground, state);
    }

    fn fail(&self, why: impl Into<String>) {
        self.set(MeetingState::Failed(why.into()));
    }

    fn met(&self, friend: Address) {
        info!("met a friend");
        let introduced = self.friends.upgrade().map_or(Ok(()), |friends| {
            let introduce = friends.introduce.borrow();
            introduce.as_ref().map_or(Ok(()), |introduce| introduce(friend, self.meeting.name.clone()))
        });
        match introduced {
            Ok(()) => self.set(MeetingState::Met(friend.to_string())),
            Err(why) => self.fail(format!(
                "you have met {friend}, but this node does not trust it yet: {why}; then add it with `bulbil trust add`"
            )),
        }
    }
}

#[cfg(test)]
mod tests;

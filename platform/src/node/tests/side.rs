//! A node that does nothing but mail, on a clock that only the test moves.

use std::cell::RefCell;
use std::rc::Rc;

use bulbil_core::hello::node_token;
use bulbil_core::id::NodeKey;
use bulbil_core::transport::{RecvFrame as _, SendFrame as _};
use bulbil_core::wire::Purpose;
use bulbil_core::wire::mail::Mail;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::noon::Noon;
use super::{DEADLINE, Memory, Network};
use crate::link::Token;
use crate::net::{Circuit, ServiceKey};
use crate::node::door::{self, Callee, Guide};
use crate::node::halves::{Halves, halves};
use crate::node::mail::{Ask, Contacts, InLetter, OutLetter, Post, PostParts};
use crate::node::open;
use crate::node::room::{Pass, Room};
use crate::state::{MailEntries, Secret};

/// A node that does nothing but mail.
pub(super) struct Side {
    pub(super) network: Network,
    pub(super) key: ServiceKey,
    pub(super) clock: Noon,
    pub(super) post: Rc<Post<Noon>>,
    /// What would be left after a crash.
    pub(super) kept: Rc<RefCell<MailEntries>>,
    pub(super) door: RefCell<Option<JoinHandle<()>>>,
}

/// No names, and one node that is blocked.
struct Nobody;

impl Contacts for Nobody {
    fn node(&self, _: &str) -> Option<NodeKey> {
        None
    }

    fn name(&self, _: &NodeKey) -> Option<String> {
        None
    }

    fn blocks(&self, node: &NodeKey) -> bool {
        node.0 == ServiceKey::from_seed([BLOCKED; 32]).address(80).key
    }
}

/// Seed of a node that everybody blocks.
pub(super) const BLOCKED: u8 = 66;

/// Leads those who bring mail to the post.
struct Hall(Pass, Rc<Post<Noon>>);

impl Guide for Hall {
    fn passes(&self) -> Vec<Pass> {
        Vec::new()
    }

    fn is_short(&self) -> bool {
        false
    }

    fn room(&self, _: &Pass) -> Option<Rc<Room>> {
        None
    }

    fn records(&self, _: &Pass) -> Option<Rc<dyn Callee>> {
        None
    }

    fn node(&self) -> Option<Pass> {
        Some(self.0.clone())
    }

    fn node_callee(&self, purpose: Purpose) -> Option<Rc<dyn Callee>> {
        (purpose == Purpose::Mail).then(|| Rc::clone(&self.1) as _)
    }
}

impl Side {
    pub(super) fn new(network: &Memory, clock: &Noon, seed: u8, before: MailEntries) -> Self {
        let (network, key) = (Network::Memory(network.clone()), ServiceKey::from_seed([seed; 32]));
        let kept = Rc::new(RefCell::new(before.clone()));
        let copy = Rc::clone(&kept);
        let parts = PostParts {
            network: network.clone(),
            clock: clock.clone(),
            seed: Secret([seed; 32]),
            me: NodeKey(key.address(80).key),
            number: 1,
            news: Rc::new(Notify::new()),
            contacts: Rc::new(Nobody),
            keep: Rc::new(move |entries| {
                *copy.borrow_mut() = entries;
                Ok(())
            }),
        };
        let post = Post::open(parts, before);
        Self { network, key, clock: clock.clone(), post, kept, door: RefCell::default() }
    }

    pub(super) fn node(&self) -> NodeKey {
        NodeKey(self.key.address(80).key)
    }

    pub(super) fn host(&self) -> String {
        self.key.address(80).host()
    }

    pub(super) async fn open_door(&self) {
        let token = Token::from_bytes(node_token(&self.node()));
        let pass = Pass { token, seed: Secret(*self.key.seed()), access: None };
        let service = self.network.serve(&self.key, 80, None).await.unwrap();
        let hall = Rc::new(Hall(pass, Rc::clone(&self.post)));
        self.door.replace(Some(tokio::task::spawn_local(door::keep(service, hall))));
    }

    /// Off the network, with all its conversations.
    pub(super) async fn shut_door(&self) {
        let door = self.door.take().unwrap();
        door.abort();
        _ = door.await;
    }

    pub(super) fn write(&self, to: &Self, text: &str) {
        self.post.post(to.node(), text).unwrap();
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> T {
        let (reply, answer) = oneshot::channel();
        Rc::clone(&self.post).obey(ask(reply)).await;
        answer.await.unwrap()
    }

    pub(super) async fn inbox(&self) -> Vec<InLetter> {
        self.ask(Ask::Inbox).await
    }

    pub(super) async fn outbox(&self) -> Vec<OutLetter> {
        self.ask(Ask::Outbox).await
    }

    pub(super) async fn texts(&self) -> Vec<String> {
        self.inbox().await.into_iter().map(|letter| letter.text).collect()
    }

    /// Lets everything happen that needs no time: until nothing is being sent any more.
    pub(super) async fn settle(&self) {
        let idle = async {
            loop {
                for _ in 0..64 {
                    tokio::task::yield_now().await; // everybody's turn
                }
                if self.outbox().await.iter().all(|letter| letter.next_s.is_some()) {
                    return;
                }
            }
        };
        tokio::time::timeout(DEADLINE, idle).await.unwrap();
    }

    /// Moves the clock to the next thing that is due, and lets it happen.
    pub(super) async fn next(&self) {
        self.clock.set(self.clock.next().unwrap());
        self.settle().await;
    }
}

/// Opens a conversation by hand, as the node of this seed.
pub(super) async fn call(network: &Memory, to: &Side, seed: u8) -> Halves {
    let circuit = Circuit { swarm: 9, lane: 9 };
    let network = Network::Memory(network.clone());
    let mut open = halves(network.connect(to.key.address(80), None, circuit).await.unwrap());
    open::dialed_node(Purpose::Mail, &[seed; 32], to.key.address(80), &mut open).await.unwrap();
    open
}

/// Sends a frame; says whether a letter was taken, or `None` if nobody is there any more.
pub(super) async fn say(open: &mut Halves, message: &Mail<'_>) -> Option<bool> {
    let mut buf = vec![0; 8192];
    open.tx.send(message.encode(&mut buf).unwrap()).await.ok()?;
    open.tx.flush().await.ok()?;
    match Mail::decode(open.rx.recv().await.ok()?).unwrap() {
        Mail::Taken(_) => Some(true),
        Mail::Later(_) => Some(false),
        other => panic!("{other:?}"),
    }
}

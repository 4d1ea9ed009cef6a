//! Meetings of whole nodes, over the network of one process.

use bulbil_core::friend as core;
use bulbil_core::wire::friend::Friend;
use tokio::task::LocalSet;

use super::talk::{self, Outcome};
use super::*;
use crate::friend::Spake;
use crate::net::memory::Memory;
use crate::net::{Network, Stream};
use crate::node::halves::halves;
use crate::node::open::name_of;
use crate::node::tests::{start, until};
use crate::node::{Handle, PORT};
use crate::status::Status;
use crate::sys::scratch::Scratch;
use bulbil_core::transport::{RecvFrame, SendFrame};

/// Two nodes on one network, and their folders.
struct Stage {
    network: Memory,
    nodes: [Handle; 2],
    _folders: [Scratch; 2],
}

impl Stage {
    fn new() -> Self {
        let network = Memory::new();
        let folders = [Scratch::new("friends"), Scratch::new("friends")];
        let nodes = [0, 1].map(|at: usize| start(&network, folders[at].path()));
        Self { network, nodes, _folders: folders }
    }

    async fn invite(&self) -> status::Meeting {
        self.nodes[0].invite(InviteRequest { name: Some("bob".into()) }).await.unwrap()
    }

    async fn call(&self, code: &Code) -> Stream {
        let place = code.place().address(PORT);
        let network = Network::Memory(self.network.clone());
        network.connect(place, None, crate::net::Circuit { swarm: 1, lane: 0 }).await.unwrap()
    }

    /// Calls with a code that has the same place and another password, as whoever stole the address would.
    async fn guess(&self, code: &Code) -> Outcome {
        let place = name_of(code.place().address(PORT));
        let pake = Spake::new(&[9; 32], &place, false).unwrap();
        let key = ServiceKey::from_seed([8; 32]);
        let meeting = core::Meeting::guest(pake, &place, key.seed(), &name_of(key.address(PORT)));
        talk::carry(self.call(code).await, meeting).await
    }
}

fn code(meeting: &status::Meeting) -> Code {
    meeting.words.as_ref().unwrap().parse().unwrap()
}

fn accept(words: &str, wait_s: u64) -> AcceptRequest {
    AcceptRequest { words: words.to_owned(), name: Some("alice".into()), wait_s: Some(wait_s) }
}

fn last(status: &Status) -> Option<&status::Meeting> {
    status.meetings.last()
}

fn is_over(status: &Status) -> bool {
    last(status).is_some_and(|meeting| meeting.state.is_over())
}

#[tokio::test]
async fn two_nodes_meet_once_and_learn_each_others_address() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new();
        let [host, guest] = &stage.nodes;
        let words = stage.invite().await.words.unwrap();
        assert_eq!(words.split(' ').count(), 8);
        guest.accept(accept(&words.to_uppercase(), 60)).await.unwrap();
        let met = |status: &Status| match &last(status).unwrap().state {
            MeetingState::Met(address) => address.parse::<Address>().unwrap(),
            other => panic!("{other:?}"),
        };
        let (at_host, at_guest) = (until(host, is_over).await, until(guest, is_over).await);
        assert_ne!(met(&at_host), met(&at_guest));
        assert_eq!(last(&at_host).unwrap().name.as_deref(), Some("bob"));
        assert_eq!(last(&at_host).unwrap().words, None, "the words are used up");
        for (node, friend, name) in [(host, met(&at_host), "bob"), (guest, met(&at_guest), "alice")] {
            let trusts = |status: &Status| {
                let mut nodes = status.trust.nodes.iter();
                nodes.any(|node| node.address == friend.host() && node.name.as_deref() == Some(name))
            };
            until(node, trusts).await;
        }
        // The place is gone: whoever comes second finds nobody.
        guest.accept(accept(&words, 1)).await.unwrap();
        let late = until(guest, |status| status.meetings.len() == 2 && is_over(status)).await;
        let MeetingState::Failed(why) = &last(&late).unwrap().state else { panic!("{late:?}") };
        assert!(why.contains("check the words"), "{why}");
    })
    .await;
}

#[tokio::test]
async fn wrong_guesses_are_seen_counted_and_end_the_code() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new();
        let [host, guest] = &stage.nodes;
        let invited = stage.invite().await;
        let code = code(&invited);
        assert_eq!(stage.guess(&code).await, Outcome::Wrong);
        let seen = until(host, |status| last(status).unwrap().wrong_guesses == 1).await;
        assert!(!is_over(&seen), "the code still works");
        // Who hangs up before guessing, or talks nonsense, uses up nothing.
        drop(stage.call(&code).await);
        let mut noise = halves(stage.call(&code).await);
        noise.tx.send(&[99]).await.unwrap();
        noise.tx.flush().await.unwrap();
        assert!(noise.rx.recv().await.is_err(), "hung up on");
        for _ in 1..bulbil_core::limits::FRIEND_GUESSES {
            assert_eq!(stage.guess(&code).await, Outcome::Wrong);
        }
        let burnt = until(host, is_over).await;
        let MeetingState::Failed(why) = &last(&burnt).unwrap().state else { panic!("{burnt:?}") };
        assert!(why.contains("5 times") && why.contains("bulbil invite"), "{why}");
        guest.accept(accept(&invited.words.unwrap(), 1)).await.unwrap();
        let refused = until(guest, is_over).await;
        assert!(matches!(last(&refused).unwrap().state, MeetingState::Failed(_)), "also the right words");
    })
    .await;
}

#[tokio::test]
async fn any_number_of_callers_at_once_makes_no_more_guesses_than_allowed() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new();
        let code = code(&stage.invite().await);
        let place = name_of(code.place().address(PORT));
        until(&stage.nodes[0], |status| matches!(last(status).unwrap().state, MeetingState::Waiting)).await;
        let mut open = Vec::new();
        for _ in 0..12 {
            let mut caller = halves(stage.call(&code).await);
            let pake = Spake::new(&[9; 32], &place, false).unwrap();
            let start = Friend::Start { version: 1, element: bulbil_core::friend::Pake::element(&pake) };
            caller.tx.send(start.encode(&mut [0; 64]).unwrap()).await.unwrap();
            caller.tx.flush().await.unwrap();
            open.push(caller);
        }
        let mut answered = 0;
        for caller in &mut open {
            let answer = tokio::time::timeout(Duration::from_millis(300), caller.rx.recv()).await;
            answered += usize::from(matches!(answer, Ok(Ok(_))));
        }
        assert_eq!(answered, bulbil_core::limits::FRIEND_GUESSES, "the others are not even answered");
    })
    .await;
}

#[tokio::test]
async fn a_code_can_be_ended_and_there_are_only_so_many() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new();
        let [host, guest] = &stage.nodes;
        let first = stage.invite().await;
        assert!(matches!(host.accept(accept(&first.words.unwrap(), 1)).await, Err(NodeError::Bad(_))));
        for _ in 1..OPEN {
            stage.invite().await;
        }
        let full = host.invite(InviteRequest::default()).await;
        assert!(matches!(full, Err(NodeError::Failed(_))), "{full:?}");
        host.cancel_meeting(first.id).await.unwrap();
        assert!(matches!(host.cancel_meeting(first.id).await, Err(NodeError::Missing(_))));
        assert_eq!(host.status().meetings.len(), OPEN - 1);
        stage.invite().await;
        let name = host.invite(InviteRequest { name: Some("a\nb".into()) }).await;
        assert!(matches!(name, Err(NodeError::Bad(_))), "{name:?}");
        let typo = guest.accept(accept("one two three", 1)).await;
        assert!(matches!(typo, Err(NodeError::Bad(_))), "{typo:?}");
    })
    .await;
}

//! Mail between posts over the network in memory: real conversations, and a clock that only the tests move.

#![allow(clippy::large_futures, reason = "each is the only one of its process")]

use std::cell::Cell;
use std::rc::Rc;

use bulbil_core::limits::{MAIL_AT_ONCE, MAIL_CONNECT_MS, POOL_IDLE_MS};
use bulbil_core::pump::Clock as _;
use bulbil_core::time::Millis;
use bulbil_core::transport::SendFrame as _;
use bulbil_core::wire::mail::Mail;
use tokio::task::LocalSet;

use super::noon::Noon;
use super::side::{BLOCKED, Side, call, say};
use super::*;
use crate::net::ServiceKey;
use crate::node::mail::SendRequest;
use crate::state::{MailEntries, Secret};

/// Runs a test of mail.
async fn play(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(async { tokio::time::timeout(2 * DEADLINE, test).await.unwrap() }).await;
}

fn two(network: &Memory, clock: &Noon) -> (Side, Side) {
    let side = |seed| Side::new(network, clock, seed, MailEntries::default());
    (side(1), side(2))
}

#[tokio::test]
async fn an_offline_node_is_tried_for_a_day_and_then_its_sender_is_told() {
    play(async {
        let (network, clock) = (Memory::new(), Noon::default());
        let (anna, ben) = two(&network, &clock);
        anna.write(&ben, "are you there?");
        anna.settle().await;
        let mut tries = vec![clock.seconds()];
        while let Some(letter) = anna.outbox().await.first().cloned() {
            assert_eq!(letter.failures as usize, tries.len());
            assert_eq!(letter.age_s, clock.seconds());
            assert!(anna.inbox().await.is_empty(), "nothing is said too early");
            anna.next().await;
            tries.push(clock.seconds());
        }
        assert_eq!(tries.pop(), Some(24 * 3600), "the end is no try");
        assert_eq!(tries[..8], [0, 30, 90, 210, 450, 930, 1830, 2730]);
        assert!(tries[6..].windows(2).all(|pair| pair[1] - pair[0] == 900), "{tries:?}");
        let told = anna.inbox().await;
        assert_eq!((told.len(), told[0].undelivered, told[0].peer.clone()), (1, true, ben.host()));
        assert_eq!(told[0].text, "are you there?");
        assert_eq!((anna.post.view().undelivered, anna.kept.borrow().inbox.len()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn order_is_kept_over_failures_and_over_a_restart_of_the_sender() {
    play(async {
        let (network, clock) = (Memory::new(), Noon::default());
        let (anna, ben) = two(&network, &clock);
        let all: Vec<String> = (0..12).map(|number| format!("letter {number}")).collect();
        all[..6].iter().for_each(|text| anna.write(&ben, text));
        anna.settle().await;
        anna.next().await;
        // What a crash leaves is what was written down, and nothing else.
        let left = anna.kept.borrow().clone();
        anna.post.close();
        let anna = Side::new(&network, &clock, 1, left);
        anna.settle().await;
        assert_eq!(anna.outbox().await[0].age_s, 30, "a letter keeps its age");
        all[6..].iter().for_each(|text| anna.write(&ben, text));
        ben.open_door().await;
        anna.settle().await;
        assert!(ben.texts().await.is_empty(), "its time has not come");
        anna.next().await;
        assert_eq!(ben.texts().await, all);
        assert!(anna.outbox().await.is_empty() && anna.kept.borrow().outbox.is_empty());
        assert!(ben.inbox().await.iter().all(|letter| letter.peer == anna.host() && !letter.undelivered));
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_crashes_before_its_answer_has_each_letter_once() {
    play(async {
        let (network, clock) = (Memory::new(), Noon::default());
        let (anna, ben) = two(&network, &clock);
        ben.open_door().await;
        anna.write(&ben, "once");
        anna.settle().await;
        let left = ben.kept.borrow().clone();
        let sent = ben.inbox().await;
        assert_eq!(sent.len(), 1);
        ben.shut_door().await;
        // The answer was lost: the same letter comes again, to a receiver that knows only what it wrote down.
        let id = left.inbox[0].id;
        let ben = Side::new(&network, &clock, 2, left);
        ben.open_door().await;
        let mut open = call(&network, &ben, 1).await;
        assert_eq!(say(&mut open, &Mail::Letter { id, text: "once" }).await, Some(true));
        assert_eq!(ben.inbox().await, sent);
    })
    .await;
}

#[tokio::test]
async fn ten_are_called_at_once_and_no_call_takes_longer_than_its_limit() {
    play(async {
        let (network, clock) = (Memory::new(), Noon::default());
        let (anna, _) = two(&network, &clock);
        let called = Rc::new(Cell::new(0));
        for seed in 10..35 {
            let side = Side::new(&network, &clock, seed, MailEntries::default());
            let mut service = side.network.serve(&side.key, 80, None).await.unwrap();
            let called = Rc::clone(&called);
            // Takes every call, and never says a word.
            tokio::task::spawn_local(async move {
                let mut taken = Vec::new();
                while let Some(stream) = service.accept().await {
                    called.set(called.get() + 1);
                    taken.push(stream);
                }
            });
            anna.write(&side, "hello");
        }
        for round in 1..=2 {
            let wanted = (round * MAIL_AT_ONCE).min(25);
            tokio::time::timeout(DEADLINE, async {
                while called.get() < wanted {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .unwrap();
            let letters = anna.outbox().await;
            let served = letters.iter().filter(|letter| letter.next_s.is_none()).count();
            assert_eq!((called.get(), served), (wanted, MAIL_AT_ONCE), "round {round}");
            clock.set(Millis(clock.now().0 + MAIL_CONNECT_MS));
        }
        assert_eq!(anna.outbox().await.len(), 25);
    })
    .await;
}

#[tokio::test]
async fn a_warm_conversation_is_used_again_replaced_when_dead_and_dropped_when_idle() {
    play(async {
        let (network, clock) = (Memory::new(), Noon::default());
        let (anna, ben) = two(&network, &clock);
        ben.open_door().await;
        anna.write(&ben, "one");
        anna.settle().await;
        assert_eq!(anna.post.view().warm, 1);
        anna.write(&ben, "two");
        anna.settle().await;
        // The receiver restarts: the conversation is dead, and nobody said so.
        ben.shut_door().await;
        ben.open_door().await;
        anna.write(&ben, "three");
        anna.settle().await;
        assert_eq!(
            (ben.texts().await, clock.seconds()),
            (vec!["one".into(), "two".into(), "three".into()], 0)
        );
        assert_eq!(anna.post.view().warm, 1);
        clock.set(Millis(POOL_IDLE_MS - 1));
        anna.settle().await;
        assert_eq!(anna.post.view().warm, 1);
        clock.set(Millis(POOL_IDLE_MS));
        anna.settle().await;
        assert_eq!(anna.post.view().warm, 0);
        // It is gone for good: one retry, and then it waits.
        ben.shut_door().await;
        anna.write(&ben, "four");
        anna.settle().await;
        assert_eq!(anna.outbox().await[0].failures, 1);
    })
    .await;
}

#[tokio::test]
async fn a_sender_gets_twenty_in_and_then_five_a_second_through_the_socket() {
    play(async {
        let (network, clock) = (Memory::new(), Noon::default());
        let (_, ben) = two(&network, &clock);
        ben.open_door().await;
        let mut taken = Vec::new();
        let mut id = 0;
        for second in 0..4 {
            // A new conversation each time gains nothing.
            let mut open = call(&network, &ben, 1).await;
            let mut count = 0;
            for _ in 0..30 {
                id += 1;
                count += u32::from(say(&mut open, &Mail::Letter { id, text: "x" }).await.unwrap());
            }
            taken.push(count);
            let mut other = call(&network, &ben, 50 + second).await;
            assert_eq!(
                say(&mut other, &Mail::Letter { id: 1, text: "y" }).await,
                Some(true),
                "another sender"
            );
            clock.set(Millis(1000 * (u64::from(second) + 1)));
        }
        assert_eq!(taken, [20, 5, 5, 5]);
        assert_eq!(ben.post.view().inbox, 35 + 4);
        let mut blocked = call(&network, &ben, BLOCKED).await;
        assert_eq!(say(&mut blocked, &Mail::Letter { id: 1, text: "b" }).await, None);
        // Noise is hung up on, and takes nothing from the letters.
        let mut noisy = call(&network, &ben, 90).await;
        let mut buf = [0; 8];
        let alive = Mail::Alive.encode(&mut buf).unwrap();
        while noisy.tx.send(alive).await.is_ok() && noisy.tx.flush().await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(say(&mut noisy, &Mail::Letter { id: 1, text: "z" }).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_whole_node_sends_keeps_and_shows_mail() {
    play(async {
        let (stage, network) = (Stage::new("mail"), Memory::new());
        let before = |seed| State { catalogue: Some(Secret([seed; 32])), ..State::default() };
        let host = |seed| ServiceKey::from_seed([seed; 32]).address(80).host();
        for (folder, seed) in [(&stage.here, 1), (&stage.there, 2)] {
            StateDir::open(&folder.path().join("state"), true).unwrap().save(&before(seed)).unwrap();
        }
        let request = |wait| SendRequest { to: host(2), text: "see you".into(), wait };
        let anna = start(&network, stage.here.path());
        assert!(!anna.send(request(true)).await.unwrap().delivered, "nobody is there");
        assert_eq!(until(&anna, |status| status.mail.outbox == 1).await.mail.inbox, 0);
        anna.stop().await.unwrap();
        // Both start on what was written down, on a network that knows nothing.
        let network = Memory::new();
        let (ben, anna) = (start(&network, stage.there.path()), start(&network, stage.here.path()));
        until(&anna, |status| status.mail.outbox == 0 || status.uptime_s > 0).await;
        if anna.status().mail.outbox > 0 {
            // Its first try came before the other node was there. Mail from that one makes it try again.
            let back = SendRequest { to: host(1), ..request(true) };
            assert!(ben.send(back).await.unwrap().delivered);
        }
        until(&ben, |status| status.mail.inbox == 1).await;
        let letter = ben.inbox().await.unwrap().remove(0);
        assert_eq!((letter.peer, letter.text.as_str(), letter.undelivered), (host(1), "see you", false));
        ben.discard(letter.number).await.unwrap();
        assert!(matches!(ben.discard(letter.number).await, Err(NodeError::Missing(_))));
        for (to, text) in
            [(host(2), "x"), ("nobody".into(), "x"), (host(1), " "), (host(1), &*"x".repeat(4097))]
        {
            let refused = ben.send(SendRequest { to, text: text.into(), wait: false }).await;
            assert!(refused.is_err(), "{refused:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_brings_no_letter_makes_room_for_who_does() {
    play(async {
        let (network, clock) = (Memory::new(), Noon::default());
        let (_, ben) = two(&network, &clock);
        ben.open_door().await;
        let mut callers = Vec::new();
        for number in 0..48 {
            callers.push(call(&network, &ben, 100 + number / 2).await); // two of each are let in
        }
        let letter = |id| Mail::Letter { id, text: "at last" };
        let mut late = call(&network, &ben, 50).await;
        assert_eq!(say(&mut late, &letter(1)).await, None, "all places are taken");
        clock.set(Millis(60_000));
        assert_eq!(say(&mut callers[0], &letter(2)).await, Some(true));
        let mut late = call(&network, &ben, 50).await;
        assert_eq!(say(&mut late, &letter(3)).await, Some(true));
        let mut gone = Vec::new();
        for (number, caller) in callers.iter_mut().enumerate() {
            let id = 100 + u64::try_from(number).unwrap();
            gone.extend(say(caller, &letter(id)).await.is_none().then_some(number));
        }
        assert!(gone.len() == 1 && gone[0] != 0, "one that brought nothing: {gone:?}");
    })
    .await;
}

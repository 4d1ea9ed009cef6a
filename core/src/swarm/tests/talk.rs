//! What is answered and costs nothing of its own: it has limits all the same.

use super::*;
use crate::limits::MAX_DEPTH_REQUESTS;

/// Two lanes to a caller whom we choke.
fn choked() -> (Small, MemoryStore, [LaneId; 2]) {
    let (mut swarm, mut store, first) = swarm(true, false);
    let lanes = [first, call(&mut swarm, NOW, 2).unwrap()];
    for lane in lanes {
        hear(&mut swarm, &mut store, lane, Message::Join).unwrap();
        say(&mut swarm, &mut store, lane);
    }
    (swarm, store, lanes)
}

#[test]
fn requests_that_are_refused_without_end_are_a_flood() {
    let (mut swarm, mut store, [lane, _]) = choked();
    let refused = |_: &u32| {
        let heard = hear(&mut swarm, &mut store, lane, Message::Request(FIRST));
        let said = say(&mut swarm, &mut store, lane);
        assert!(heard.is_err() || said == [[8, 0, 0, 0]], "{said:?}");
        heard.is_ok()
    };
    assert_eq!((0..2_000).take_while(refused).count(), 1_024);
}

#[test]
fn pieces_that_are_not_here_are_not_asked_for_without_end() {
    let (mut swarm, mut store, lane) = swarm(false, false);
    hear(&mut swarm, &mut store, lane, Message::Join).unwrap();
    hear(&mut swarm, &mut store, lane, Message::Want(true)).unwrap();
    let over = (0..2_000).find_map(|_| {
        say(&mut swarm, &mut store, lane);
        hear(&mut swarm, &mut store, lane, Message::Request(FIRST)).err()
    });
    assert_eq!(over, Some(Over::Rejected(1, Reject::Flood)));
}

/// A peer with eight full lanes, choked each time anew as often as that can be.
#[test]
fn requests_in_flight_when_the_choke_comes_are_no_flood() {
    let (mut swarm, mut store, lanes) = choked();
    let mut buf = [0; MAX_FRAME];
    let request = Message::Request(FIRST).encode(&mut [0; 8]).unwrap().to_vec();
    for round in 0..100 {
        let now = NOW.plus(round * CHOKE_MS);
        for request_number in 0..8 * MAX_DEPTH_REQUESTS {
            let lane = lanes[request_number % 2];
            swarm.hear(now, lane, &request, &mut store).unwrap();
            while swarm.say(now, lane, &mut buf, &mut store).unwrap() > 0 {}
        }
    }
}

/// Whether somebody who asked so many questions before keeps his place by one more.
fn keeps_his_place(before: usize, joined: bool) -> bool {
    let (mut swarm, mut store, learner) = swarm(true, false);
    if joined {
        hear(&mut swarm, &mut store, learner, Message::Join).unwrap();
        say(&mut swarm, &mut store, learner);
    }
    let mut ask = |swarm: &mut Small, now: Millis| {
        let question = Message::AskHashes { file: 0, index: 0 }.encode(&mut [0; 8]).unwrap().to_vec();
        swarm.hear(now, learner, &question, &mut store).unwrap();
        assert!(swarm.say(now, learner, &mut [0; MAX_FRAME], &mut store).unwrap() > 0, "it is answered");
    };
    (0..before).for_each(|_| ask(&mut swarm, NOW.plus(1)));
    let later = NOW.plus(GRACE_MS);
    ask(&mut swarm, later);
    (3..6).for_each(|key| _ = call(&mut swarm, later, key).unwrap());
    call(&mut swarm, later.plus(1), 9).is_err()
}

#[test]
fn questions_without_end_keep_no_place() {
    // One part of the info dictionary and one run of hashes, each of them twice.
    for joined in [false, true] {
        assert!(keeps_his_place(3, joined) && !keeps_his_place(4, joined), "{joined}");
    }
}

#[test]
fn questions_without_end_keep_no_lane_that_never_joins() {
    let (mut swarm, mut store, lane) = swarm(true, false);
    let question = Message::AskInfo(0).encode(&mut [0; 8]).unwrap().to_vec();
    let mut buf = [0; MAX_FRAME];
    let asked = |turn: &u64| {
        let now = NOW.plus(turn * (JOIN_MS - 1));
        assert_eq!(swarm.handle_timeout(now), None);
        let heard = swarm.hear(now, lane, &question, &mut store);
        heard.is_ok() && swarm.say(now, lane, &mut buf, &mut store).is_ok()
    };
    assert_eq!((1..100).take_while(asked).count(), 5, "four that count, and one in the time after");
}

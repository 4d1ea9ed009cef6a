//! Who keeps his place where all are taken.

use super::*;
use crate::limits::HOPE_MS;

/// The true block, as it is sent.
fn block(id: BlockId) -> Vec<u8> {
    let mut proof = vec![0; 32 * share().layout().proof_len(id.piece).unwrap()];
    share().prove(id, &mut proof).unwrap();
    let share = share();
    let message = Message::Block { id, proof: &proof, bytes: share.block(id).unwrap() };
    message.encode(&mut vec![0; MAX_FRAME]).unwrap().to_vec()
}

fn there(swarm: &Small) -> Vec<u8> {
    swarm.peers(NOW).map(|peer| peer.key.0[0]).collect()
}

#[test]
fn a_fetcher_gives_up_nobody_whom_it_called_or_who_has_what_it_lacks() {
    let (mut swarm, mut store, seed) = swarm(false, true);
    say(&mut swarm, &mut store, seed);
    hear(&mut swarm, &mut store, seed, Message::Haves { first: 0, bits: &[0xf0] }).unwrap();
    swarm.hear_name(NOW, b"other");
    assert!(core::iter::from_fn(|| swarm.poll_dial(NOW)).any(|dial| dial.name == b"other"));
    let callers: Vec<LaneId> = (3..6).map(|key| call(&mut swarm, NOW, key).unwrap()).collect();
    for lane in &callers {
        hear(&mut swarm, &mut store, *lane, Message::Join).unwrap();
    }
    hear(&mut swarm, &mut store, callers[0], Message::Haves { first: 0, bits: &[0x80] }).unwrap();
    let later = NOW.plus(GRACE_MS + 1);
    let called = swarm.lane_open(later, PeerKey([9; 32]), Some(b"other"), |len| Bits::new([0; 4], len).ok());
    assert_eq!(
        (called, there(&swarm)),
        (Err(NoLane::Full), vec![2, 3, 4, 5]),
        "we called on hearsay: nobody goes for it"
    );
    call(&mut swarm, later, 10).unwrap();
    call(&mut swarm, later, 11).unwrap();
    assert_eq!(call(&mut swarm, later, 12), Err(NoLane::Full));
    assert_eq!(there(&swarm), [2, 3, 10, 11], "the one we called and the one with a piece stay");
}

#[test]
fn who_has_what_a_fetcher_lacks_and_never_gives_it_goes_in_the_end() {
    let (mut swarm, mut store, giver, asked) = asking();
    // One chokes us, one takes requests and refuses them, one was only called.
    let choker = call(&mut swarm, NOW, 3).unwrap();
    let refuser = call(&mut swarm, NOW, 4).unwrap();
    let key = PeerKey([5; 32]);
    swarm.lane_open(NOW, key, Some(b"fifth"), |len| Bits::new([0; 4], len).ok()).unwrap();
    for lane in [choker, refuser] {
        hear(&mut swarm, &mut store, lane, Message::Join).unwrap();
        hear(&mut swarm, &mut store, lane, Message::Haves { first: 0, bits: &[0xf0] }).unwrap();
    }
    hear(&mut swarm, &mut store, refuser, Message::Choke(false)).unwrap();
    let last = NOW.plus(HOPE_MS - 1);
    assert!(matches!(
        swarm.hear(last, giver, &block(asked), &mut store),
        Ok(Event::Block(_) | Event::Piece(_))
    ));
    let mut buf = [0; MAX_FRAME];
    while let Ok(len @ 1..) = swarm.say(last, refuser, &mut buf, &mut store) {
        if let Ok(Message::Request(id)) = Message::decode(&buf[..len]) {
            let frame = Message::Refuse { id, gone: false }.encode(&mut [0; 8]).unwrap().to_vec();
            swarm.hear(last, refuser, &frame, &mut store).unwrap();
        }
    }
    assert_eq!(call(&mut swarm, last, 9), Err(NoLane::Full), "there was hope");
    let late = NOW.plus(HOPE_MS);
    (9..12).for_each(|key| _ = call(&mut swarm, late, key).unwrap());
    assert_eq!(call(&mut swarm, late, 12), Err(NoLane::Full));
    assert_eq!(there(&swarm), [2, 9, 10, 11], "who gave stays");
}

#[test]
fn a_fetcher_owes_no_place_to_who_only_takes() {
    let (mut swarm, mut store, seed, asked) = asking();
    let other = BlockId { block: 1 - asked.block, ..asked };
    swarm.hear(NOW, seed, &block(asked), &mut store).unwrap();
    assert_eq!(swarm.hear(NOW, seed, &block(other), &mut store), Ok(Event::Piece(other)));
    let takers: Vec<LaneId> = (3..6).map(|key| call(&mut swarm, NOW, key).unwrap()).collect();
    hear(&mut swarm, &mut store, takers[0], Message::Join).unwrap();
    hear(&mut swarm, &mut store, takers[0], Message::Want(true)).unwrap();
    say(&mut swarm, &mut store, takers[0]);
    let later = NOW.plus(GRACE_MS - 1);
    let request = Message::Request(asked).encode(&mut [0; 8]).unwrap().to_vec();
    swarm.hear(later, takers[0], &request, &mut store).unwrap();
    assert!(swarm.say(later, takers[0], &mut [0; MAX_FRAME], &mut store).unwrap() > BLOCK_LEN);
    call(&mut swarm, later.plus(1), 9).unwrap();
    assert_eq!(there(&swarm), [2, 9, 4, 5]);
}

#[test]
fn a_seed_gives_up_the_idle_whoever_called() {
    let (mut swarm, ..) = swarm(true, true);
    (3..6).for_each(|key| _ = call(&mut swarm, NOW.plus(1), key).unwrap());
    call(&mut swarm, NOW.plus(GRACE_MS), 9).unwrap();
    assert!(swarm.peers(NOW).all(|peer| peer.key != PeerKey([2; 32])));
}

#[test]
fn a_learner_whose_answers_wait_in_our_limit_is_no_dawdler() {
    let (mut swarm, mut store, learner) = swarm(true, false);
    swarm.upload = Some(Bucket::new(NOW, 1, 16 * 1024));
    assert_eq!(answers(&mut swarm, &mut store, learner, NOW, Message::AskInfo(0)), 1);
    let late = NOW.plus(2 * JOIN_MS);
    assert_eq!(swarm.handle_timeout(late), None);
    assert_eq!(swarm.say(late, learner, &mut [0; MAX_FRAME], &mut store), Ok(1), "its lane is open: Alive");
    swarm.upload = None;
    assert!(swarm.say(late, learner, &mut [0; MAX_FRAME], &mut store).unwrap() > 0);
    assert_eq!(swarm.handle_timeout(late.plus(JOIN_MS)), None);
    let over = swarm.say(late.plus(JOIN_MS), learner, &mut [0; MAX_FRAME], &mut store);
    assert_eq!(over, Err(Over::Closed), "nothing is owed any more");
}

#[test]
fn a_fetcher_lets_others_learn() {
    let (mut swarm, mut store, learner) = swarm(false, false);
    (3..6).for_each(|key| _ = call(&mut swarm, NOW.plus(1), key).unwrap());
    let later = NOW.plus(GRACE_MS);
    let question = Message::AskInfo(0).encode(&mut [0; 8]).unwrap().to_vec();
    swarm.hear(later, learner, &question, &mut store).unwrap();
    assert!(swarm.say(later, learner, &mut [0; MAX_FRAME], &mut store).unwrap() > 0);
    call(&mut swarm, later.plus(1), 9).unwrap();
    assert_eq!(there(&swarm), [2, 9, 4, 5], "another went");
}

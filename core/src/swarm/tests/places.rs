//! Who keeps his place where all are taken.

use super::*;

#[test]
fn a_fetcher_gives_up_nobody_whom_it_called_or_who_has_what_it_lacks() {
    let (mut swarm, mut store, seed) = swarm(false, true);
    say(&mut swarm, &mut store, seed);
    hear(&mut swarm, &mut store, seed, Message::Haves { first: 0, bits: &[0xf0] }).unwrap();
    let callers: Vec<LaneId> = (3..6).map(|key| call(&mut swarm, NOW, key).unwrap()).collect();
    for lane in &callers {
        hear(&mut swarm, &mut store, *lane, Message::Join).unwrap();
    }
    hear(&mut swarm, &mut store, callers[0], Message::Haves { first: 0, bits: &[0x80] }).unwrap();
    let later = NOW.plus(GRACE_MS + 1);
    let there = |swarm: &Small| swarm.peers(later).map(|peer| peer.key.0[0]).collect::<Vec<_>>();
    let called = swarm.lane_open(later, PeerKey([9; 32]), Some(b"other"), |len| Bits::new([0; 4], len).ok());
    assert_eq!(
        (called, there(&swarm)),
        (Err(NoLane::Full), vec![2, 3, 4, 5]),
        "we called: nobody goes for it"
    );
    call(&mut swarm, later, 10).unwrap();
    call(&mut swarm, later, 11).unwrap();
    assert_eq!(call(&mut swarm, later, 12), Err(NoLane::Full));
    assert_eq!(there(&swarm), [2, 3, 10, 11], "the one we called and the one with a piece stay");
}

#[test]
fn a_seed_gives_up_the_idle_whoever_called() {
    let (mut swarm, ..) = swarm(true, true);
    (3..6).for_each(|key| _ = call(&mut swarm, NOW.plus(1), key).unwrap());
    call(&mut swarm, NOW.plus(GRACE_MS), 9).unwrap();
    assert!(swarm.peers(NOW).all(|peer| peer.key != PeerKey([2; 32])));
}

#[test]
fn who_learns_keeps_his_place() {
    let (mut swarm, mut store, learner) = swarm(true, false);
    (3..6).for_each(|key| _ = call(&mut swarm, NOW.plus(1), key).unwrap());
    let later = NOW.plus(GRACE_MS);
    assert_eq!(answers(&mut swarm, &mut store, learner, NOW.plus(1), Message::AskInfo(0)), 128);
    assert!(swarm.say(later, learner, &mut [0; MAX_FRAME], &mut store).unwrap() > 0, "it asked once more");
    call(&mut swarm, later.plus(1), 9).unwrap();
    assert!(swarm.peers(later).any(|peer| peer.key == PeerKey([2; 32])), "another went");
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

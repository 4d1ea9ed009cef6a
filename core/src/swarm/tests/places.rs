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

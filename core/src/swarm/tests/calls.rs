//! Whom a fetcher calls, and when.

use super::*;

/// A fetcher nobody is connected to.
fn alone() -> (Small, MemoryStore) {
    let (mut swarm, store, lane) = swarm(false, false);
    swarm.lane_closed(NOW, lane);
    (swarm, store)
}

/// Everybody who is to be called now.
fn called(swarm: &mut Small, now: Millis) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| swarm.poll_dial(now)).map(|dial| dial.name.to_vec()).collect()
}

fn answer(swarm: &mut Small, now: Millis, key: u8, name: &[u8]) -> Result<LaneId, NoLane> {
    swarm.lane_open(now, PeerKey([key; 32]), Some(name), |len| Bits::new([0; 4], len).ok())
}

#[test]
fn the_quarter_left_to_callers_is_there_for_the_owners_choice() {
    let (mut swarm, _) = alone();
    (3..6).for_each(|key| _ = call(&mut swarm, NOW, key).unwrap());
    swarm.hear_name(NOW, b"other");
    assert_eq!(called(&mut swarm, NOW), Vec::<Vec<u8>>::new(), "three of four places are taken");
    swarm.hear_name(NOW, b"seed");
    swarm.add_name(NOW, b"seed"); // given, whoever spoke of it before
    assert_eq!(called(&mut swarm, NOW), [b"seed"]);
    answer(&mut swarm, NOW, 9, b"seed").unwrap();
}

#[test]
fn who_gives_nothing_goes_for_the_owners_choice() {
    let (mut swarm, mut store) = alone();
    swarm.hear_name(NOW, b"other");
    assert_eq!(called(&mut swarm, NOW), [b"other"]);
    for key in 3..7 {
        let lane = call(&mut swarm, NOW, key).unwrap();
        hear(&mut swarm, &mut store, lane, Message::Join).unwrap();
    }
    swarm.add_name(NOW, b"seed");
    let later = NOW.plus(GRACE_MS - 1);
    assert_eq!(called(&mut swarm, later), Vec::<Vec<u8>>::new(), "no place could be had");
    let later = NOW.plus(GRACE_MS);
    assert_eq!(called(&mut swarm, later), [b"seed"]);
    assert_eq!(answer(&mut swarm, later, 8, b"other"), Err(NoLane::Full), "it is only hearsay");
    answer(&mut swarm, later, 9, b"seed").unwrap();
    let there: Vec<u8> = swarm.peers(later).map(|peer| peer.key.0[0]).collect();
    assert_eq!(there, [9, 4, 5, 6]);
}

#[test]
fn a_further_name_of_the_owners_choice_is_hearsay() {
    let (mut swarm, mut store) = alone();
    swarm.add_name(NOW, b"seed");
    assert_eq!(called(&mut swarm, NOW), [b"seed"]);
    let seed = answer(&mut swarm, NOW, 9, b"seed").unwrap();
    say(&mut swarm, &mut store, seed);
    hear(&mut swarm, &mut store, seed, Message::Lanes(b"\x04more")).unwrap();
    assert_eq!(called(&mut swarm, NOW), [b"more"]);
    (3..6).for_each(|key| _ = call(&mut swarm, NOW, key).unwrap());
    let later = NOW.plus(GRACE_MS);
    assert_eq!(answer(&mut swarm, later, 8, b"more"), Err(NoLane::Full));
}

#[test]
fn names_without_end_do_not_keep_the_owners_choice_waiting() {
    // As large as a node's: there, calls under way are what it has too few of.
    type Wide = Swarm<[u64; 4], std::rc::Rc<[Span]>, 16, 2>;
    let (layout, mut store) = (share().layout(), MemoryStore::new(share(), false, 1));
    let bits = |len| Bits::new([0; 4], len).unwrap();
    let all =
        (bits(layout.pieces()), bits(block_slots(&layout).unwrap()), bits(block_slots(&layout).unwrap()));
    let mut swarm = Wide::new(layout, all, PeerKey([1; 32]), Settings::default(), 7, NOW).unwrap();
    let liar = swarm.lane_open(NOW, PeerKey([3; 32]), None, |len| Some(bits(len))).unwrap();
    swarm.hear(NOW, liar, &[16], &mut store).unwrap();
    swarm.add_name(NOW, b"seed");
    let (mut under_way, mut seed, mut others) = (vec![], 0, 0);
    for step in 0..1200_u64 {
        let now = NOW.plus(step * 250);
        let mut names = vec![0];
        for name in 0..15 {
            names.extend([8]);
            names.extend((step * 15 + name).to_be_bytes());
        }
        let frame = Message::Peers(&names).encode(&mut [0; 256]).unwrap().to_vec();
        swarm.hear(now, liar, &frame, &mut store).unwrap();
        under_way.retain(|(name, ends): &(Vec<u8>, Millis)| {
            if *ends <= now {
                swarm.dial_failed(now, name);
            }
            *ends > now
        });
        for name in core::iter::from_fn(|| swarm.poll_dial(now)).map(|dial| dial.name.to_vec()) {
            *(if name == b"seed" { &mut seed } else { &mut others }) += 1;
            under_way.push((name, now.plus(10_000)));
        }
    }
    // Five minutes: a call takes 10 s, and the longest wait is 20 s.
    assert!(seed >= 10, "the seed was called {seed} times, others {others} times");
    assert!(others >= 100, "{others}");
}

/// Milliseconds between one failure and the next call, by number of the failure.
fn waits(swarm: &mut Small, name: &[u8], count: usize, mut now: Millis) -> Vec<u64> {
    let mut waits = vec![];
    for _ in 0..count {
        assert_eq!(called(swarm, now), [name]);
        swarm.dial_failed(now, name);
        let next = swarm.poll_timeout().unwrap();
        waits.push(next.since(now));
        now = next;
    }
    waits
}

#[test]
fn the_owners_choice_is_called_often_until_it_is_off_for_long() {
    let (mut swarm, _) = alone();
    swarm.add_name(NOW, b"seed");
    let found = waits(&mut swarm, b"seed", 33, NOW);
    assert!(found[..30].iter().all(|wait| *wait <= 20_000), "{found:?}");
    assert!(found[5..30].iter().all(|wait| *wait >= 15_000), "{found:?}");
    assert!(found[30..].iter().all(|wait| (225_000..=300_000).contains(wait)), "{found:?}");
    let (mut swarm, _) = alone();
    swarm.hear_name(NOW, b"other");
    let found = waits(&mut swarm, b"other", 12, NOW);
    assert!(found[8..].iter().all(|wait| *wait >= 225_000), "{found:?}");
}

#[test]
fn the_owners_choice_that_is_back_and_busy_is_called_ever_more_rarely() {
    let (mut swarm, mut store) = alone();
    swarm.add_name(NOW, b"seed");
    waits(&mut swarm, b"seed", 33, NOW);
    let mut now = swarm.poll_timeout().unwrap();
    for failure in 0..10 {
        assert_eq!(called(&mut swarm, now), [b"seed"]);
        let lane = answer(&mut swarm, now, 9, b"seed").unwrap();
        assert_eq!(hear(&mut swarm, &mut store, lane, Message::Busy), Err(Over::Busy));
        swarm.lane_closed(now, lane);
        let next = swarm.poll_timeout().unwrap();
        assert_eq!(next.since(now), (2_000 << failure).min(300_000));
        now = next;
    }
}

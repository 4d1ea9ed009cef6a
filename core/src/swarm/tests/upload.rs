//! How lanes wait for the upload limit.

use super::*;

/// Asks for the info dictionary and says whether it is answered.
fn gets(swarm: &mut Small, store: &mut MemoryStore, lane: LaneId, now: Millis) -> bool {
    let frame = Message::AskInfo(0).encode(&mut [0; 16]).unwrap().to_vec();
    swarm.hear(now, lane, &frame, store).unwrap();
    swarm.say(now, lane, &mut [0; MAX_FRAME], store).unwrap() > 0
}

fn stirred(swarm: &mut Small) -> Vec<LaneId> {
    core::iter::from_fn(|| swarm.poll_stirred()).collect()
}

#[test]
fn who_finds_it_reached_keeps_his_turn_and_is_stirred_once_there_is_more() {
    let (mut swarm, mut store, first) = swarm(true, false);
    let other = call(&mut swarm, NOW, 3).unwrap();
    swarm.upload = Some(Bucket::new(NOW, 64 * 1024, 16 * 1024));
    assert!(gets(&mut swarm, &mut store, first, NOW) && !gets(&mut swarm, &mut store, first, NOW));
    assert_eq!(swarm.handle_timeout(NOW), None);
    stirred(&mut swarm);
    let due = swarm.poll_timeout().unwrap();
    assert!((251..251 + 32).contains(&due.since(NOW)), "{due:?}");
    assert_eq!((swarm.handle_timeout(NOW.plus(250)), stirred(&mut swarm)), (None, vec![]), "too soon");
    let before = NOW.plus(251);
    assert!(gets(&mut swarm, &mut store, other, before), "another comes first");
    stirred(&mut swarm);
    assert_eq!(swarm.poll_timeout(), Some(due), "that changes nothing for who waits");
    assert_eq!((swarm.handle_timeout(due), stirred(&mut swarm)), (None, vec![first]));
    assert_eq!(swarm.say(due, first, &mut [0; MAX_FRAME], &mut store), Ok(0));
    let next = swarm.poll_timeout().unwrap();
    assert!((251..251 + 32).contains(&next.since(before)) && next > due, "{next:?}");
    assert_eq!((swarm.handle_timeout(due), stirred(&mut swarm)), (None, vec![]), "no try in between");
    assert_eq!((swarm.handle_timeout(next), stirred(&mut swarm)), (None, vec![first]));
    assert!(swarm.say(next, first, &mut [0; MAX_FRAME], &mut store).unwrap() > 0);
}

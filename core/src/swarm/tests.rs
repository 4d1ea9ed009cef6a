//! One conversation by hand: what is said in which order, and why a peer is dropped.

mod calls;
mod places;
mod random;
mod talk;
mod upload;

use std::vec;
use std::vec::Vec;

use super::*;
use crate::content::merkle;
use crate::limits::{BLOCK_LEN, GRACE_MS, JOIN_MS, MAX_FRAME};
use crate::sim::{MemoryStore, Share};
use crate::wire::Message;

type Small = Swarm<[u64; 4], std::rc::Rc<[Span]>, 4, 2>;

const NOW: Millis = Millis(1_000);
const FIRST: BlockId = BlockId { piece: 0, block: 0 };

fn share() -> Share {
    Share::new(1, 32 * 1024, &[100_000])
}

/// A swarm that has everything or nothing, and one lane to a peer, dialed by us or by it.
fn swarm(seed: bool, dialed: bool) -> (Small, MemoryStore, LaneId) {
    let layout = share().layout();
    let store = MemoryStore::new(share(), seed, 1);
    let slots = block_slots(&layout).unwrap();
    let mut blocks = Bits::new([0; 4], slots).unwrap();
    (0..slots).filter(|_| seed).for_each(|slot| _ = blocks.set(slot));
    let bits = |len| Bits::new([0; 4], len).unwrap();
    let all = (bits(layout.pieces()), blocks, bits(slots));
    let mut swarm = Small::new(layout, all, PeerKey([1; 32]), Settings::default(), 7, NOW).unwrap();
    let name = dialed.then_some(&b"peer"[..]);
    let lane = swarm.lane_open(NOW, PeerKey([2; 32]), name, |len| Bits::new([0; 4], len).ok()).unwrap();
    (swarm, store, lane)
}

fn hear(
    swarm: &mut Small,
    store: &mut MemoryStore,
    lane: LaneId,
    message: Message<'_>,
) -> Result<Event, Over> {
    let mut buf = vec![0; MAX_FRAME];
    let frame = message.encode(&mut buf).unwrap();
    swarm.hear(NOW, lane, frame, store)
}

fn say(swarm: &mut Small, store: &mut MemoryStore, lane: LaneId) -> Vec<Vec<u8>> {
    let mut frames = vec![];
    let mut buf = [0; MAX_FRAME];
    while let Ok(len @ 1..) = swarm.say(NOW, lane, &mut buf, store) {
        frames.push(buf[..len].to_vec());
    }
    frames
}

/// A fetcher that was unchoked by a peer with every piece and has asked for blocks.
fn asking() -> (Small, MemoryStore, LaneId, BlockId) {
    let (mut swarm, mut store, lane) = swarm(false, true);
    say(&mut swarm, &mut store, lane);
    hear(&mut swarm, &mut store, lane, Message::Haves { first: 0, bits: &[0xf0] }).unwrap();
    hear(&mut swarm, &mut store, lane, Message::Choke(false)).unwrap();
    let said = say(&mut swarm, &mut store, lane);
    let asked = said.iter().find_map(|frame| match Message::decode(frame) {
        Ok(Message::Request(id)) => Some(id),
        _ => None,
    });
    (swarm, store, lane, asked.unwrap())
}

#[track_caller]
fn rejected(heard: Result<Event, Over>, why: Reject) {
    assert_eq!(heard, Err(Over::Rejected(1, why)));
}

#[test]
fn a_seed_says_what_it_has_and_serves() {
    let (mut swarm, mut store, lane) = swarm(true, true);
    assert_eq!(say(&mut swarm, &mut store, lane), [vec![16], vec![2, 0, 1, 0xf0]], "Join, Haves");
    hear(&mut swarm, &mut store, lane, Message::Want(true)).unwrap();
    assert_eq!(say(&mut swarm, &mut store, lane), [vec![4, 0]], "Choke(false)");
    hear(&mut swarm, &mut store, lane, Message::Request(FIRST)).unwrap();
    let said = say(&mut swarm, &mut store, lane);
    let Ok(Message::Block { id, proof, bytes }) = Message::decode(&said[0]) else { panic!("{said:?}") };
    let root = share().root(0).unwrap();
    assert!(id == FIRST && merkle::verify(merkle::leaf(bytes), 0, proof, &root));
}

#[test]
fn a_fetcher_wants_before_it_asks() {
    let (mut swarm, mut store, lane) = swarm(false, true);
    assert_eq!(say(&mut swarm, &mut store, lane), [vec![16]], "Join");
    hear(&mut swarm, &mut store, lane, Message::Haves { first: 0, bits: &[0x80] }).unwrap();
    assert_eq!(say(&mut swarm, &mut store, lane), [vec![3, 1]], "Want(true)");
    hear(&mut swarm, &mut store, lane, Message::Choke(false)).unwrap();
    assert_eq!(say(&mut swarm, &mut store, lane), [vec![5, 0, 0], vec![5, 0, 1]], "two requests");
}

/// How many questions for metadata are answered at once, asked one by one.
fn answers(swarm: &mut Small, store: &mut MemoryStore, lane: LaneId, now: Millis, ask: Message<'_>) -> usize {
    let mut buf = [0; MAX_FRAME];
    let frame = ask.encode(&mut [0; 16]).unwrap().to_vec();
    let answered = |_: &usize| {
        swarm.hear(now, lane, &frame, store).unwrap();
        swarm.say(now, lane, &mut buf, store).unwrap() > 0
    };
    (0..1000).take_while(answered).count()
}

#[test]
fn metadata_is_given_out_at_a_measured_rate() {
    for ask in [Message::AskInfo(0), Message::AskHashes { file: 0, index: 0 }] {
        let (mut swarm, mut store, lane) = swarm(true, false);
        assert_eq!(answers(&mut swarm, &mut store, lane, NOW, ask), 128);
        assert_eq!(swarm.handle_timeout(NOW.plus(1000)), None);
        assert_eq!(swarm.poll_stirred(), Some(lane), "asked again without a further frame");
        assert_eq!(answers(&mut swarm, &mut store, lane, NOW.plus(1000), ask), 16);
        hear(&mut swarm, &mut store, lane, Message::Alive).unwrap(); // the other half of the allowance is left
    }
}

#[test]
fn metadata_counts_against_the_upload_limit() {
    let (mut swarm, mut store, lane) = swarm(true, false);
    swarm.upload = Some(Bucket::new(NOW, 16 * 1024, 64 * 1024));
    assert_eq!(answers(&mut swarm, &mut store, lane, NOW, Message::AskInfo(0)), 4);
    assert_eq!(answers(&mut swarm, &mut store, lane, NOW.plus(1001), Message::AskInfo(0)), 1);
}

#[test]
fn bytes_that_are_no_message_are_malformed() {
    let (mut swarm, mut store, lane) = swarm(true, true);
    rejected(swarm.hear(NOW, lane, &[99], &mut store), Reject::Malformed);
    assert_eq!(swarm.hear(NOW, lane, &[0], &mut store), Err(Over::Closed), "nothing more is heard");
    let again = swarm.lane_open(NOW, PeerKey([2; 32]), None, |len| Bits::new([0; 4], len).ok());
    assert_eq!(again, Err(NoLane::Banned));
}

#[test]
fn requests_before_join_are_out_of_turn() {
    let (mut swarm, mut store, lane) = swarm(true, false);
    rejected(hear(&mut swarm, &mut store, lane, Message::Request(FIRST)), Reject::OutOfTurn);
}

#[test]
fn pieces_past_the_end_are_out_of_range() {
    let wrong = [
        Message::Have(4),
        Message::Haves { first: 0, bits: &[0x08] },
        Message::Haves { first: 8, bits: &[0] },
        Message::Haves { first: u32::MAX - 7, bits: &[0] },
        Message::Request(BlockId { piece: 0, block: 2 }),
    ];
    for message in wrong {
        let (mut swarm, mut store, lane) = swarm(true, true);
        say(&mut swarm, &mut store, lane);
        rejected(hear(&mut swarm, &mut store, lane, message), Reject::OutOfRange);
    }
}

#[test]
fn blocks_that_nobody_asked_for_are_named() {
    let (mut swarm, mut store, lane) = swarm(false, true);
    say(&mut swarm, &mut store, lane);
    let block = Message::Block { id: FIRST, proof: &[], bytes: b"x" };
    rejected(hear(&mut swarm, &mut store, lane, block), Reject::Unasked);
}

#[test]
fn a_bad_block_is_never_written() {
    let (mut swarm, mut store, lane, id) = asking();
    let block = Message::Block { id, proof: &[0; 32], bytes: &[0; BLOCK_LEN] };
    rejected(hear(&mut swarm, &mut store, lane, block), Reject::BadBlock);
    assert_eq!((store.bad_writes, swarm.verified()), (0, 0));
    assert!(store.survivors().words().iter().all(|word| *word == 0));
}

#[test]
fn talk_without_end_is_a_flood() {
    let (mut swarm, mut store, lane) = swarm(true, true);
    say(&mut swarm, &mut store, lane);
    let heard = (0..2_000).find_map(|_| hear(&mut swarm, &mut store, lane, Message::Alive).err());
    assert_eq!(heard, Some(Over::Rejected(1, Reject::Flood)));
}

#[test]
fn a_request_twice_is_a_repetition() {
    let (mut swarm, mut store, lane) = swarm(true, true);
    say(&mut swarm, &mut store, lane);
    hear(&mut swarm, &mut store, lane, Message::Request(FIRST)).unwrap();
    rejected(hear(&mut swarm, &mut store, lane, Message::Request(FIRST)), Reject::Repeated);
}

#[test]
fn silence_after_requests_is_a_stall() {
    let (mut swarm, ..) = asking();
    let late = NOW.plus(crate::limits::STALL_MS);
    assert_eq!(swarm.handle_timeout(late), Some(Over::Rejected(1, Reject::Stalled)));
    assert_eq!(swarm.handle_timeout(late), None);
}

#[test]
fn a_lane_that_the_owner_brings_is_not_called_again() {
    let (mut swarm, _, lane) = swarm(false, true); // at least two lanes to each peer
    assert_eq!(swarm.poll_dial(NOW).map(|dial| dial.name).as_deref(), Some(&b"peer"[..]));
    assert_eq!(swarm.poll_dial(NOW), None, "one was there already");
    swarm.dial_failed(NOW, b"peer");
    swarm.lane_closed(NOW, lane);
    assert!(swarm.poll_dial(NOW.plus(600_000)).is_some(), "its name is known");
}

#[test]
fn calls_to_further_names_are_counted_back() {
    let (mut swarm, mut store, lane) = swarm(false, false);
    hear(&mut swarm, &mut store, lane, Message::Join).unwrap();
    hear(&mut swarm, &mut store, lane, Message::Lanes(b"\x01a\x01b")).unwrap();
    swarm.add_name(NOW, b"peer");
    for round in 0..20_u64 {
        let now = NOW.plus(round * 600_000);
        let Some(dial) = swarm.poll_dial(now) else { panic!("no call in round {round}") };
        if round == 0 {
            let key = PeerKey([2; 32]);
            let lane = swarm.lane_open(now, key, Some(&dial.name), |_| None).unwrap();
            swarm.lane_closed(now, lane);
        } else {
            swarm.dial_failed(now, &dial.name);
        }
    }
}

#[test]
fn a_further_name_takes_lanes_until_it_fails() {
    let (mut swarm, mut store, lane) = swarm(false, true);
    say(&mut swarm, &mut store, lane);
    hear(&mut swarm, &mut store, lane, Message::Lanes(b"\x04more")).unwrap();
    assert_eq!(swarm.poll_dial(NOW).map(|dial| dial.name).as_deref(), Some(&b"more"[..]));
    swarm.dial_failed(NOW, b"more");
    let later = NOW.plus(600_000);
    assert_eq!(swarm.poll_dial(later).map(|dial| dial.name).as_deref(), Some(&b"peer"[..]));
}

#[test]
fn new_names_are_told_to_those_who_are_there() {
    let (mut swarm, mut store, lane) = swarm(true, true);
    say(&mut swarm, &mut store, lane);
    swarm.set_names([&b"own"[..], b"more"].map(|name| name.try_into().unwrap()));
    let said = say(&mut swarm, &mut store, lane);
    let told = |wanted: Message<'_>| said.iter().any(|frame| Message::decode(frame) == Ok(wanted));
    assert!(told(Message::Lanes(b"\x04more")), "{said:?}");
}

fn call(swarm: &mut Small, now: Millis, key: u8) -> Result<LaneId, NoLane> {
    swarm.lane_open(now, PeerKey([key; 32]), None, |len| Bits::new([0; 4], len).ok())
}

#[test]
fn a_newcomer_takes_the_place_of_who_moved_nothing_longest() {
    let (mut swarm, mut store, served) = swarm(true, false);
    let idle: Vec<LaneId> = (3..6).map(|key| call(&mut swarm, NOW.plus(key.into()), key).unwrap()).collect();
    for lane in idle.iter().chain([&served]) {
        hear(&mut swarm, &mut store, *lane, Message::Join).unwrap();
        hear(&mut swarm, &mut store, *lane, Message::Want(true)).unwrap();
    }
    say(&mut swarm, &mut store, served);
    let later = NOW.plus(GRACE_MS - 1);
    swarm.hear(later, served, &[5, 0, 0], &mut store).unwrap();
    let mut buf = [0; MAX_FRAME];
    assert!(swarm.say(later, served, &mut buf, &mut store).unwrap() > BLOCK_LEN, "a block went to the first");
    assert_eq!(call(&mut swarm, later, 9), Err(NoLane::Full), "the others have their time of grace");
    let later = NOW.plus(GRACE_MS + 4);
    let new = call(&mut swarm, later, 9).unwrap();
    assert_eq!(swarm.poll_stirred(), Some(idle[0]), "its connection is to be closed");
    assert_eq!(swarm.say(later, idle[0], &mut buf, &mut store), Err(Over::Closed));
    swarm.lane_closed(later, idle[0]);
    assert!(swarm.say(later, new, &mut buf, &mut store).is_ok() && new != idle[0]);
    call(&mut swarm, later, 10).unwrap();
    assert_eq!(call(&mut swarm, later, 11), Err(NoLane::Full));
    let there: Vec<u8> = swarm.peers(later).map(|peer| peer.key.0[0]).collect();
    assert_eq!(there, [2, 9, 10, 5]);
}

#[test]
fn who_called_joins_in_time_or_goes() {
    let ends = |swarm: &mut Small, store: &mut MemoryStore, lane: LaneId, at: Millis| {
        assert_eq!(swarm.handle_timeout(at), None);
        swarm.say(at, lane, &mut [0; MAX_FRAME], store).is_err()
    };
    let (mut swarm, mut store, lane) = swarm(true, false);
    let asked = NOW.plus(JOIN_MS - 1);
    assert!(!ends(&mut swarm, &mut store, lane, asked));
    let question = Message::AskInfo(0).encode(&mut [0; 8]).unwrap().to_vec();
    swarm.hear(asked, lane, &question, &mut store).unwrap();
    assert!(swarm.say(asked, lane, &mut [0; MAX_FRAME], &mut store).unwrap() > 0);
    let last = asked.plus(JOIN_MS - 1);
    assert!(!ends(&mut swarm, &mut store, lane, last), "it was learning");
    swarm.hear(last, lane, &[0], &mut store).unwrap();
    assert!(ends(&mut swarm, &mut store, lane, asked.plus(JOIN_MS + 1_000)), "talk is no reason to stay");
}

#[test]
fn a_busy_peer_is_called_again_and_nobody_else_may_say_so() {
    let (mut swarm, mut store, lane) = swarm(false, true);
    say(&mut swarm, &mut store, lane);
    assert_eq!(hear(&mut swarm, &mut store, lane, Message::Busy), Err(Over::Busy));
    swarm.lane_closed(NOW, lane);
    assert_eq!(swarm.poll_dial(NOW), None);
    let again = swarm.poll_timeout().unwrap();
    assert!(again > NOW && swarm.poll_dial(again).is_some());
    let (mut swarm, mut store, lane) = self::swarm(false, false);
    rejected(hear(&mut swarm, &mut store, lane, Message::Busy), Reject::OutOfTurn);
}

#[test]
fn short_memory_leaves_one_lane_to_each_peer_that_is_active() {
    let (mut swarm, mut store, first) = swarm(true, false);
    let later = NOW.plus(10_000);
    let (second, idle) = (call(&mut swarm, later, 2).unwrap(), call(&mut swarm, NOW, 3).unwrap());
    for lane in [first, second, idle] {
        hear(&mut swarm, &mut store, lane, Message::Join).unwrap();
        hear(&mut swarm, &mut store, lane, Message::Want(true)).unwrap();
        say(&mut swarm, &mut store, lane);
    }
    swarm.hear(later, first, &[5, 0, 0], &mut store).unwrap();
    let mut buf = [0; MAX_FRAME];
    assert!(swarm.say(later, first, &mut buf, &mut store).unwrap() > BLOCK_LEN);
    assert_eq!(swarm.shed(later, 10_000), 2);
    assert_eq!(swarm.shed(later, 10_000), 0, "they are on their way");
    assert_eq!(say(&mut swarm, &mut store, first), Vec::<Vec<u8>>::new());
    for lane in [second, idle] {
        assert_eq!(say(&mut swarm, &mut store, lane), [vec![15]], "Bye");
    }
}

//! Frames that nobody meant.

use std::collections::BTreeSet;
use std::format;

use super::*;
use crate::sim::{Random, Shaper};

#[test]
fn random_bytes_never_panic() {
    let mut random = Random::new(1);
    for round in 0..3_000 {
        let (mut swarm, mut store, lane) = swarm(round % 2 == 0, round % 3 == 0);
        say(&mut swarm, &mut store, lane);
        for _ in 0..8 {
            let mut frame = random.array::<64>();
            frame[0] %= 18;
            let len = 1 + usize::from(frame[63] % 64);
            if swarm.hear(NOW, lane, &frame[..len], &mut store).is_err() {
                break;
            }
            say(&mut swarm, &mut store, lane);
        }
        swarm.lane_closed(NOW, lane);
        assert_eq!(swarm.asked.count(), 0, "nothing stays asked when all lanes are gone");
    }
}

#[test]
fn random_messages_never_panic_and_only_true_blocks_are_kept() {
    let (share, mut random) = (share(), Random::new(2));
    let (mut heard, mut events, mut why) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for round in 0..1_500 {
        let dialed = round % 3 > 0;
        let (mut swarm, mut store, lane) = swarm(round % 4 == 0, dialed);
        let (mut asked, mut last, mut data) = (vec![], vec![0], vec![0; 1024]);
        random.fill(&mut data);
        let mut shaper = Shaper::new(&data);
        // Half of them begin as a peer with everything does, since few would come to it by chance.
        if round % 2 == 0 {
            say(&mut swarm, &mut store, lane);
            if !dialed {
                hear(&mut swarm, &mut store, lane, Message::Join).unwrap();
            }
            hear(&mut swarm, &mut store, lane, Message::Haves { first: 0, bits: &[0xf0] }).unwrap();
            hear(&mut swarm, &mut store, lane, Message::Choke(false)).unwrap();
        }
        while !shaper.is_empty() {
            let said = if shaper.byte() < 64 { vec![] } else { say(&mut swarm, &mut store, lane) };
            asked.extend(said.iter().filter_map(|frame| match Message::decode(frame) {
                Ok(Message::Request(id)) => Some(id),
                _ => None,
            }));
            // Now and then the same again.
            let frame = if shaper.byte() < 48 { last } else { shaper.frame(&share, &asked) };
            last = frame.clone();
            if let Ok(Message::Block { id, .. } | Message::Refuse { id, .. }) = Message::decode(&frame) {
                asked.retain(|asked| *asked != id);
            }
            match swarm.hear(NOW, lane, &frame, &mut store) {
                Ok(event) => {
                    heard.insert(frame[0]);
                    events.insert(match event {
                        Event::Quiet => "quiet",
                        Event::Block(_) => "block",
                        Event::Piece(_) => "piece",
                        Event::Whole(_) => "whole",
                        Event::Fault(_) => "fault",
                    });
                }
                Err(Over::Rejected(_, reject)) => {
                    why.insert(format!("{reject:?}"));
                    break;
                }
                Err(Over::Closed | Over::Busy) => {
                    heard.extend(matches!(frame[..], [15 | 17]).then(|| frame[0]));
                    break;
                }
            }
        }
        swarm.lane_closed(NOW, lane);
        assert_eq!((swarm.asked.count(), store.bad_writes), (0, 0), "round {round}");
    }
    // What a swarm never asks for it never hears: metadata is learned before.
    assert_eq!(heard, (0..18).filter(|kind| ![10, 12].contains(kind)).collect(), "every message was heard");
    assert!(["block", "piece", "whole"].iter().all(|event| events.contains(event)), "{events:?}");
    let faults = ["BadBlock", "Malformed", "OutOfRange", "OutOfTurn", "Repeated", "Unasked"];
    assert!(faults.iter().all(|fault| why.contains(*fault)), "{why:?}");
}

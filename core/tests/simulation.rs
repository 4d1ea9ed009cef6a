//! Whole swarms in virtual time: see `bulbil_core::sim`.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::unnecessary_operation,
    clippy::redundant_closure_for_method_calls,
    reason = "a test"
)]

use bulbil_core::limits::UNCHOKED;
use bulbil_core::sim::{Net, Random, Share, Spec, Trouble, Vice, World};
use bulbil_core::store::StoreError;
use bulbil_core::swarm::{Reject, Settings};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

#[test]
fn two_nodes_move_a_share() {
    let share = Share::new(1, 64 * 1024, &[MIB + 5, 3, 100 * KIB, 64 * KIB]);
    let mut world: World<8, 8> = World::new(1, share.clone(), Net::default());
    let seed = world.add(Spec { seed: true, ..Spec::default() }, &[]);
    let fetcher = world.add(Spec::default(), &[seed]);
    world.on(seed, 0);
    world.on(fetcher, 0);
    assert!(world.run(60_000, |world| world.is_whole(fetcher)), "not whole after a minute");
    assert_eq!(world.tally(seed).sent, share.size());
    let tally = world.tally(fetcher);
    assert_eq!((tally.received, tally.written, tally.wasted), (share.size(), share.size(), 0));
    assert!(world.dropped().is_empty());
}

#[test]
fn one_seed_serves_four_fetchers_less_than_twice() {
    let share = Share::new(2, 64 * 1024, &[16 * MIB]);
    let mut world: World<8, 8> = World::new(2, share.clone(), Net::default());
    let line = (400_000, 4_000_000);
    let seed = world.add(Spec { seed: true, line, ..Spec::default() }, &[]);
    let fetchers: Vec<_> = (0..4).map(|_| world.add(Spec { line, ..Spec::default() }, &[seed])).collect();
    (0..5).for_each(|node| world.on(node, 0));
    assert!(world.run(600_000, |world| fetchers.iter().all(|node| world.is_whole(*node))), "not all whole");
    let sent = world.tally(seed).sent;
    println!("seed sent {:.2} of the size in {} s", sent as f64 / share.size() as f64, world.now().0 / 1000);
    assert!(sent < 2 * share.size(), "{sent}");
    assert!(fetchers.iter().all(|node| world.tally(*node).sent > share.size() / 4), "they trade");
}

fn crowd(seed: u64, nodes: usize, breaks: u64) -> (World<16, 4>, Vec<usize>) {
    let share = Share::new(seed, 64 * 1024, &[MIB, 700 * KIB + 11, 5]);
    let net = Net { breaks, stalls: 200, stall_ms: 8_000, half_open: 100_000, ..Net::default() };
    let mut world = World::new(seed, share, net);
    let mut random = Random::new(seed);
    let mut honest = Vec::new();
    for number in 0..nodes {
        let vice = (number % 10 == 9).then(|| Vice::ALL[number / 10 % Vice::ALL.len()]);
        let has_all = number < 2 || vice == Some(Vice::Corrupts);
        let mut links = vec![0, 1];
        if number > 4 {
            links.push(random.between(2, number as u64 - 1) as usize);
        }
        let node =
            world.add(Spec { seed: has_all, vice, ..Spec::default() }, &links[..links.len().min(number)]);
        if vice.is_none() {
            honest.push(node);
        }
        world.on(node, random.between(0, 60_000) * u64::from(number > 1));
        // One honest node in three loses its power once or twice and comes back.
        if vice.is_none() && number % 3 == 2 {
            for _ in 0..random.between(1, 2) {
                let at = random.between(20_000, 150_000);
                world.off(node, at);
                world.on(node, at + random.between(5_000, 60_000));
            }
        }
    }
    (world, honest)
}

#[test]
fn two_hundred_nodes_finish_through_churn_loss_and_malice() {
    let (mut world, honest) = crowd(3, 200, 300);
    let all =
        |world: &World<16, 4>| world.now().0 > 220_000 && honest.iter().all(|node| world.is_whole(*node));
    let done = world.run(3_600_000, all);
    let late: Vec<_> = honest.iter().filter(|node| !world.is_whole(**node)).collect();
    assert!(done, "not whole after an hour: {late:?}");
    for dropped in world.dropped() {
        let vice = dropped.who.map(|who| world.spec(who).vice);
        let fair = world.spec(dropped.by).vice.is_none();
        assert!(
            vice != Some(None) || !fair || dropped.why == Reject::Stalled,
            "an honest peer was dropped: {dropped:?}"
        );
    }
    for vice in Vice::ALL.iter().filter(|vice| ![Vice::Claims, Vice::Refuses].contains(vice)) {
        let named = |who: usize| world.spec(who).vice == Some(*vice);
        assert!(
            world.dropped().iter().any(|dropped| dropped.who.is_some_and(named)),
            "{vice:?} was never dropped"
        );
    }
    assert!(
        !world.bad().is_empty() && world.bad().values().all(|bytes| *bytes <= 17 * KIB),
        "{:?}",
        world.bad()
    );
    for node in honest {
        assert!(world.is_right(node));
        assert_eq!(world.store(node).bad_writes, 0);
    }
    let received: u64 = (0..world.nodes()).map(|node| world.tally(node).received).sum();
    println!("{} s, {} calls, {} MiB", world.now().0 / 1000, world.calls(), received / MIB);
}

#[test]
fn a_fetch_goes_on_after_power_failures() {
    let share = Share::new(4, 256 * 1024, &[4 * MIB]);
    let mut world: World<4, 4> = World::new(4, share.clone(), Net { half_open: 300_000, ..Net::default() });
    let seed = world.add(Spec { seed: true, ..Spec::default() }, &[]);
    let fetcher = world.add(Spec::default(), &[seed]);
    world.on(seed, 0);
    let mut random = Random::new(4);
    let mut failures = 0;
    while !world.is_whole(fetcher) && failures < 40 {
        world.on(fetcher, 0);
        let at = world.now().0 + random.between(4_000, 9_000);
        if !world.run(at, |world| world.is_whole(fetcher)) {
            failures += 1;
            world.off(fetcher, 0);
            world.run(at + 1_000, |_| false);
        }
    }
    assert!(world.is_right(fetcher), "not whole after {failures} power failures");
    let again = world.tally(fetcher).received - share.size();
    println!("{failures} power failures, {again} bytes twice");
    assert!(failures >= 2, "{failures}");
    assert!(again < failures * u64::from(share.piece_len()), "{again} bytes after {failures} failures");
}

/// Runs one fetch of 24 MiB over lanes and lines this fast; gives the most lanes there were and the seconds it took.
fn lanes_over(lane: u64, line: u64) -> (usize, u64) {
    let share = Share::new(5, 256 * 1024, &[24 * MIB]);
    let mut world: World<4, 8> = World::new(5, share, Net { lane, ..Net::default() });
    let line = (line, line);
    let seed = world.add(Spec { seed: true, line, ..Spec::default() }, &[]);
    let fetcher = world.add(Spec { line, ..Spec::default() }, &[seed]);
    (world.on(seed, 0), world.on(fetcher, 0));
    assert!(world.run(600_000, |world| world.is_whole(fetcher)));
    (world.tally(fetcher).lanes, world.now().0 / 1000)
}

#[test]
fn lanes_follow_what_they_bring() {
    let (many, _) = lanes_over(200_000, 10_000_000);
    let (few, _) = lanes_over(2_000_000, 500_000);
    println!("{many} lanes where they pay, {few} where they do not");
    assert!(many >= 5, "{many}");
    assert!(few <= 3, "{few}");
}

#[test]
fn a_silent_peer_costs_no_more_than_the_endgame() {
    let seconds = |silent: usize| {
        let share = Share::new(6, 64 * 1024, &[8 * MIB]);
        let mut world: World<8, 4> = World::new(6, share, Net::default());
        let seed = world.add(Spec { seed: true, ..Spec::default() }, &[]);
        let mut links = vec![seed];
        for _ in 0..silent {
            links.push(world.add(Spec { seed: true, vice: Some(Vice::Silent), ..Spec::default() }, &[]));
        }
        let fetcher = world.add(Spec::default(), &links);
        (0..=fetcher).for_each(|node| world.on(node, 0));
        assert!(world.run(300_000, |world| world.is_whole(fetcher)));
        world.now().0 / 1000
    };
    let (alone, beside) = (seconds(0), seconds(2));
    println!("{alone} s, {beside} s beside two silent peers");
    assert!(beside <= alone + 15, "{beside} s instead of {alone} s");
}

#[test]
fn the_upload_limit_is_kept_and_shared() {
    let share = Share::new(7, 64 * 1024, &[MIB]);
    let mut world: World<8, 4> = World::new(7, share.clone(), Net::default());
    let limit = 50_000;
    let settings = Settings { upload_limit: Some(limit), ..Settings::default() };
    let seed = world.add(Spec { seed: true, settings, ..Spec::default() }, &[]);
    // They cannot reach each other: everything comes from the seed.
    let fetchers: Vec<_> =
        (0..3).map(|_| world.add(Spec { line: (100, 4_000_000), ..Spec::default() }, &[seed])).collect();
    (0..4).for_each(|node| world.on(node, 0));
    world.run(25_000, |_| false);
    let sent = world.tally(seed).sent;
    assert!(sent <= limit * 26 + 65_536, "{sent} bytes in 25 s");
    for node in &fetchers {
        let got = world.tally(*node).received;
        assert!(got > sent / 10, "node {node} got {got} of {sent}: nobody may be left out");
    }
    assert!(world.run(300_000, |world| fetchers.iter().all(|node| world.is_whole(*node))));
    assert!(world.dropped().is_empty(), "{:?}", world.dropped());
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let trace = |seed| {
        let (mut world, _) = crowd(seed, 30, 300);
        world.run(120_000, |_| false);
        (world.trace(), world.calls())
    };
    assert_eq!(trace(8), trace(8));
    assert_ne!(trace(8).0, trace(9).0);
}

#[test]
fn everybody_gets_a_turn_where_more_want_than_are_served() {
    let share = Share::new(9, 64 * 1024, &[MIB]);
    let mut world: World<32, 2> = World::new(9, share, Net::default());
    let seed = world.add(Spec { seed: true, ..Spec::default() }, &[]);
    let crowd: Vec<_> = (0..20).map(|_| world.add(Spec::default(), &[seed])).collect();
    (0..21).for_each(|node| world.on(node, 0));
    assert!(crowd.len() > UNCHOKED);
    assert!(world.run(600_000, |world| crowd.iter().all(|node| world.is_whole(*node))));
}

#[test]
fn a_seed_that_was_off_is_called_again_by_a_crowd_that_has_itself() {
    let share = Share::new(11, 64 * 1024, &[4 * MIB]);
    let mut world: World<16, 4> = World::new(11, share, Net::default());
    let line = (100_000, 4_000_000);
    let seed = world.add(Spec { seed: true, line, ..Spec::default() }, &[]);
    let crowd: Vec<_> = (0..16).map(|_| world.add(Spec::default(), &[seed])).collect();
    (0..17).for_each(|node| world.on(node, 0));
    (world.off(seed, 15_000), world.on(seed, 90_000));
    world.run(90_000, |_| false);
    let others = |world: &World<16, 4>, node: usize| {
        world.swarm(node).map_or(0, |swarm| swarm.peers(world.now()).count())
    };
    let least = crowd.iter().map(|node| others(&world, *node)).min();
    let whole = crowd.iter().filter(|node| world.is_whole(**node)).count();
    println!("{whole} whole, the fewest peers {least:?}, {} sent", world.tally(seed).sent / KIB);
    assert_eq!(whole, 0, "the seed has what nobody else has");
    assert!(least >= Some(11), "they have found each other: {least:?}");
    let done = world.run(600_000, |world| crowd.iter().all(|node| world.is_whole(*node)));
    println!("whole after {} s", world.now().0 / 1000);
    assert!(done, "not whole after ten minutes");
}

#[test]
fn a_full_store_stops_a_fetch_and_resume_goes_on() {
    let share = Share::new(10, 64 * 1024, &[MIB]);
    let mut world: World<4, 4> = World::new(10, share, Net::default());
    let seed = world.add(Spec { seed: true, ..Spec::default() }, &[]);
    let fetcher = world.add(Spec::default(), &[seed]);
    (0..2).for_each(|node| world.on(node, 0));
    world.run(4_500, |_| false);
    world.store(fetcher).trouble = Some(Trouble::Full);
    world.run(30_000, |_| false);
    assert_eq!(world.swarm(fetcher).and_then(|swarm| swarm.fault()), Some(StoreError::Full));
    world.store(fetcher).trouble = None;
    world.resume(fetcher);
    assert!(world.run(60_000, |world| world.is_whole(fetcher)));
    world.store(seed).trouble = Some(Trouble::Changed);
    assert!(world.is_right(fetcher) && world.dropped().is_empty());
}

//! Whole swarms in virtual time: see `bulbil_core::sim`.

use bulbil_core::sim::{Net, Random, Share, Spec, Vice, World};
use bulbil_core::swarm::Reject;

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
    let nodes = std::env::var("NODES").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let (mut world, honest) = crowd(3, nodes, 300);
    let all =
        |world: &World<16, 4>| world.now().0 > 220_000 && honest.iter().all(|node| world.is_whole(*node));
    let mut done = false;
    for minute in 1..=60 {
        done = world.run(minute * 60_000, &all);
        println!(
            "{minute} min {:?} {} calls {} done",
            world.now(),
            world.calls(),
            honest.iter().filter(|node| world.is_whole(**node)).count()
        );
        if done {
            break;
        }
    }
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

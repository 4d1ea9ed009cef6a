//! Lookups over thousands of nodes that come and go and lie. The table in core's README is what this prints:
//! `cargo test -p bulbil-core --features sim --test lookups -- --nocapture`.

use bulbil_core::sim::{Spread, spread};

const PLAN: Spread =
    Spread { nodes: 2_000, records: 500, hours: 12, lookups: 60, liars: 20, churn_h: (12, 2), renew: true };

#[test]
fn lookups_succeed_among_liars_and_leavers() {
    println!(
        "| nodes | liars | on/off, h | renewed | lookups | found | forgeries | lost | load, most | bytes/node/h | ms 50 %, 95 % |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let row = |plan: Spread| {
        let found = spread(1, plan);
        let (on, off) = plan.churn_h;
        let churn = if on > 1_000 { "always on".to_owned() } else { format!("{on}/{off}") };
        println!(
            "| {} | {} % | {churn} | {} | {} | {:.2} % | {} | {} of {} | {}, {} | {} | {}, {} |",
            plan.nodes,
            plan.liars,
            if plan.renew { "hourly" } else { "never" },
            found.lookups,
            100.0 * f64::from(u32::try_from(found.found).unwrap())
                / f64::from(u32::try_from(found.lookups).unwrap()),
            found.forged,
            found.lost,
            plan.records,
            found.load.0,
            found.load.1,
            found.bytes,
            found.ms.0,
            found.ms.1,
        );
        found
    };
    let calm = row(Spread { liars: 0, churn_h: (1_000_000, 1), hours: 2, ..PLAN });
    assert_eq!((calm.found, calm.lost, calm.forged), (calm.lookups, 0, 0), "nothing fails by itself");
    let played = row(PLAN);
    assert!(played.found * 100 >= played.lookups * 98, "{played:?}");
    assert!(played.lost <= 5 && played.forged > 0, "{played:?}");
    let forgotten = row(Spread { renew: false, ..PLAN });
    assert!(forgotten.lost > played.lost, "renewing is what keeps records: {forgotten:?}");
    let rough = row(Spread { churn_h: (4, 2), ..PLAN });
    assert!(rough.found < played.found, "churn costs something");
}

#[test]
fn a_seed_gives_one_result() {
    let plan = Spread { nodes: 200, records: 50, hours: 2, ..PLAN };
    assert_eq!(spread(3, plan), spread(3, plan));
    assert_ne!(spread(3, plan), spread(4, plan));
}

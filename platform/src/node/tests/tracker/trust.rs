//! Chains of trust among whole nodes.

use super::*;

fn trusted(status: &Status) -> usize {
    status.trust.nodes.len()
}

/// We trust 1, who trusts 2 and 3, who each trust two.
const TREE: [(usize, usize); 7] = [(0, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 6), (3, 7)];

#[tokio::test]
async fn one_three_seven_and_back() {
    play(async {
        let network = Memory::new();
        let players: Vec<Player> =
            (0..8).map(|number| Player::start(&network, &format!("tree{number}"))).collect();
        for (by, of) in TREE.into_iter().rev() {
            players[by].trust(&players[of], &format!("n{of}")).await;
        }
        let us = &players[0].node;
        until(us, |status| status.trust.nodes.iter().any(|node| node.age_s.is_some())).await;
        assert_eq!(trusted(&us.status()), 1);
        let cost = us.trust_degree(2, false).await.unwrap();
        assert_eq!((cost.nodes, cost.added, cost.unknown, cost.applied), (3, 2, 0, false));
        assert_eq!(cost.bytes, 3 * 1024 * 384);
        assert_eq!(trusted(&us.status()), 1, "asking changes nothing");
        assert_eq!(us.trust_degree(3, false).await.unwrap().unknown, 2, "2 and 3 were not asked yet");
        us.trust_degree(2, true).await.unwrap();
        until(us, |status| trusted(status) == 3).await;
        us.trust_degree(3, true).await.unwrap();
        let status = until(us, |status| trusted(status) == 7).await;
        let last = status.trust.nodes.iter().filter(|node| node.degree == 3);
        assert!(last.clone().all(|node| node.through.len() == 2 && node.through[0] == "n1"), "{status:?}");
        assert_eq!(last.count(), 4);
        us.trust_block(players[3].address().await).await.unwrap();
        assert_eq!(trusted(&us.status()), 4, "the block takes those behind it along");
        us.trust_unblock(players[3].address().await).await.unwrap();
        until(us, |status| trusted(status) == 7).await;
        us.trust_remove("n1".to_owned()).await.unwrap();
        assert_eq!(trusted(&us.status()), 0);
    })
    .await;
}

#[tokio::test]
async fn a_chain_of_fifty_that_loops_is_followed_within_the_budget() {
    play(async {
        let network = Memory::new();
        let mut config = Config::default();
        config.tracker.trust_budget = 64;
        config.memory = crate::config::Bytes(400 << 20); // fifty nodes share the memory of one
        let start = |number: usize| {
            Player::start_with(&network, Scratch::new(&format!("chain{number}")), config.clone())
        };
        let players: Vec<Player> = (0..=50).map(start).collect();
        for number in (0..50).rev() {
            players[number].trust(&players[number + 1], "next").await;
            players[number + 1].trust(&players[number], "before").await;
        }
        players[50].trust(&players[0], "first").await;
        let share = players[50].share("far.bin", true).await;
        let us = &players[0].node;
        us.trust_remove(players[50].address().await).await.unwrap_err();
        us.trust_degree(49, true).await.unwrap();
        until(us, |status| trusted(status) == 49).await;
        us.trust_degree(50, true).await.unwrap();
        let status = until(us, |status| trusted(status) == 50).await;
        assert_eq!(status.trust.nodes.last().map(|node| node.through.len()), Some(49));
        let found = players[0].search("far").await;
        assert_eq!((found[0].degree, found[0].link.as_ref()), (Some(50), Some(&share.link)));
    })
    .await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_reason() {
    play(async {
        let network = Memory::new();
        let [anna, bert] = ["anna", "bert"].map(|name| Player::start(&network, name));
        let own = anna.address().await;
        let request = |address: &str, name: &str| TrustRequest {
            address: address.to_owned(),
            name: Some(name.to_owned()),
            untold: false,
        };
        let other = bert.address().await;
        let node = &anna.node;
        for (refused, words) in [
            (node.trust_add(request(&own, "me")).await, "own address"),
            (node.trust_add(request("bert", "b")).await, "bulbil address"),
            (node.trust_add(request(&other, "")).await, "1 to 64"),
            (node.trust_remove("bert".to_owned()).await, "bulbil trust list"),
            (node.trust_unblock(other.clone()).await, "not blocked"),
            (node.mirror_add(MirrorRequest { address: own.clone(), follow: true }).await, "own address"),
            (node.mirror_remove(other.clone()).await, "not mirrored"),
            (node.trust_degree(0, true).await.map(drop), "from 1 to"),
            (node.search("  ".to_owned()).await.map(drop), "one or more words"),
        ] {
            let why = refused.unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        }
        node.trust_block(other.clone()).await.unwrap();
        assert!(node.trust_add(request(&other, "b")).await.unwrap_err().to_string().contains("unblock"));
        let config = Config {
            tracker: crate::config::Tracker { enabled: false, ..Default::default() },
            ..Config::default()
        };
        let off = Player::start_with(&network, Scratch::new("off"), config);
        assert!(off.node.search("x".to_owned()).await.unwrap_err().to_string().contains("enabled = true"));
        assert_eq!(off.node.status().address, None);
    })
    .await;
}

//! A node whose memory is short.

use std::fs;

use tokio::task::LocalSet;

use super::landing::{ask, dial};
use super::*;
use crate::config::Bytes;
use crate::link::Link;
use crate::node::porch::FEW;
use crate::status::ShareState;

#[tokio::test]
async fn callers_are_told_that_all_is_full_and_counted() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("node-short");
        fs::write(stage.here.path().join("one"), b"x").unwrap();
        let config = Config { memory: Bytes(1 << 20), ..Config::default() };
        let seed = start_with(&stage.network, stage.here.path(), config);
        let link = seed.share(request(&stage.here.path().join("one"), false)).await.unwrap().link;
        let reachable = |status: &Status| status.shares[0].state == ShareState::Reachable;
        assert!(until(&seed, reachable).await.shortage.now);
        let fetcher = start(&stage.network, stage.there.path());
        let out = stage.there.path().to_owned();
        fetcher.fetch(FetchRequest { link: link.clone(), out }).await.unwrap();
        let told = |status: &Status| match last(status) {
            Some(FetchState::Waiting(why)) => why.starts_with("the node is busy; tried again in "),
            _ => false,
        };
        until(&fetcher, told).await;
        assert!(seed.status().peers.is_empty(), "nobody was let in");
        // A browser is told the same.
        let link: Link = link.parse().unwrap();
        let stream = dial(&stage.network, &link, true).await.unwrap();
        let page = ask(stream, &format!("GET /private/{}", link.token.reveal()), "").await;
        assert_eq!(page.code(), 503, "{page:?}");
        until(&seed, |status| status.shortage.callers >= 2).await;
        // Silence keeps nobody out now either, though fewer are heard at a time.
        let silent: Vec<_> =
            futures::future::join_all((0..FEW).map(|_| dial(&stage.network, &link, true))).await;
        let stream = dial(&stage.network, &link, true).await.unwrap();
        let page = ask(stream, &format!("GET /private/{}", link.token.reveal()), "").await;
        assert_eq!((page.code(), silent.len()), (503, FEW));
    })
    .await;
}

//! A node whose memory is short.

use std::fs;

use tokio::task::LocalSet;

use super::*;
use crate::config::Bytes;
use crate::status::ShareState;

#[tokio::test]
async fn callers_are_sent_away_and_counted() {
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
        fetcher.fetch(FetchRequest { link, out: stage.there.path().to_owned() }).await.unwrap();
        until(&seed, |status| status.shortage.callers > 0).await;
    })
    .await;
}

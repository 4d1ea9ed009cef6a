//! The upload limit of a node with more than one share.

use std::fs;
use std::time::Instant;

use tokio::task::LocalSet;

use super::*;
use crate::config::Bytes;
use crate::status::{Fetch, ShareState};

const LIMIT: u64 = 1 << 20;

#[tokio::test]
async fn two_shares_together_keep_to_one_limit() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("node-upload");
        let mut config = Config::default();
        config.swarm.upload_limit = Bytes(LIMIT);
        let seed = start_with(&stage.network, stage.here.path(), config);
        let fetcher = start(&stage.network, stage.there.path());
        let mut links = Vec::new();
        for (name, byte) in [("one", 1), ("other", 2)] {
            let path = stage.here.path().join(name);
            fs::write(&path, vec![byte; 2 << 20]).unwrap();
            links.push(seed.share(request(&path, false)).await.unwrap().link);
        }
        until(&seed, |status| status.shares.iter().all(|share| share.state == ShareState::Reachable)).await;
        let start = Instant::now();
        for link in links {
            let out = stage.there.path().to_owned();
            fetcher.fetch(FetchRequest { link, out }).await.unwrap();
        }
        let is_done = |fetch: &Fetch| fetch.state == FetchState::Done;
        let first = until(&fetcher, |status| status.fetches.iter().any(is_done)).await;
        let slower = first.fetches.iter().map(|fetch| fetch.done).min().unwrap();
        assert!(slower > 400 << 10, "{slower} bytes of the one when the other had all: it starves");
        until(&fetcher, |status| status.fetches.iter().all(is_done)).await;
        // A second's worth may leave at once; the rest of 4 MiB takes three seconds, and one for each share on its own.
        let took = start.elapsed();
        assert!(took.as_secs_f64() > 2.9, "{took:?}");
    })
    .await;
}

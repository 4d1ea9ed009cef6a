//! Fetches that are begun again, forgotten, and taken up after a restart.

use super::*;
use crate::link::{Link, Token};
use crate::net::ServiceKey;
use crate::net::memory::Pace;
use crate::node::fetch::enter::GRACE;
use crate::node::{MAX_FETCHES, Which};

impl Stage {
    /// A node that shares the folder, its link, and a node that fetched it.
    async fn fetched_once(&self) -> (Handle, FetchRequest, Handle) {
        let (seed, fetcher) =
            (start(&self.network, self.here.path()), start(&self.network, self.there.path()));
        let share = seed.share(request(&self.here.path().join("things"), false)).await.unwrap();
        let fetch = FetchRequest { link: share.link, out: self.there.path().to_owned() };
        fetcher.fetch(fetch.clone()).await.unwrap();
        until(&fetcher, is(&FetchState::Done)).await;
        (seed, fetch, fetcher)
    }
}

#[tokio::test]
async fn a_finished_fetch_that_was_deleted_comes_again() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("fetches-again");
        let (_seed, fetch, fetcher) = stage.fetched_once().await;
        fs::remove_dir_all(stage.there.path().join("things")).unwrap();
        let id = fetcher.fetch(fetch).await.unwrap();
        let status = until(&fetcher, is(&FetchState::Done)).await;
        assert_eq!(
            status.fetches.iter().map(|fetch| fetch.id).collect::<Vec<_>>(),
            [id],
            "the old one is gone"
        );
        assert_eq!(stage.fetched("deep/large"), vec![7; 3 << 20]);
    })
    .await;
}

#[tokio::test]
async fn a_finished_fetch_that_is_there_costs_nothing_again() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("fetches-there");
        let (seed, fetch, fetcher) = stage.fetched_once().await;
        seed.stop().await.unwrap();
        fetcher.fetch(fetch).await.unwrap();
        let status = until(&fetcher, is(&FetchState::Done)).await;
        assert_eq!((status.fetches.len(), status.fetches[0].downloaded), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_fetch_that_failed_is_tried_again() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("fetches-failed");
        let (_seed, fetch, fetcher) = stage.fetched_once().await;
        let out = stage.there.path().join("taken");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("things"), "mine").unwrap();
        let fetch = FetchRequest { out: out.clone(), ..fetch };
        let first = fetcher.fetch(fetch.clone()).await.unwrap();
        until(&fetcher, |status| matches!(last(status), Some(FetchState::Failed(_)))).await;
        fs::rename(out.join("things"), out.join("elsewhere")).unwrap();
        assert_ne!(fetcher.fetch(fetch).await.unwrap(), first);
        until(&fetcher, is(&FetchState::Done)).await;
        assert!(out.join("things/deep/large").is_file());
    })
    .await;
}

#[tokio::test]
async fn a_finished_fetch_that_is_forgotten_is_served_no_more_and_stays() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("fetches-forget");
        let (seed, _, fetcher) = stage.fetched_once().await;
        let info_hash = fetcher.status().fetches[0].info_hash.clone().unwrap();
        until(&fetcher, |status| status.net.services == 4).await; // of both nodes
        let gone = fetcher.forget(Which::InfoHash(info_hash.clone())).await.unwrap();
        let there = stage.there.path().join("things");
        assert_eq!((gone.finished, gone.kept.as_ref()), (true, Some(&there)));
        assert_eq!(stage.fetched("deep/large").len(), 3 << 20);
        until(&fetcher, |status| status.fetches.is_empty() && status.net.services == 3).await;
        let metadata = stage.there.path().join("state").join(format!("{info_hash}.torrent"));
        assert!(!metadata.exists(), "nothing needs it any more");
        let again = fetcher.forget(Which::InfoHash(info_hash)).await;
        assert!(matches!(again, Err(NodeError::Missing(_))), "{again:?}");
        seed.stop().await.unwrap();
        fetcher.stop().await.unwrap();
        let fetcher = start(&Memory::new(), stage.there.path());
        assert!(until(&fetcher, |status| status.net.ready).await.fetches.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_fetch_that_runs_is_stopped_and_goes_on_when_asked_again() {
    let set = LocalSet::new();
    set.run_until(async {
        let pace = Pace { bandwidth: 1 << 20, ..Pace::default() };
        let stage = Stage { network: Memory::with_pace(pace), ..Stage::new("fetches-stop") };
        let (seed, fetcher) =
            (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
        let share = seed.share(request(&stage.here.path().join("things"), false)).await.unwrap();
        let fetch = FetchRequest { link: share.link, out: stage.there.path().to_owned() };
        let id = fetcher.fetch(fetch.clone()).await.unwrap();
        until(&fetcher, |status| status.fetches[0].done > 1 << 20).await;
        let gone = fetcher.forget(Which::Number(id)).await.unwrap();
        let part = stage.there.path().join(".things.bulbil");
        assert_eq!((gone.finished, gone.kept.as_ref()), (false, Some(&part)));
        assert!(gone.done > 1 << 20 && part.join("data").is_dir());
        until(&seed, |status| status.peers.is_empty()).await;
        fetcher.fetch(fetch).await.unwrap();
        let status = until(&fetcher, is(&FetchState::Done)).await;
        let kept = gone.done - gone.done % (256 << 10);
        assert!(
            status.fetches[0].downloaded <= (3 << 20) + 1 - kept,
            "what was verified is not fetched again"
        );
        assert_eq!(stage.fetched("deep/large"), vec![7; 3 << 20]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_serves_what_is_there_and_forgets_what_was_moved_away() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("fetches-restart");
        let (_seed, _, fetcher) = stage.fetched_once().await;
        fetcher.stop().await.unwrap();
        // Each time another network, as a node that stops takes its own down with it.
        let fetcher = start(&Memory::new(), stage.there.path());
        let status = until(&fetcher, is(&FetchState::Done)).await;
        assert_eq!(status.fetches[0].downloaded, 0);
        fetcher.stop().await.unwrap();
        let (there, moved) = (stage.there.path().join("things"), stage.there.path().join("moved"));
        fs::rename(&there, &moved).unwrap();
        let fetcher = start(&Memory::new(), stage.there.path());
        until(&fetcher, |status| matches!(last(status), Some(FetchState::Waiting(_)))).await;
        tokio::time::advance(GRACE).await; // before that its disk may be late
        until(&fetcher, |status| status.net.ready && status.fetches.is_empty()).await;
        assert!(!there.exists() && !stage.there.path().join(".things.bulbil").exists());
        fetcher.stop().await.unwrap();
        fs::rename(&moved, &there).unwrap();
        let fetcher = start(&Memory::new(), stage.there.path());
        assert!(until(&fetcher, |status| status.net.ready).await.fetches.is_empty(), "forgotten for good");
    })
    .await;
}

#[tokio::test]
async fn over_the_limit_the_oldest_that_is_over_makes_room() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("fetches-limit");
        let (_seed, _, fetcher) = stage.fetched_once().await;
        let oldest = fetcher.status().fetches[0].id;
        let nobody = || {
            let address = ServiceKey::random().unwrap().address(80);
            let link = Link { address, public: false, token: Token::from_bytes([7; 16]) };
            FetchRequest { link: link.to_string(), out: stage.there.path().to_owned() }
        };
        for _ in 1..MAX_FETCHES {
            fetcher.fetch(nobody()).await.unwrap();
        }
        let here = |status: &Status| status.fetches.iter().any(|fetch| fetch.id == oldest);
        until(&fetcher, |status| status.fetches.len() == MAX_FETCHES && here(status)).await;
        fetcher.fetch(nobody()).await.unwrap();
        until(&fetcher, |status| status.fetches.len() == MAX_FETCHES && !here(status)).await;
        let refused = fetcher.fetch(nobody()).await.unwrap_err().to_string();
        assert!(refused.contains("bulbil forget"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn two_fetches_into_one_folder_make_one_copy() {
    let set = LocalSet::new();
    set.run_until(async {
        let pace = Pace { bandwidth: 2 << 20, ..Pace::default() };
        let stage = Stage { network: Memory::with_pace(pace), ..Stage::new("fetches-two") };
        let (seed, fetcher) =
            (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
        let share = seed.share(request(&stage.here.path().join("things"), false)).await.unwrap();
        let fetch = FetchRequest { link: share.link, out: stage.there.path().to_owned() };
        fetcher.fetch(fetch.clone()).await.unwrap();
        until(&fetcher, |status| status.fetches[0].done > 0).await;
        let same = stage.there.path().join("state/..");
        fetcher.fetch(FetchRequest { out: same, ..fetch }).await.unwrap();
        let waits =
            |state: &FetchState| matches!(state, FetchState::Waiting(why) if why.contains("another fetch"));
        until(&fetcher, |status| last(status).is_some_and(waits)).await;
        let status =
            until(&fetcher, |status| status.fetches.iter().all(|fetch| fetch.state == FetchState::Done))
                .await;
        assert_eq!((status.fetches.len(), status.fetches[1].downloaded), (2, 0));
        assert_eq!(stage.fetched("deep/large"), vec![7; 3 << 20]);
    })
    .await;
}

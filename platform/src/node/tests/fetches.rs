//! Fetches that are begun again.

use super::*;

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

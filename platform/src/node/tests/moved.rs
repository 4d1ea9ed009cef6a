//! Files that are moved after they were shared.

use super::*;
use crate::status::ShareState;

#[tokio::test]
async fn moved_files_are_shared_again_under_the_same_link() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("moved");
        let (seed, fetcher) =
            (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
        let before = stage.here.path().join("things");
        let share = seed.share(request(&before, false)).await.unwrap();
        until(&seed, |status| status.shares[0].state == ShareState::Reachable).await;
        let again = seed.share(request(&before, false)).await;
        assert!(matches!(again, Err(NodeError::Bad(_))), "nothing has moved: {again:?}");

        let place = stage.here.path().join("elsewhere");
        fs::create_dir(&place).unwrap();
        let after = place.join("things");
        fs::rename(&before, &after).unwrap();
        let fetch = FetchRequest { link: share.link.clone(), out: stage.there.path().to_owned() };
        fetcher.fetch(fetch).await.unwrap();
        until(&seed, |status| matches!(status.shares[0].state, ShareState::Failed(_))).await;

        let moved = seed.share(request(&after, false)).await.unwrap();
        assert_eq!((moved.link, moved.state), (share.link.clone(), ShareState::Reachable));
        until(&fetcher, is(&FetchState::Done)).await;
        assert_eq!(stage.fetched("deep/large"), vec![7; 3 << 20]);

        seed.stop().await.unwrap();
        let network = Memory::new(); // the other one went with the node
        let seed = start(&network, stage.here.path());
        let status = until(&seed, |status| !status.shares.is_empty()).await;
        assert_eq!(status.shares[0].link, share.link);
        let place = stage.there.path().join("second");
        fs::create_dir(&place).unwrap();
        let fetch = FetchRequest { link: share.link, out: place.clone() };
        let fetcher = start(&network, &place);
        fetcher.fetch(fetch).await.unwrap();
        until(&fetcher, is(&FetchState::Done)).await;
    })
    .await;
}

//! A fetch that nobody serves any more.

use super::*;
use crate::net::memory::Pace;

const HOUR: Duration = Duration::from_secs(3600);

fn done(status: &Status) -> u64 {
    status.fetches[0].done
}

/// So long, and the seconds until the node has noticed.
async fn pass(node: &Handle, span: Duration) {
    tokio::time::advance(span).await;
    let before = node.status();
    until(node, |status| !std::ptr::eq(status, Arc::as_ptr(&before))).await;
}

#[tokio::test(start_paused = true)]
async fn a_fetch_is_given_up_a_day_after_somebody_was_last_heard() {
    let set = LocalSet::new();
    set.run_until(async {
        let pace = Pace { bandwidth: 256 << 10, ..Pace::default() };
        let stage = Stage { network: Memory::with_pace(pace), ..Stage::new("silence") };
        let (seed, fetcher) =
            (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
        let share = seed.share(request(&stage.here.path().join("things"), false)).await.unwrap();
        let fetch = FetchRequest { link: share.link, out: stage.there.path().to_owned() };
        fetcher.fetch(fetch).await.unwrap();
        let first = done(&*until(&fetcher, |status| done(status) > 0).await);
        pass(&fetcher, 20 * HOUR).await;
        until(&fetcher, |status| done(status) > first).await;
        seed.unshare(share.info_hash).await.unwrap();
        until(&fetcher, |status| matches!(last(status), Some(FetchState::Waiting(_)))).await;
        pass(&fetcher, 23 * HOUR).await;
        let status = fetcher.status();
        assert!(matches!(last(&status), Some(FetchState::Waiting(_))), "{:?}", last(&status));
        let kept = done(&status);
        tokio::time::advance(HOUR).await;
        let status = until(&fetcher, |status| matches!(last(status), Some(FetchState::Failed(_)))).await;
        let Some(FetchState::Failed(why)) = last(&status) else { unreachable!() };
        assert!(why.contains("withdrawn") && why.contains("is kept"), "{why}");
        assert!(kept > first && done(&status) == kept);
        assert!(stage.there.path().join(".things.bulbil/data").is_dir());
    })
    .await;
}

//! A fetch that nobody serves any more.

use super::*;
use crate::link::{Link, Token};
use crate::net::ServiceKey;
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

#[tokio::test(start_paused = true)]
async fn a_day_without_a_network_is_no_silence() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("silence-network");
        stage.network.set_ready(false);
        let fetcher = start(&stage.network, stage.there.path());
        let address = ServiceKey::random().unwrap().address(80);
        let link = Link { address, public: false, token: Token::from_bytes([7; 16]) }.to_string();
        fetcher.fetch(FetchRequest { link, out: stage.there.path().to_owned() }).await.unwrap();
        until(&fetcher, is(&FetchState::Connecting)).await;
        tokio::time::advance(25 * HOUR).await;
        stage.network.set_ready(true);
        let tried = |status: &Status| !is(&FetchState::Connecting)(status);
        let status = until(&fetcher, tried).await;
        assert!(matches!(last(&status), Some(FetchState::Waiting(_))), "{:?}", last(&status));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_day_behind_another_fetch_is_no_silence() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("silence-busy");
        let (seed, fetcher) =
            (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
        let share = seed.share(request(&stage.here.path().join("things"), false)).await.unwrap();
        let hidden = stage.there.path().join(".things.bulbil");
        fs::create_dir(&hidden).unwrap();
        let other = fs::File::create(hidden.join("leaves")).unwrap();
        other.lock().unwrap();
        let out = stage.there.path().to_owned();
        fetcher.fetch(FetchRequest { link: share.link, out }).await.unwrap();
        until(&fetcher, |status| matches!(last(status), Some(FetchState::Waiting(_)))).await;
        pass(&fetcher, 25 * HOUR).await;
        pass(&fetcher, HOUR).await;
        assert!(matches!(last(&fetcher.status()), Some(FetchState::Waiting(_))));
        drop(other);
        tokio::time::advance(HOUR).await;
        until(&fetcher, is(&FetchState::Done)).await;
    })
    .await;
}

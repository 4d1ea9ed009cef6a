//! The further service of a large share.

use super::*;
use crate::net::memory::Pace;

/// The least size that gets one, and no content.
fn large(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("large");
    fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    path
}

#[tokio::test]
async fn a_large_share_takes_lanes_at_a_second_service() {
    let set = LocalSet::new();
    set.run_until(async {
        // Two lanes come by the link at once; that third ones pay shows after some seconds.
        let network = Memory::with_pace(Pace { bandwidth: 4 << 20, ..Pace::default() });
        let (here, there) = (Scratch::new("spare"), Scratch::new("spare"));
        let seed = start(&network, here.path());
        let share = seed.share(request(&large(here.path()), false)).await.unwrap();
        until(&seed, |status| status.net.services == 3).await; // the node's own, the link's, the one for lanes
        let fetcher = start(&network, there.path());
        fetcher.fetch(FetchRequest { link: share.link, out: there.path().to_owned() }).await.unwrap();
        until(&fetcher, is(&FetchState::Done)).await;
        let called = network.calls().into_iter().filter(|calls| *calls > 0).count();
        assert_eq!(called, 2, "the link's service, and the one for lanes: {:?}", network.calls());
        seed.unshare(share.info_hash).await.unwrap();
        until(&seed, |status| status.shares.is_empty()).await;
        seed.stop().await.unwrap();
        fetcher.stop().await.unwrap();
    })
    .await;
}

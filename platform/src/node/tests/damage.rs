//! A disk that gives back something else than was written.

use std::os::unix::fs::FileExt;

use super::*;
use crate::net::memory::Pace;

/// One piece.
const PIECE: u32 = 256 << 10;

#[tokio::test(start_paused = true)]
async fn a_piece_that_the_disk_loses_is_not_fetched_for_ever() {
    let set = LocalSet::new();
    set.run_until(async {
        let pace = Pace { bandwidth: 256 << 10, ..Pace::default() };
        let stage = Stage { network: Memory::with_pace(pace), ..Stage::new("damage") };
        let source = stage.here.path().join("piece");
        fs::write(&source, vec![7; usize::try_from(PIECE).unwrap()]).unwrap();
        let (seed, fetcher) =
            (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
        let share = ShareRequest { piece_length: Some(PIECE), ..request(&source, false) };
        let share = seed.share(share).await.unwrap();
        fetcher.fetch(FetchRequest { link: share.link, out: stage.there.path().to_owned() }).await.unwrap();
        until(&fetcher, |status| status.fetches[0].done > 0).await;
        let leaves = stage.there.path().join(".piece.bulbil/leaves");
        let leaves = fs::OpenOptions::new().write(true).open(leaves).unwrap();
        // Between any two blocks, which the pace keeps further apart.
        let mut turn = tokio::time::interval(Duration::from_millis(5));
        let disk = tokio::task::spawn_local(async move {
            loop {
                leaves.write_all_at(&[9; 32], 0).unwrap();
                turn.tick().await;
            }
        });
        let failed = |status: &Status| matches!(last(status), Some(FetchState::Failed(_)));
        let status = until(&fetcher, failed).await;
        disk.abort();
        let Some(FetchState::Failed(why)) = last(&status) else { unreachable!() };
        assert!(why.contains("gives back something else"), "{why}");
        assert_eq!(status.fetches[0].done, 0);
    })
    .await;
}

//! Finished fetches whose disk is late after a restart.

use super::*;
use crate::node::fetch::enter::{GRACE, LOOK};

/// A copy that is finished on a disk, and its node stopped. Gives the disk.
async fn finished_on_a_disk(stage: &Stage) -> std::path::PathBuf {
    let disk = stage.there.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let (seed, fetcher) =
        (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
    let share = seed.share(request(&stage.here.path().join("things"), false)).await.unwrap();
    fetcher.fetch(FetchRequest { link: share.link, out: disk.clone() }).await.unwrap();
    until(&fetcher, is(&FetchState::Done)).await;
    fetcher.stop().await.unwrap();
    disk
}

fn waits(status: &Status) -> bool {
    matches!(last(status), Some(FetchState::Waiting(why)) if why.contains("not there yet"))
}

/// How many `.torrent` files the node keeps.
fn metadata(stage: &Stage) -> usize {
    let kept = fs::read_dir(stage.there.path().join("state")).unwrap();
    kept.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "torrent"))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_finished_fetch_waits_for_its_disk_for_as_long_as_it_takes() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("late");
        let disk = finished_on_a_disk(&stage).await;
        let away = stage.there.path().join("away");
        fs::rename(&disk, &away).unwrap();
        let fetcher = start(&Memory::new(), stage.there.path());
        until(&fetcher, waits).await;
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(25 * 3600)).await; // no silence of peers is meant here
            until(&fetcher, |status| status.net.ready && waits(status)).await;
        }
        assert_eq!(metadata(&stage), 1);
        fs::rename(&away, &disk).unwrap();
        tokio::time::advance(LOOK).await;
        let status = until(&fetcher, is(&FetchState::Done)).await;
        assert_eq!(status.fetches[0].downloaded, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_folder_soon_after_the_start_is_a_disk_that_is_late() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("late-empty");
        let disk = finished_on_a_disk(&stage).await;
        let away = stage.there.path().join("away");
        fs::rename(&disk, &away).unwrap();
        fs::create_dir(&disk).unwrap();
        let fetcher = start(&Memory::new(), stage.there.path());
        until(&fetcher, waits).await;
        tokio::time::advance(LOOK).await;
        until(&fetcher, waits).await;
        fs::remove_dir(&disk).unwrap();
        fs::rename(&away, &disk).unwrap();
        tokio::time::advance(LOOK).await;
        until(&fetcher, is(&FetchState::Done)).await;
        fetcher.stop().await.unwrap();
        fs::rename(disk.join("things"), &away).unwrap();
        let fetcher = start(&Memory::new(), stage.there.path());
        until(&fetcher, waits).await;
        tokio::time::advance(GRACE).await;
        until(&fetcher, |status| status.fetches.is_empty()).await;
        assert_eq!(metadata(&stage), 0);
    })
    .await;
}

//! A state directory that takes nothing more.

use std::path::PathBuf;

use super::*;

/// While it stands, nothing can be saved in the state directory of `folder`.
struct Full(PathBuf);

impl Full {
    fn new(folder: &Path) -> Self {
        let fresh = folder.join("state/state.new");
        fs::create_dir(&fresh).unwrap();
        Self(fresh)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap();
    }
}

fn saved(folder: &Path) -> State {
    State::read(&folder.join("state")).unwrap()
}

#[tokio::test]
async fn what_cannot_be_saved_is_not_done() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("full");
        let here = stage.here.path();
        fs::write(here.join("other"), "other").unwrap();
        let node = start(&stage.network, here);
        let share = node.share(request(&here.join("things"), false)).await.unwrap();
        let full = Full::new(here);
        let kept = |entry: std::io::Result<fs::DirEntry>| {
            entry.unwrap().path().extension().is_some_and(|extension| extension == "torrent")
        };
        node.publish(share.info_hash.clone()).await.unwrap_err();
        node.share(request(&here.join("other"), false)).await.unwrap_err();
        node.fetch(FetchRequest { link: share.link.clone(), out: here.to_owned() }).await.unwrap_err();
        assert_eq!(fs::read_dir(here.join("state")).unwrap().map(kept).filter(|is| *is).count(), 1);
        drop(full);
        let public = node.publish(share.info_hash.clone()).await.unwrap();
        let full = Full::new(here);
        node.unpublish(share.info_hash.clone()).await.unwrap_err();
        let status = node.status();
        assert_eq!((status.shares.len(), status.shares[0].link.as_str()), (1, public.link.as_str()));
        assert!(status.fetches.is_empty());
        drop(full);
        let private = node.unpublish(share.info_hash).await.unwrap();
        let state = saved(here);
        assert_eq!((state.shares.len(), state.fetches.len()), (1, 0), "nothing came in by the back door");
        assert!(!state.shares[0].public && !private.public);
        node.stop().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_share_is_withdrawn_at_once_and_that_is_saved_once_it_can_be() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("full-unshare");
        let here = stage.here.path();
        let node = start(&stage.network, here);
        let share = node.share(request(&here.join("things"), false)).await.unwrap();
        until(&node, |status| status.net.services == 2).await;
        let full = Full::new(here);
        let why = node.unshare(share.info_hash.clone()).await.unwrap_err().to_string();
        assert!(why.contains("is withdrawn") && why.contains("goes on trying"), "{why}");
        until(&node, |status| status.shares.is_empty() && status.net.services == 1).await;
        assert_eq!(saved(here).shares.len(), 1);
        drop(full);
        until(&node, |_| saved(here).shares.is_empty()).await;
        node.stop().await.unwrap();
    })
    .await;
}

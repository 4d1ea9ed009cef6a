//! Whole nodes in one process, over the network that lives there.

mod busy;
mod damage;
mod diary;
mod fetches;
mod forged;
mod full;
mod guesses;
mod landing;
mod late;
mod mail;
mod moved;
mod noon;
mod shortage;
mod side;
mod silence;
mod spare;
mod standing;
mod tracker;
mod upload;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;

use super::{FetchRequest, Handle, NodeError, ShareRequest, run};
use crate::config::Config;
use crate::net::Network;
use crate::net::memory::Memory;
use crate::proxy::Proxies;
use crate::state::{State, StateDir};
use crate::status::{FetchState, Status};
use crate::sys::scratch::Scratch;

/// A test that waits longer than this has hung.
const DEADLINE: Duration = Duration::from_secs(30);

/// The same by the clock on the wall, where the test's own stands still.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a node on `network` with its state in `folder`.
pub(super) fn start(network: &Memory, folder: &Path) -> Handle {
    start_with(network, folder, Config::default())
}

fn start_with(network: &Memory, folder: &Path, config: Config) -> Handle {
    let (handle, inbox) = Handle::new();
    let state = StateDir::open(&folder.join("state"), true).unwrap();
    let network = Network::Memory(network.clone());
    let proxies = Proxies::new(network.clone(), &config);
    let running = run(config, state, network, proxies, inbox);
    tokio::task::spawn_local(async move { running.await.unwrap() });
    handle
}

/// Waits until the node's status is as wanted.
pub(super) async fn until(node: &Handle, wanted: impl Fn(&Status) -> bool) -> Arc<Status> {
    let mut status = node.status.clone();
    let began = std::time::Instant::now();
    loop {
        let seen = tokio::time::timeout(DEADLINE, status.wait_for(|status| wanted(status))).await;
        if let Ok(status) = seen {
            return Arc::clone(&status.unwrap());
        }
        // A stopped clock leaps to the deadline while a thread of the node is still at a file on a busy machine.
        assert!(began.elapsed() < PATIENCE, "not in time: {:?}", node.status());
    }
}

fn request(path: &Path, public: bool) -> ShareRequest {
    ShareRequest { paths: vec![path.to_owned()], name: None, piece_length: None, public, browser: false }
}

fn last(status: &Status) -> Option<&FetchState> {
    status.fetches.last().map(|fetch| &fetch.state)
}

fn is(state: &FetchState) -> impl Fn(&Status) -> bool {
    let state = state.clone();
    move |status| status.fetches.last().is_some_and(|fetch| fetch.state == state)
}

/// A network, two folders, and a share of some files in the first.
struct Stage {
    network: Memory,
    here: Scratch,
    there: Scratch,
}

impl Stage {
    fn new(name: &str) -> Self {
        let stage = Self { network: Memory::new(), here: Scratch::new(name), there: Scratch::new(name) };
        let share = stage.here.path().join("things");
        fs::create_dir_all(share.join("deep")).unwrap();
        fs::write(share.join("deep/large"), vec![7; 3 << 20]).unwrap();
        fs::write(share.join("small"), b"x").unwrap();
        fs::write(share.join("nothing"), b"").unwrap();
        stage
    }

    fn fetched(&self, file: &str) -> Vec<u8> {
        fs::read(self.there.path().join("things").join(file)).unwrap()
    }
}

#[tokio::test]
async fn a_folder_goes_from_one_to_the_other_and_can_be_withdrawn() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("node");
        let (seed, fetcher) =
            (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
        let share = seed.share(request(&stage.here.path().join("things"), false)).await.unwrap();
        let fetch = FetchRequest { link: share.link.clone(), out: stage.there.path().to_owned() };
        fetcher.fetch(fetch.clone()).await.unwrap();
        until(&fetcher, is(&FetchState::Done)).await;
        assert_eq!(stage.fetched("deep/large"), vec![7; 3 << 20]);
        assert_eq!((stage.fetched("small"), stage.fetched("nothing")), (b"x".to_vec(), Vec::new()));
        let again = seed.share(request(&stage.here.path().join("things"), false)).await;
        assert!(matches!(again, Err(NodeError::Bad(_))), "{again:?}");
        seed.unshare(share.info_hash.to_uppercase()).await.unwrap();
        assert!(matches!(seed.unshare(share.info_hash).await, Err(NodeError::Missing(_))));
        assert!(
            seed.status().shares.is_empty()
                || until(&seed, |status| status.shares.is_empty()).await.peers.is_empty()
        );
        let other = stage.there.path().join("other");
        fs::create_dir(&other).unwrap();
        fetcher.fetch(FetchRequest { out: other, ..fetch }).await.unwrap();
        until(&fetcher, |status| matches!(last(status), Some(FetchState::Waiting(_)))).await;
        seed.stop().await.unwrap();
        assert!(matches!(seed.stop().await, Err(NodeError::Stopping)));
    })
    .await;
}

#[tokio::test]
async fn a_public_share_is_fetched_and_a_wrong_token_is_refused() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("node-public");
        let (seed, fetcher) =
            (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
        let share = seed.share(request(&stage.here.path().join("things"), true)).await.unwrap();
        assert!(share.link.contains("/public/"));
        let (good, token) = share.link.rsplit_once('/').unwrap();
        let wrong = format!("{good}/{}", "a".repeat(token.len()));
        let out = stage.there.path().to_owned();
        fetcher.fetch(FetchRequest { link: wrong, out: out.clone() }).await.unwrap();
        let status = until(&fetcher, |status| matches!(last(status), Some(FetchState::Failed(_)))).await;
        let Some(FetchState::Failed(why)) = last(&status) else { unreachable!() };
        assert!(why.contains("ask its owner for a new one"), "{why}");
        fetcher.fetch(FetchRequest { link: share.link, out }).await.unwrap();
        until(&fetcher, is(&FetchState::Done)).await;
        assert_eq!(stage.fetched("deep/large").len(), 3 << 20);
    })
    .await;
}

#[tokio::test]
async fn a_restarted_node_takes_up_its_shares() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("node-again");
        let (seed, fetcher) =
            (start(&stage.network, stage.here.path()), start(&stage.network, stage.there.path()));
        let share = seed.share(request(&stage.here.path().join("things"), false)).await.unwrap();
        // Another network, as after a reboot of everything but the state: the same key has the same address.
        let network = Memory::new();
        seed.stop().await.unwrap();
        let seed = start(&network, stage.here.path());
        let same = until(&seed, |status| !status.shares.is_empty()).await.shares[0].clone();
        assert_eq!((same.link, same.info_hash), (share.link.clone(), share.info_hash));
        drop(fetcher);
        let fetcher = start(&network, &stage.there.path().join("second"));
        fetcher.fetch(FetchRequest { link: share.link, out: stage.there.path().to_owned() }).await.unwrap();
        until(&fetcher, is(&FetchState::Done)).await;
    })
    .await;
}

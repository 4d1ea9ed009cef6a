//! Records, trust, mirrors and search among whole nodes.

mod about;
mod liars;
mod sources;
mod tombstones;
mod trust;

use std::future::Future;

use tokio::task::{AbortHandle, LocalSet};

use super::*;
use crate::node::{MirrorRequest, TrustRequest};
use crate::status::{Hit, NodeState, SearchEvent, Share};

/// A node that can be killed.
struct Player {
    node: Handle,
    folder: Scratch,
    task: AbortHandle,
}

impl Player {
    /// Starts one, with everything of it on a set of its own.
    fn start(network: &Memory, name: &str) -> Self {
        Self::start_with(network, Scratch::new(name), Config::default())
    }

    /// The same with a state of before, or another configuration.
    fn start_with(network: &Memory, folder: Scratch, config: Config) -> Self {
        let (node, inbox) = Handle::new();
        let state = StateDir::open(&folder.path().join("state"), true).unwrap();
        let network = Network::Memory(network.clone());
        let proxies = Proxies::new(network.clone(), &config);
        let running = run(config, state, network, proxies, inbox);
        let set = LocalSet::new();
        set.spawn_local(async move { running.await.unwrap() });
        Self { node, folder, task: tokio::task::spawn_local(set).abort_handle() }
    }

    /// Ends all of it without a word, and waits until nobody answers at its address.
    async fn kill(&self) {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    async fn address(&self) -> String {
        until(&self.node, |status| status.address_reachable).await.address.clone().unwrap()
    }

    async fn share(&self, name: &str, public: bool) -> Share {
        let path = self.folder.path().join(name);
        fs::write(&path, name.repeat(70_000)).unwrap();
        self.node.share(request(&path, public)).await.unwrap()
    }

    async fn trust(&self, other: &Self, name: &str) {
        let address = other.address().await;
        let request = TrustRequest { address, name: Some(name.to_owned()), untold: false };
        self.node.trust_add(request).await.unwrap();
    }

    async fn mirror(&self, other: &Self, follow: bool) {
        let address = other.address().await;
        self.node.mirror_add(MirrorRequest { address: address.clone(), follow }).await.unwrap();
        let state = if follow { NodeState::Current } else { NodeState::Visited };
        until(&self.node, |status| {
            status.mirrors.iter().any(|one| one.address == address && one.state == state)
        })
        .await;
    }

    /// Everything a search finds in the end.
    async fn search(&self, words: &str) -> Vec<Hit> {
        let mut events = self.node.search(words.to_owned()).await.unwrap();
        let mut hits: Vec<Hit> = Vec::new();
        loop {
            let event = tokio::time::timeout(DEADLINE, events.recv()).await.unwrap().unwrap();
            match event {
                SearchEvent::Hit(hit) => {
                    hits.retain(|known| known.info_hash != hit.info_hash);
                    hits.push(hit);
                }
                SearchEvent::Asked { .. } => {}
                SearchEvent::Done { .. } => return hits,
            }
        }
    }

    async fn fetch(&self, link: &str) {
        let out = self.folder.path().to_owned();
        self.node.fetch(FetchRequest { link: link.to_owned(), out }).await.unwrap();
        until(&self.node, is(&FetchState::Done)).await;
    }
}

async fn play(story: impl Future<Output = ()>) {
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn a_share_outlives_its_owner_through_a_mirror_and_a_fetcher() {
    play(async {
        let network = Memory::new();
        let [anna, bert, carl, dora, emil] =
            ["anna", "bert", "carl", "dora", "emil"].map(|name| Player::start(&network, name));
        let private = anna.share("deltas.bin", false).await;
        bert.fetch(&private.link).await;
        assert!(anna.search("deltas").await.is_empty(), "a private share is in no list");
        let public = anna.node.publish(private.info_hash.clone()).await.unwrap();
        assert!(public.public && public.link.contains("/public/"));
        carl.trust(&anna, "anna").await;
        let found = carl.search("DELTAS bin").await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].link.as_ref(), Some(&public.link));
        assert_eq!((found[0].through.clone(), found[0].degree), (vec!["anna".to_owned()], Some(1)));
        dora.mirror(&anna, true).await;
        until(&dora.node, |status| status.records.served >= 3).await;
        anna.kill().await;
        emil.trust(&dora, "dora").await;
        let found = emil.search("deltas").await;
        assert_eq!((found[0].sources, found[0].degree), (2, None), "{found:?}");
        emil.fetch(found[0].link.as_ref().unwrap()).await;
        assert_eq!(
            fs::read(emil.folder.path().join("deltas.bin")).unwrap(),
            "deltas.bin".repeat(70_000).as_bytes()
        );
    })
    .await;
}

#[tokio::test]
async fn a_share_goes_public_and_back_and_old_links_die() {
    play(async {
        let network = Memory::new();
        let [anna, bert, carl, dora] =
            ["anna", "bert", "carl", "dora"].map(|name| Player::start(&network, name));
        let share = anna.share("deltas.bin", true).await;
        bert.mirror(&anna, true).await;
        assert_eq!(bert.search("deltas").await.len(), 1);
        let private = anna.node.unpublish(share.info_hash.clone()).await.unwrap();
        assert!(!private.public && private.link.contains("/private/"));
        assert!(private.link.rsplit('/').next() != share.link.rsplit('/').next(), "everyone knew the token");
        until_found(&bert, "deltas", 0).await;
        refused(&carl, &share.link).await;
        carl.fetch(&private.link).await;
        let again = anna.node.publish(share.info_hash.clone()).await.unwrap();
        assert!(again.link != share.link);
        until_found(&bert, "deltas", 1).await;
        // Its private address is still up for those who are there, but not for longer than it is public.
        anna.node.unpublish(share.info_hash.clone()).await.unwrap();
        refused(&dora, &private.link).await;
        until_found(&bert, "deltas", 0).await;
        anna.node.unshare(share.info_hash.clone()).await.unwrap();
        until_found(&bert, "deltas", 0).await;
        let missing = anna.node.publish(share.info_hash).await;
        assert!(matches!(missing, Err(NodeError::Missing(_))), "{missing:?}");
    })
    .await;
}

/// A fetch by this link gets nowhere.
async fn refused(player: &Player, link: &str) {
    let out = player.folder.path().to_owned();
    player.node.fetch(FetchRequest { link: link.to_owned(), out }).await.unwrap();
    until(&player.node, |status| {
        matches!(last(status), Some(FetchState::Failed(_) | FetchState::Waiting(_)))
    })
    .await;
}

/// Waits until a search finds so many.
async fn until_found(player: &Player, words: &str, count: usize) {
    let found = async {
        while player.search(words).await.len() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("never {count} of {words}"));
}

#[tokio::test]
async fn a_new_source_reaches_a_mirror_and_those_who_fetch() {
    play(async {
        let network = Memory::new();
        let [anna, bert, carl, dora] =
            ["anna", "bert", "carl", "dora"].map(|name| Player::start(&network, name));
        let share = anna.share("deltas.bin", true).await;
        carl.mirror(&anna, true).await;
        dora.mirror(&anna, false).await;
        let state = |player: &Player| player.node.status().mirrors[0].clone();
        assert!(state(&carl).follow && !state(&dora).follow);
        bert.fetch(&share.link).await;
        let told = async {
            while carl.search("deltas").await[0].sources != 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, told).await.unwrap();
        assert_eq!(dora.search("deltas").await[0].sources, 1, "a copy that was made once stays as it is");
        assert!(dora.node.status().records.served < carl.node.status().records.served);
        dora.node.mirror_remove(state(&dora).address).await.unwrap();
        assert_eq!((dora.node.status().records.served, dora.node.status().mirrors.len()), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn those_we_trust_keep_our_records_while_we_are_away() {
    play(async {
        let network = Memory::new();
        let [anna, bert, carl] = ["anna", "bert", "carl"].map(|name| Player::start(&network, name));
        anna.trust(&bert, "bert").await;
        bert.trust(&anna, "anna").await;
        let share = anna.share("deltas.bin", true).await;
        until(&bert.node, |status| status.records.served == 3).await; // two of hers, and that she is trusted
        anna.kill().await;
        carl.trust(&bert, "bert").await;
        let found = carl.search("deltas").await;
        assert_eq!(found[0].link.as_ref(), Some(&share.link));
        bert.node.trust_remove("anna".to_owned()).await.unwrap();
        until_found(&carl, "deltas", 1).await; // what carl was told before holds until it expires
        assert_eq!(bert.node.status().records.served, 1, "its tombstone");
        assert!(bert.search("deltas").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_mirror_keeps_its_copy_over_a_restart_without_its_origin() {
    play(async {
        let (before, after) = (Memory::new(), Memory::new());
        let [anna, bert] = ["anna", "bert"].map(|name| Player::start(&before, name));
        anna.share("deltas.bin", true).await;
        bert.mirror(&anna, true).await;
        bert.node.stop().await.unwrap();
        let Player { folder, task, .. } = bert;
        task.abort();
        let bert = Player::start_with(&after, folder, Config::default());
        until(&bert.node, |status| status.records.served == 2).await;
        assert_eq!(bert.search("deltas").await.len(), 1);
        let kept = || {
            fs::read_dir(bert.folder.path().join("state"))
                .unwrap()
                .any(|entry| entry.unwrap().path().extension().is_some_and(|end| end == "records"))
        };
        assert!(kept());
        let address = bert.node.status().mirrors[0].address.clone();
        bert.node.mirror_remove(address).await.unwrap();
        assert!(!kept() && bert.node.status().records.served == 0);
    })
    .await;
}

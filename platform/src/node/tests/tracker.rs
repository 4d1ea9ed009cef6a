//! Records, trust, mirrors and search among whole nodes.

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
        let folder = Scratch::new(name);
        let (node, inbox) = Handle::new();
        let state = StateDir::open(&folder.path().join("state"), true).unwrap();
        let running = run(Config::default(), state, Network::Memory(network.clone()), inbox);
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

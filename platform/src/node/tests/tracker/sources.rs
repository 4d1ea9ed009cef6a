//! Who serves a share, once its owner is gone.

use bulbil_core::hello::Secrets;
use bulbil_core::id::{InfoHash, NodeKey};
use bulbil_core::limits::{MAX_FRAME, MAX_RECORD};
use bulbil_core::time::Date;
use bulbil_core::tracker::{Body, Record};
use bulbil_core::transport::{RecvFrame as _, SendFrame as _};
use bulbil_core::wire::tracker::Mirror;
use bulbil_core::wire::{Message, Purpose};
use ed25519_dalek::SigningKey;

use super::*;
use crate::link::Link;
use crate::net::{Address, Circuit, ServiceKey};
use crate::node::halves::{Halves, halves};
use crate::node::open;

/// As many as one share may have of those nobody vouches for.
const GUESTS: u64 = 64;

/// Waits until a search counts so many sources.
async fn until_sources(player: &Player, words: &str, count: u64) {
    let counted = async {
        while player.search(words).await.first().map(|hit| hit.sources) != Some(count) {
            tokio::task::yield_now().await;
        }
    };
    let counted = tokio::time::timeout(DEADLINE, counted).await;
    counted.unwrap_or_else(|_| panic!("never {count} sources of {words}"));
}

#[tokio::test]
async fn whoever_fetches_is_listed_where_the_owner_is_gone() {
    play(async {
        let network = Memory::new();
        let [anna, bert, dora, emil] =
            ["anna", "bert", "dora", "emil"].map(|name| Player::start(&network, name));
        let share = anna.share("deltas.bin", true).await;
        bert.fetch(&share.link).await;
        dora.mirror(&anna, true).await;
        until(&dora.node, |status| status.records.served == 3).await;
        anna.kill().await;
        emil.trust(&dora, "dora").await;
        let found = emil.search("deltas").await;
        assert_eq!((found[0].sources, found[0].degree), (2, None), "{found:?}");
        emil.fetch(found[0].link.as_ref().unwrap()).await;
        until_sources(&dora, "deltas", 3).await;
        // Those who had it from the owner are gone too, and it can still be found and fetched.
        bert.kill().await;
        let finn = Player::start(&network, "finn");
        finn.trust(&dora, "dora").await;
        let found = finn.search("deltas").await;
        assert_eq!(found[0].sources, 3, "{found:?}");
        finn.fetch(found[0].link.as_ref().unwrap()).await;
        until_sources(&dora, "deltas", 4).await;
        assert_eq!(dora.node.status().records.served, 5, "a share and four who have it");
    })
    .await;
}

#[tokio::test]
async fn who_fetched_by_a_private_link_tells_only_those_who_hold_it() {
    play(async {
        let network = Memory::new();
        let [anna, carl, dora, emil] =
            ["anna", "carl", "dora", "emil"].map(|name| Player::start(&network, name));
        // The same file is private here and public there.
        let private = anna.share("deltas.bin", false).await;
        let public = carl.share("deltas.bin", true).await;
        assert_eq!(private.info_hash, public.info_hash);
        let rivers = carl.share("rivers.bin", true).await;
        dora.mirror(&carl, false).await;
        emil.fetch(&private.link).await;
        emil.fetch(&rivers.link).await;
        emil.trust(&dora, "dora").await;
        until_sources(&dora, "rivers", 2).await; // told by emil: this copy is not kept up to date
        assert_eq!(dora.search("deltas").await[0].sources, 1);
        assert_eq!(dora.node.status().records.served, 5);
    })
    .await;
}

fn hash_of(share: &Share) -> InfoHash {
    InfoHash(data_encoding::HEXLOWER.decode(share.info_hash.as_bytes()).unwrap().try_into().unwrap())
}

/// A conversation about records that a stranger opens.
async fn stranger(network: &Memory, player: &Player) -> Halves {
    let address = Address::of_node(&player.address().await).unwrap();
    let network = Network::Memory(network.clone());
    let stream = network.connect(address, None, Circuit { swarm: 9, lane: 0 }).await.unwrap();
    let mut halves = halves(stream);
    open::dialed_node(Purpose::Mirror, &[77; 32], address, &mut halves).await.unwrap();
    halves
}

/// Somebody who does not exist says that he serves a share.
fn made_up(number: u16, info_hash: InfoHash) -> Vec<u8> {
    let mut seed = [5; 32];
    seed[..2].copy_from_slice(&number.to_be_bytes());
    let mut name = [7; 34];
    name[..2].copy_from_slice(&number.to_be_bytes());
    peer(&seed, Body::Peer { info_hash, name: &name, token: [8; 16] })
}

/// What the holder of a key says, packed for a frame.
fn peer(seed: &[u8; 32], body: Body<'_>) -> Vec<u8> {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let made = Date(since.as_secs());
    let record = Record { author: NodeKey([0; 32]), version: 1, made, expires: made.plus(9_999), body };
    let mut buf = [0; MAX_RECORD];
    let signed = record.sign(&SigningKey::from_bytes(seed), &mut buf).unwrap();
    [&u16::try_from(signed.len()).unwrap().to_be_bytes()[..], signed].concat()
}

#[tokio::test]
async fn strangers_take_a_few_places_of_shares_that_are_listed_and_no_others() {
    play(async {
        let network = Memory::new();
        let anna = Player::start(&network, "anna");
        let share = anna.share("deltas.bin", true).await;
        let listed = hash_of(&share);
        let mut halves = stranger(&network, &anna).await;
        let mut buf = vec![0; MAX_FRAME];
        for first in [0, 50, 100, 150] {
            let unknown = (first..first + 50).flat_map(|number| made_up(number, InfoHash([9; 32])));
            let known = (first..first + 50).flat_map(|number| made_up(number, listed));
            for packed in [unknown.collect::<Vec<u8>>(), known.collect()] {
                halves.tx.send(Mirror::News(&packed).encode(&mut buf).unwrap()).await.unwrap();
                halves.tx.flush().await.unwrap();
            }
        }
        until_sources(&anna, "deltas", GUESTS + 1).await;
        assert_eq!(anna.node.status().records.served, GUESTS + 2);
        for (number, here) in [(0, false), (135, false), (136, true), (199, true)] {
            let ask = Record::decode(&made_up(number, listed)[2..]).unwrap().id().0;
            halves.tx.send(Mirror::Fetch(&ask).encode(&mut buf).unwrap()).await.unwrap();
            halves.tx.flush().await.unwrap();
            let answer = tokio::time::timeout(DEADLINE, halves.rx.recv()).await.unwrap().unwrap();
            let Ok(Mirror::Records { records, .. }) = Mirror::decode(answer) else { panic!("no answer") };
            assert_eq!(!records.is_empty(), here, "number {number}: the newest stay");
        }
        anna.node.unshare(share.info_hash).await.unwrap();
        let bert = Player::start(&network, "bert");
        anna.trust(&bert, "bert").await;
        let status = until(&anna.node, |status| status.records.served <= 3).await;
        assert_eq!(status.records.served, 3, "two tombstones, and that bert is trusted");
    })
    .await;
}

/// Takes calls for a share and says no more than that it is there. Gives the name it is called by.
async fn mute(network: &Memory, token: [u8; 16]) -> [u8; 34] {
    let key = ServiceKey::random().unwrap();
    let mut service = Network::Memory(network.clone()).serve(&key, 80, None).await.unwrap();
    let name = open::name_of(key.address(80));
    tokio::task::spawn_local(async move {
        while let Some(stream) = service.accept().await {
            tokio::task::spawn_local(async move {
                let mut halves = halves(stream);
                let known = |_, _| Some(Secrets::new(token, &[3; 32]));
                open::called(&name, &mut halves, known).await.unwrap();
                let mut buf = [0; 8];
                let alive = Message::Alive.encode(&mut buf).unwrap();
                while halves.tx.send(alive).await.is_ok() && halves.tx.flush().await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
            });
        }
    });
    name
}

#[tokio::test(start_paused = true)]
async fn who_is_there_and_tells_nothing_keeps_nobody_from_the_owner() {
    play(async {
        let network = Memory::new();
        let [anna, bert] = ["anna", "bert"].map(|name| Player::start(&network, name));
        let share = anna.share("deltas.bin", true).await;
        let token = *share.link.parse::<Link>().unwrap().token.as_bytes();
        let name = mute(&network, token).await;
        let record = peer(&[6; 32], Body::Peer { info_hash: hash_of(&share), name: &name, token });
        let mut halves = stranger(&network, &anna).await;
        let mut buf = vec![0; MAX_FRAME];
        halves.tx.send(Mirror::News(&record).encode(&mut buf).unwrap()).await.unwrap();
        halves.tx.flush().await.unwrap();
        until_sources(&anna, "deltas", 2).await;
        bert.mirror(&anna, true).await;
        until(&bert.node, |status| status.records.served == 3).await;
        anna.kill().await;
        let out = bert.folder.path().to_owned();
        bert.node.fetch(FetchRequest { link: share.link, out }).await.unwrap();
        until(&bert.node, is(&FetchState::Learning)).await;
        // The owner is back while the only other one is being listened to.
        let Player { folder, .. } = anna;
        let anna = Player::start_with(&network, folder, Config::default());
        anna.address().await;
        let mut status = bert.node.status.clone();
        let done = status.wait_for(|status| is(&FetchState::Done)(status));
        let done = tokio::time::timeout(Duration::from_secs(600), done).await.is_ok();
        assert!(done, "{:?}", last(&bert.node.status()));
    })
    .await;
}

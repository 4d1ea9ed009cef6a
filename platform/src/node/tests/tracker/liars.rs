//! Nodes that do not play fair.

use std::os::unix::fs::PermissionsExt;

use bulbil_core::hello::{Secrets, node_token};
use bulbil_core::id::{InfoHash, NodeKey};
use bulbil_core::limits::{AUTHOR_QUOTA, MAX_FRAME, MAX_RECORD, RECORD_LIFE_S};
use bulbil_core::time::Date;
use bulbil_core::tracker::{Body, Record, Visibility};
use bulbil_core::transport::{RecvFrame as _, SendFrame as _};
use bulbil_core::wire::tracker::Mirror;
use ed25519_dalek::SigningKey;
use tokio::sync::mpsc;

use super::*;
use crate::net::ServiceKey;
use crate::node::halves::{Halves, halves};
use crate::node::tests::diary;
use crate::node::{PORT, open};

const SEED: [u8; 32] = [9; 32];

/// A node made by hand: hands out each conversation about records once it is opened.
async fn liar(network: &Memory) -> (String, mpsc::Receiver<Halves>, AbortHandle) {
    let key = ServiceKey::from_seed(SEED);
    let mut service = Network::Memory(network.clone()).serve(&key, PORT, None).await.unwrap();
    let (opened, conversations) = mpsc::channel(1);
    let address = key.address(PORT);
    let task = tokio::task::spawn_local(async move {
        while let Some(stream) = service.accept().await {
            let mut halves = halves(stream);
            let known = |_, _| Some(Secrets::new(node_token(&NodeKey(address.key)), &SEED));
            if open::called(&open::name_of(address), &mut halves, known).await.is_ok() {
                _ = opened.send(halves).await;
            }
        }
    });
    (address.host(), conversations, task.abort_handle())
}

fn today() -> Date {
    Date(std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs())
}

/// A signed share number `number`, packed for a frame.
fn share(number: u32, made: Date, life: u64) -> Vec<u8> {
    let mut info_hash = [0; 32];
    info_hash[..4].copy_from_slice(&number.to_be_bytes());
    let body = Body::Share {
        info_hash: InfoHash(info_hash),
        name: "junk",
        size: 1,
        tags: "",
        text: "",
        visibility: Visibility::Public,
    };
    let expires = made.plus(life);
    let record = Record { author: NodeKey([0; 32]), version: made.0, made, expires, body };
    let mut buf = [0; MAX_RECORD];
    let signed = record.sign(&SigningKey::from_bytes(&SEED), &mut buf).unwrap();
    [&u16::try_from(signed.len()).unwrap().to_be_bytes()[..], signed].concat()
}

async fn send(halves: &mut Halves, message: Mirror<'_>) -> bool {
    let mut buf = vec![0; MAX_FRAME];
    let sent = halves.tx.send(message.encode(&mut buf).unwrap()).await;
    sent.is_ok() && halves.tx.flush().await.is_ok()
}

/// A node that mirrors the liar, and the conversation with it.
async fn victim(network: &Memory) -> (Player, AbortHandle, mpsc::Receiver<Halves>, Halves) {
    let (address, mut conversations, task) = liar(network).await;
    let player = Player::start(network, "victim");
    player.node.mirror_add(MirrorRequest { address: address.clone(), follow: true }).await.unwrap();
    let halves = tokio::time::timeout(DEADLINE, conversations.recv()).await.unwrap().unwrap();
    (player, task, conversations, halves)
}

/// Waits until the other side hangs up.
async fn hung_up(halves: &mut Halves) {
    let over = async { while halves.rx.recv().await.is_ok() {} };
    tokio::time::timeout(DEADLINE, over).await.unwrap();
}

#[tokio::test]
async fn a_node_that_signs_without_end_takes_its_own_places_only() {
    play(Box::pin(async {
        let network = Memory::new();
        let (player, task, _conversations, mut halves) = victim(&network).await;
        let own = player.share("mine.bin", true).await;
        let all = 3 * u32::try_from(AUTHOR_QUOTA).unwrap();
        for first in (0..all).step_by(64) {
            let packed: Vec<u8> =
                (first..first + 64).flat_map(|number| share(number, today(), RECORD_LIFE_S)).collect();
            assert!(send(&mut halves, Mirror::News(&packed)).await);
            // Its question is in the way of nobody.
            tokio::task::yield_now().await;
        }
        let quota = AUTHOR_QUOTA as u64;
        let status = until(&player.node, |status| status.records.served >= quota + 2).await;
        assert_eq!(status.mirrors[0].progress.here, quota);
        assert_eq!(status.records.served, quota + 2);
        task.abort(); // a search would wait for its answer
        drop(halves);
        until(&player.node, |status| matches!(status.mirrors[0].state, NodeState::Waiting(_))).await;
        assert_eq!(player.search("mine").await[0].link.as_ref(), Some(&own.link));
        assert_eq!(player.search("junk").await.len(), 64, "nor does it fill a search");
    }))
    .await;
}

#[tokio::test]
async fn forgeries_end_it_and_wrong_clocks_are_passed_over() {
    play(Box::pin(async {
        let network = Memory::new();
        let (player, _, mut conversations, mut halves) = victim(&network).await;
        let past = Date(today().0 - 2 * RECORD_LIFE_S);
        let stale = share(1, past, RECORD_LIFE_S);
        let future = share(2, today().plus(10 * 3600), RECORD_LIFE_S);
        let good = share(3, today(), RECORD_LIFE_S);
        let packed = [stale, future, good.clone(), good.clone()].concat();
        assert!(send(&mut halves, Mirror::News(&packed)).await);
        until(&player.node, |status| status.records.served == 1).await;
        let mut forged = good.clone();
        *forged.last_mut().unwrap() ^= 1;
        let endless = share(4, today(), RECORD_LIFE_S + 1);
        let mut cut = good;
        cut.truncate(40);
        for (number, bad) in [forged, endless, cut, vec![0xff; 900]].into_iter().enumerate() {
            if number > 0 {
                // It is called again, ever more rarely; taking it off the list and back on calls at once.
                let mirror = player.node.status().mirrors[0].clone();
                player.node.mirror_remove(mirror.address.clone()).await.unwrap();
                let again = MirrorRequest { address: mirror.address, follow: true };
                player.node.mirror_add(again).await.unwrap();
                halves = tokio::time::timeout(DEADLINE, conversations.recv()).await.unwrap().unwrap();
            }
            assert!(send(&mut halves, Mirror::News(&bad)).await);
            hung_up(&mut halves).await;
        }
        until(&player.node, |status| matches!(status.mirrors[0].state, NodeState::Waiting(_))).await;
    }))
    .await;
}

#[tokio::test]
async fn what_we_never_said_is_not_believed_of_us() {
    play(Box::pin(async {
        let network = Memory::new();
        let [anna, bert] = ["anna", "bert"].map(|name| Player::start(&network, name));
        let old = anna.share("old.bin", true).await;
        bert.mirror(&anna, true).await;
        // The same key on another board, which knows nothing of the first.
        let twin = Scratch::new("twin");
        fs::create_dir_all(twin.path().join("state")).unwrap();
        let state = fs::read_to_string(anna.folder.path().join("state/state.json")).unwrap();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        let key = serde_json::json!({ "catalogue": state["catalogue"] });
        fs::write(twin.path().join("state/state.json"), key.to_string()).unwrap();
        fs::set_permissions(twin.path().join("state"), PermissionsExt::from_mode(0o700)).unwrap();
        anna.kill().await;
        let twin = Player::start_with(&network, twin, Config::default());
        twin.share("new.bin", true).await;
        twin.mirror(&bert, true).await;
        assert!(twin.search("old").await.is_empty(), "nobody tells us what we offer");
        assert_eq!(twin.search("new").await.len(), 1);
        until_found(&bert, "new", 1).await;
        let kept = bert.search("old").await;
        assert_eq!(kept[0].link.as_ref(), Some(&old.link), "what the first said holds until it expires");
    }))
    .await;
}

/// A signed share made by `change` from a good one, packed.
fn odd(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = share(7, today(), RECORD_LIFE_S).split_off(2);
    change(&mut bytes);
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
}

#[tokio::test]
async fn the_log_says_what_was_refused_and_names_nobody() {
    play(Box::pin(async {
        let network = Memory::new();
        let (player, _, mut conversations, mut halves) = victim(&network).await;
        diary::open();
        let past = Date(today().0 - 2 * RECORD_LIFE_S);
        let (newer, older) = (share(3, today(), RECORD_LIFE_S), share(3, Date(today().0 - 9), RECORD_LIFE_S));
        let stale = share(1, past, RECORD_LIFE_S);
        let future = share(2, today().plus(10 * 3600), RECORD_LIFE_S);
        let packed = [stale, future, newer.clone(), older, newer].concat();
        assert!(send(&mut halves, Mirror::News(&packed)).await);
        until(&player.node, |status| status.records.served == 1).await;
        for bad in [
            odd(|bytes| *bytes.last_mut().unwrap() ^= 1),
            odd(|bytes| bytes[..32].copy_from_slice(&[2; 32])),
            odd(|bytes| bytes.resize(MAX_RECORD + 1, 0)),
            odd(|bytes| bytes.truncate(40)),
            share(4, today(), RECORD_LIFE_S + 1),
        ] {
            assert!(send(&mut halves, Mirror::News(&bad)).await);
            hung_up(&mut halves).await;
            let mirror = player.node.status().mirrors[0].clone();
            player.node.mirror_remove(mirror.address.clone()).await.unwrap();
            let again = MirrorRequest { address: mirror.address, follow: true };
            player.node.mirror_add(again).await.unwrap();
            halves = tokio::time::timeout(DEADLINE, conversations.recv()).await.unwrap().unwrap();
        }
        let lines = diary::close();
        for words in [
            "refused: a record has expired",
            "refused: a record comes from the future",
            "refused: this or a newer one is here",
            "info hung up on a node: it passed on a bad record: a record was not signed by its author",
            "a record's author is no proper key",
            "a record is larger than records may be",
            "the bytes are no record",
            "a record lives longer or shorter than it may",
        ] {
            assert!(lines.iter().any(|line| line.contains(words)), "no {words:?} in {lines:#?}");
        }
        let status = player.node.status();
        let names = [status.address.clone().unwrap(), status.mirrors[0].address.clone(), "junk".to_owned()];
        let told = |name: &String| lines.iter().find(|line| line.contains(name.trim_end_matches(".onion")));
        assert_eq!(names.iter().find_map(told), None);
    }))
    .await;
}

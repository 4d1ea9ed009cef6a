//! What was taken back stays so.

use bulbil_core::id::NodeKey;
use bulbil_core::limits::{MAX_RECORD, RECORD_LIFE_S};
use bulbil_core::time::Date;
use bulbil_core::tracker::{Body, Kind, Record};
use ed25519_dalek::SigningKey;

use super::*;
use crate::keep::{Kept, Passphrase};

const PASSPHRASE: &str = "correct horse battery";

/// A tombstone that has had its thirty days.
fn expired() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let made = Date(since.as_secs() - RECORD_LIFE_S - 60);
    let body = Body::Tombstone { kind: Kind::Share, subject: [3; 32] };
    let author = NodeKey([0; 32]);
    let record = Record { author, version: made.0, made, expires: made.plus(RECORD_LIFE_S), body };
    let mut buf = [0; MAX_RECORD];
    data_encoding::BASE64.encode(record.sign(&SigningKey::from_bytes(&[3; 32]), &mut buf).unwrap())
}

/// The same node on another board, with nothing but its keep file, and what `change` does to that.
async fn move_house(player: Player, network: &Memory, change: impl FnOnce(&mut State)) -> Player {
    let sealed = player.node.keep(Passphrase::to_seal(PASSPHRASE).unwrap()).await.unwrap();
    player.kill().await;
    let folder = Scratch::new("board");
    let mut kept = Kept::open(&sealed, &Passphrase::to_open(PASSPHRASE).unwrap()).unwrap();
    change(&mut kept.state);
    kept.restore(&StateDir::open(&folder.path().join("state"), true).unwrap(), false).unwrap();
    Player::start_with(network, folder, Config::default())
}

#[tokio::test]
async fn what_was_taken_back_is_not_taken_from_a_mirror_after_a_restart() {
    play(async {
        let network = Memory::new();
        let [anna, bert, carl] = ["anna", "bert", "carl"].map(|name| Player::start(&network, name));
        let share = anna.share("deltas.bin", true).await;
        let rivers = anna.share("rivers.bin", true).await;
        bert.mirror(&anna, false).await; // and never hears of it again
        anna.node.unshare(share.info_hash).await.unwrap();
        anna.node.unpublish(rivers.info_hash).await.unwrap();
        anna.trust(&carl, "carl").await;
        anna.node.trust_remove("carl".to_owned()).await.unwrap();
        until(&anna.node, |status| status.records.served == 5).await;
        let anna = move_house(anna, &network, |state| {
            assert_eq!(state.tombstones.len(), 5, "two shares with their peers, and a trust");
            state.tombstones.extend([expired(), "no record".into(), "AAAA".into()]);
        })
        .await;
        anna.mirror(&bert, true).await;
        assert_eq!(anna.node.status().records.served, 5, "old peers stay out, and so does what has expired");
        assert!(anna.search("bin").await.is_empty());
        // Whoever copied the old ones learns better from it.
        carl.mirror(&bert, false).await;
        assert_eq!(carl.search("bin").await.len(), 2);
        carl.mirror(&anna, true).await;
        until_found(&carl, "bin", 0).await;
    })
    .await;
}

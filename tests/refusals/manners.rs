//! Members of a swarm that do not keep to the protocol: each is dropped and named, and others notice nothing.

use bulbil_core::id::BlockId;
use bulbil_core::wire::Message;
use bulbil_tests::content;
use bulbil_tests::node::COMMAND_LIMIT;
use bulbil_tests::scratch::Scratch;
use bulbil_tests::wait::eventually;
use tokio::task::LocalSet;

use crate::raw::{Lane, Raw};
use crate::{Stage, text};

const MALFORMED: &str = "sent bytes that are no message";
const OUT_OF_TURN: &str = "sent a message out of turn";

pub(crate) fn are_refused(stage: &Stage) {
    let (link, sha256) = stage.share("manners.bin", &[]);
    stage.seed.wait_reachable(&link).unwrap();
    let out = Scratch::new("out").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let block = BlockId { piece: 0, block: 0 };
    LocalSet::new().block_on(&runtime, async {
        let raw = Raw::start(&stage.network, &link).await.unwrap();
        // Bytes that never become a conversation name nobody, and hurt nobody.
        let mut lane = raw.connect().await.unwrap();
        lane.send_bytes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(lane.recv().await.is_err(), "hung up");

        let mut lane = raw.call().await.unwrap();
        lane.send_bytes(&[0xff, 0xff]).await.unwrap();
        let mut last = thrown_out(stage, lane, MALFORMED, None).await;
        let mut lane = raw.call().await.unwrap();
        lane.send_bytes(&[0, 0]).await.unwrap();
        last = thrown_out(stage, lane, MALFORMED, last).await;
        let mut lane = raw.call().await.unwrap();
        lane.send(&[0x77; 99]).await.unwrap();
        last = thrown_out(stage, lane, MALFORMED, last).await;
        let messages: [(&[Message<'_>], &str); 7] = [
            (&[Message::Have(0)], OUT_OF_TURN),
            (&[Message::Request(block)], OUT_OF_TURN),
            (&[Message::Join, Message::Join], OUT_OF_TURN),
            (&[Message::Join, Message::Have(u32::MAX)], "spoke of pieces or files that do not exist"),
            (
                &[Message::Join, Message::Request(BlockId { piece: 9999, block: 0 })],
                "spoke of pieces or files that do not exist",
            ),
            (
                &[Message::Join, Message::Block { id: block, proof: &[], bytes: &[0; 100] }],
                "sent a block nobody asked for",
            ),
            (&[Message::Join, Message::Peers(&[200, 1, 2])], MALFORMED),
        ];
        for (messages, why) in messages {
            let mut lane = raw.call().await.unwrap();
            for message in messages {
                lane.say(message).await.unwrap();
            }
            last = thrown_out(stage, lane, why, last).await;
        }
        let mut lane = raw.call().await.unwrap();
        lane.say(&Message::Join).await.unwrap();
        let mut flood = Vec::new();
        for _ in 0..20_000 {
            flood.extend([0, 1, 0]); // frames that say: alive
        }
        _ = lane.send_bytes(&flood).await; // hung up on before its end, perhaps
        thrown_out(stage, lane, "sent more than is allowed", last).await;
    });
    let said = stage.fetcher.say(&["fetch", &link, "--out", text(out.path())]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(content::digest(&out.join("manners.bin")).unwrap(), sha256);
}

/// Waits until the seed has dropped one peer more than after `before`, and hung up on it; the last one for `why`. Gives its
/// number.
async fn thrown_out(stage: &Stage, mut lane: Lane, why: &str, before: Option<u64>) -> Option<u64> {
    while lane.recv().await.is_ok() {}
    let last = || {
        let dropped = stage.seed.status().ok()?["dropped"].as_array()?.clone();
        let last = dropped.last()?.clone();
        Some((last["id"].as_u64()?, last["why"].as_str()?.to_owned()))
    };
    let what = format!("a peer after {before:?} to be named that {why}; the last one: {:?}", last());
    let new = |(id, said): &(u64, String)| Some(*id) != before && said == why;
    eventually(COMMAND_LIMIT, &what, || last().as_ref().is_some_and(new)).unwrap();
    let (id, _) = last().unwrap();
    let line = format!("dropped peer {id}: it {why}");
    assert!(stage.seed.log().unwrap().contains(&line), "{line} is not in the log");
    Some(id)
}

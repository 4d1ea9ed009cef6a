//! The side that was given a code: calls until the friend answers.

use std::time::Duration;

use super::Party;
use super::talk::{self, Outcome};
use crate::net::{Address, Circuit, NetError};
use crate::node::PORT;
use crate::node::open::name_of;
use crate::status::MeetingState;

/// Between two calls.
const AGAIN: Duration = Duration::from_secs(4);

/// Calls until the friend answered, or it has taken too long.
pub(super) async fn call(party: Party) {
    // The friend, once its card is there; whether it has ours is not sure then.
    let mut heard = None;
    let calls = tokio::time::timeout_at(party.meeting.until, calls(&party, &mut heard)).await;
    match (calls, heard) {
        (Ok(Ok(friend)), _) | (_, Some(friend)) => party.met(friend),
        (Ok(Err(why)), None) => party.fail(why),
        (Err(_), None) => party.fail(
            "nobody is there; check the words with your friend, whose `bulbil invite` must still be waiting, and try \
             again: a code works once and for an hour",
        ),
    }
}

async fn calls(party: &Party, heard: &mut Option<Address>) -> Result<Address, String> {
    let network = &party.ground.network;
    network.ready().await.map_err(|why| why.to_string())?;
    let place = party.meeting.code.place().address(PORT);
    for lane in 0.. {
        let circuit = Circuit { swarm: u64::MAX - party.meeting.id, lane };
        match network.connect(place, None, circuit).await {
            Ok(stream) => {
                party.set(MeetingState::Calling(String::new()));
                match talk::guest(stream, &party.meeting.code, &name_of(place), &party.key).await {
                    Outcome::Met { friend, sure: true } => return Ok(friend),
                    Outcome::Met { friend, sure: false } => *heard = Some(friend),
                    Outcome::Wrong => return Err(wrong()),
                    Outcome::Foul => return Err(foul()),
                    Outcome::Broken => {}
                }
            }
            // The code is used up: by us, then, as nobody else could have got so far.
            Err(NetError::NotFound | NetError::Offline) if heard.is_some() => break,
            Err(NetError::Shutdown) => return Err(NetError::Shutdown.to_string()),
            Err(NetError::NotFound) => party.set(MeetingState::Calling(
                "nobody is there yet; the friend's node may still be making the place known".to_owned(),
            )),
            Err(why) => party.set(MeetingState::Calling(why.to_string())),
        }
        tokio::time::sleep(AGAIN).await;
    }
    heard.ok_or_else(foul)
}

fn wrong() -> String {
    "who answered says that the words are wrong; ask your friend for a new code".to_owned()
}

fn foul() -> String {
    "who answered is not the friend, or runs another version; ask your friend for a new code, and compare versions"
        .to_owned()
}

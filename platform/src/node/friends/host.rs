//! The side that gave a code out: keeps the place open until the friend came.

use bulbil_core::limits::FRIEND_GUESSES;
use log::warn;
use tokio::task::JoinSet;

use super::Party;
use super::talk::{self, Outcome};
use crate::net::{Address, Service};
use crate::node::open::name_of;
use crate::node::{PORT, offer};
use crate::status::MeetingState;

/// Keeps the place of a code open until the friend came, the hour is over, or too many guessed.
pub(super) async fn wait(party: Party) {
    let kept = tokio::time::timeout_at(party.meeting.until, keep(&party)).await;
    match kept {
        Ok(Ok(friend)) => party.met(friend),
        Ok(Err(why)) => party.fail(why),
        Err(_) => party.fail(
            "nobody came within the hour, and the code works no more; make a new one with `bulbil invite`",
        ),
    }
}

async fn keep(party: &Party) -> Result<Address, String> {
    let network = &party.ground.network;
    network.ready().await.map_err(|why| why.to_string())?;
    let place = party.meeting.code.place();
    let service = network.serve(&place, PORT, None).await.map_err(|why| why.to_string())?;
    let reachable = service.reachable();
    let show = |up| party.set(if up { MeetingState::Waiting } else { MeetingState::Publishing });
    tokio::select! {
        end = receive(party, service) => end,
        () = offer::watch(reachable, show) => Err("the network was shut down".to_owned()),
    }
}

/// Takes callers, never more at once than guesses are left: so no number of callers makes more wrong guesses than that.
async fn receive(party: &Party, mut service: Service) -> Result<Address, String> {
    let place = name_of(service.address());
    let mut callers = JoinSet::new();
    loop {
        let wrong = usize::try_from(party.meeting.wrong.get()).unwrap_or(FRIEND_GUESSES);
        if wrong >= FRIEND_GUESSES {
            warn!("somebody guessed at a friend code until it was burnt");
            return Err(format!(
                "somebody called {FRIEND_GUESSES} times with wrong words, and the code works no more; make a new one \
                 with `bulbil invite`"
            ));
        }
        tokio::select! {
            stream = service.accept(), if callers.len() + wrong < FRIEND_GUESSES => {
                let stream = stream.ok_or("the network was shut down; start the node again")?;
                let (code, key) = (party.meeting.code.clone(), party.key.clone());
                callers.spawn_local(async move { talk::host(stream, &code, &place, &key).await });
            }
            Some(ended) = callers.join_next() => match ended {
                Ok(Outcome::Met { friend, .. }) => return Ok(friend),
                Ok(Outcome::Wrong) => {
                    warn!("somebody called with a wrong friend code");
                    party.meeting.wrong.set(party.meeting.wrong.get().saturating_add(1));
                    party.ground.news.notify_one();
                }
                Ok(Outcome::Broken | Outcome::Foul) | Err(_) => {}
            },
        }
    }
}

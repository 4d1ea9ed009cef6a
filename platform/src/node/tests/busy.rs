//! A share all of whose places are taken.

use bulbil_core::hello::Secrets;
use tokio::task::LocalSet;

use super::landing::dial;
use super::*;
use crate::link::Link;
use crate::node::halves::halves;
use crate::node::open::{self, name_of};
use crate::node::room::PEERS;
use crate::status::ShareState;

#[tokio::test]
async fn who_finds_no_place_is_told_and_gets_the_next_one() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("node-busy");
        let seed = start(&stage.network, stage.here.path());
        let share = seed.share(request(&stage.here.path().join("things"), false)).await.unwrap();
        until(&seed, |status| status.shares[0].state == ShareState::Reachable).await;
        let link: Link = share.link.parse().unwrap();
        let name = name_of(link.address);
        let mut strangers = Vec::new();
        for number in 0..PEERS {
            let mut halves = halves(dial(&stage.network, &link, true).await.unwrap());
            let seed = [u8::try_from(number).unwrap() + 1; 32];
            open::dialed(Secrets::new(*link.token.as_bytes(), &seed), &name, &mut halves).await.unwrap();
            strangers.push(halves);
        }
        until(&seed, |status| status.peers.len() == PEERS).await;
        let fetcher = start(&stage.network, stage.there.path());
        fetcher.fetch(FetchRequest { link: share.link, out: stage.there.path().to_owned() }).await.unwrap();
        let told = |status: &Status| match last(status) {
            Some(FetchState::Waiting(why)) => why.starts_with("the node is busy; tried again in "),
            _ => false,
        };
        until(&fetcher, told).await;
        strangers.pop();
        until(&fetcher, is(&FetchState::Done)).await;
    })
    .await;
}

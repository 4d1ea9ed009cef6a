//! Shares that the configuration names.

use std::fs;
use std::path::Path;

use tokio::task::LocalSet;

use super::{run, until};
use crate::config::{Config, Share};
use crate::net::Network;
use crate::net::memory::Memory;
use crate::node::Handle;
use crate::proxy::Proxies;
use crate::state::StateDir;
use crate::status::standing::StandingState;
use crate::sys::scratch::Scratch;

fn start(network: &Memory, folder: &Path, paths: &[&str]) -> Handle {
    let (handle, inbox) = Handle::new();
    let state = StateDir::open(&folder.join("state"), true).unwrap();
    let share = |name: &&str| Share { path: folder.join(name), public: *name == "film", ..Share::default() };
    let config = Config { share: paths.iter().map(share).collect(), ..Config::default() };
    let network = Network::Memory(network.clone());
    let proxies = Proxies::new(network.clone(), &config);
    let running = run(config, state, network, proxies, inbox);
    tokio::task::spawn_local(async move { running.await.unwrap() });
    handle
}

fn shared(state: &StandingState) -> Option<&str> {
    if let StandingState::Shared(info_hash) = state { Some(info_hash) } else { None }
}

#[tokio::test]
async fn blocks_are_shared_when_they_are_there_and_one_that_is_bad_costs_itself_alone() {
    let set = LocalSet::new();
    set.run_until(async {
        let folder = Scratch::new("standing");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("film"), b"a film").unwrap();
        fs::create_dir(at("empty")).unwrap();
        let network = Memory::new();
        let paths = ["film", "empty", "late", "film-too"];
        let node = start(&network, folder.path(), &paths);
        let status = until(&node, |status| {
            matches!(status.standing[..], [_, ref bad, ..] if matches!(bad.state, StandingState::Failed(_)))
        })
        .await;
        let film = shared(&status.standing[0].state).unwrap().to_owned();
        assert_eq!((status.shares[0].info_hash.as_str(), status.shares[0].public), (film.as_str(), true));
        let StandingState::Failed(why) = &status.standing[1].state else { unreachable!() };
        assert!(why.contains("empty folders"), "{why}");
        assert_eq!(status.standing[2].state, StandingState::Awaited);
        fs::create_dir(at("late")).unwrap();
        fs::write(at("late/x"), b"late").unwrap();
        let status = until(&node, |status| shared(&status.standing[2].state).is_some()).await;
        let links: Vec<_> = status.shares.iter().map(|share| share.link.clone()).collect();
        assert_eq!(links.len(), 2);
        node.stop().await.unwrap();
        // With its state it has the same links, and nothing is shared twice.
        let node = start(&network, folder.path(), &paths);
        let status = until(&node, |status| {
            status.standing.iter().filter(|standing| shared(&standing.state).is_some()).count() == 2
        })
        .await;
        let again: Vec<_> = status.shares.iter().map(|share| share.link.clone()).collect();
        assert_eq!((again, shared(&status.standing[0].state)), (links, Some(film.as_str())));
        node.stop().await.unwrap();
    })
    .await;
}

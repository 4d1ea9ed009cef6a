//! One seed, four fetchers: they trade with each other instead of all asking the seed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::time::Duration;

use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::scratch::Scratch;

const SIZE: u64 = 16 << 20;
const FETCHERS: usize = 4;

/// What the seed gives a second: as at home, less than its fetchers could take, so that trading pays.
const LIMIT: &str = "[swarm]\nupload_limit = \"384 KiB\"\n";

const FETCH_LIMIT: Duration = Duration::from_mins(4);

#[test]
fn fetchers_trade() {
    let network = Network::start(Shape::default()).unwrap();
    let files = Scratch::new("files").unwrap();
    let path = files.join("film.bin");
    let sha256 = content::write_file(&path, SIZE, 1).unwrap();
    let slow = Settings { more: LIMIT.to_owned(), ..Settings::named("seed") };
    let seed = Node::start(&network, slow).unwrap();
    let link = seed.share(&path).unwrap();
    seed.wait_reachable().unwrap();
    let fetchers: Vec<(Node, Scratch)> = (0..FETCHERS)
        .map(|number| {
            let node = Node::start(&network, Settings::named(&format!("fetcher{number}"))).unwrap();
            (node, Scratch::new("out").unwrap())
        })
        .collect();
    let mut fetching: Vec<_> = fetchers
        .iter()
        .map(|(node, out)| {
            node.begin(&["fetch", &link, "--json", "--out", out.path().to_str().unwrap()]).unwrap()
        })
        .collect();
    for fetch in &mut fetching {
        let said = fetch.end(FETCH_LIMIT).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let status = seed.status().unwrap();
    let uploaded = status["shares"][0]["uploaded"].as_u64().unwrap();
    println!("the seed gave {:.2} times the size", part(uploaded));
    let mut traded = 0;
    for (node, out) in &fetchers {
        assert_eq!(content::digest(&out.join("film.bin")).unwrap(), sha256);
        let fetch = node.last_fetch().unwrap();
        let (up, down) = (fetch["uploaded"].as_u64().unwrap(), fetch["downloaded"].as_u64().unwrap());
        println!("{} gave {:.2} and took {:.2} times the size", node.name(), part(up), part(down));
        assert!(down < SIZE + SIZE / 8, "{} fetched much twice: {down}", node.name());
        assert_eq!(node.status().unwrap()["dropped"], serde_json::json!([]));
        traded += u64::from(up > 0);
    }
    assert!(uploaded >= SIZE, "the file came from somewhere");
    assert!(uploaded < 2 * SIZE, "the seed gave {uploaded} bytes for {SIZE}");
    assert!(traded >= 3, "only {traded} of {FETCHERS} gave anything to others");
}

#[allow(clippy::cast_precision_loss, reason = "printed with two digits")]
fn part(bytes: u64) -> f64 {
    bytes as f64 / SIZE as f64
}

//! `bulbil fetch`: starts a fetch and follows it to its end.

use std::path::PathBuf;

use serde::Deserialize;

use super::client::Client;
use super::progress::Progress;
use super::{Failure, print, print_json};
use crate::link::Link;
use crate::node::FetchRequest;
use crate::status::{Event, Fetch, FetchState};
use crate::words::size;

/// What to fetch.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The link, as it was given to you
    link: String,
    #[command(flatten)]
    how: How,
}

/// How to fetch, whatever the link comes from.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// Folder to write into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON document at the end
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Started {
    id: u64,
}

pub(super) async fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    fetch(client, &args.link, &args.how).await
}

/// Fetches what a link offers, to the end.
pub(super) async fn fetch(client: &Client, link: &str, how: &How) -> Result<(), Failure> {
    link.parse::<Link>().map_err(|error| Failure::Usage(error.to_string()))?;
    let out = std::path::absolute(&how.out).map_err(Failure::failed)?;
    if !out.is_dir() {
        return Err(Failure::Failed(format!("{} is no folder; make it first", how.out.display())));
    }
    let answer = client.post("/fetches", &FetchRequest { link: link.to_owned(), out: out.clone() }).await?;
    let Started { id } = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    let fetch = follow(client, id).await?;
    match fetch.state {
        FetchState::Done if how.json => print_json(&fetch),
        FetchState::Done => {
            let name = fetch.name.unwrap_or_default();
            print(format_args!("{} ({}, verified)", out.join(name).display(), size(fetch.done)))
        }
        FetchState::Failed(why) => Err(Failure::Failed(why)),
        _ => Ok(()),
    }
}

/// Waits until the fetch is done or has failed, showing how it goes.
async fn follow(client: &Client, id: u64) -> Result<Fetch, Failure> {
    let mut events = client.events().await?;
    let mut progress = Progress::new();
    while let Some(event) = events.next().await? {
        match event {
            Event::Fetch(fetch) if fetch.id == id => {
                progress.show(&fetch);
                if matches!(fetch.state, FetchState::Done | FetchState::Failed(_)) {
                    progress.end();
                    return Ok(fetch);
                }
            }
            Event::Forgotten { id: gone } if gone == id => {
                progress.end();
                return Err(Failure::Failed(
                    "the fetch was ended with `bulbil forget` or on the page; fetch it again to go on from what was verified".to_owned(),
                ));
            }
            Event::Net(net) => progress.net(&net),
            _ => {}
        }
    }
    progress.end();
    Err(Failure::Failed(
        "the node stopped; start it with `bulbil run` and give the same command again, what was verified is kept"
            .to_owned(),
    ))
}

//! `bulbil forget`: ends a fetch, running or over.

use super::client::Client;
use super::{Failure, print, print_json};
use crate::node::Forgotten;
use crate::words::{percent, size};

/// Which fetch to forget.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its number or its info-hash, as `bulbil list` shows them
    #[arg(value_name = "ID|INFO_HASH")]
    fetch: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    let answer = client.delete_with(&format!("/fetches/{}", args.fetch)).await?;
    let gone: Forgotten = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    if args.json {
        return print_json(&gone);
    }
    let name = gone.name.unwrap_or_else(|| format!("fetch {}", gone.id));
    match gone.kept {
        Some(kept) if gone.finished => print(format_args!(
            "{name}: forgotten, and no longer served from here; it stays at {}",
            kept.display()
        )),
        Some(kept) => {
            let done = gone.size.map_or(0, |size| percent(gone.done, size));
            print(format_args!(
                "{name}: stopped at {done} %; {} stay in {}: fetch it again to go on, or remove that folder",
                size(gone.done),
                kept.display()
            ))
        }
        None => print(format_args!("{name}: forgotten; nothing of it was written")),
    }
}

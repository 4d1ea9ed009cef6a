//! `bulbil publish` and `bulbil unpublish`.

use super::client::Client;
use super::{Failure, print, print_json};
use crate::status::Share;

/// Which share.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its info-hash, as `bulbil list` shows it
    info_hash: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn publish(client: &Client, args: &Args) -> Result<(), Failure> {
    go(client, args, "publish").await
}

pub(super) async fn unpublish(client: &Client, args: &Args) -> Result<(), Failure> {
    go(client, args, "unpublish").await
}

async fn go(client: &Client, args: &Args, verb: &str) -> Result<(), Failure> {
    let answer = client.post(&format!("/shares/{}/{verb}", args.info_hash), &()).await?;
    let share: Share = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    if args.json {
        return print_json(&share);
    }
    print(share.link)
}

//! `bulbil publish` and `bulbil unpublish`.

use serde::Serialize;

use super::client::Client;
use super::{Failure, print, print_json};
use crate::node::About;
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

/// Which share, and what to say about it.
#[derive(Debug, clap::Args)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    which: Args,
    /// Words to find it by, separated by commas; "" takes them away [default: as before]
    #[arg(long, value_name = "A,B")]
    tags: Option<String>,
    /// One line that says what it is; "" takes it away [default: as before]
    #[arg(long)]
    text: Option<String>,
}

pub(super) async fn publish(client: &Client, args: PublishArgs) -> Result<(), Failure> {
    go(client, &args.which, "publish", &About { tags: args.tags, text: args.text }).await
}

pub(super) async fn unpublish(client: &Client, args: &Args) -> Result<(), Failure> {
    go(client, args, "unpublish", &()).await
}

async fn go(client: &Client, args: &Args, verb: &str, value: &impl Serialize) -> Result<(), Failure> {
    let answer = client.post(&format!("/shares/{}/{verb}", args.info_hash), value).await?;
    let share: Share = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    if args.json {
        return print_json(&share);
    }
    print(share.link)
}

//! `bulbil mirror`.

use std::time::Duration;

use clap::Subcommand;

use super::client::Client;
use super::trust::state;
use super::{Failure, print, print_json};
use crate::control::NodeRequest;
use crate::node::MirrorRequest;
use crate::status::{Mirror, NodeState};

/// Between two looks at how far the copy is.
const LOOK: Duration = Duration::from_millis(250);

/// What to mirror.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Onion address of a node, as `bulbil address` prints it there
    #[arg(required = true)]
    address: Option<String>,
    /// Copy once
    #[arg(long, conflicts_with = "follow")]
    once: bool,
    /// Keep the copy up to date [default]
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the nodes that are mirrored
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Forget a copy
    Remove {
        /// Onion address of the node
        address: String,
    },
}

pub(super) async fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    match &args.command {
        Some(Command::List { json }) => list(client, *json).await,
        Some(Command::Remove { address }) => {
            client.post("/mirrors/remove", &NodeRequest { node: address.clone() }).await.map(drop)
        }
        None => {
            let Some(address) = args.address.clone() else {
                return Err(Failure::Usage("name the onion address of a node".to_owned()));
            };
            client.post("/mirrors", &MirrorRequest { address: address.clone(), follow: !args.once }).await?;
            wait(client, &address).await
        }
    }
}

/// Waits until the first copy is whole, and says how far it is. The node goes on if this ends early.
async fn wait(client: &Client, address: &str) -> Result<(), Failure> {
    let host =
        address.trim_start_matches("http://").split([':', '/']).next().unwrap_or_default().to_lowercase();
    let mut said = String::new();
    loop {
        let mirrors: Vec<Mirror> = client.get("/mirrors").await?;
        let Some(mirror) = mirrors.into_iter().find(|mirror| mirror.address == host) else {
            return Err(Failure::Failed("the mirror was removed meanwhile".to_owned()));
        };
        let line = line(&mirror);
        if line != said {
            eprintln!("{line}");
            said = line;
        }
        if matches!(mirror.state, NodeState::Current | NodeState::Visited) {
            return print(format_args!("{} records", mirror.progress.here));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn line(mirror: &Mirror) -> String {
    let there = mirror.progress.there.map_or_else(String::new, |there| format!(" of {there}"));
    format!("{}{there} records  {}", mirror.progress.here, state(&mirror.state, None))
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let mirrors: Vec<Mirror> = client.get("/mirrors").await?;
    if json {
        return print_json(&mirrors);
    }
    if mirrors.is_empty() {
        return print("nothing is mirrored; `bulbil mirror ADDRESS` changes that");
    }
    for mirror in &mirrors {
        let how = if mirror.follow { "followed" } else { "once" };
        let state = state(&mirror.state, mirror.age_s);
        print(format_args!("{}  {how}  {} records  {state}", mirror.address, mirror.progress.here))?;
    }
    Ok(())
}

//! `bulbil trust`.

use clap::Subcommand;

use super::client::Client;
use super::{Failure, friends, print, print_json};
use crate::control::{DegreeRequest, NodeRequest};
use crate::node::TrustRequest;
use crate::status::{NodeState, Trust, TrustCost, Trusted};
use crate::words::{size, span};

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Trust a node, or rename it
    Add {
        /// Its onion address, as `bulbil address` prints it there; or the eight words of a friend code
        #[arg(required = true, value_name = "ADDRESS|WORDS")]
        node: Vec<String>,
        /// What to call it
        #[arg(long)]
        name: Option<String>,
        /// Do not tell others: they do not come to trust it through you
        #[arg(long)]
        untold: bool,
        /// Also follow chains of this length; needs --yes to take effect
        #[arg(long, value_name = "N")]
        degree: Option<u8>,
        /// Let the degree take effect
        #[arg(long)]
        yes: bool,
    },
    /// List everyone trusted, with the chain that leads there
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Trust a node no longer, nor those it led to; at once
    Remove {
        /// Its name or address
        node: String,
    },
    /// Block a node, whoever vouches for it; at once
    Block {
        /// Its name or address
        node: String,
    },
    /// Take a block back
    Unblock {
        /// Its address
        node: String,
    },
    /// Follow chains of this length; shows the cost, and takes effect with --yes
    Degree {
        /// 1: only whom you trust yourself; 2: also whom they trust; and so on
        degree: u8,
        /// Let it take effect
        #[arg(long)]
        yes: bool,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Add { node, name, untold, degree, yes } => {
            add(client, node, name.clone(), *untold).await?;
            match degree {
                Some(degree) => set_degree(client, *degree, *yes, false).await,
                None => Ok(()),
            }
        }
        Command::List { json } => list(client, *json).await,
        Command::Remove { node } => name(client, "/trust/remove", node).await,
        Command::Block { node } => name(client, "/trust/block", node).await,
        Command::Unblock { node } => name(client, "/trust/unblock", node).await,
        Command::Degree { degree, yes, json } => set_degree(client, *degree, *yes, *json).await,
    }
}

/// One word is an address; several are a code, and whoever made it is met and trusted.
async fn add(client: &Client, node: &[String], name: Option<String>, untold: bool) -> Result<(), Failure> {
    match node {
        [address] if !address.trim().contains(char::is_whitespace) => {
            let request = TrustRequest { address: address.clone(), name, untold };
            client.post("/trust", &request).await.map(drop)
        }
        _ if untold => {
            let why = "--untold goes with an address; meet the friend first, then give his address with it";
            Err(Failure::Usage(why.to_owned()))
        }
        words => friends::accept(client, &friends::Accept::of(words, name)).await,
    }
}

async fn name(client: &Client, path: &str, node: &str) -> Result<(), Failure> {
    client.post(path, &NodeRequest { node: node.to_owned() }).await.map(drop)
}

async fn set_degree(client: &Client, degree: u8, apply: bool, json: bool) -> Result<(), Failure> {
    let answer = client.post("/trust/degree", &DegreeRequest { degree, apply }).await?;
    let cost: TrustCost = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    if json {
        return print_json(&cost);
    }
    print(format_args!(
        "degree {degree}: {} nodes, {} more than now, up to {} of memory",
        cost.nodes,
        cost.added,
        size(cost.bytes)
    ))?;
    if cost.unknown > 0 {
        print(format_args!(
            "whom {} of them trust is not known yet; behind them there may be more",
            cost.unknown
        ))?;
    }
    if cost.capped {
        print("the budget ends it there; tracker.trust_budget raises it")?;
    }
    if !apply {
        print("nothing changed; add --yes to let it take effect")?;
    }
    Ok(())
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let trust: Trust = client.get("/trust").await?;
    if json {
        return print_json(&trust);
    }
    if trust.nodes.is_empty() && trust.blocked.is_empty() {
        return print("nobody is trusted; `bulbil trust add ADDRESS` changes that");
    }
    print(format_args!("degree {}, {} of at most {} nodes", trust.degree, trust.nodes.len(), trust.budget))?;
    for node in &trust.nodes {
        one(node)?;
    }
    for blocked in &trust.blocked {
        print(format_args!("blocked  {blocked}"))?;
    }
    Ok(())
}

fn one(node: &Trusted) -> Result<(), Failure> {
    let name = node.name.as_deref().unwrap_or(&node.address);
    let through = if node.through.is_empty() {
        String::new()
    } else {
        format!("  through {}", node.through.join(", "))
    };
    let state = state(&node.state, node.age_s);
    print(format_args!("{}  {name}  {} records  {state}{through}", node.degree, node.records))?;
    if node.name.is_some() { print(format_args!("   {}", node.address)) } else { Ok(()) }
}

pub(super) fn state(state: &NodeState, age: Option<u64>) -> String {
    let seen = age.map_or_else(String::new, |age| format!(", last the same {} ago", span(age)));
    match state {
        NodeState::Unknown => "not called yet".to_owned(),
        NodeState::Connecting => format!("connecting{seen}"),
        NodeState::Copying => "copying".to_owned(),
        NodeState::Current => "up to date".to_owned(),
        NodeState::Visited => format!("visited{seen}"),
        NodeState::Waiting(why) => format!("waiting: {why}{seen}"),
    }
}

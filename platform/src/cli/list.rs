//! `bulbil list`, `status` and `peers`.

use serde_json::json;

use super::client::Client;
use super::{Failure, print, print_json};
use crate::status::standing::StandingState;
use crate::status::{FetchState, Keep, Peer, ShareState, Status};
use crate::words::{percent, rate, size, span};

/// How to print.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn list(client: &Client, args: &Args) -> Result<(), Failure> {
    let status: Status = client.get("/status").await?;
    if args.json {
        return print_json(
            &json!({ "shares": status.shares, "standing": status.standing, "fetches": status.fetches }),
        );
    }
    let missing = status.standing.iter().filter_map(|standing| {
        let how = match &standing.state {
            StandingState::Shared(_) => return None,
            StandingState::Awaited => "not there yet",
            StandingState::Hashing => "being read",
            StandingState::Failed(why) => why,
        };
        Some(format!("block  {}  {how}", standing.path))
    });
    let missing: Vec<String> = missing.collect();
    if status.shares.is_empty() && status.fetches.is_empty() && missing.is_empty() {
        return print("nothing is shared or fetched");
    }
    for share in &status.shares {
        let state = match &share.state {
            ShareState::Publishing => "publishing".to_owned(),
            ShareState::Reachable => "reachable".to_owned(),
            ShareState::Failed(why) => format!("failed: {why}"),
        };
        print(format_args!("share  {}  {}  {state}", share.name, size(share.size)))?;
        print(format_args!("       {}", share.info_hash))?;
        print(format_args!("       {}", share.link))?;
        for words in [&share.tags, &share.text].into_iter().filter(|words| !words.is_empty()) {
            print(format_args!("       {words}"))?;
        }
    }
    for fetch in &status.fetches {
        let name = fetch.name.as_deref().unwrap_or("(name not known yet)");
        let done = fetch.size.map_or(0, |size| percent(fetch.done, size));
        print(format_args!("fetch  {name}  {done} %  {}", fetch_state(&fetch.state)))?;
        print(format_args!("       number {}, into {}", fetch.id, fetch.out))?;
    }
    missing.iter().try_for_each(print)
}

fn fetch_state(state: &FetchState) -> String {
    match state {
        FetchState::Connecting => "connecting".to_owned(),
        FetchState::Waiting(why) => format!("waiting: {why}"),
        FetchState::Learning => "reading metadata".to_owned(),
        FetchState::Fetching => "fetching".to_owned(),
        FetchState::Done => "done".to_owned(),
        FetchState::Failed(why) => format!("failed: {why}"),
    }
}

pub(super) async fn status(client: &Client, args: &Args) -> Result<(), Failure> {
    let status: Status = client.get("/status").await?;
    if args.json {
        return print_json(&status);
    }
    let Status { net, memory, .. } = &status;
    let ready = if net.ready { "ready" } else { "not ready" };
    print(format_args!("{}  {ready}, {} %  {}", net.kind, net.percent, net.doing))?;
    if let Some(why) = &net.blocked {
        print(format_args!("stuck  {why}"))?;
    }
    if let Some(skew) = net.clock_skew_s.filter(|skew| *skew != 0) {
        let word = if skew > 0 { "ahead" } else { "behind" };
        print(format_args!("clock  {} {word}", span(skew.unsigned_abs())))?;
    }
    print(format_args!("onions  {} of {} reachable", net.services_reachable, net.services))?;
    if let Some(address) = &status.address {
        print(format_args!("address {address}"))?;
        let (trust, mirrors) = (status.trust.nodes.len(), status.mirrors.len());
        print(format_args!(
            "records {} served, {trust} nodes trusted, {mirrors} mirrored",
            status.records.served
        ))?;
    }
    super::proxy::status(&status.proxy)?;
    print(format_args!(
        "memory  {} of {}, at most {} so far",
        size(memory.rss),
        size(memory.limit),
        size(memory.rss_peak)
    ))?;
    let (shares, fetches, peers) = (status.shares.len(), status.fetches.len(), status.peers.len());
    print(format_args!("shares  {shares}\nfetches {fetches}\npeers   {peers}"))?;
    print(format_args!("keep    {}", kept(&status.keep)))?;
    print(format_args!("up      {}, version {}", span(status.uptime_s), status.version))
}

/// What a reboot would cost.
fn kept(keep: &Keep) -> String {
    let saved = keep.saved_ago_s.map(|ago| format!(", saved {} ago", span(ago))).unwrap_or_default();
    match &keep.failed {
        Some(why) => format!("FAILED: {why}"),
        None if keep.would_lose.is_empty() => format!("a reboot loses nothing{saved}"),
        None if keep.automatic => format!("soon by itself; a reboot now loses {}{saved}", keep.would_lose),
        None => format!("a reboot loses {}{saved}; save it with `bulbil keep save FILE`", keep.would_lose),
    }
}

/// `bulbil address`.
pub(super) async fn address(client: &Client) -> Result<(), Failure> {
    let status: Status = client.get("/status").await?;
    let off = "the tracker is off, so the node has no address of its own; set enabled = true under [tracker]";
    print(status.address.ok_or_else(|| Failure::Failed(off.to_owned()))?)
}

pub(super) async fn peers(client: &Client, args: &Args) -> Result<(), Failure> {
    let peers: Vec<Peer> = client.get("/peers").await?;
    if args.json {
        return print_json(&peers);
    }
    if peers.is_empty() {
        return print("nobody is connected");
    }
    for peer in &peers {
        let share: String = peer.info_hash.chars().take(8).collect();
        let pace: u64 = peer.lanes.iter().map(|lane| lane.rate).sum();
        print(format_args!(
            "#{}  share {share}  has {} %  from it {} ({})  to it {}  {} lanes",
            peer.id,
            peer.has_percent,
            size(peer.downloaded),
            rate(pace),
            size(peer.uploaded),
            peer.lanes.len()
        ))?;
    }
    Ok(())
}

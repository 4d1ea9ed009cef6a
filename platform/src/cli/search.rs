//! `bulbil search`.

use std::collections::HashMap;

use serde_json::json;

use super::client::Client;
use super::{Failure, print, print_json};
use crate::control::SearchRequest;
use crate::status::{Hit, SearchEvent};
use crate::words::{plain, size, span};

/// What to look for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Words that all occur in a share's name, tags or text
    #[arg(required = true)]
    words: Vec<String>,
    /// Print one JSON document when everyone was asked
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    let request = SearchRequest { words: args.words.join(" ") };
    let mut lines = client.lines("/search", &request).await?;
    let mut hits: Vec<Hit> = Vec::new();
    let mut told: HashMap<String, Option<String>> = HashMap::new();
    let mut nodes = (0, 0);
    while let Some(event) = lines.next().await? {
        match event {
            SearchEvent::Hit(hit) => {
                // Told again only if there was no way to fetch it before.
                let news = told.get(&hit.info_hash).is_none_or(|link| link.is_none() && hit.link.is_some());
                if news && !args.json {
                    show(&hit)?;
                }
                told.insert(hit.info_hash.clone(), hit.link.clone());
                hits.retain(|known| known.info_hash != hit.info_hash);
                hits.push(hit);
            }
            SearchEvent::Asked { node, failed: Some(why) } => eprintln!("{node}: {why}"),
            SearchEvent::Asked { .. } => {}
            SearchEvent::Done { asked, failed } => {
                nodes = (asked, failed);
                break;
            }
        }
    }
    if args.json {
        return print_json(&json!({ "hits": hits, "asked": nodes.0, "failed": nodes.1 }));
    }
    if hits.is_empty() {
        return print("nothing found");
    }
    Ok(())
}

fn show(hit: &Hit) -> Result<(), Failure> {
    let sources = if hit.sources == 1 { "1 source".to_owned() } else { format!("{} sources", hit.sources) };
    let through = match hit.through.as_slice() {
        [] => "here".to_owned(),
        chain => format!("through {}", chain.join(", ")),
    };
    let name = plain(&hit.name);
    print(format_args!(
        "{name}  {}  {} old  {sources}  {}",
        size(hit.size),
        span(hit.age_s),
        plain(&through)
    ))?;
    for words in [&hit.tags, &hit.text].into_iter().filter(|words| !words.is_empty()) {
        print(format_args!("  {}", plain(words)))?;
    }
    match &hit.link {
        Some(link) => print(format_args!("  bulbil fetch {link}")),
        None => print("  nobody is known to serve it now"),
    }
}

//! `bulbil share`.

use std::path::PathBuf;

use serde_json::json;

use super::client::Client;
use super::{Failure, print, print_json};
use crate::hash;
use crate::node::ShareRequest;
use crate::status::Share;
use crate::words::size;

/// What to offer.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files and folders; several become one share and need --name
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Name of the share [default: that of the path]
    #[arg(long)]
    name: Option<String>,
    /// Bytes of a piece: a power of two from 16384 to 67108864 [default: chosen from the size]
    #[arg(long, value_name = "BYTES")]
    piece_length: Option<u32>,
    /// List it in the public catalogue instead of giving it an onion of its own
    #[arg(long)]
    public: bool,
    /// Let any browser download the files at the link, without Bulbil and without the link's client key
    #[arg(long)]
    browser: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    if args.paths.len() > 1 && args.name.is_none() {
        return Err(Failure::Usage("several paths need a name for the share: add --name NAME".to_owned()));
    }
    let length = args.piece_length.map(hash::check_piece_length).transpose();
    length.map_err(|error| Failure::Usage(error.to_string()))?;
    let mut paths = Vec::with_capacity(args.paths.len());
    for path in &args.paths {
        let whole = std::path::absolute(path).map_err(Failure::failed)?;
        if let Err(error) = whole.metadata() {
            return Err(Failure::Failed(format!("cannot share {}: {error}; check the path", path.display())));
        }
        paths.push(whole);
    }
    let Args { name, piece_length, public, browser, .. } = args;
    let (name, piece_length) = (name.clone(), *piece_length);
    let request = ShareRequest { paths, name, piece_length, public: *public, browser: *browser };
    eprintln!("hashing…");
    let answer = client.post("/shares", &request).await?;
    let share: Share = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    if args.json {
        let Share { link, info_hash, name, size, .. } = share;
        return print_json(&json!({ "link": link, "info_hash": info_hash, "name": name, "size": size }));
    }
    let files = if share.files == 1 { "1 file".to_owned() } else { format!("{} files", share.files) };
    print(format_args!("{} ({files}, {})", share.name, size(share.size)))?;
    print(format_args!("info-hash {}", share.info_hash))?;
    print(share.link)
}

//! `bulbil published`, `client-key` and `key`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::client::Client;
use super::{Failure, list, print, print_json};
use crate::publish::command::{AddClient, Backup, Import, Imported, NewClient};
use crate::publish::keys::{self, KeyFolder};
use crate::state::Secret;
use crate::status::publish::{self as shown, Published};
use crate::words::size;

/// `client-key`.
#[derive(Debug, Subcommand)]
pub(super) enum ClientKey {
    /// Let somebody find a service; the first one closes it to everybody else
    Add {
        /// The service
        service: String,
        /// What to call the client
        client: String,
        /// Its public key, descriptor:x25519:… [default: make a pair, print the private half once]
        #[arg(long)]
        key: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// List who may find a service
    List {
        /// The service
        service: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Shut a client out, at once; open streams of the service end
    Revoke {
        /// The service
        service: String,
        /// The client
        client: String,
    },
    /// Remove all clients and let everybody find the service
    Open {
        /// The service
        service: String,
    },
}

/// `key`.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Write the keys of a service to a folder, as C tor keeps them
    Export(KeyArgs),
    /// Take the keys of a service from such a folder; the service gets that address at once
    Import {
        #[command(flatten)]
        args: KeyArgs,
        /// Also if that loses the key in the folder that the configuration names
        #[arg(long)]
        replace: bool,
    },
}

/// Which service, and where.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// The service
    service: String,
    /// The folder
    folder: PathBuf,
}

/// Lists the published services.
pub(super) async fn published(client: &Client, args: &list::Args) -> Result<(), Failure> {
    let services: Vec<Published> = client.get("/publish").await?;
    if args.json {
        return print_json(&services);
    }
    if services.is_empty() {
        return print("nothing is published; see [[publish]] in `bulbil config`");
    }
    for it in &services {
        let reach = match (it.published, it.reachable) {
            (false, _) => "publishing",
            (true, None) => "published",
            (true, Some(true)) => "reachable",
            (true, Some(false)) => "published, not reachable",
        };
        let open = if it.restricted { format!("{} clients", it.clients.len()) } else { "open".to_owned() };
        print(format_args!("{}  {reach}  {open}  {} streams", it.name, it.streams))?;
        print(format_args!("    in {}, out {}, refused {}", size(it.received), size(it.sent), it.refused))?;
        for (url, route) in it.urls.iter().zip(&it.routes) {
            print(format_args!("    {url}"))?;
            for backend in &route.backends {
                let word = if backend.up { "up  " } else { "down" };
                print(format_args!(
                    "        {word}  {}  {} streams, {} so far",
                    backend.target, backend.streams, backend.served
                ))?;
            }
        }
        if let Some(trouble) = &it.trouble {
            print(format_args!("    {trouble}"))?;
        }
    }
    Ok(())
}

/// Adds, lists and revokes clients.
pub(super) async fn client_key(client: &Client, command: ClientKey) -> Result<(), Failure> {
    match command {
        ClientKey::Add { service, client: name, key, json } => {
            let request = AddClient { service, client: name, key };
            let added: NewClient = parse(&client.post("/publish/clients", &request).await?)?;
            if json {
                return print_json(&added);
            }
            print(format_args!("public   {}", added.key))?;
            let Some(private) = &added.private else { return Ok(()) };
            print(format_args!("private  {private}"))?;
            let short = private.rsplit(':').next().unwrap_or_default();
            print(format_args!("         Tor Browser asks for {short}"))?;
            print("         C tor: put the private line into a file *.auth_private in ClientOnionAuthDir")?;
            print("         this is shown once and kept nowhere")
        }
        ClientKey::List { service, json } => {
            let clients: Vec<shown::Client> = client.get(&format!("/publish/{service}/clients")).await?;
            if json {
                return print_json(&clients);
            }
            clients.iter().try_for_each(|it| print(format_args!("{}  {}", it.name, it.key)))
        }
        ClientKey::Revoke { service, client: name } => {
            client.delete(&format!("/publish/{service}/clients/{name}")).await
        }
        ClientKey::Open { service } => client.delete(&format!("/publish/{service}/clients")).await,
    }
}

/// Exports and imports keys. Files are read and written here, as whoever runs the command.
pub(super) async fn key(client: &Client, command: Key) -> Result<(), Failure> {
    match command {
        Key::Export(args) => {
            let backup: Backup = client.get(&format!("/publish/{}/keys", args.service)).await?;
            export(&args.folder, &backup)?;
            print(format_args!("the keys of {} are in {}", backup.host, args.folder.display()))
        }
        Key::Import { args, replace } => {
            let folder = &args.folder;
            if !folder.is_dir() {
                return Err(Failure::Failed(format!("{} is no folder", folder.display())));
            }
            let keys = KeyFolder::open(folder).map_err(Failure::failed)?;
            let identity = keys.identity().map_err(Failure::failed)?;
            let identity = identity.ok_or_else(|| {
                let folder = folder.display();
                Failure::Failed(format!(
                    "there is no hs_ed25519_secret_key in {folder}; name the folder of a backup"
                ))
            })?;
            let clients = keys.clients().map_err(Failure::failed)?.0;
            let clients =
                clients.into_iter().map(|it| shown::Client { name: it.name, key: it.key.to_string() });
            let request = Import {
                service: args.service,
                secret: Secret(*identity.bytes()),
                clients: clients.collect(),
                replace,
            };
            let imported: Imported = parse(&client.post("/publish/keys", &request).await?)?;
            print(format_args!("the service is {} from now on", imported.host))
        }
    }
}

/// Never over another key.
fn export(folder: &Path, backup: &Backup) -> Result<(), Failure> {
    let identity = crate::net::IdentityKey::from_bytes(&backup.secret.0)
        .ok_or_else(|| Failure::Failed("the node gave no key; is it of this version?".to_owned()))?;
    let target = KeyFolder::open(folder).map_err(Failure::failed)?;
    if target.identity().map_err(Failure::failed)?.is_some_and(|other| other != identity) {
        let folder = folder.display();
        return Err(Failure::Failed(format!(
            "{folder} holds the key of another service; name another folder"
        )));
    }
    target.set_identity(&identity).map_err(Failure::failed)?;
    for it in &backup.clients {
        let key = it.key.parse().map_err(Failure::failed)?;
        target.add_client(&keys::Client { name: it.name.clone(), key }).map_err(Failure::failed)?;
    }
    Ok(())
}

fn parse<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer).map_err(Failure::failed)
}

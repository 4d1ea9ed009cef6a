//! What the owner may ask of published services while they run.

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot::Sender;

use super::keys::{self, Client};
use super::service::Service;
use super::{Publisher, tell};
use crate::net::{AccessKey, ClientKey};
use crate::node::{Handle, NodeError};
use crate::state::Secret;

/// Travels to the node's task.
#[derive(Debug)]
pub(crate) enum Command {
    AddClient(AddClient, Sender<Result<NewClient, NodeError>>),
    RevokeClient(String, String, Sender<Result<(), NodeError>>),
    OpenToAll(String, Sender<Result<(), NodeError>>),
    Export(String, Sender<Result<Backup, NodeError>>),
    Import(Import, Sender<Result<Imported, NodeError>>),
}

/// Somebody new may find a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AddClient {
    /// Which service.
    pub service: String,
    /// What to call the client.
    pub client: String,
    /// Its public key (`descriptor:x25519:…`); without, a pair is made and the secret half handed out once.
    #[serde(default)]
    pub key: Option<String>,
}

/// A client that was added.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NewClient {
    /// What the owner calls it.
    pub client: String,
    /// Its public key.
    pub key: String,
    /// If the pair was made here: the line of C tor's `.auth_private` file, whose last part is what Tor Browser asks
    /// for. Kept nowhere.
    pub private: Option<String>,
}

/// The keys of a service, for its owner.
#[derive(Debug, Deserialize, Serialize)]
pub struct Backup {
    /// `<56 characters>.onion`.
    pub host: String,
    /// The expanded secret key.
    pub secret: Secret<64>,
    /// Who may find it.
    pub clients: Vec<crate::status::publish::Client>,
}

/// A service becomes the one whose key this is.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Which service of the configuration.
    pub service: String,
    /// The expanded secret key.
    pub secret: Secret<64>,
    /// Who may find it; with none of them nothing changes in that.
    #[serde(default)]
    pub clients: Vec<crate::status::publish::Client>,
    /// Also if that loses the key in the folder that the owner named.
    #[serde(default)]
    pub replace: bool,
}

/// What it is called from now on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Imported {
    /// `<56 characters>.onion`.
    pub host: String,
}

impl Handle {
    /// Lets somebody find a service. The first client closes it to everybody else.
    pub async fn add_client(&self, request: AddClient) -> Result<NewClient, NodeError> {
        self.of_publisher(|reply| Command::AddClient(request, reply)).await?
    }

    /// Shuts a client out, at once; open streams of the service end.
    pub async fn revoke_client(&self, service: String, client: String) -> Result<(), NodeError> {
        self.of_publisher(|reply| Command::RevokeClient(service, client, reply)).await?
    }

    /// Removes all clients of a service and lets everybody find it.
    pub async fn open_to_all(&self, service: String) -> Result<(), NodeError> {
        self.of_publisher(|reply| Command::OpenToAll(service, reply)).await?
    }

    /// The keys of a service.
    pub async fn export_keys(&self, service: String) -> Result<Backup, NodeError> {
        self.of_publisher(|reply| Command::Export(service, reply)).await?
    }

    /// Gives a service the keys of a backup; it starts anew under that address.
    pub async fn import_keys(&self, request: Import) -> Result<Imported, NodeError> {
        self.of_publisher(|reply| Command::Import(request, reply)).await?
    }
}

impl Publisher {
    /// Does what is asked. Whoever asked may be gone by now; the deed stands.
    pub(crate) fn obey(&self, command: Command) {
        match command {
            Command::AddClient(request, reply) => drop(reply.send(self.add(request))),
            Command::RevokeClient(service, client, reply) => drop(reply.send(self.revoke(&service, &client))),
            Command::OpenToAll(service, reply) => {
                let opened = self.named(&service).and_then(|it| it.open_to_all().map_err(NodeError::Bad));
                drop(reply.send(opened));
            }
            Command::Export(service, reply) => drop(reply.send(self.export(&service))),
            Command::Import(request, reply) => drop(reply.send(self.import(&request))),
        }
    }

    fn named(&self, name: &str) -> Result<&Service, NodeError> {
        self.find(name).map(AsRef::as_ref).ok_or_else(|| {
            NodeError::Missing("no published service has this name; `bulbil published` shows them".into())
        })
    }

    fn add(&self, request: AddClient) -> Result<NewClient, NodeError> {
        let service = self.named(&request.service)?;
        if !keys::is_client_name(&request.client) {
            return Err(NodeError::Bad("a client's name has 1 to 64 letters, digits, _ and -".into()));
        }
        let (key, private): (ClientKey, _) = if let Some(text) = request.key {
            (text.parse().map_err(bad)?, None)
        } else {
            let access = AccessKey::random().map_err(|error| NodeError::Failed(error.to_string()))?;
            let host = service.address().host();
            let name = host.trim_end_matches(".onion");
            (access.public(), Some(format!("{name}:descriptor:x25519:{}", *access.base32())))
        };
        service.add(Client { name: request.client.clone(), key }).map_err(NodeError::Bad)?;
        Ok(NewClient { client: request.client, key: key.to_string(), private })
    }

    fn revoke(&self, service: &str, client: &str) -> Result<(), NodeError> {
        if self.named(service)?.revoke(client).map_err(NodeError::Failed)? {
            return Ok(());
        }
        Err(NodeError::Missing("no client has this name; `bulbil client-key list` shows them".into()))
    }

    fn export(&self, service: &str) -> Result<Backup, NodeError> {
        let service = self.named(service)?;
        let secret = Secret(*service.identity().bytes());
        Ok(Backup { host: service.address().host(), secret, clients: service.view().clients })
    }

    fn import(&self, request: &Import) -> Result<Imported, NodeError> {
        let service = self.named(&request.service)?;
        let identity = crate::net::IdentityKey::from_bytes(&request.secret.0)
            .ok_or_else(|| NodeError::Bad("this is no key of an onion service".into()))?;
        let mut clients = Vec::new();
        for client in &request.clients {
            let key = client.key.parse().map_err(bad)?;
            if !keys::is_client_name(&client.name) {
                return Err(NodeError::Bad("a client's name has 1 to 64 letters, digits, _ and -".into()));
            }
            clients.push(Client { name: client.name.clone(), key });
        }
        service.become_other(identity, request.replace).map_err(NodeError::Bad)?;
        let there = service.view().clients;
        for client in clients {
            if !there.iter().any(|other| other.name == client.name) {
                service.add(client).map_err(NodeError::Bad)?;
            }
        }
        tell(service);
        Ok(Imported { host: service.address().host() })
    }
}

fn bad(error: impl std::fmt::Display) -> NodeError {
    NodeError::Bad(error.to_string())
}

//! One published service: its keys, its life on the network, and how it is.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::{Rc, Weak};
use std::time::Duration;

use log::{info, warn};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::carry::carry;
use super::keys::{Client, KeyError, KeyFolder, MAX_CLIENTS};
use super::route::{Route, Tally};
use crate::config::publish::Publish;
use crate::net::{AccessKey, Address, IdentityKey, Knock, Limits, NetError, Network, Offer, Published};
use probe::{Probe, free_port, probe_all};

mod probe;
mod view;

pub(super) use view::url;

/// Between two tries to start it on the network.
const RETRY: Duration = Duration::from_secs(10);

/// Longest wait for the network to take a service back.
const CLOSE: Duration = Duration::from_secs(15);

/// A service as the node holds it.
pub(super) struct Service {
    pub(super) settings: Rc<Publish>,
    network: Network,
    folder: KeyFolder,
    identity: RefCell<IdentityKey>,
    clients: RefCell<Vec<Client>>,
    closed: Cell<bool>,
    routes: Vec<Rc<Route>>,
    tally: Rc<Tally>,
    probe: Probe,
    wish: Cell<Wish>,
    wished: Notify,
    published: Cell<bool>,
    streams: Cell<usize>,
    failure: Cell<Option<NetError>>,
}

/// What the owner wants of the running service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Wish {
    #[default]
    Nothing,
    /// More may find it.
    Admit,
    /// Fewer may find it, or it is another one: everybody out, and start anew.
    Renew,
}

impl Service {
    /// Reads or makes its keys. `state` is where they lie if the owner named no folder; `number` counts services.
    pub(super) fn open(
        settings: &Publish,
        state: &Path,
        network: Network,
        number: u64,
    ) -> Result<Self, KeyError> {
        let folder = match &settings.key_dir {
            Some(folder) => KeyFolder::open(folder)?,
            None => KeyFolder::open(&state.join("publish").join(&settings.name))?,
        };
        let identity = match folder.identity()? {
            Some(identity) => identity,
            None => random(&settings.name)?,
        };
        folder.set_identity(&identity)?;
        let (clients, closed) = folder.clients()?;
        let settings = Rc::new(settings.clone());
        let tally = Rc::new(Tally::default());
        let routes: Vec<_> = settings
            .routes()
            .map(|(port, backends)| Rc::new(Route::new(port, backends, &settings, &tally)))
            .collect();
        let probe = Probe {
            port: free_port(&settings),
            access: AccessKey::random().map_err(|error| no_randomness(&settings.name, &error))?,
            number,
            seen: Cell::new(None),
            look: Notify::new(),
        };
        let closed = Cell::new(closed || settings.restricted);
        Ok(Self {
            settings,
            network,
            folder,
            identity: RefCell::new(identity),
            clients: RefCell::new(clients),
            closed,
            routes,
            tally,
            probe,
            wish: Cell::default(),
            wished: Notify::new(),
            published: Cell::new(false),
            streams: Cell::new(0),
            failure: Cell::new(None),
        })
    }

    /// Its address at the lowest virtual port.
    pub(super) fn address(&self) -> Address {
        self.identity.borrow().address(self.routes.first().map_or(80, |route| route.port))
    }

    /// Lives until dropped.
    pub(super) async fn run(self: Rc<Self>) {
        let (checks, probes) = (check_all(Rc::downgrade(&self)), probe_all(Rc::downgrade(&self)));
        tokio::join!(self.live(), checks, probes);
    }

    async fn live(&self) {
        loop {
            let identity = self.identity.borrow().clone();
            let offer = self.offer();
            match self.network.publish(&identity, &offer).await {
                Ok(mut published) => {
                    self.failure.set(None);
                    self.serve(&mut published).await;
                    self.published.set(false);
                    if timeout(CLOSE, published.close()).await.is_err() {
                        warn!("a published service is still being taken back; it starts anew all the same");
                    }
                }
                Err(error) => {
                    self.failure.set(Some(error));
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Serves until it has to start anew. Streams end with it.
    async fn serve(&self, published: &mut Published) {
        let mut guests = JoinSet::new();
        let mut reachable = published.reachable();
        loop {
            let now = *reachable.borrow_and_update();
            if now && !self.published.replace(now) {
                info!("a service is published");
                self.probe.look.notify_one();
            }
            self.published.set(now);
            self.streams.set(guests.len());
            tokio::select! {
                knock = published.next() => match knock {
                    Some(knock) => self.welcome(knock, &mut guests),
                    None => return sleep(RETRY).await,
                },
                Some(_) = guests.join_next() => {}
                changed = reachable.changed() => if changed.is_err() { return },
                () = self.wished.notified() => match self.wish.take() {
                    Wish::Nothing => {}
                    Wish::Admit => if published.admit(&self.offer()).is_err() { return },
                    Wish::Renew => return,
                },
            }
        }
    }

    fn welcome(&self, knock: Knock, guests: &mut JoinSet<()>) {
        if knock.port == self.probe.port {
            // Taken and let go: the way here is all that was asked about.
            guests.spawn_local(async { drop(knock.accept().await) });
            return;
        }
        let route = self.routes.iter().find(|route| route.port == knock.port);
        if let Some(route) = route.filter(|_| guests.len() < self.settings.streams as usize) {
            guests.spawn_local(carry(knock, Rc::clone(route)));
        } else {
            self.tally.refused();
            guests.spawn_local(knock.refuse());
        }
    }

    fn offer(&self) -> Offer {
        let keys = self.clients.borrow().iter().map(|client| client.key).collect::<Vec<_>>();
        let with_probe = |mut keys: Vec<_>| {
            keys.push(self.probe.access.public());
            keys
        };
        let settings = &self.settings;
        Offer {
            ports: self.routes.iter().map(|route| route.port).chain([self.probe.port]).collect(),
            clients: self.closed.get().then(|| with_probe(keys)),
            limits: Limits {
                circuits: settings.circuits as usize,
                streams_per_circuit: settings.streams_per_circuit,
                introductions: settings.introductions,
                introductions_burst: settings.introductions_burst,
                introduction_points: settings.introduction_points,
            },
        }
    }

    fn wish(&self, wish: Wish) {
        if self.wish.get() != Wish::Renew {
            self.wish.set(wish);
        }
        self.wished.notify_one();
    }

    /// Lets a client in. The first one closes the service to everybody else.
    pub(super) fn add(&self, client: Client) -> Result<(), String> {
        let mut clients = self.clients.borrow_mut();
        if clients.iter().any(|other| other.name == client.name) {
            return Err(format!(
                "a client {} is there already; revoke it first, or use another name",
                client.name
            ));
        }
        if clients.len() >= MAX_CLIENTS {
            return Err(format!("{MAX_CLIENTS} clients are the limit of one service; revoke one first"));
        }
        self.folder.add_client(&client).map_err(|error| error.to_string())?;
        clients.push(client);
        clients.sort_by(|one, other| one.name.cmp(&other.name));
        drop(clients);
        // Whoever found it while it was open must find it anew.
        let was_open = !self.closed.replace(true);
        self.wish(if was_open { Wish::Renew } else { Wish::Admit });
        Ok(())
    }

    /// Shuts a client out, at once: streams under way end, of others too, since nobody knows whose they are.
    pub(super) fn revoke(&self, name: &str) -> Result<bool, String> {
        let mut clients = self.clients.borrow_mut();
        let Some(at) = clients.iter().position(|client| client.name == name) else { return Ok(false) };
        self.folder.remove_client(name).map_err(|error| error.to_string())?;
        clients.remove(at);
        drop(clients);
        self.wish(Wish::Renew);
        Ok(true)
    }

    /// Lets everybody in.
    pub(super) fn open_to_all(&self) -> Result<(), String> {
        if self.settings.restricted {
            return Err(
                "the configuration says restricted = true for this service; change that instead".into()
            );
        }
        self.folder.open_to_all().map_err(|error| error.to_string())?;
        self.clients.borrow_mut().clear();
        self.closed.set(false);
        self.wish(Wish::Renew);
        Ok(())
    }

    pub(super) fn identity(&self) -> IdentityKey {
        self.identity.borrow().clone()
    }

    /// Becomes another service. In a folder that the owner named, only with `replace`.
    pub(super) fn become_other(&self, identity: IdentityKey, replace: bool) -> Result<(), String> {
        if *self.identity.borrow() == identity {
            return Ok(());
        }
        if self.settings.key_dir.is_some() && !replace {
            return Err(
                "this would replace the key in key_dir, and its address would be lost; export it, then use \
                        --replace"
                    .into(),
            );
        }
        self.folder.set_identity(&identity).map_err(|error| error.to_string())?;
        self.identity.replace(identity);
        self.probe.seen.set(None);
        self.wish(Wish::Renew);
        Ok(())
    }
}

/// Checks all backends for as long as the service lives.
async fn check_all(service: Weak<Service>) {
    while let Some(service) = service.upgrade() {
        for route in &service.routes {
            route.check().await;
        }
        let pause = Duration::from_secs(service.settings.check_every.0);
        drop(service);
        sleep(pause).await;
    }
}

fn random(name: &str) -> Result<IdentityKey, KeyError> {
    IdentityKey::random().map_err(|error| no_randomness(name, &error))
}

fn no_randomness(name: &str, error: &NetError) -> KeyError {
    KeyError::File(name.into(), std::io::Error::other(error.to_string()))
}

//! Onion services in front of other people's programs: keys, clients, backends, limits, health.

mod backend;
mod carry;
mod check;
pub mod command;
mod header;
pub mod keys;
mod pool;
mod route;
mod service;
mod talk;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::rc::Rc;

use log::warn;
use tokio::task::{AbortHandle, spawn_local};

pub use backend::{Backend, BadBackend};
pub(crate) use backend::{is_local, look_up};
pub use check::{BadCheck, Check};
pub use keys::KeyError;

use crate::config::Config;
use crate::net::Network;
use crate::status::publish::Published;
use service::Service;

/// All published services of a node. Dropping it takes them off the network.
pub(crate) struct Publisher {
    services: Vec<Rc<Service>>,
    tasks: Vec<AbortHandle>,
}

impl Publisher {
    /// Reads or makes the keys of all services and starts them. `state` is the state directory. Needs a `LocalSet`.
    pub(crate) fn start(config: &Config, state: &Path, network: &Network) -> Result<Self, KeyError> {
        let mut this = Self { services: Vec::new(), tasks: Vec::new() };
        for (settings, number) in config.publish.iter().zip(1..) {
            let service = Rc::new(Service::open(settings, state, network.clone(), number)?);
            tell(&service);
            this.tasks.push(spawn_local(Rc::clone(&service).run()).abort_handle());
            this.services.push(service);
        }
        Ok(this)
    }

    /// How all of them are.
    pub(crate) fn view(&self) -> Vec<Published> {
        self.services.iter().map(|service| service.view()).collect()
    }

    /// Takes them off the network.
    pub(crate) fn close(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }

    fn find(&self, name: &str) -> Option<&Rc<Service>> {
        self.services.iter().find(|service| service.settings.name == name)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.close();
    }
}

/// Tells other programs where the service is, in the ways the owner chose. Standard output is theirs, not the log's.
fn tell(service: &Service) {
    let address = service.address();
    let url = service::url(&address, address.port);
    if let Some(path) = &service.settings.url_file
        && let Err(error) = keys::replace(path, format!("{url}\n").as_bytes())
    {
        warn!("the address of a published service could not be written to its url_file: {:?}", error.kind());
    }
    if service.settings.print_url {
        use std::io::Write;
        // Nobody may be reading.
        let _ = writeln!(std::io::stdout().lock(), "ONION_URL={url}");
    }
}

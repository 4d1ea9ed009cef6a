//! A service as everyone may see it.

use super::Service;
use crate::net::Address;
use crate::status::publish as shown;

impl Service {
    pub(in crate::publish) fn view(&self) -> shown::Published {
        let address = self.address();
        let routes: Vec<shown::Route> = self.routes.iter().map(|route| route.view()).collect();
        let seen = self.probe.seen.get();
        let reachable = seen.map(|seen| seen.took.is_some());
        let trouble = self.trouble(&routes, reachable);
        let (received, sent, refused) = self.tally.view();
        let clients = self.clients.borrow();
        let clients =
            clients.iter().map(|it| shown::Client { name: it.name.clone(), key: it.key.to_string() });
        shown::Published {
            name: self.settings.name.clone(),
            host: address.host(),
            urls: routes.iter().map(|route| url(&address, route.port)).collect(),
            healthy: self.published.get() && trouble.is_none(),
            trouble,
            published: self.published.get(),
            reachable,
            probed_s: seen.map(|seen| seen.at.elapsed().as_secs()),
            probe_ms: seen.and_then(|seen| seen.took).and_then(|took| u64::try_from(took.as_millis()).ok()),
            restricted: self.closed.get(),
            clients: clients.collect(),
            routes,
            streams: u32::try_from(self.streams.get()).unwrap_or(u32::MAX),
            refused,
            received,
            sent,
        }
    }

    fn trouble(&self, routes: &[shown::Route], reachable: Option<bool>) -> Option<String> {
        if let Some(error) = self.failure.get() {
            return Some(format!("it could not be started and is tried again: {error}"));
        }
        let down = routes.iter().find(|route| !route.backends.iter().any(|backend| backend.up));
        if let Some(route) = down {
            return Some(format!(
                "no backend answers behind port {}; start the program, or correct publish.ports",
                route.port
            ));
        }
        (self.published.get() && reachable == Some(false)).then(|| {
            "it is published, but we could not reach it through Tor ourselves; this is tried again soon"
                .to_owned()
        })
    }
}

/// `http://host`, with the port where it is not the usual one.
pub(in crate::publish) fn url(address: &Address, port: u16) -> String {
    if port == 80 {
        format!("http://{}", address.host())
    } else {
        format!("http://{}:{port}", address.host())
    }
}

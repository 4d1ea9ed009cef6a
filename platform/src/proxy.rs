//! Listeners for other programs: all that comes in here leaves through [`Exit`], or not at all.

mod carry;
mod chaff;
mod dns;
mod gate;
mod http;
pub mod meter;
mod share;
mod socks;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;

pub use carry::{End, carry_within};
pub use gate::{Conn, Gate};
pub use meter::{Meter, Meters};

use crate::config::{self, Config};
use crate::exit::{Exit, Host};
use crate::net::Network;
use crate::status;
use crate::sys::datagrams::Datagrams;

/// Everything that other programs use of a node. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Proxies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    exit: Exit,
    meters: Meters,
    dns: dns::Answers,
}

impl Proxies {
    /// Nothing listens yet.
    pub fn new(network: Network, config: &Config) -> Self {
        let exit = Exit::new(network);
        let dns = dns::Answers::new(exit.clone(), &config.proxy.dns);
        Self(Arc::new(Inner { exit, meters: Meters::default(), dns }))
    }

    /// Opens the listeners that the configuration names, until `stop` turns true. One that cannot be opened is told in
    /// the status; the node goes on without it. Must be called within a tokio runtime.
    pub async fn listen(&self, config: &Config, stop: &watch::Receiver<bool>) {
        let config::Proxy { socks, dns, http } = &config.proxy;
        if socks.enabled
            && let Some((listener, meter)) = self.open("socks", socks.listen).await
        {
            let server = socks::Socks::new(self.exit().clone(), socks, meter);
            tokio::spawn(server.run(listener, stop.clone()));
        }
        if dns.enabled
            && let Some((tcp, meter)) = self.open("dns", dns.listen).await
        {
            let address = tcp.local_addr().unwrap_or(dns.listen);
            match UdpSocket::bind(address).await.and_then(Datagrams::new) {
                Ok(udp) => {
                    let server = dns::Server::new(self.0.dns.clone(), dns, Arc::clone(&meter));
                    tokio::spawn(server.run(tcp, udp, stop.clone()));
                }
                Err(why) => meter.failed(refusal("dns", address, &why)),
            }
        }
        if config.chaff.enabled {
            tokio::spawn(chaff::run(self.exit().clone(), config.chaff.clone(), stop.clone()));
        }
        if http.enabled
            && let Some((listener, meter)) = self.open("http", http.listen).await
        {
            match http::Gateway::new(self.exit().clone(), http, Arc::clone(&meter)) {
                Ok(server) => drop(tokio::spawn(server.run(listener, stop.clone()))),
                Err(why) => meter.failed(why.to_string()),
            }
        }
    }

    /// Binds a listener and takes it up in the status. `None` where that failed, which the status tells.
    pub async fn open(&self, kind: &'static str, address: SocketAddr) -> Option<(TcpListener, Arc<Meter>)> {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let address = listener.local_addr().unwrap_or(address);
                log::info!("{kind} proxy at {address}");
                Some((listener, self.0.meters.add(kind, address)))
            }
            Err(why) => {
                self.0.meters.add(kind, address).failed(refusal(kind, address, &why));
                None
            }
        }
    }

    /// The way out.
    pub fn exit(&self) -> &Exit {
        &self.0.exit
    }

    /// Closes what is open, shares no circuit with what was before, and forgets what was looked up.
    pub fn new_identity(&self) -> status::NewIdentity {
        let streams = self.0.exit.new_identity();
        let answers = self.0.dns.forget();
        log::info!("new identity: {streams} streams closed, {answers} answers forgotten");
        status::NewIdentity {
            streams_closed: streams as u64,
            answers_forgotten: answers as u64,
            identities: self.0.exit.generation(),
        }
    }

    /// How it goes.
    pub fn status(&self) -> status::Proxy {
        status::Proxy {
            listeners: self.0.meters.all(),
            streams: u32::try_from(self.0.exit.open()).unwrap_or(u32::MAX),
            identities: self.0.exit.generation(),
            circuits: self.0.exit.circuits(),
        }
    }
}

fn refusal(kind: &str, address: SocketAddr, why: &std::io::Error) -> String {
    let text = format!(
        "cannot listen at {address}: {why}; stop what uses it, set proxy.{kind}.listen, or proxy.{kind}.enabled = false"
    );
    log::warn!("{kind} proxy: {text}");
    text
}

/// `host:port`, with IPv6 addresses in brackets.
pub(crate) fn target(text: &str) -> Option<(Host, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let bare = host.contains(':') && !host.starts_with('[');
    host.parse().ok().filter(|_| !bare).map(|host| (host, port))
}

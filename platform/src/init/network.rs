//! The way to the local network: every Ethernet interface that appears is switched on and gets an address.

use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;

use super::console::say;
use super::dhcp;
use super::report::Report;
use super::settings::{BoardSettings, Network};
use crate::status::board::Link;
use crate::sys::board::link::Links;
use crate::sys::board::system;

/// The kernel's list of interfaces.
const CLASS: &str = "/sys/class/net";

/// `ARPHRD_ETHER`: what Wi-Fi calls itself too.
const ETHERNET: &str = "1";

/// A machine's name when its owner gave none.
const NAME: &str = "bulbil";

/// Pause between two looks for new interfaces: USB adapters may come at any time.
const LOOK: Duration = Duration::from_secs(1);

/// Interfaces that are served at most.
const MAX_LINKS: usize = 8;

/// Names the machine.
pub(super) fn name(settings: &BoardSettings, report: &Report) {
    let name = settings.name.as_ref().map_or(NAME, |name| name.0.as_str());
    if let Err(error) = system::set_name(name) {
        say(&format!("the machine cannot be named: {error}"));
    }
    report.set_name(name);
}

/// Serves all interfaces, for ever.
pub(super) async fn run(settings: BoardSettings, report: Rc<Report>) {
    let links = match Links::open() {
        Ok(links) => Rc::new(links),
        Err(error) => return say(&format!("there is no network: {error}")),
    };
    if let Err(error) = links.up("lo") {
        say(&format!("loopback cannot be switched on: {error}"));
    }
    let mut seen: Vec<String> = Vec::new();
    let mut fixed = settings.address;
    loop {
        for interface in interfaces() {
            if seen.contains(&interface) || seen.len() == MAX_LINKS {
                continue;
            }
            seen.push(interface.clone());
            let way = Way { interface, links: Rc::clone(&links), report: Rc::clone(&report) };
            // An address can be had once; the first interface gets it.
            match fixed.take() {
                Some(network) => way.fix(network, &settings),
                None => drop(spawn_local(dhcp::run(way))),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One interface and whom to tell about it.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) interface: String,
    pub(super) links: Rc<Links>,
    pub(super) report: Rc<Report>,
}

impl Way {
    /// Gives it the address that the owner wrote down.
    fn fix(&self, network: Network, settings: &BoardSettings) {
        let name = &self.interface;
        let set =
            self.links.up(name).and_then(|()| self.links.set_address(name, network.address, network.prefix));
        let set =
            set.and_then(|()| settings.gateway.map_or(Ok(()), |router| self.links.set_router(name, router)));
        match set {
            Ok(()) => {
                self.tell(Some(format!("{}/{}", network.address, network.prefix)), "as bulbil.toml says");
            }
            Err(error) => self.tell(None, &format!("the address in bulbil.toml cannot be set: {error}")),
        }
    }

    /// Tells the owner.
    pub(super) fn tell(&self, address: Option<String>, doing: &str) {
        self.report.set_link(&Link { interface: self.interface.clone(), address, doing: doing.to_owned() });
    }

    /// Whether a cable is in, or a Wi-Fi network is joined.
    pub(super) fn is_connected(&self) -> bool {
        self.attribute("carrier").as_deref() == Some("1")
    }

    /// Its hardware address.
    pub(super) fn hardware(&self) -> Option<[u8; 6]> {
        let text = self.attribute("address")?;
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
        }
        Some(bytes)
    }

    fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.interface, name)
    }
}

fn interfaces() -> Vec<String> {
    let Ok(entries) = fs::read_dir(CLASS) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let loopback = |name: &String| name == "lo";
    let ethernet = |name: &String| attribute(name, "type").as_deref() == Some(ETHERNET);
    let mut names: Vec<String> = names.filter(|name| !loopback(name) && ethernet(name)).collect();
    names.sort();
    names
}

fn attribute(interface: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new(CLASS).join(interface).join(name)).ok()?;
    Some(text.trim().to_owned())
}

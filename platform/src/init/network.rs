//! The way to the local network: every Ethernet interface that appears is switched on and gets an address.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::console::say;
use super::dhcp;
use super::mdns::{self, Own, Voice};
use super::report::Report;
use super::settings::{BoardSettings, Network};
use super::wifi::{self, WifiSettings};
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

/// Longest time to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Names the machine.
pub(super) fn name(settings: &BoardSettings, report: &Report) {
    let name = wanted_name(settings);
    if let Err(error) = system::set_name(name) {
        say(&format!("the machine cannot be named: {error}"));
    }
    report.set_name(name);
}

fn wanted_name(settings: &BoardSettings) -> &str {
    settings.name.as_ref().map_or(NAME, |name| name.0.as_str())
}

/// All interfaces, while they are served.
#[derive(Debug)]
pub(super) struct Lan {
    search: JoinHandle<()>,
    served: Rc<RefCell<Served>>,
}

/// What runs for the interfaces.
#[derive(Debug, Default)]
struct Served {
    /// Who gets addresses.
    ways: Vec<JoinHandle<()>>,
    /// Who answers to the machine's name; ends by itself when there is no way any more.
    voices: Vec<JoinHandle<()>>,
}

impl Lan {
    /// Serves every interface there is and will be.
    pub(super) fn start(settings: BoardSettings, wifi: WifiSettings, report: Rc<Report>) -> Self {
        let served = Rc::<RefCell<Served>>::default();
        let search = spawn_local(search(settings, wifi, report, Rc::clone(&served)));
        Self { search, served }
    }

    /// Says goodbye. Addresses stay until the machine ends.
    pub(super) async fn stop(self) {
        self.search.abort();
        let Served { ways, voices } = self.served.take();
        ways.iter().for_each(JoinHandle::abort);
        let all = async {
            for voice in voices {
                let _ = voice.await; // one that failed has no more to say
            }
        };
        let _ = timeout(GOODBYE, all).await; // others forget the name by themselves
    }
}

async fn search(
    settings: BoardSettings,
    wifi: WifiSettings,
    report: Rc<Report>,
    served: Rc<RefCell<Served>>,
) {
    let links = match Links::open() {
        Ok(links) => Rc::new(links),
        Err(error) => return say(&format!("there is no network: {error}")),
    };
    if let Err(error) = links.up("lo") {
        say(&format!("loopback cannot be switched on: {error}"));
    }
    let mut seen: Vec<String> = Vec::new();
    let own = Own::default();
    let mut fixed = settings.address;
    loop {
        for interface in interfaces() {
            if seen.contains(&interface) || seen.len() == MAX_LINKS {
                continue;
            }
            seen.push(interface.clone());
            let (tell, address) = watch::channel(None);
            let mut served = served.borrow_mut();
            if settings.mdns != Some(false) {
                let (interface, name) = (interface.clone(), wanted_name(&settings).to_owned());
                let (own, report) = (Rc::clone(&own), Rc::clone(&report));
                let voice = Voice { interface, name, own, report };
                served.voices.push(spawn_local(mdns::run(voice, address)));
            }
            if wifi::is_wireless(&interface) {
                let (settings, links) = (wifi.clone(), Rc::clone(&links));
                let run = wifi::run(interface.clone(), settings, links, Rc::clone(&report));
                served.ways.push(spawn_local(run));
            }
            let way = Way { interface, links: Rc::clone(&links), report: Rc::clone(&report), address: tell };
            // An address can be had once; the first interface gets it.
            served.ways.push(match fixed.take() {
                Some(network) => spawn_local(fix(way, network, settings.gateway)),
                None => spawn_local(dhcp::run(way)),
            });
        }
        sleep(LOOK).await;
    }
}

/// Gives an interface the address that the owner wrote down, for ever.
async fn fix(way: Way, network: Network, router: Option<Ipv4Addr>) {
    let set = way.links.up(&way.interface).and_then(|()| way.set(network, router, "as bulbil.toml says"));
    if let Err(error) = set {
        way.unset();
        way.tell(None, &format!("the address in bulbil.toml cannot be set: {error}"));
    }
    std::future::pending::<()>().await;
}

/// One interface and whom to tell about it.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) interface: String,
    pub(super) links: Rc<Links>,
    pub(super) report: Rc<Report>,
    /// The address it has now, for whoever needs to know.
    pub(super) address: watch::Sender<Option<Network>>,
}

impl Way {
    /// Gives it an address, and tells everyone; `from` says where it came from.
    pub(super) fn set(&self, network: Network, router: Option<Ipv4Addr>, from: &str) -> io::Result<()> {
        self.links.set_address(&self.interface, network.address, network.prefix)?;
        if let Some(router) = router {
            self.links.set_router(&self.interface, router)?;
        }
        self.say_address(Some(network));
        self.tell(Some(network.to_string()), from);
        Ok(())
    }

    /// Takes its address away. One that is gone already is fine.
    pub(super) fn unset(&self) {
        self.say_address(None);
        let _ = self.links.set_address(&self.interface, Ipv4Addr::UNSPECIFIED, 0);
    }

    /// A lease that was renewed is no news.
    fn say_address(&self, network: Option<Network>) {
        self.address.send_if_modified(|now| std::mem::replace(now, network) != network);
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

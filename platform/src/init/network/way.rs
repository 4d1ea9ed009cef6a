//! One interface, as the kernel shows it, and whom to tell about it.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;

use tokio::sync::watch;

use crate::init::report::Report;
use crate::init::settings::Network;
use crate::status::board::Link;
use crate::sys::board::link::Links;

/// The kernel's list of interfaces.
const CLASS: &str = "/sys/class/net";

/// `ARPHRD_ETHER`: what Wi-Fi calls itself too.
const ETHERNET: &str = "1";

/// What is told when nothing is at the other end.
pub(in crate::init) const PULLED: &str = "no cable, or no Wi-Fi network joined";

/// An interface that is there.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Interface {
    pub(super) name: String,
    /// The kernel's number for it. An adapter that was pulled and comes again has the same name and another number.
    pub(super) index: u32,
}

/// An interface that is served.
#[derive(Debug)]
pub(in crate::init) struct Way {
    pub(in crate::init) interface: String,
    pub(in crate::init) links: Rc<Links>,
    pub(in crate::init) report: Rc<Report>,
    /// The address it has now, for whoever needs to know.
    pub(in crate::init) address: watch::Sender<Option<Network>>,
}

impl Way {
    /// Gives it an address, and tells everyone; `from` says where it came from.
    pub(in crate::init) fn set(
        &self,
        network: Network,
        router: Option<Ipv4Addr>,
        from: &str,
    ) -> io::Result<()> {
        self.links.set_address(&self.interface, network.address, network.prefix)?;
        if let Some(router) = router {
            self.links.set_router(&self.interface, router)?;
        }
        self.say_address(Some(network));
        self.tell(Some(network.to_string()), from);
        Ok(())
    }

    /// Takes its address away. One that is gone already is fine.
    pub(in crate::init) fn unset(&self) {
        self.say_address(None);
        let _ = self.links.set_address(&self.interface, Ipv4Addr::UNSPECIFIED, 0);
    }

    /// A lease that was renewed is no news.
    fn say_address(&self, network: Option<Network>) {
        self.address.send_if_modified(|now| std::mem::replace(now, network) != network);
    }

    /// Tells the owner.
    pub(in crate::init) fn tell(&self, address: Option<String>, doing: &str) {
        self.report.set_link(&Link { interface: self.interface.clone(), address, doing: doing.to_owned() });
    }

    /// Whether a cable is in, or a Wi-Fi network is joined: then which time that is. Another number is another cable, or network.
    pub(in crate::init) fn connection(&self) -> Option<u64> {
        // In this order: what changes in between is seen at the next look.
        let changes = self.attribute("carrier_changes").and_then(|text| text.parse().ok()).unwrap_or(0);
        (self.attribute("carrier").as_deref() == Some("1")).then_some(changes)
    }

    /// Its hardware address.
    pub(in crate::init) fn hardware(&self) -> Option<[u8; 6]> {
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

/// All that are there now, by name.
pub(super) fn interfaces() -> Vec<Interface> {
    let Ok(entries) = fs::read_dir(CLASS) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let served = |name: &String| name != "lo" && attribute(name, "type").as_deref() == Some(ETHERNET);
    let mut found: Vec<Interface> = names
        .filter(served)
        .filter_map(|name| Some(Interface { index: attribute(&name, "ifindex")?.parse().ok()?, name }))
        .collect();
    found.sort();
    found
}

fn attribute(interface: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new(CLASS).join(interface).join(name)).ok()?;
    Some(text.trim().to_owned())
}

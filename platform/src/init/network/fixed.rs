//! The one address that the owner wrote down: where it is, and how it gets there.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use super::way::{PULLED, Way};
use crate::init::settings::Network;

/// Between two looks at the cable.
const LOOK: Duration = Duration::from_secs(1);

/// Before an address is tried again that could not be set.
const AGAIN: Duration = Duration::from_secs(30);

/// Which interface has the address from now on: the one that has it while it is connected, else the first that is. While nothing is, it
/// stays where it was. Interfaces are told with whether they are connected.
pub(super) fn holder<'a>(now: Option<&str>, interfaces: &[(&'a str, bool)]) -> Option<&'a str> {
    let has = |name: &str| Some(name) == now;
    let connected = || interfaces.iter().filter(|(_, connected)| *connected);
    let found = connected().find(|(name, _)| has(name)).or_else(|| connected().next());
    found.or_else(|| interfaces.iter().find(|(name, _)| has(name))).map(|(name, _)| *name)
}

/// Switches an interface on, that it may show whether it is connected.
pub(super) fn prepare(way: &Way) {
    if let Err(error) = way.links.up(&way.interface) {
        return way.tell(None, &format!("cannot be switched on: {error}"));
    }
    if way.connection().is_none() {
        way.tell(None, PULLED);
    }
}

/// Gives an interface the address, whenever it is connected, for ever.
pub(super) async fn run(way: Rc<Way>, network: Network, router: Option<Ipv4Addr>) {
    loop {
        // One that was plugged in anew under its old name is off.
        let set = way.links.up(&way.interface).and_then(|()| way.set(network, router, "as bulbil.toml says"));
        if let Err(error) = set {
            way.unset();
            way.tell(None, &format!("the address in bulbil.toml cannot be set: {error}"));
            sleep(AGAIN).await;
            continue;
        }
        while way.connection().is_some() {
            sleep(LOOK).await;
        }
        way.unset();
        way.tell(None, PULLED);
        while way.connection().is_none() {
            sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_where_something_is_connected() {
        let holder = |now: &str, interfaces: &[(&'static str, bool)]| {
            holder(Some(now).filter(|now| !now.is_empty()), interfaces)
        };
        let both = |eth0, wlan0| [("eth0", eth0), ("wlan0", wlan0)];
        assert_eq!(holder("", &both(false, false)), None, "nobody is reachable yet");
        assert_eq!(holder("", &both(true, true)), Some("eth0"));
        assert_eq!(holder("", &both(false, true)), Some("wlan0"), "no cable");
        assert_eq!(holder("wlan0", &both(true, true)), Some("wlan0"), "it stays while it works");
        assert_eq!(holder("eth0", &both(false, true)), Some("wlan0"), "the cable was pulled");
        assert_eq!(holder("eth0", &both(false, false)), Some("eth0"), "it may come back");
        assert_eq!(holder("eth1", &both(false, true)), Some("wlan0"), "the adapter was pulled");
        assert_eq!(holder("eth1", &both(false, false)), None);
    }
}

//! The way to the local network: every Ethernet interface that appears is switched on and gets an address, until it is gone again.

mod fixed;
mod way;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::console::say;
use super::dhcp;
use super::mdns::{self, Own, Voice};
use super::report::Report;
use super::settings::BoardSettings;
use super::wifi::{self, WifiSettings};
use crate::status::board::Verdict;
use crate::sys::board::link::Links;
use crate::sys::board::system;
use way::Interface;
pub(super) use way::{PULLED, Way};

/// A machine's name when its owner gave none.
const NAME: &str = "bulbil";

/// Pause between two looks at the interfaces: USB adapters may come and go at any time.
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
    served: Rc<RefCell<Vec<Served>>>,
}

impl Lan {
    /// Serves every interface there is and will be.
    pub(super) fn start(settings: BoardSettings, wifi: WifiSettings, report: Rc<Report>) -> Self {
        let served = Rc::<RefCell<Vec<Served>>>::default();
        let search = spawn_local(search(settings, wifi, report, Rc::clone(&served)));
        Self { search, served }
    }

    /// Says goodbye. Addresses stay until the machine ends.
    pub(super) async fn stop(self) {
        self.search.abort();
        let voices = self.served.take().into_iter().filter_map(|mut served| served.voice.take());
        let voices: Vec<_> = voices.collect();
        let all = async {
            for voice in voices {
                let _ = voice.await; // one that failed has no more to say
            }
        };
        let _ = timeout(GOODBYE, all).await; // others forget the name by themselves
    }
}

/// What an interface is there for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    /// For the address in bulbil.toml, if it is connected first.
    Wait,
    /// It has that address.
    Fixed,
    /// It leases one.
    Lease,
}

/// What runs for one interface; ends with it.
#[derive(Debug)]
struct Served {
    interface: Interface,
    way: Rc<Way>,
    /// What it is there for, and the task that gets it an address.
    role: Option<(Role, Option<JoinHandle<()>>)>,
    /// Joins a Wi-Fi network.
    radio: Option<JoinHandle<()>>,
    /// Who answers to the machine's name; says goodbye and ends when nobody holds the way any more.
    voice: Option<JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let role = self.role.take().and_then(|(_, task)| task);
        role.into_iter().chain(self.radio.take()).for_each(|task| task.abort());
    }
}

/// Looks for interfaces, for ever.
async fn search(
    settings: BoardSettings,
    wifi: WifiSettings,
    report: Rc<Report>,
    served: Rc<RefCell<Vec<Served>>>,
) {
    let links = match Links::open() {
        Ok(links) => Rc::new(links),
        Err(error) => return say(&format!("there is no network: {error}")),
    };
    if let Err(error) = links.up("lo") {
        say(&format!("loopback cannot be switched on: {error}"));
    }
    let mut search = Search { settings, wifi, report, links, own: Own::default(), holder: None };
    loop {
        search.look(&mut served.borrow_mut());
        sleep(LOOK).await;
    }
}

struct Search {
    settings: BoardSettings,
    wifi: WifiSettings,
    report: Rc<Report>,
    links: Rc<Links>,
    own: Own,
    /// The interface that has the address of `settings`.
    holder: Option<String>,
}

impl Search {
    fn look(&mut self, all: &mut Vec<Served>) {
        let present = way::interfaces();
        all.retain(|served| {
            let stays = present.contains(&served.interface);
            if !stays {
                self.report.forget(&served.interface.name);
            }
            stays
        });
        for interface in present {
            if all.iter().all(|served| served.interface != interface) && all.len() < MAX_LINKS {
                all.push(self.take_up(interface));
            }
        }
        self.assign(all);
    }

    fn take_up(&self, interface: Interface) -> Served {
        let name = &interface.name;
        let (tell, address) = watch::channel(None);
        let way = Way {
            interface: name.clone(),
            links: Rc::clone(&self.links),
            report: Rc::clone(&self.report),
            address: tell,
        };
        let voice = (self.settings.mdns != Some(false)).then(|| {
            let voice = Voice {
                interface: name.clone(),
                name: wanted_name(&self.settings).to_owned(),
                own: Rc::clone(&self.own),
                report: Rc::clone(&self.report),
            };
            spawn_local(mdns::run(voice, address))
        });
        let radio = wifi::is_wireless(name).then(|| {
            let (links, report) = (Rc::clone(&self.links), Rc::clone(&self.report));
            spawn_local(wifi::run(name.clone(), self.wifi.clone(), links, report))
        });
        Served { way: Rc::new(way), interface, role: None, radio, voice }
    }

    /// Gives everyone something to do. An address can be had once, so it is taken from one interface before another gets it.
    fn assign(&mut self, all: &mut [Served]) {
        if self.settings.address.is_some() {
            let mut able: Vec<_> = all
                .iter()
                .map(|served| (served.interface.name.as_str(), served.way.connection().is_some()))
                .filter(|(name, _)| self.may_hold(name))
                .collect();
            able.sort_unstable();
            self.holder = fixed::holder(self.holder.as_deref(), &able).map(str::to_owned);
            self.note_interface(able.is_empty());
        }
        let roles: Vec<Role> = all.iter().map(|served| self.role(&served.interface.name)).collect();
        for fixed in [false, true] {
            for (served, role) in all.iter_mut().zip(&roles) {
                if (*role == Role::Fixed) == fixed {
                    self.put(served, *role);
                }
            }
        }
    }

    fn may_hold(&self, name: &str) -> bool {
        self.settings.interface.as_ref().is_none_or(|only| only.0 == name)
    }

    fn role(&self, name: &str) -> Role {
        match self.holder.as_deref() {
            Some(holder) if holder == name => Role::Fixed,
            None if self.settings.address.is_some() && self.may_hold(name) => Role::Wait,
            _ => Role::Lease,
        }
    }

    fn put(&self, served: &mut Served, role: Role) {
        if let Some((old, task)) = &served.role {
            if *old == role {
                return;
            }
            task.iter().for_each(JoinHandle::abort);
            served.way.unset();
        }
        let way = Rc::clone(&served.way);
        let task = match (role, self.settings.address) {
            (Role::Fixed, Some(network)) => {
                Some(spawn_local(fixed::run(way, network, self.settings.gateway)))
            }
            (Role::Wait, _) => {
                fixed::prepare(&way);
                None
            }
            _ => Some(spawn_local(dhcp::run(way))),
        };
        served.role = Some((role, task));
    }

    /// Says so when the interface that the owner named is not there.
    fn note_interface(&self, missing: bool) {
        if self.settings.interface.is_some() {
            let (verdict, words) = if missing {
                (Verdict::Wrong, "no interface of this name is there; board.address waits for it")
            } else {
                (Verdict::Understood, "it is there")
            };
            self.report.note("board.interface", verdict, words);
        }
    }
}

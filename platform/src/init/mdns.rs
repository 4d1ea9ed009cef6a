//! The machine's name on the local network, `name.local`, for whoever asks by multicast DNS (RFC 6762). Only on this machine's own
//! networks with private addresses, and only here: a node by itself never does this.

mod message;
mod responder;

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::console::say;
use super::report::Report;
use super::settings::Network;
use crate::sys::board::link;
use crate::sys::board::system;
pub(super) use responder::PORT;
use responder::{Responder, To};

/// Where everybody speaks (RFC 6762, section 3).
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// What shows that a message comes from this network (section 11).
const HOPS: u32 = 255;

/// Bytes of a message that are read: one frame of Ethernet.
const MESSAGE: usize = 1500;

/// Longest moment of chance before the first question, in milliseconds (section 8.1).
const CHANCE_MS: u8 = 250;

/// Before a socket is tried again that could not be had.
const AGAIN: Duration = Duration::from_secs(30);

/// Addresses of this machine that have its name now; one for each interface.
pub(super) type Own = Rc<RefCell<Vec<Ipv4Addr>>>;

/// The name on one interface, as long as the interface is served.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) interface: String,
    /// The name wanted, without `.local`.
    pub(super) name: String,
    pub(super) own: Own,
    pub(super) report: Rc<Report>,
}

/// Speaks while the interface has a private address, and says goodbye when `address` ends.
pub(super) async fn run(voice: Voice, mut address: watch::Receiver<Option<Network>>) {
    loop {
        let now = *address.borrow_and_update();
        let ended = match now.filter(|now| is_private(now.address)) {
            Some(network) => {
                voice.own.borrow_mut().push(network.address);
                let ended = speak(&voice, network, &mut address).await;
                // One of them: another interface may have got this address already.
                let mut own = voice.own.borrow_mut();
                if let Some(at) = own.iter().position(|own| *own == network.address) {
                    own.swap_remove(at);
                }
                ended
            }
            None => address.changed().await.is_err(),
        };
        if ended {
            return;
        }
    }
}

/// Until the address changes. True when nobody will say anything about it any more.
async fn speak(voice: &Voice, network: Network, address: &mut watch::Receiver<Option<Network>>) -> bool {
    let socket = match open(&voice.interface, network.address) {
        Ok(socket) => socket,
        Err(error) => {
            say(&format!("{}: {}.local cannot be offered: {error}", voice.interface, voice.name));
            return tokio::select! {
                changed = address.changed() => changed.is_err(),
                () = tokio::time::sleep(AGAIN) => false,
            };
        }
    };
    let chance = getrandom::u32().unwrap_or(0) % u32::from(CHANCE_MS);
    let pause = Duration::from_millis(chance.into());
    let mut responder = Responder::new(&voice.name, network.address, Instant::now(), pause);
    let mut name = None;
    let mut buffer = [0; MESSAGE];
    loop {
        let due = responder.poll_timeout();
        tokio::select! {
            changed = address.changed() => {
                if let Some(bytes) = responder.goodbye() {
                    send(&socket, &bytes, SocketAddrV4::new(GROUP, PORT)).await;
                }
                return changed.is_err();
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some(bytes) = responder.handle_timeout(Instant::now()) {
                    send(&socket, &bytes, SocketAddrV4::new(GROUP, PORT)).await;
                }
            }
            heard = socket.recv_from(&mut buffer) => {
                // Who is not of this network has no business here (section 11).
                let Ok((length, SocketAddr::V4(from))) = heard else { continue };
                if !network.holds(*from.ip()) {
                    continue;
                }
                let bytes = buffer.get(..length).unwrap_or_default();
                let own = voice.own.borrow().clone();
                if let Some((bytes, to)) = responder.handle_message(Instant::now(), from, bytes, &own) {
                    let to = if to == To::All { SocketAddrV4::new(GROUP, PORT) } else { from };
                    send(&socket, &bytes, to).await;
                }
            }
        }
        let fresh = responder.name();
        if fresh.is_some() && fresh != name {
            name = fresh;
            tell(voice, name.as_deref().unwrap_or_default());
        }
    }
}

fn tell(voice: &Voice, name: &str) {
    let why = if name == voice.name {
        String::new()
    } else {
        format!(" (another machine has {}.local; set board.name to something else)", voice.name)
    };
    say(&format!("{}: its page is at http://{name}.local/{why}", voice.interface));
    // The page answers to the machine's own name only.
    if let Err(error) = system::set_name(name) {
        say(&format!("the machine cannot be named: {error}"));
    }
    voice.report.set_name(name);
}

/// What nobody hears is said again when somebody asks.
async fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddrV4) {
    let _ = socket.send_to(bytes, to).await;
}

/// Bound to the group, so that what is sent to this machine alone goes to whoever else has this port.
fn open(interface: &str, address: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = link::on_device(interface, SocketAddrV4::new(GROUP, PORT))?;
    socket.join_multicast_v4(&GROUP, &address)?;
    socket.set_multicast_ttl_v4(HOPS)?;
    socket.set_ttl(HOPS)?;
    UdpSocket::from_std(socket)
}

/// A network at home (RFC 1918), or one that machines made among themselves (RFC 3927).
const fn is_private(address: Ipv4Addr) -> bool {
    address.is_private() || address.is_link_local()
}

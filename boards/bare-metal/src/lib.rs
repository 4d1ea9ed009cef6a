//! A stand-in for a microcontroller's program: no operating system, no allocator. If anything in core allocates, the
//! compiler refuses to build this. `cargo image bare-metal` builds it, links it and prints its sizes.

#![no_std]

mod chip;

use core::mem::size_of;
use core::panic::PanicInfo;

use bulbil_core::content::metainfo::{Info, Torrent};
use bulbil_core::content::{merkle, Span};
use bulbil_core::hello::Hello;
use bulbil_core::id::{NodeKey, PeerKey};
use bulbil_core::learn::Learn;
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::mail::{Arrival, Inbox, Outbox};
use bulbil_core::swarm::{LaneId, Over, Swarm};
use bulbil_core::time::{Date, Millis};
use bulbil_core::tracker::store::{Parts, Rank, Slot, Store};
use bulbil_core::tracker::sync::Sync;
use bulbil_core::tracker::tree::Node;
use bulbil_core::trust::Trust;

use chip::Chip;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// A swarm whose bits and layout lie in memory that the program lends, sized by the share.
type Lent<const PEERS: usize, const LANES: usize> = Swarm<&'static mut [u64], &'static [Span], PEERS, LANES>;

/// What a microcontroller would run.
type Small = Lent<2, 2>;

/// Records in memory that the program lends.
pub type Records = Store<Parts<&'static mut [Slot], &'static mut [Node], &'static mut [u8]>>;

/// One line of the table of machines.
#[repr(C)]
pub struct Size {
    /// Name, padded with zeros.
    name: [u8; 28],
    /// Bytes of memory.
    bytes: u32,
}

/// Memory that one of each takes, read from the linked file by `cargo image bare-metal`. A new machine is a new line.
#[no_mangle]
pub static SIZES: [Size; 15] = [
    size("Hello", size_of::<Hello>()),
    size("Learn", size_of::<Learn>()),
    size("Swarm, 2 peers of 2 lanes", size_of::<Small>()),
    size("Swarm, 8 peers of 8 lanes", size_of::<Lent<8, 8>>()),
    size("Swarm, 50 peers of 8 lanes", size_of::<Lent<50, 8>>()),
    size("one more peer of 8 lanes", (size_of::<Lent<50, 8>>() - size_of::<Lent<8, 8>>()) / 42),
    size("Sync, one conversation", size_of::<Sync>()),
    size("Store, one record's place", size_of::<Slot>()),
    size("Trust, 64 statements", size_of::<Trust<64, 8>>()),
    size("Outbox, 4 letters", size_of::<Outbox<4>>()),
    size("Inbox, 4 letters", size_of::<Inbox<4, 4>>()),
    size("merkle::FileTree", size_of::<merkle::FileTree>()),
    size("Info", size_of::<Info<'_>>()),
    size("Torrent", size_of::<Torrent<'_>>()),
    size("one frame's buffer", MAX_FRAME),
];

/// Where the linker starts: it drops all code that these do not reach. A new machine is a new root, and a line in
/// `boards/src/bare_metal.rs`, which links each one alone as well.
#[no_mangle]
pub static HELLO: fn(&mut Hello, &[u8], &mut [u8]) -> bool = hello;
/// See [`HELLO`].
#[no_mangle]
pub static LEARN: fn(&mut Learn, Millis, &[u8], &mut [u8]) -> bool = learn;
/// See [`HELLO`].
#[no_mangle]
pub static SWARM: SwarmCalls = SwarmCalls { open, lane, tick };
/// See [`HELLO`].
#[no_mangle]
pub static SYNC: SyncCall = sync;
/// See [`HELLO`].
#[no_mangle]
pub static TRUST: fn(&mut Trust<64, 8>, NodeKey) -> usize = trust;
/// See [`HELLO`].
#[no_mangle]
pub static MAIL: fn(&mut Outbox<4>, &mut Inbox<4, 4>, Millis) -> bool = mail;
/// See [`HELLO`].
#[no_mangle]
pub static TORRENT: fn(&[u8]) -> Option<u64> = check;

/// What a swarm's owner calls.
#[repr(C)]
pub struct SwarmCalls {
    open: fn(&mut Small, Millis, PeerKey) -> Option<LaneId>,
    lane: fn(&mut Small, Millis, LaneId, &[u8], &mut [u8; MAX_FRAME], &mut Chip) -> Result<usize, Over>,
    tick: fn(&mut Small, Millis) -> Option<Millis>,
}

/// What an owner of records calls.
pub type SyncCall = fn(&mut Sync, &mut Records, Millis, &[u8], &mut [u8]) -> bool;

fn sync(sync: &mut Sync, store: &mut Records, now: Millis, frame: &[u8], tx: &mut [u8]) -> bool {
    let heard = sync.handle_frame((now, Date(now.0)), store, frame, |_| Some(Rank(1)));
    heard.is_ok() && sync.poll_transmit(now, store, tx).is_ok()
}

fn trust(trust: &mut Trust<64, 8>, node: NodeKey) -> usize {
    let taken = trust.trusts(NodeKey([0; 32]), node);
    taken.map_or(0, |()| trust.horizon::<16>(2, 16).nodes().count())
}

fn mail(outbox: &mut Outbox<4>, inbox: &mut Inbox<4, 4>, now: Millis) -> bool {
    let Some(to) = outbox.poll_serve(now) else { return false };
    let Some(letter) = outbox.first(&to) else { return false };
    let (id, arrival) = (letter.id, inbox.arrive(now, to, letter.id, &letter.text));
    outbox.delivered(&to, id);
    arrival == Arrival::Taken && inbox.read().is_some()
}

fn hello(hello: &mut Hello, frame: &[u8], tx: &mut [u8]) -> bool {
    hello.handle_frame(frame).is_ok() && hello.poll_transmit(tx).is_ok()
}

fn learn(learn: &mut Learn, now: Millis, frame: &[u8], tx: &mut [u8]) -> bool {
    learn.handle_frame(now, frame).is_ok() && learn.poll_transmit(tx).is_ok()
}

fn open(swarm: &mut Small, now: Millis, key: PeerKey) -> Option<LaneId> {
    swarm.lane_open(now, key, None, |_| None).ok()
}

fn lane(
    swarm: &mut Small,
    now: Millis,
    lane: LaneId,
    frame: &[u8],
    tx: &mut [u8; MAX_FRAME],
    chip: &mut Chip,
) -> Result<usize, Over> {
    let heard = swarm.hear(now, lane, frame, chip);
    if heard.is_err() {
        swarm.lane_closed(now, lane);
    }
    heard.and_then(|_| swarm.say(now, lane, tx, chip))
}

fn tick(swarm: &mut Small, now: Millis) -> Option<Millis> {
    while swarm.handle_timeout(now).is_some() {}
    while swarm.poll_stirred().is_some() {}
    while swarm.poll_dial(now).is_some() {}
    swarm.poll_timeout()
}

fn check(bytes: &[u8]) -> Option<u64> {
    Some(Torrent::parse(bytes).ok()?.info().total())
}

const fn size(text: &str, bytes: usize) -> Size {
    let mut name = [0; 28];
    let mut at = 0;
    while at < text.len() {
        name[at] = text.as_bytes()[at];
        at += 1;
    }
    Size { name, bytes: bytes as u32 }
}

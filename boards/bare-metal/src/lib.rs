//! A stand-in for a microcontroller's program: no operating system, no allocator. If anything in core allocates, the
//! compiler refuses to build this. `cargo image bare-metal` builds it, links it and prints its sizes.

#![no_std]

mod chip;

use core::mem::size_of;
use core::panic::PanicInfo;

use bulbil_core::content::metainfo::{Info, Torrent};
use bulbil_core::content::{merkle, Span};
use bulbil_core::hello::Hello;
use bulbil_core::id::PeerKey;
use bulbil_core::learn::Learn;
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::swarm::{LaneId, Over, Swarm};
use bulbil_core::time::Millis;

use chip::Chip;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// A swarm whose bits and layout lie in memory that the program lends, sized by the share.
type Lent<const PEERS: usize, const LANES: usize> = Swarm<&'static mut [u64], &'static [Span], PEERS, LANES>;

/// What a microcontroller would run.
type Small = Lent<2, 2>;

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
pub static SIZES: [Size; 9] = [
    size("Hello", size_of::<Hello>()),
    size("Learn", size_of::<Learn>()),
    size("Swarm, 2 peers of 2 lanes", size_of::<Small>()),
    size("Swarm, 8 peers of 8 lanes", size_of::<Lent<8, 8>>()),
    size("Swarm, 50 peers of 8 lanes", size_of::<Lent<50, 8>>()),
    size("merkle::FileTree", size_of::<merkle::FileTree>()),
    size("Info", size_of::<Info<'_>>()),
    size("Torrent", size_of::<Torrent<'_>>()),
    size("one frame's buffer", MAX_FRAME),
];

/// Where the linker starts: it drops all code that these do not reach. A new machine is a new field.
#[repr(C)]
pub struct Roots {
    hello: fn(&mut Hello, &[u8], &mut [u8]) -> bool,
    learn: fn(&mut Learn, Millis, &[u8], &mut [u8]) -> bool,
    open: fn(&mut Small, Millis, PeerKey) -> Option<LaneId>,
    lane: fn(&mut Small, Millis, LaneId, &[u8], &mut [u8; MAX_FRAME], &mut Chip) -> Result<usize, Over>,
    tick: fn(&mut Small, Millis) -> Option<Millis>,
    check: fn(&[u8]) -> Option<u64>,
}

/// See [`Roots`].
#[no_mangle]
pub static ROOTS: Roots = Roots { hello, learn, open, lane, tick, check };

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

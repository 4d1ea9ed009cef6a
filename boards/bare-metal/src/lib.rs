//! A stand-in for a microcontroller's program: no operating system, no allocator. If anything in core allocates, the
//! compiler refuses to build this. `cargo image bare-metal` builds it, links it and prints its sizes.

#![no_std]

use core::mem::size_of;
use core::panic::PanicInfo;

use bulbil_core::limits::MAX_FRAME;
use bulbil_core::wire::{Message, Opening};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// One line of the table of machines.
#[repr(C)]
pub struct Size {
    /// Name, padded with zeros.
    name: [u8; 28],
    /// Bytes of memory.
    bytes: u32,
}

/// Memory that one of each takes; read from the linked file by `cargo image bare-metal`. Add a line for each machine.
#[unsafe(no_mangle)]
pub static SIZES: [Size; 3] = [
    size("wire::Message", size_of::<Message<'_>>()),
    size("wire::Opening", size_of::<Opening>()),
    size("one frame's buffer", MAX_FRAME),
];

/// Roots for the linker, which drops all code that these do not reach. Add a line for each machine.
#[unsafe(no_mangle)]
pub static ROOTS: (
    fn(&[u8], &mut [u8]) -> usize,
    fn(&[u8], &mut [u8]) -> usize,
) = (message, opening);

fn message(frame: &[u8], out: &mut [u8]) -> usize {
    Message::decode(frame).ok().and_then(|message| message.encode(out).ok()).map_or(0, <[u8]>::len)
}

fn opening(frame: &[u8], out: &mut [u8]) -> usize {
    Opening::decode(frame).ok().and_then(|opening| opening.encode(out).ok()).map_or(0, <[u8]>::len)
}

#[allow(clippy::indexing_slicing, reason = "runs in the compiler")]
const fn size(text: &str, bytes: usize) -> Size {
    let mut name = [0; 28];
    let mut at = 0;
    while at < text.len() {
        name[at] = text.as_bytes()[at];
        at += 1;
    }
    Size { name, bytes: bytes as u32 }
}

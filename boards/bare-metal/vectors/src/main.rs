//! Core's vectors on a microcontroller: no operating system, no allocator. Prints one line for each over semihosting, and ends the emulator
//! with code 1 at the first that does not hold.

#![no_std]
#![no_main]

#[path = "../../../../core/tests/vectors/all.rs"]
mod all;

use core::panic::PanicInfo;

use semihosting::{print, println, process};

#[cortex_m_rt::entry]
fn main() -> ! {
    for (name, check) in all::VECTORS {
        print!("{name} ... ");
        check();
        println!("ok");
    }
    println!("{} vectors hold", all::VECTORS.len());
    process::exit(0)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("FAILED: {info}");
    process::exit(1)
}

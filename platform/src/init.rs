//! The first process of a board: what an operating system would do, and no more, around one node.
//!
//! Runs as root, reads nothing from the network but DHCP's answers and who asks for its name, and starts the node as a user who may do nothing. Each part is a
//! file: [`mounts`] and [`modules`] make the machine usable, [`settings`] reads the owner's file, [`network`] gets an address,
//! [`child`] keeps the node running, [`power`] and [`watchdog`] end it all.

mod aside;
mod boot;
mod child;
mod clock;
mod console;
mod dhcp;
mod disks;
mod ear;
mod image;
mod imager;
mod light;
mod mdns;
mod modules;
mod mounts;
mod network;
mod partition;
mod power;
mod reaper;
mod report;
mod settings;
mod sntp;
mod watchdog;
mod wifi;

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

use crate::sys::board::process;
use crate::sys::board::system::{self, Power};
use clock::Clock;
use console::say;
use image::Image;
use light::{Light, Mood};
use network::Lan;
use report::Report;

pub use crate::sys::board::process::is_init;

/// Before the machine is started anew because the first process cannot go on: time to read why.
const READ_WHY: Duration = Duration::from_secs(10);

/// How long programs may take to be gone once they are ended: the kernel takes their memory and files back first.
const GONE: Duration = Duration::from_secs(5);

/// Runs the machine until it is switched off. Never returns.
pub fn main() -> ! {
    mounts::kernel();
    console::prepare();
    watchdog::start();
    let power = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => LocalSet::new().block_on(&runtime, run()),
        Err(error) => {
            say(&format!("cannot start: {error}; the board starts anew"));
            std::thread::sleep(READ_WHY);
            Power::Reboot
        }
    };
    finish(power)
}

/// Everything, until someone asks for the end.
async fn run() -> Power {
    let image = Image::read();
    say(&format!("Bulbil {} on {}", env!("CARGO_PKG_VERSION"), image.board));
    let (ask, mut asked) = mpsc::channel(1);
    let reaper = reaper::start();
    spawn_local(watchdog::run());
    spawn_local(power::signals(ask.clone()));
    modules::load();
    spawn_local(power::buttons(ask.clone()));
    let clock = Rc::new(Clock::start(image.epoch));
    let light = Rc::new(Light::find());
    light.show(Mood::Starting);
    let settings = settings::read().await;
    if settings.board.watchdog == Some(false) {
        watchdog::release();
    }
    let report = Rc::new(Report::new(&image, &settings));
    network::name(&settings.board, &report);
    let lan = Lan::start(settings.board.clone(), settings.wifi.clone(), Rc::clone(&report));
    spawn_local(disks::run());
    if let Some(server) = &settings.board.time_server {
        spawn_local(sntp::run(server.0, Rc::clone(&clock)));
    }
    spawn_local(ear::run(clock, Rc::clone(&light)));
    let node = spawn_local(child::run(settings.node, ask, reaper, light));
    let power = asked.recv().await.unwrap_or(Power::Reboot);
    say(match power {
        Power::Off => "switching off",
        Power::Reboot => "starting anew",
    });
    node.abort();
    child::stop().await;
    lan.stop().await;
    power
}

/// The end of the machine. Disks may take their time; what cannot end is ended by the watchdog.
fn finish(power: Power) -> ! {
    watchdog::end();
    if let Err(error) = process::stop_all() {
        say(&format!("some programs did not end: {error}"));
    }
    if !process::outlive_all(GONE) {
        say("some programs are still there; a disk that they use may have to be checked");
    }
    mounts::release();
    watchdog::release();
    loop {
        let error = system::end(power);
        say(&format!("the machine cannot be ended: {error}; take its power away"));
        std::thread::sleep(READ_WHY);
    }
}

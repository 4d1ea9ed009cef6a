//! Who may end the machine: a signal (Ctrl-Alt-Del is one) and the power button.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::console::say;
use crate::sys::board::system::{self, Power};

/// `struct input_event` of a 64-bit kernel (linux/input.h): time (16 bytes), type, code, value.
const EVENT: usize = 24;

/// `EV_KEY`, and `KEY_POWER` (linux/input-event-codes.h).
const KEY: u16 = 1;
const POWER: u16 = 116;

/// Ctrl-Alt-Del starts the machine anew; SIGTERM, which nobody but root can send here, switches it off.
pub(super) async fn signals(ask: mpsc::Sender<Power>) {
    if let Err(error) = system::catch_keys() {
        say(&format!("Ctrl-Alt-Del is not caught: {error}"));
    }
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return say("signals cannot be caught");
    };
    let power = tokio::select! {
        _ = interrupt.recv() => Power::Reboot,
        _ = terminate.recv() => Power::Off,
    };
    let _ = ask.send(power).await; // the end has been asked for already
}

/// Any key of any device that says it is the power button.
pub(super) fn buttons(ask: &mpsc::Sender<Power>) {
    for device in devices() {
        let ask = ask.clone();
        // A blocking read each: there are a few devices at most, and nothing else reads them.
        std::thread::spawn(move || {
            let Ok(mut file) = File::open(&device) else { return };
            let mut event = [0; EVENT];
            while file.read_exact(&mut event).is_ok() {
                if is_power(&event) {
                    let _ = ask.blocking_send(Power::Off); // the end has been asked for already
                    return;
                }
            }
        });
    }
}

/// Input devices that have keys and few of them: buttons, not keyboards.
fn devices() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/sys/class/input") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut events: Vec<String> = names.filter(|name| name.starts_with("event")).collect();
    events.sort();
    events.truncate(MAX_DEVICES);
    events.into_iter().map(|name| PathBuf::from("/dev/input").join(name)).collect()
}

fn is_power(event: &[u8; EVENT]) -> bool {
    let word = |at: usize| Some(u16::from_ne_bytes([*event.get(at)?, *event.get(at + 1)?]));
    let pressed = event.get(20..).is_some_and(|value| value == 1_i32.to_ne_bytes());
    word(16) == Some(KEY) && word(18) == Some(POWER) && pressed
}

/// Devices that are read at most; a thread each.
const MAX_DEVICES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_power_button_pressed_counts() {
        let event = |kind: u16, code: u16, value: i32| {
            let mut event = [0; EVENT];
            event[16..18].copy_from_slice(&kind.to_ne_bytes());
            event[18..20].copy_from_slice(&code.to_ne_bytes());
            event[20..].copy_from_slice(&value.to_ne_bytes());
            event
        };
        assert!(is_power(&event(1, 116, 1)));
        assert!(!is_power(&event(1, 116, 0)) && !is_power(&event(1, 30, 1)) && !is_power(&event(0, 116, 1)));
    }
}

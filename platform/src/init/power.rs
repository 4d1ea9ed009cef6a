//! Who may end the machine: a signal (Ctrl-Alt-Del is one) and the power button.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::aside;
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

/// Any device that has a power button; some come late, as a keyboard on USB does.
pub(super) async fn buttons(ask: mpsc::Sender<Power>) {
    let mut seen: Vec<PathBuf> = Vec::new();
    loop {
        seen.retain(|device| device.exists());
        for device in devices() {
            if !seen.contains(&device) && seen.len() < MAX_DEVICES {
                seen.push(device.clone());
                let ask = ask.clone();
                // A blocking read each: there are a few devices at most.
                if let Err(error) = aside::start(move || listen(&device, &ask)) {
                    say(&format!("a power button is not listened to: {error}"));
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Until the button is pressed or the device is gone.
fn listen(device: &Path, ask: &mpsc::Sender<Power>) {
    let Ok(mut file) = File::open(device) else { return };
    let mut event = [0; EVENT];
    while file.read_exact(&mut event).is_ok() {
        if is_power(&event) {
            let _ = ask.blocking_send(Power::Off); // the end has been asked for already
            return;
        }
    }
}

/// All input devices, sorted.
fn devices() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/dev/input") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut events: Vec<String> = names.filter(|name| name.starts_with("event")).collect();
    events.sort();
    events.into_iter().map(|name| Path::new("/dev/input").join(name)).collect()
}

fn is_power(event: &[u8; EVENT]) -> bool {
    let word = |at: usize| Some(u16::from_ne_bytes([*event.get(at)?, *event.get(at + 1)?]));
    let pressed = event.get(20..).is_some_and(|value| value == 1_i32.to_ne_bytes());
    word(16) == Some(KEY) && word(18) == Some(POWER) && pressed
}

/// Pause between two looks for devices.
const LOOK: Duration = Duration::from_secs(2);

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

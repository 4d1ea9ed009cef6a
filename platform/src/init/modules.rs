//! Drivers, in the order that the builder of the image found out.

use std::fs::{self, File};
use std::path::Path;

use super::console::say;
use super::watchdog;
use crate::sys::board::system;

/// Names of modules, one in a line; each is a file beside it.
const LIST: &str = "/lib/modules/list";

/// Loads them all; each may take as long as the watchdog lets it. A driver whose hardware is not there is no fault; one that cannot be read is.
pub(super) fn load() {
    let list = match fs::read_to_string(LIST) {
        Ok(list) => list,
        Err(error) => {
            return say(&format!("no drivers are loaded: {error}; the image is damaged: write it again"));
        }
    };
    let folder = Path::new(LIST).parent().unwrap_or(Path::new("/"));
    for name in list.lines() {
        watchdog::beat();
        let path = folder.join(format!("{name}.ko"));
        let loaded = File::open(&path).and_then(|file| system::load_module(&file));
        let absent = loaded.as_ref().is_err_and(|error| error.raw_os_error() == Some(NO_DEVICE));
        if let Err(error) = loaded
            && !absent
        {
            say(&format!("driver {name} is not loaded: {error}"));
        }
        // Loaded code is the kernel's copy; this one would only take memory.
        let _ = fs::remove_file(&path);
    }
}

/// `ENODEV`.
const NO_DEVICE: i32 = 19;

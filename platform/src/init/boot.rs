//! What the owner wrote onto the boot partition: read once, and the partition is in use for this long only.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use super::partition;
use crate::sys::board::system::{Access, mount, unmount};

/// How long a card or disk may take to appear.
const APPEAR: Duration = Duration::from_secs(10);

/// Pause between two looks for it; no event comes to a program that is not udev.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes of a file at most.
const MAX_FILE: u64 = 64 * 1024;

/// Where the boot partition is mounted while it is read. An image that is started over the network has its settings there already.
const MOUNT: &str = "/boot";

/// Our own file.
pub(super) const OURS: &str = "bulbil.toml";

/// The files of Raspberry Pi Imager, in the order in which they are believed.
pub(super) const IMAGER: [&str; 4] = ["custom.toml", "user-data", "network-config", "firstrun.sh"];

/// One file: its text, or why there is none.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) name: &'static str,
    pub(super) text: Result<String, String>,
}

/// Finds the partition and reads the files that are there, ours first.
pub(super) async fn read() -> Vec<Page> {
    let folder = Path::new(MOUNT);
    if folder.join(OURS).is_file() {
        return pages(folder);
    }
    let found = tokio::time::timeout(APPEAR, async {
        loop {
            if let Some(device) = partition::find() {
                return device;
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    let read = match found.await {
        Ok(device) => take(&device).map_err(|error| format!("cannot be read: {error}")),
        Err(_) => Err("was not found within 10 s: no disk has a partition named BULBIL".to_owned()),
    };
    read.unwrap_or_else(|why| vec![Page { name: OURS, text: Err(why) }])
}

/// Mounts the partition for as long as it takes: it may be pulled out afterwards.
fn take(device: &Path) -> io::Result<Vec<Page>> {
    let folder = Path::new(MOUNT);
    let device = device.to_str().unwrap_or_default();
    mount(device, folder, "vfat", Access::Read, "iocharset=ascii")?;
    let pages = pages(folder);
    unmount(folder, false)?;
    Ok(pages)
}

/// Those files that are there. No file, no wishes.
fn pages(folder: &Path) -> Vec<Page> {
    let page = |name| {
        let mut text = String::new();
        let read =
            File::open(folder.join(name)).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
        match read {
            Ok(_) => Some(Page { name, text: Ok(text) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Page { name, text: Err(format!("cannot be read: {error}")) }),
        }
    };
    std::iter::once(OURS).chain(IMAGER).filter_map(page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn ours_comes_first_and_a_bad_file_says_so() {
        let folder = Scratch::new("boot");
        for (name, bytes) in
            [("firstrun.sh", &b"#!/bin/sh"[..]), (OURS, b"# x"), ("user-data", &[0xff, 0xfe])]
        {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let read = pages(folder.path());
        let names: Vec<_> = read.iter().map(|page| (page.name, page.text.is_ok())).collect();
        assert_eq!(names, [(OURS, true), ("user-data", false), ("firstrun.sh", true)]);
    }
}

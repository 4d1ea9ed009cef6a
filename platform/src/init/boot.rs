//! What the owner wrote onto the boot partition: read once, and the partition is in use for this long only.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::aside;
use super::partition;
use crate::status::board::OURS;
use crate::sys::board::system::{Access, mount, unmount};

/// How long a card or disk may take to appear, and how long to be read then.
const APPEAR: Duration = Duration::from_secs(10);
const READ: Duration = Duration::from_secs(30);

/// Bytes of a file at most.
const MAX_FILE: u64 = 64 * 1024;

/// Where the boot partition is mounted while it is read. An image that is started over the network has its settings there already.
const MOUNT: &str = "/boot";

/// The files of Raspberry Pi Imager, in the order in which they are believed.
pub(super) const IMAGER: [&str; 4] = ["custom.toml", "user-data", "network-config", "firstrun.sh"];

/// What Windows makes of our file's name where it hides how names end, and what is told of it.
const SLIP: &str = "bulbil.toml.txt";
const SLIPPED: &str = "is not read, its name must be bulbil.toml; Windows hides the .txt unless it is told to show file name \
                       extensions";

/// What is told of a file that cannot be used.
const TOO_LARGE: &str = "is larger than 64 KiB, so nothing in it counts; make it shorter";
const NO_TEXT: &str = "is not UTF-8 text, so nothing in it counts; save it as UTF-8";

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
    let read = match timeout(APPEAR, partition::find()).await {
        Ok(device) => within(READ, move || take(&device)).await,
        Err(_) => Err("was not found within 10 s: no disk has a partition named BULBIL".to_owned()),
    };
    read.unwrap_or_else(|why| vec![Page { name: OURS, text: Err(why) }])
}

/// Reads while everything else goes on, and tells why that failed.
async fn within(
    limit: Duration,
    read: impl FnOnce() -> io::Result<Vec<Page>> + Send + 'static,
) -> Result<Vec<Page>, String> {
    let unread = |error: io::Error| format!("cannot be read: {error}; write the image onto another card");
    match timeout(limit, aside::start(read).map_err(unread)?).await {
        Ok(Ok(read)) => read.map_err(unread),
        _ => Err(format!("is not read after {} s; write the image onto another card", limit.as_secs())),
    }
}

/// Mounts the partition for as long as it takes: it may be pulled out afterwards.
fn take(device: &Path) -> io::Result<Vec<Page>> {
    let folder = Path::new(MOUNT);
    let device = device.to_str().unwrap_or_default();
    mount(device, folder, "vfat", Access::Read, "iocharset=ascii")?;
    let pages = pages(folder);
    // What was read counts, whatever becomes of the card now.
    let _ = unmount(folder, false).or_else(|_| unmount(folder, true));
    Ok(pages)
}

/// Those files that are there. No file, no wishes.
fn pages(folder: &Path) -> Vec<Page> {
    let page = |name| {
        let text = match text(&folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(format!("cannot be read: {error}")),
            Ok(text) => text.map_err(str::to_owned),
        };
        Some(Page { name, text })
    };
    let mut pages: Vec<Page> = std::iter::once(OURS).chain(IMAGER).filter_map(page).collect();
    if folder.join(SLIP).exists() {
        pages.push(Page { name: SLIP, text: Err(SLIPPED.to_owned()) });
    }
    pages
}

/// A whole file, or why nothing of it counts: half a file may say something else.
fn text(path: &Path) -> io::Result<Result<String, &'static str>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Ok(Err(TOO_LARGE));
    }
    Ok(String::from_utf8(bytes).map_err(|_| NO_TEXT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn ours_comes_first_and_a_bad_file_says_so() {
        let folder = Scratch::new("boot");
        let most = usize::try_from(MAX_FILE).unwrap();
        for (name, bytes) in [
            ("firstrun.sh", &vec![b'#'; most + 1][..]),
            (OURS, &vec![b'#'; most][..]),
            ("user-data", &[0xff, 0xfe]),
            ("custom.toml", b"# x"),
            (SLIP, b"memory = 1"),
        ] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let read = pages(folder.path());
        let told: Vec<_> =
            read.iter().map(|page| (page.name, page.text.as_ref().err().map(String::as_str))).collect();
        assert_eq!(
            told,
            [
                (OURS, None),
                ("custom.toml", None),
                ("user-data", Some(NO_TEXT)),
                ("firstrun.sh", Some(TOO_LARGE)),
                (SLIP, Some(SLIPPED)),
            ]
        );
        assert!(pages(&folder.path().join("nowhere")).is_empty());
    }

    #[tokio::test]
    async fn a_card_that_hangs_is_told_of() {
        let (release, card) = std::sync::mpsc::channel::<()>();
        let hangs = move || {
            let _ = card.recv(); // until the test is over
            Ok(Vec::new())
        };
        let told = within(Duration::from_millis(1), hangs).await.unwrap_err();
        assert!(told.starts_with("is not read after"), "{told}");
        drop(release);
        let broken = || Err(io::Error::other("torn"));
        assert!(within(READ, broken).await.unwrap_err().contains("torn"));
    }
}

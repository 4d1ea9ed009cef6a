//! The owner's disks: whatever file system appears is mounted for the node, and taken off when its disk is pulled.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::aside;
use super::child::ID;
use super::console::say;
use super::partition;
use crate::sys::board::system::{Access, mount, unmount};

/// Pause between two looks: nothing tells a program without udev that a disk came.
const LOOK: Duration = Duration::from_secs(2);

/// Disks that are mounted at most.
const MAX_DISKS: usize = 16;

/// Where they are mounted, each in a folder by the kernel's name for it.
const HOME: &str = "/disks";

/// Bytes at the start of a file system that tell which one it is.
const HEAD: usize = 2048;

/// Devices that are watched at most; most of them hold no file system.
const MAX_DEVICES: usize = 128;

/// What a disk may take to be mounted before its owner hears of it. One that must start to turn and read its journal takes less.
const SLOW: Duration = Duration::from_secs(30);

/// Serves all disks, for ever.
pub(super) async fn run() {
    let room = Rc::new(Semaphore::new(MAX_DISKS));
    let mut served: Vec<(PathBuf, JoinHandle<()>)> = Vec::new();
    loop {
        served.retain(|(_, task)| !task.is_finished());
        for device in partition::devices() {
            let known = served.iter().any(|(known, _)| *known == device);
            if known || served.len() == MAX_DEVICES {
                continue;
            }
            served.push((device.clone(), spawn_local(serve(device, Rc::clone(&room)))));
        }
        sleep(LOOK).await;
    }
}

/// One device, until it is pulled. A disk takes room from the first look at it on.
async fn serve(device: PathBuf, room: Rc<Semaphore>) {
    let Ok(place) = room.acquire().await else { return };
    let name = device.file_name().unwrap_or_default().to_owned();
    let slow = || {
        let (name, seconds) = (name.display(), SLOW.as_secs());
        say(&format!(
            "{name} is not ready after {seconds} s; if it stays so, pull it and check it on another machine"
        ));
    };
    let own = device.clone();
    let Some(at) = patiently(move || put_on(&own), SLOW, slow).await.flatten() else {
        drop(place);
        return gone(&device).await;
    };
    gone(&device).await;
    say(&format!("the disk at {} was pulled", at.display()));
    let still =
        || say(&format!("{} is still in use; its port may need the board to start anew", name.display()));
    patiently(move || take_off(&at), SLOW, still).await;
}

async fn gone(device: &Path) {
    while device.exists() {
        sleep(LOOK).await;
    }
}

/// Does what a disk may delay. After `patience`, `slow` is called, once. `None` if there is no thread.
async fn patiently<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    patience: Duration,
    slow: impl FnOnce(),
) -> Option<T> {
    let mut told = match aside::start(work) {
        Ok(told) => told,
        Err(error) => {
            say(&format!("a disk cannot be looked at: {error}"));
            return None;
        }
    };
    if let Ok(done) = timeout(patience, &mut told).await {
        return done.ok();
    }
    slow();
    told.await.ok()
}

/// Mounts what is on a device, if it is anything.
fn put_on(device: &Path) -> Option<PathBuf> {
    let mut head = [0; HEAD];
    File::open(device).and_then(|mut file| file.read_exact(&mut head)).ok()?;
    if partition::is_boot(&head) {
        return None;
    }
    let (kind, options) = kind(&head)?;
    let name = device.file_name()?;
    let at = Path::new(HOME).join(name);
    let mounted = fs::create_dir_all(&at)
        .and_then(|()| mount(device.to_str().unwrap_or_default(), &at, kind, Access::Write, &options));
    match mounted {
        Ok(()) => {
            say(&format!("{} ({kind}) is at {}", name.display(), at.display()));
            Some(at)
        }
        Err(error) => {
            say(&format!("{} ({kind}) cannot be used: {error}; check it on another machine", name.display()));
            None
        }
    }
}

/// The disk is not ours any more.
fn take_off(at: &Path) {
    let _ = unmount(at, true); // the kernel may have done it
    let _ = fs::remove_dir(at);
}

/// The kernel's name of a file system, and options that let the node use it. FAT knows no owners: all of it is the node's.
fn kind(head: &[u8]) -> Option<(&'static str, String)> {
    let at = |start: usize, word: &[u8]| head.get(start..).is_some_and(|rest| rest.starts_with(word));
    let owner = format!("uid={ID},gid={ID},umask=077");
    if at(3, b"EXFAT   ") {
        Some(("exfat", owner))
    } else if at(510, &[0x55, 0xaa]) && (at(82, b"FAT32") || at(54, b"FAT1")) {
        Some(("vfat", format!("{owner},utf8=1,iocharset=ascii,flush")))
    } else if at(1080, &[0x53, 0xef]) {
        Some(("ext4", String::new()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[tokio::test]
    async fn a_slow_disk_is_told_of_and_keeps_nobody_waiting() {
        let (release, disk) = std::sync::mpsc::channel();
        // Only who goes on meanwhile can let it end.
        let wait = move || disk.recv_timeout(Duration::from_secs(20));
        let done = patiently(wait, Duration::from_millis(1), || release.send(7).unwrap());
        assert_eq!(done.await, Some(Ok(7)));
        let done = patiently(|| 7, Duration::from_secs(20), || panic!("it was quick"));
        assert_eq!(done.await, Some(7));
    }

    #[tokio::test]
    async fn a_device_without_a_file_system_is_left_alone() {
        let folder = Scratch::new("disks");
        let device = folder.path().join("sda");
        fs::write(&device, [0; HEAD]).unwrap();
        let room = Rc::new(Semaphore::new(1));
        let served = serve(device.clone(), Rc::clone(&room));
        let pull = async {
            while room.available_permits() == 0 {
                tokio::task::yield_now().await;
            }
            fs::remove_file(&device).unwrap();
        };
        let both = async { tokio::join!(served, pull) };
        timeout(Duration::from_secs(20), both).await.unwrap();
        assert_eq!(room.available_permits(), 1);
    }

    #[test]
    fn file_systems_are_told_by_their_marks() {
        let with = |at: usize, word: &[u8]| {
            let mut head = [0; HEAD];
            head[510..512].copy_from_slice(&[0x55, 0xaa]);
            head[at..at + word.len()].copy_from_slice(word);
            kind(&head).map(|(kind, _)| kind)
        };
        assert_eq!(with(3, b"EXFAT   "), Some("exfat"));
        assert_eq!(with(82, b"FAT32   "), Some("vfat"));
        assert_eq!(with(54, b"FAT16   "), Some("vfat"));
        assert_eq!(with(1080, &[0x53, 0xef]), Some("ext4"));
        assert_eq!(with(0, b"LUKS"), None, "locked, and a partition table alone");
    }
}

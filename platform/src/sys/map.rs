//! Files read through the page cache, without a copy of our own, and without dying when they shrink.
//!
//! Touching a mapped page past the end of its file raises SIGBUS, which kills. So every read happens inside a window
//! that the thread announces first; the handler, which runs on the same thread, looks whether the address lies in
//! that window, puts a page of zeros in its place and marks the window broken. The read then goes on over zeros, sees
//! the mark and fails. Any other SIGBUS gets the default action back and kills as it should.
//!
//! The handler calls only `mmap` and `sigaction`, which are plain system calls, and touches one thread-local
//! of constant initial value without destructor, which needs no allocation: all of it may run inside a signal.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use memmap2::{MmapOptions, MmapRaw, UncheckedAdvice};
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Where this thread is reading a map: first byte, byte past the last, and whether the handler had to step in.
#[derive(Clone, Copy)]
struct Window {
    start: usize,
    end: usize,
    broken: bool,
}

const NO_WINDOW: Window = Window { start: 0, end: 0, broken: false };

thread_local! {
    static WINDOW: Cell<Window> = const { Cell::new(NO_WINDOW) };
}

/// Touching one page may map as many as a page table holds: what the page cache keeps in one piece (a folio) is mapped in
/// one go, and a folio is no larger and lies at a multiple of its size.
const AROUND: usize = 512;

/// Page size, read once so that the handler need not ask.
static PAGE: OnceLock<usize> = OnceLock::new();

/// A file mapped read-only at the length it had.
#[derive(Debug)]
pub struct Map {
    /// `None` for an empty file, which cannot be mapped.
    map: Option<MmapRaw>,
    broken: AtomicBool,
}

/// The file does not hold those bytes (any more).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Truncated;

impl Map {
    /// Maps the whole file as long as it is now. The file may be closed afterwards.
    pub fn new(file: &File) -> io::Result<Self> {
        install()?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let map = match length {
            0 => None,
            _ => Some(MmapOptions::new().len(length).map_raw_read_only(file)?),
        };
        if let Some(map) = &map {
            // Where all memory is locked, this one is not: its bytes are in the file anyway, and its pages are given back.
            // SAFETY: the range is that of the map. A failure leaves it as it was.
            let _ = unsafe { libc::munlock(map.as_ptr().cast(), map.len()) };
        }
        Ok(Self { map, broken: AtomicBool::new(false) })
    }

    /// Bytes of the file when it was mapped.
    pub fn len(&self) -> u64 {
        self.map.as_ref().map_or(0, |map| u64::try_from(map.len()).unwrap_or(u64::MAX))
    }

    /// Whether the file was empty.
    pub fn is_empty(&self) -> bool {
        self.map.is_none()
    }

    /// Copies the bytes from `offset` on. After a failure the map stays broken: open the file anew.
    ///
    /// The pages read are given back at once, so that what was served does not count as our memory.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Truncated> {
        if out.is_empty() {
            return Ok(());
        }
        let map = self.map.as_ref().ok_or(Truncated)?;
        let offset = usize::try_from(offset).map_err(|_| Truncated)?;
        let end = offset.checked_add(out.len()).filter(|end| *end <= map.len()).ok_or(Truncated)?;
        if self.broken.load(Ordering::Acquire) {
            return Err(Truncated);
        }
        // SAFETY: offset + out.len() <= map.len(), so the pointer and all it is read for lie inside the map.
        let from = unsafe { map.as_ptr().add(offset) };
        if copy(from, out) {
            self.broken.store(true, Ordering::Release);
            return Err(Truncated);
        }
        let around = page() * AROUND;
        let first = offset / around * around;
        let last = end.next_multiple_of(around).min(map.len());
        // SAFETY: the map is read-only and of a file: dropped pages come back from the file when touched again.
        let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, first, last - first) };
        Ok(())
    }
}

/// Copies `out.len()` bytes from inside a map, and says whether any of them were not there.
fn copy(from: *const u8, out: &mut [u8]) -> bool {
    let start = from.addr();
    WINDOW.set(Window { start, end: start + out.len(), broken: false });
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the caller vouches for the source range; the target is a distinct exclusive slice. The file may change
    // while it is read: bytes are plain data, no reference to the map exists, and what was read is hashed afterwards.
    unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
    compiler_fence(Ordering::SeqCst);
    WINDOW.replace(NO_WINDOW).broken
}

fn page() -> usize {
    *PAGE.get_or_init(|| {
        let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
        size.and_then(|size| usize::try_from(size).ok()).unwrap_or(4096)
    })
}

/// Installs the handler, once per process.
fn install() -> io::Result<()> {
    static DONE: OnceLock<Result<(), nix::Error>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        page();
        let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
        let action = SigAction::new(SigHandler::SigAction(on_bus_error), flags, SigSet::empty());
        // SAFETY: the handler keeps to what a signal handler may do, see the top of this file.
        unsafe { sigaction(Signal::SIGBUS, &action) }.map(drop)
    });
    done.map_err(io::Error::from)
}

/// Puts a page of zeros where the file has none, if the fault was ours.
extern "C" fn on_bus_error(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to a handler installed with SA_SIGINFO; si_addr is set for SIGBUS.
    let fault = unsafe { (*info).si_addr() }.addr();
    let window = WINDOW.get();
    let page = PAGE.get().copied().unwrap_or(4096);
    if (window.start..window.end).contains(&fault) {
        let (prot, flags) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
        let at = std::ptr::without_provenance_mut(fault / page * page);
        // SAFETY: the page belongs to a map that is alive, as this very thread is reading it.
        let put = unsafe { libc::mmap(at, page, prot, flags, -1, 0) };
        if put != libc::MAP_FAILED {
            WINDOW.set(Window { broken: true, ..window });
            return;
        }
    }
    // Not ours: on return the faulting instruction runs again and the default action kills.
    // SAFETY: an all-zero sigaction is the default action without flags.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGBUS, &raw const default, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;
    use std::fs::OpenOptions;
    use std::sync::Barrier;

    const LEN: usize = 1 << 20;

    fn file(folder: &Scratch) -> File {
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..LEN).map(|at| u8::try_from(at % 251).unwrap()).collect();
        std::fs::write(&path, bytes).unwrap();
        OpenOptions::new().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn reads_what_is_there() {
        let folder = Scratch::new("map");
        let map = Map::new(&file(&folder)).unwrap();
        assert_eq!(map.len(), LEN as u64);
        let mut out = [0; 5_000];
        map.read(4_000, &mut out).unwrap();
        assert!(out.iter().enumerate().all(|(at, byte)| usize::from(*byte) == (at + 4_000) % 251));
        assert_eq!(map.read(LEN as u64 - 4_999, &mut out), Err(Truncated));
        assert_eq!(map.read(u64::MAX, &mut out), Err(Truncated));
    }

    #[test]
    fn what_was_read_in_any_order_is_given_back() {
        let folder = Scratch::new("map");
        let map = Map::new(&file(&folder)).unwrap();
        let mut out = vec![0; 16 * 1024];
        for step in 0..64_u64 {
            map.read(step * 27 % 64 * 16 * 1024, &mut out).unwrap();
        }
        assert_eq!(resident_of(map.map.as_ref().unwrap().as_ptr().addr()), 0);
    }

    #[test]
    fn an_empty_file_has_nothing() {
        let map = Map::new(&File::open("/dev/null").unwrap()).unwrap();
        assert!(map.is_empty());
        assert_eq!(map.read(0, &mut [0]), Err(Truncated));
        assert_eq!(map.read(0, &mut []), Ok(()));
    }

    #[test]
    fn a_file_cut_short_is_an_error_and_no_death() {
        let folder = Scratch::new("map");
        let file = file(&folder);
        let map = Map::new(&file).unwrap();
        file.set_len(10_000).unwrap();
        let mut out = vec![0; LEN];
        assert_eq!(map.read(0, &mut out), Err(Truncated));
        // Even what is still there: nobody knows what else changed.
        assert_eq!(map.read(0, &mut [0; 10]), Err(Truncated));
        assert_eq!(Map::new(&file).unwrap().read(0, &mut [0; 10_000]), Ok(()));
    }

    #[test]
    fn cut_under_readers_on_several_threads() {
        let folder = Scratch::new("map");
        let file = file(&folder);
        let maps: Vec<Map> = (0..4).map(|_| Map::new(&file).unwrap()).collect();
        let begin = Barrier::new(5);
        std::thread::scope(|scope| {
            for map in &maps {
                let begin = &begin;
                scope.spawn(move || {
                    let mut out = vec![0; LEN];
                    assert_eq!(map.read(0, &mut out), Ok(()));
                    begin.wait();
                    // Ends, because the file gets shorter and never longer again.
                    while map.read(0, &mut out).is_ok() {}
                });
            }
            begin.wait();
            file.set_len(0).unwrap();
        });
    }

    #[test]
    fn pages_that_were_read_do_not_stay_resident() {
        let folder = Scratch::new("map");
        let file = file(&folder);
        file.set_len(64 << 20).unwrap();
        let map = Map::new(&file).unwrap();
        let mut out = vec![0; 16 * 1024];
        for at in 0..(64 << 20) / 16_384_u64 {
            map.read(at * 16_384, &mut out).unwrap();
        }
        let resident = resident_of(map.map.as_ref().unwrap().as_ptr().addr());
        assert!(resident < 4096, "{resident} KiB stay");
    }

    /// KiB of the mapping at this address that are resident (proc(5), smaps).
    fn resident_of(start: usize) -> u64 {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&format!("{start:x}-")));
        let rss = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

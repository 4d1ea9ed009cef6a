//! Entries of a folder: a short name each, and before it a long one in pieces unless the short one says all.

use super::{ENTRY, SECTOR};

/// Letters of a long name in one entry.
const PIECE: usize = 13;

/// Attributes.
const VOLUME: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
const LONG: u8 = 0x0f;

/// When everything was made, as FAT writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    date: u16,
    time: u16,
}

impl Stamp {
    /// FAT knows the years 1980 to 2107, and every second second.
    pub(super) fn of((year, month, day): (u64, u64, u64), epoch: u64) -> Self {
        let second = epoch % 86_400;
        let small = |value: u64| u16::try_from(value).unwrap_or(0);
        Self {
            date: small((year.clamp(1980, 2107) - 1980) << 9 | month << 5 | day),
            time: small((second / 3600) << 11 | (second / 60 % 60) << 5 | (second % 60 / 2)),
        }
    }
}

/// What an entry stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    File,
    Folder,
}

/// A folder's entries.
#[derive(Debug)]
pub(super) struct Folder {
    stamp: Stamp,
    bytes: Vec<u8>,
    /// Short names that are taken.
    taken: Vec<[u8; 11]>,
    len: usize,
}

impl Folder {
    pub(super) fn new(stamp: Stamp) -> Self {
        Self { stamp, bytes: Vec::new(), taken: Vec::new(), len: 0 }
    }

    /// The name of the whole file system, in the root folder.
    pub(super) fn label(&mut self, label: [u8; 11]) {
        self.short(label, VOLUME, 0, 0);
    }

    /// What every folder but the root begins with: itself, and the one above.
    pub(super) fn dots(&mut self, own: u32, above: u32) {
        self.short(*b".          ", DIRECTORY, own, 0);
        self.short(*b"..         ", DIRECTORY, above, 0);
    }

    /// Makes room for entries with these names.
    pub(super) fn reserve(&mut self, names: &[&str]) {
        let entries: usize = names.iter().map(|name| pieces(name) + 1).sum();
        // A free entry ends the folder.
        self.len = (self.bytes.len() + (entries + 1) * ENTRY).next_multiple_of(SECTOR);
    }

    /// Bytes it takes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One entry; it must have been reserved.
    pub(super) fn add(&mut self, name: &str, kind: Kind, cluster: u32, size: u32) {
        let short = self.short_name(name);
        if pieces(name) > 0 {
            self.long(name, check(&short));
        }
        self.taken.push(short);
        let attribute = if kind == Kind::Folder { DIRECTORY } else { ARCHIVE };
        self.short(short, attribute, cluster, size);
    }

    /// All entries.
    pub(super) fn bytes(mut self) -> Vec<u8> {
        self.bytes.resize(self.len, 0);
        self.bytes
    }

    fn short(&mut self, name: [u8; 11], attribute: u8, cluster: u32, size: u32) {
        let Stamp { date, time } = self.stamp;
        let [c0, c1, c2, c3] = cluster.to_le_bytes();
        self.bytes.extend(name);
        self.bytes.extend([attribute, 0, 0]);
        for part in [time, date, date] {
            self.bytes.extend(part.to_le_bytes());
        }
        self.bytes.extend([c2, c3]);
        for part in [time, date] {
            self.bytes.extend(part.to_le_bytes());
        }
        self.bytes.extend([c0, c1]);
        self.bytes.extend(size.to_le_bytes());
    }

    /// The pieces of a long name, the last one first.
    fn long(&mut self, name: &str, check: u8) {
        let mut letters: Vec<u16> = name.encode_utf16().collect();
        if !letters.len().is_multiple_of(PIECE) {
            letters.push(0);
        }
        letters.resize(letters.len().next_multiple_of(PIECE), 0xffff);
        let count = letters.len() / PIECE;
        for (at, piece) in letters.chunks(PIECE).enumerate().rev() {
            let last = if at + 1 == count { 0x40 } else { 0 };
            self.bytes.push(u8::try_from(at + 1).unwrap_or(0) | last);
            let bytes: Vec<u8> = piece.iter().flat_map(|letter| letter.to_le_bytes()).collect();
            self.bytes.extend(bytes.iter().take(10));
            self.bytes.extend([LONG, 0, check]);
            self.bytes.extend(bytes.iter().skip(10).take(12));
            self.bytes.extend([0, 0]);
            self.bytes.extend(bytes.iter().skip(22));
        }
    }

    /// The name itself if it is short, else its first letters with a number that nobody has yet.
    fn short_name(&self, name: &str) -> [u8; 11] {
        if let Some(short) = exact(name) {
            return short;
        }
        let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let plain = |text: &str| -> Vec<u8> {
            text.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
        };
        let (base, extension) = (plain(base), plain(extension));
        for number in 1_u32.. {
            let tail = format!("~{number}");
            let head = base.iter().copied().take(8 - tail.len().min(8));
            let head: Vec<u8> = head.chain(tail.bytes()).chain(std::iter::repeat(b' ')).take(8).collect();
            let end = extension.iter().copied().chain(std::iter::repeat(b' ')).take(3);
            let short: Vec<u8> = head.into_iter().chain(end).collect();
            if let Ok(short) = <[u8; 11]>::try_from(short)
                && !self.taken.contains(&short)
            {
                return short;
            }
        }
        [b'_'; 11]
    }
}

/// Whether FAT can have a file of this name.
pub(super) fn is_name(name: &str) -> bool {
    let fits = (1..=255).contains(&name.encode_utf16().count()) && !name.ends_with(['.', ' ']);
    fits && !name.chars().any(|letter| letter.is_control() || "\"*/:<>?\\|".contains(letter))
}

/// Entries that the long form of a name takes.
fn pieces(name: &str) -> usize {
    if exact(name).is_some() { 0 } else { name.encode_utf16().count().div_ceil(PIECE) }
}

/// A name that needs no long form: capitals and digits, eight and three.
fn exact(name: &str) -> Option<[u8; 11]> {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let plain = |text: &str| {
        text.bytes()
            .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || b"-_".contains(&letter))
    };
    let fits = (1..=8).contains(&base.len()) && extension.len() <= 3 && plain(base) && plain(extension);
    let padded = format!("{base:<8}{extension:<3}");
    padded.into_bytes().try_into().ok().filter(|_| fits)
}

/// Ties the long form to the short one.
fn check(short: &[u8; 11]) -> u8 {
    short.iter().fold(0_u8, |sum, letter| sum.rotate_right(1).wrapping_add(*letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_kept_and_long_ones_are_numbered() {
        let mut folder = Folder::new(Stamp { date: 0, time: 0 });
        assert_eq!(&folder.short_name("MANIFEST.TXT"), b"MANIFESTTXT");
        assert_eq!(&folder.short_name("bcm2711-rpi-4-b.dtb"), b"BCM271~1DTB");
        folder.taken.push(*b"BCM271~1DTB");
        assert_eq!(&folder.short_name("bcm2711-rpi-400.dtb"), b"BCM271~2DTB");
        assert_eq!(&folder.short_name("a.tar.gz"), b"ATAR~1  GZ ");
        folder.taken.extend(
            (1..10)
                .map(|number| format!("KERNEL~{number}IMG").into_bytes())
                .map(|name| <[u8; 11]>::try_from(name).unwrap()),
        );
        assert_eq!(&folder.short_name("kernelimage.img"), b"KERNE~10IMG");
        assert_eq!((pieces("BOOT"), pieces("boot"), pieces("fourteen-chars")), (0, 1, 2));
    }

    #[test]
    fn names_of_devices_and_folders_are_told_apart_from_files() {
        assert!(is_name("a b.txt") && is_name("ä"));
        assert!(["", "a/b", "a:", "a.", "a ", "a\n"].iter().all(|name| !is_name(name)));
    }
}

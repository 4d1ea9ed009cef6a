//! A FAT32 file system made in memory: the same files at the same time make the same bytes.
//!
//! After Microsoft's "FAT32 File System Specification", 1.03. Written once and never changed, so files lie one after another.

mod entry;

use std::collections::BTreeMap;
use std::io;

use entry::{Folder, Kind, Stamp};

/// What PID 1 looks for.
pub(crate) const LABEL: [u8; 11] = *b"BULBIL     ";

/// Files by path, with `/` between folders.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A file system of `mib` MiB with these files. `epoch` is the date of each; it also makes the volume's number.
pub(crate) fn make(mib: u32, epoch: u64, files: &Files) -> io::Result<Vec<u8>> {
    let shape = Shape::of(mib)?;
    let mut root = Node::default();
    for (path, content) in files {
        root.insert(path, content)?;
    }
    let mut disk =
        Disk { shape, next: ROOT, chain: Vec::new(), data: Vec::new(), stamp: Stamp::of(date(epoch), epoch) };
    disk.place(&root, None)?;
    if disk.next > shape.clusters + ROOT {
        return Err(io::Error::other(format!(
            "{} MiB of files do not fit a boot partition of {mib} MiB: raise boot_mib in board.toml",
            disk.data.len() >> 20
        )));
    }
    Ok(disk.bytes(epoch))
}

/// Bytes of a sector, and of a cluster: small, so that 40 MiB are enough for FAT32.
const SECTOR: usize = 512;

/// Sectors before the first table.
const RESERVED: u32 = 32;

/// The first cluster there is; the root folder's.
const ROOT: u32 = 2;

/// Marks the end of a file in the tables.
const LAST: u32 = 0x0fff_ffff;

/// Bytes of an entry of a folder.
const ENTRY: usize = 32;

/// Sizes, in sectors.
#[derive(Clone, Copy, Debug)]
struct Shape {
    sectors: u32,
    table: u32,
    clusters: u32,
}

impl Shape {
    fn of(mib: u32) -> io::Result<Self> {
        let sectors = mib.checked_mul(2048).ok_or_else(|| io::Error::other("the partition is too large"))?;
        // Each sector of data takes 4 bytes in each of two tables.
        let table = (sectors - RESERVED).div_ceil(128 + 2) + 1;
        Ok(Self { sectors, table, clusters: sectors - RESERVED - 2 * table })
    }
}

/// A folder or a file on the way into the file system.
#[derive(Debug, Default)]
struct Node<'a> {
    content: Option<&'a [u8]>,
    children: BTreeMap<&'a str, Node<'a>>,
}

impl<'a> Node<'a> {
    fn insert(&mut self, path: &'a str, content: &'a [u8]) -> io::Result<()> {
        let node = path.split('/').fold(self, |node, name| node.children.entry(name).or_default());
        node.content = Some(content);
        let usable = path.split('/').all(entry::is_name);
        if usable { Ok(()) } else { Err(io::Error::other(format!("{path} is no name for a file on FAT"))) }
    }
}

/// The file system as it grows.
struct Disk {
    shape: Shape,
    next: u32,
    /// The tables' words from cluster 2 on.
    chain: Vec<u32>,
    data: Vec<u8>,
    stamp: Stamp,
}

impl Disk {
    /// Places a folder and all in it; returns its first cluster. `above` is the cluster of the folder it lies in.
    fn place(&mut self, node: &Node<'_>, above: Option<u32>) -> io::Result<u32> {
        let mut folder = Folder::new(self.stamp);
        match above {
            None => folder.label(LABEL),
            // The root is called 0 from below.
            Some(above) => folder.dots(self.next, if above == ROOT { 0 } else { above }),
        }
        let names: Vec<&str> = node.children.keys().copied().collect();
        folder.reserve(&names);
        let (first, at) = (self.next, self.data.len());
        self.take(&vec![0; folder.len()]);
        for (name, child) in &node.children {
            let (kind, start, size) = match child.content {
                None => (Kind::Folder, self.place(child, Some(first))?, 0),
                Some(bytes) => {
                    let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
                    (Kind::File, if bytes.is_empty() { 0 } else { self.take(bytes) }, size)
                }
            };
            folder.add(name, kind, start, size);
        }
        let bytes = folder.bytes();
        for (to, from) in self.data.iter_mut().skip(at).zip(bytes) {
            *to = from;
        }
        Ok(first)
    }

    /// Puts bytes into the next clusters; returns the first.
    fn take(&mut self, bytes: &[u8]) -> u32 {
        let first = self.next;
        let count = bytes.len().div_ceil(SECTOR).max(1);
        for number in 1..=count {
            self.next = self.next.saturating_add(1);
            self.chain.push(if number == count { LAST } else { self.next });
        }
        self.data.extend_from_slice(bytes);
        self.data.resize(self.chain.len() * SECTOR, 0);
        first
    }

    /// Boot sector and its copy, two tables, data.
    fn bytes(self, epoch: u64) -> Vec<u8> {
        let size = to_usize(self.shape.sectors) * SECTOR;
        let mut bytes = Vec::with_capacity(size);
        for copy in [0, BACKUP] {
            bytes.resize(copy * SECTOR, 0);
            bytes.extend(self.boot_sector(epoch));
            bytes.extend(self.summary());
        }
        let words = [0x0fff_fff8, LAST].into_iter().chain(self.chain.iter().copied());
        let table: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        for copy in 0..2 {
            bytes.resize(to_usize(RESERVED + copy * self.shape.table) * SECTOR, 0);
            bytes.extend_from_slice(&table);
        }
        bytes.resize(to_usize(RESERVED + 2 * self.shape.table) * SECTOR, 0);
        bytes.extend_from_slice(&self.data);
        bytes.resize(size, 0);
        bytes
    }

    /// The first sector: sizes, and where everything is.
    fn boot_sector(&self, epoch: u64) -> Vec<u8> {
        let mut sector = b"\xeb\x58\x90BULBIL  ".to_vec();
        sector.extend([0, 2, 1]); // bytes of a sector, sectors of a cluster
        sector.extend([32, 0, 2]); // reserved sectors, tables
        sector.extend([0, 0, 0, 0, 0xf8, 0, 0]); // what only older FATs use; a disk that stays
        sector.extend([63, 0, 255, 0]); // an old geometry
        sector.extend(2048_u32.to_le_bytes()); // sectors before this partition
        sector.extend(self.shape.sectors.to_le_bytes());
        sector.extend(self.shape.table.to_le_bytes());
        sector.extend([0, 0, 0, 0]); // both tables are alike; version 0.0
        sector.extend(ROOT.to_le_bytes());
        sector.extend([1, 0, 6, 0]); // the summary, the copy of this sector
        sector.extend([0; 12]);
        sector.extend([0x80, 0, 0x29]); // first disk; a number, a name and a kind follow
        sector.extend(u32::try_from(epoch & 0xffff_ffff).unwrap_or(0).to_le_bytes());
        sector.extend(LABEL);
        sector.extend(b"FAT32   ");
        // Not made to be started: stop.
        sector.extend([0xf4, 0xeb, 0xfd]);
        sector.resize(510, 0);
        sector.extend([0x55, 0xaa]);
        sector
    }

    /// The second sector: how much is free, and from where.
    fn summary(&self) -> Vec<u8> {
        let free = (self.shape.clusters + ROOT).saturating_sub(self.next);
        let mut sector = b"RRaA".to_vec();
        sector.resize(484, 0);
        sector.extend(b"rrAa");
        sector.extend(free.to_le_bytes());
        sector.extend(self.next.to_le_bytes());
        sector.resize(508, 0);
        sector.extend([0, 0, 0x55, 0xaa]);
        sector
    }
}

/// Where the copy of the first sectors lies.
const BACKUP: usize = 6;

fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Year, month and day of a moment, by counting years of 400 (proleptic Gregorian calendar).
pub(crate) fn date(epoch: u64) -> (u64, u64, u64) {
    // Days since 1 March of the year 0, so that the leap day is a year's last.
    let days = epoch / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read as _};

    const NOW: u64 = 1_795_219_200;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(951_782_400), (2000, 2, 29));
        assert_eq!(date(951_868_800), (2000, 3, 1));
        assert_eq!(date(NOW), (2026, 11, 21));
        assert_eq!(date(4_102_444_799), (2099, 12, 31));
    }

    #[test]
    fn what_was_put_in_can_be_read_by_others() {
        let mut files = Files::from([
            ("EFI/BOOT/BOOTAA64.EFI".to_owned(), vec![1; 70_000]),
            ("bulbil.toml".to_owned(), b"# settings".to_vec()),
            ("empty".to_owned(), Vec::new()),
        ]);
        for number in 0..40 {
            files.insert(format!("notices/a licence with a long name {number}.txt"), vec![number; 513]);
        }
        let bytes = make(40, NOW, &files).unwrap();
        assert!(bytes == make(40, NOW, &files).unwrap());
        let system = fatfs::FileSystem::new(Cursor::new(bytes), fatfs::FsOptions::new()).unwrap();
        assert_eq!(system.fat_type(), fatfs::FatType::Fat32);
        assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("BULBIL"));
        for (path, content) in &files {
            let mut read = Vec::new();
            system.root_dir().open_file(path).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == *content, "{path}");
        }
        let entries: Vec<_> = system.root_dir().iter().map(|entry| entry.unwrap()).collect();
        assert_eq!(entries.len(), 4);
        assert!(entries.iter().all(|entry| entry.modified().date.year == 2026));
    }

    #[test]
    fn too_much_and_names_that_are_none_are_refused() {
        let files = Files::from([("a".to_owned(), vec![0; 41 << 20])]);
        assert!(make(40, 0, &files).unwrap_err().to_string().contains("boot_mib"));
        let files = Files::from([("a/b:c".to_owned(), Vec::new())]);
        assert!(make(40, 0, &files).unwrap_err().to_string().contains("b:c"));
    }
}

//! The card in a machine: a copy of an image, with the owner's settings and files on it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::content;
use crate::scratch::Scratch;

/// Where the boot partition starts, in bytes.
const BOOT: u64 = 1 << 20;

/// A file system that its owner puts on the second partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// As cameras and other computers make it; it knows no owners.
    Fat,
    /// Its top folder is the node's, as `boards/README.md` tells its owner to make it.
    Ext4,
}

/// User and group of a board's node.
const NODE: &str = "10001:10001";

/// A copy that is the test's own; gone on drop.
#[derive(Debug)]
pub struct Card {
    path: PathBuf,
    folder: Scratch,
}

impl Card {
    /// Copies `image`, and makes it as long as a card is: a power of two.
    pub fn copy(image: &Path) -> io::Result<Self> {
        let folder = Scratch::new("card")?;
        let path = folder.join("card.img");
        fs::copy(image, &path)?;
        let file = File::options().write(true).open(&path)?;
        file.set_len(file.metadata()?.len().next_power_of_two())?;
        Ok(Self { path, folder })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a file with this text on the boot partition, instead of the one that is there.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let file = self.folder.join(name);
        fs::write(&file, text)?;
        self.mtool("mcopy", BOOT, &["-o", &plain(&file)?, &format!("::{name}")])
    }

    /// Takes a file from the boot partition; returns where it lies now.
    pub fn take(&self, name: &str) -> io::Result<PathBuf> {
        let file = self.folder.join(name);
        self.mtool("mcopy", BOOT, &["-n", &format!("::{name}"), &plain(&file)?])?;
        Ok(file)
    }

    /// Makes a file system on the second partition and puts `file` on it.
    pub fn fill(&self, format: Format, file: &Path) -> io::Result<()> {
        match format {
            Format::Fat => self.fill_data(file),
            Format::Ext4 => self.fill_ext4(file),
        }
    }

    fn fill_ext4(&self, file: &Path) -> io::Result<()> {
        let (start, size) = self.second()?;
        let content = self.folder.join("content");
        fs::create_dir_all(&content)?;
        let copy = content.join(file.file_name().unwrap_or_default());
        fs::copy(file, &copy)?;
        // Root's, and open to all: what the node may read and nothing else.
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o644))?;
        let mut command = Command::new("mkfs.ext4");
        command.args(["-q", "-F", "-L", "FILES", "-E", &format!("offset={start},root_owner={NODE}"), "-d"]);
        run(command.arg(&content).arg(&self.path).arg(format!("{}k", size / 1024)))
    }

    /// The same with FAT.
    pub fn fill_data(&self, file: &Path) -> io::Result<()> {
        let (start, size) = self.second()?;
        let mut command = Command::new("mkfs.vfat");
        command.args(["-n", "FILES", "--offset", &(start / 512).to_string()]).arg(&self.path);
        run(command.arg((size / 1024).to_string()))?;
        self.mtool("mcopy", start, &[&plain(file)?, "::"])
    }

    /// Puts a file beside those on the second partition, in place of one of its name.
    pub fn put(&self, file: &Path) -> io::Result<()> {
        let (start, _) = self.second()?;
        self.mtool("mcopy", start, &["-o", &plain(file)?, "::"])
    }

    /// Whether the second partition has a file of this name, as far as a machine that is on has written it.
    pub fn has_data(&self, name: &str) -> io::Result<bool> {
        let (start, _) = self.second()?;
        Ok(self.mtool("mdir", start, &["-b", &format!("::{name}")]).is_ok())
    }

    /// Takes a file from the second partition of a machine that is off, if it is there; returns where it lies now, under a name of its
    /// own.
    pub fn take_data(&self, name: &str, to: &str) -> io::Result<Option<PathBuf>> {
        let (start, _) = self.second()?;
        let file = self.folder.join(to);
        if !self.has_data(name)? {
            return Ok(None);
        }
        self.mtool("mcopy", start, &["-n", "-o", &format!("::{name}"), &plain(&file)?])?;
        Ok(Some(file))
    }

    /// Says whether the checker of FAT file systems finds nothing wrong with the boot partition.
    pub fn check_boot(&self) -> io::Result<()> {
        run(Command::new("fsck.fat").args(["-n", "-v"]).arg(self.partition(0)?))
    }

    /// Says whether the second partition of a machine that is off was taken off in order: nothing is wrong with it, and it does not say
    /// that it is still in use.
    pub fn check_data(&self, format: Format) -> io::Result<()> {
        let file = self.partition(1)?;
        match format {
            // It fails for the mark as well.
            Format::Fat => run(Command::new("fsck.fat").args(["-n", "-v"]).arg(&file)),
            Format::Ext4 => {
                run(Command::new("fsck.ext4").args(["-f", "-n"]).arg(&file))?;
                // A journal that is still to be played back is no fault to the checker.
                let head = Command::new("dumpe2fs").arg("-h").arg(&file).output()?;
                let head = String::from_utf8_lossy(&head.stdout).into_owned();
                let clean = head.lines().any(|line| {
                    line.strip_prefix("Filesystem state:").is_some_and(|state| state.trim() == "clean")
                });
                if clean && !head.contains("needs_recovery") {
                    return Ok(());
                }
                Err(io::Error::other(
                    "the second partition was not taken off: its journal must be played back",
                ))
            }
        }
    }

    /// SHA-256 of a file on the second partition, with ext4, of a machine that is off.
    pub fn digest_ext4(&self, name: &str) -> io::Result<String> {
        let (part, file) = (self.partition(1)?, self.folder.join("taken"));
        let _ = fs::remove_file(&file); // of the time before
        let dump = format!("dump {name} {}", plain(&file)?);
        run(Command::new("debugfs").args(["-R", &dump]).arg(part))?; // it succeeds without the file too
        content::digest(&file)
    }

    /// A copy of one partition.
    fn partition(&self, number: usize) -> io::Result<PathBuf> {
        let bytes = fs::read(&self.path)?;
        let (start, size) = entry(&bytes, number)?;
        let range = usize::try_from(start).ok().zip(usize::try_from(start + size).ok());
        let part = range.and_then(|(start, end)| bytes.get(start..end)).ok_or_else(no_partition)?;
        let file = self.folder.join(format!("partition-{number}"));
        fs::write(&file, part)?;
        Ok(file)
    }

    fn second(&self) -> io::Result<(u64, u64)> {
        let mut sector = vec![0; 512];
        io::Read::read_exact(&mut File::open(&self.path)?, &mut sector)?;
        entry(&sector, 1)
    }

    fn mtool(&self, program: &str, start: u64, arguments: &[&str]) -> io::Result<()> {
        let mut command = Command::new(program);
        command.arg("-i").arg(format!("{}@@{start}", self.path.display()));
        // It has its own ideas about how a disk must look.
        run(command.args(arguments).env("MTOOLS_SKIP_CHECK", "1"))
    }
}

/// Start and size in bytes of one partition of the table in this sector.
fn entry(sector: &[u8], number: usize) -> io::Result<(u64, u64)> {
    let word = |at: usize| {
        let bytes = sector.get(at..at + 4)?;
        Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)) * 512)
    };
    let at = 446 + 16 * number;
    let found = word(at + 8).zip(word(at + 12)).filter(|(_, size)| *size > 0);
    found.ok_or_else(no_partition)
}

fn no_partition() -> io::Error {
    io::Error::other("the image has no such partition: build it with --data")
}

fn plain(path: &Path) -> io::Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| io::Error::other("the path must be plain text"))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let name = command.get_program().display();
    Err(io::Error::other(format!(
        "{name} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&said).trim()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom, Write};

    /// One with two partitions of 8 and 32 MiB and nothing in them.
    fn card() -> (Scratch, Card) {
        let folder = Scratch::new("card-test").unwrap();
        let image = folder.join("image");
        let mut sector = vec![0_u8; 512];
        for (number, (start, sectors)) in [(2048_u32, 16384_u32), (18432, 65536)].into_iter().enumerate() {
            let at = 446 + 16 * number + 8;
            sector[at..at + 4].copy_from_slice(&start.to_le_bytes());
            sector[at + 4..at + 8].copy_from_slice(&sectors.to_le_bytes());
        }
        fs::write(&image, &sector).unwrap();
        File::options().write(true).open(&image).unwrap().set_len(48 << 20).unwrap();
        let card = Card::copy(&image).unwrap();
        (folder, card)
    }

    fn poke(card: &Card, at: u64, byte: u8) {
        let mut file = File::options().write(true).open(card.path()).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[byte]).unwrap();
    }

    fn is_there(program: &str) -> bool {
        crate::packages::is_installed(program)
    }

    #[test]
    fn an_ext4_partition_is_filled_read_and_known_to_be_in_use() {
        if !["mkfs.ext4", "debugfs", "dumpe2fs"].into_iter().all(is_there) {
            return;
        }
        let (folder, card) = card();
        let file = folder.join("film.bin");
        let hash = content::write_file(&file, 70_000, 1).unwrap();
        card.fill(Format::Ext4, &file).unwrap();
        card.check_data(Format::Ext4).unwrap();
        assert_eq!(card.digest_ext4("film.bin").unwrap(), hash);
        assert!(card.digest_ext4("nothing.bin").is_err());
        // The flag `needs_recovery` (s_feature_incompat), in a superblock without a checksum of its own the kernel sets just this.
        let start = 18432 * 512;
        let mut byte = [0];
        let mut source = File::open(card.path()).unwrap();
        source.seek(SeekFrom::Start(start + 1024 + 0x60)).unwrap();
        io::Read::read_exact(&mut source, &mut byte).unwrap();
        poke(&card, start + 1024 + 0x60, byte[0] | 4);
        assert!(card.check_data(Format::Ext4).is_err());
    }

    #[test]
    fn a_fat_partition_that_says_it_is_in_use_is_not_sound() {
        if !["mkfs.vfat", "fsck.fat", "mcopy"].into_iter().all(is_there) {
            return;
        }
        let (folder, card) = card();
        let file = folder.join("film.bin");
        content::write_file(&file, 70_000, 1).unwrap();
        card.fill(Format::Fat, &file).unwrap();
        card.check_data(Format::Fat).unwrap();
        poke(&card, 18432 * 512 + 0x25, 1); // FAT16: BS_Reserved1
        assert!(card.check_data(Format::Fat).is_err());
    }
}

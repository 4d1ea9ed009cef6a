//! The card in a machine: a copy of an image, with the owner's settings and files on it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scratch::Scratch;

/// Where the boot partition starts, in bytes.
const BOOT: u64 = 1 << 20;

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
        let bytes = fs::read(&self.path)?;
        let (start, size) = entry(&bytes, 0)?;
        let range = usize::try_from(start).ok().zip(usize::try_from(start + size).ok());
        let part = range.and_then(|(start, end)| bytes.get(start..end)).ok_or_else(no_partition)?;
        let file = self.folder.join("boot.fat");
        fs::write(&file, part)?;
        run(Command::new("fsck.fat").args(["-n", "-v"]).arg(&file))
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

//! The root file system of a board: one program, its kernel modules, and what it must know of the image.

use std::io::{self, Write};

use cpio::newc::{Builder, ModeFileType, trailer};

use crate::kernel::Module;

/// An archive that the kernel unpacks into memory before it starts `/init` (buffer-format.rst of the kernel).
pub(crate) struct Initramfs {
    bytes: Vec<u8>,
    inode: u32,
    time: u32,
}

impl Initramfs {
    /// With the folders that are mounted on, and the console that the first program writes to.
    pub(crate) fn new(epoch: u64) -> io::Result<Self> {
        let time = u32::try_from(epoch).map_err(io::Error::other)?;
        let mut this = Self { bytes: Vec::new(), inode: 0, time };
        for folder in
            ["dev", "proc", "sys", "run", "tmp", "boot", "disks", "lib", "lib/modules", "lib/firmware"]
        {
            this.folder(folder)?;
        }
        let console = this.entry("dev/console", ModeFileType::Char, 0o600).rdev_major(5).rdev_minor(1);
        this.write(console, &[])?;
        Ok(this)
    }

    /// One file.
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let entry = self.entry(path, ModeFileType::Regular, mode);
        self.write(entry, bytes)
    }

    /// One folder; those above it must be there.
    pub(crate) fn folder(&mut self, path: &str) -> io::Result<()> {
        let entry = self.entry(path, ModeFileType::Directory, 0o755).nlink(2);
        self.write(entry, &[])
    }

    /// The modules, and the order to load them in.
    pub(crate) fn modules(&mut self, modules: &[Module]) -> io::Result<()> {
        let mut list = String::new();
        for module in modules {
            self.file(&format!("lib/modules/{}.ko", module.name), 0o644, &module.bytes)?;
            list.push_str(&module.name);
            list.push('\n');
        }
        self.file("lib/modules/list", 0o644, list.as_bytes())
    }

    /// The archive, packed.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        let whole = trailer(self.bytes)?;
        let mut packer = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::best());
        packer.write_all(&whole)?;
        packer.finish()
    }

    fn entry(&mut self, path: &str, kind: ModeFileType, mode: u32) -> Builder {
        self.inode = self.inode.saturating_add(1);
        Builder::new(path).ino(self.inode).mode(mode).set_mode_file_type(kind).nlink(1).mtime(self.time)
    }

    fn write(&mut self, entry: Builder, bytes: &[u8]) -> io::Result<()> {
        let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let mut writer = entry.write(std::mem::take(&mut self.bytes), size);
        writer.write_all(bytes)?;
        self.bytes = writer.finish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_was_put_in_comes_out() {
        let mut initramfs = Initramfs::new(1_000_000_000).unwrap();
        initramfs.file("init", 0o755, b"program").unwrap();
        initramfs.modules(&[Module { name: "a_b".into(), bytes: vec![7; 5] }]).unwrap();
        let packed = initramfs.finish().unwrap();
        let mut whole = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut whole).unwrap();
        let mut rest = &whole[..];
        let mut names = Vec::new();
        loop {
            let mut reader = cpio::newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            names.push((reader.entry().name().to_owned(), reader.entry().mode(), bytes));
            rest = reader.finish().unwrap();
        }
        assert!(names.contains(&("init".into(), 0o100_755, b"program".to_vec())));
        assert!(names.contains(&("lib/modules/list".into(), 0o100_644, b"a_b\n".to_vec())));
        assert!(names.iter().any(|(name, mode, _)| name == "dev/console" && *mode == 0o020_600));
    }
}

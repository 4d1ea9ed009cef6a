//! `cargo image <board>`: from packages and one program to a file for a card.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::board::{self, Board};
use crate::deb::Tree;
use crate::disk;
use crate::elf::Linkage;
use crate::fat::{self, Files};
use crate::initramfs::Initramfs;
use crate::kernel::Kernel;
use crate::mirror::Choice;
use crate::packages::Lock;
use crate::workspace::Workspace;
use crate::{boot, cache, credits, imager, notices};

/// What to build.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo image", bin_name = "cargo image")]
pub(crate) struct Request {
    /// A folder of `boards/`, or `all`
    board: String,
    /// The program to put inside [default: static/aarch64-unknown-linux-musl/bulbil in the target folder]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Settings to put inside instead of the commented ones
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// MiB of a second partition, left for its owner to encrypt and format [default: none]
    #[arg(long, value_name = "MIB", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=MAX_DATA_MIB))]
    data: u32,
    /// Where to put the image [default: images in the target folder]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Leave out the packed image and the list for Raspberry Pi Imager
    #[arg(long)]
    plain: bool,
    /// Where the packed image will be offered, for the list of Raspberry Pi Imager
    #[arg(long, value_name = "URL", default_value = "")]
    url: String,
    #[command(flatten)]
    mirror: Choice,
}

/// Builds one board's image or all of them; prints one row for each.
pub(crate) fn build(workspace: &Workspace, request: &Request) -> io::Result<()> {
    let boards = workspace.boards();
    let names = match request.board.as_str() {
        "all" => board::names(&boards)?,
        name => vec![name.to_owned()],
    };
    let lock = Lock::load(&boards)?;
    let out = request.out.clone().unwrap_or_else(|| workspace.target.join("images"));
    fs::create_dir_all(&out)?;
    println!("{:<22}{:>11}{:>11}{:>8}  sha256", "board", "bytes", "packed", "seconds");
    for name in names {
        let start = Instant::now();
        let board = Board::load(&boards, &name)?;
        let made = Build { workspace, request, lock: &lock, board: &board }.run(&out);
        let (size, packed, sha256) = made.map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        println!("{name:<22}{size:>11}{packed:>11}{:>8.1}  {sha256}", start.elapsed().as_secs_f64());
    }
    eprintln!("wrote to {}", out.display());
    Ok(())
}

struct Build<'a> {
    workspace: &'a Workspace,
    request: &'a Request,
    lock: &'a Lock,
    board: &'a Board,
}

impl Build<'_> {
    /// Returns bytes, bytes when packed, and SHA-256.
    fn run(&self, out: &Path) -> io::Result<(u64, u64, String)> {
        let epoch = self.epoch()?;
        let (program, credits) = self.program()?;
        let tree = self.packages()?;
        let kernel = Kernel::find(&tree)?;
        let mut files = Files::new();
        let initramfs = self.initramfs(&tree, &kernel, &program, epoch)?;
        boot::add(&mut files, self.board, &tree, &kernel, initramfs)?;
        notices::add(&mut files, self.board, &tree, (&program, credits), epoch)?;
        files.insert("bulbil.toml".to_owned(), self.settings()?);
        files.insert("README.txt".to_owned(), include_bytes!("../base/README.txt").to_vec());
        drop(kernel);
        drop(tree);
        self.write(out, epoch, &fat::make(self.board.boot_mib, epoch, &files)?)
    }

    /// The moment that everything in the image is dated: `SOURCE_DATE_EPOCH` if it is set, else the lock's.
    fn epoch(&self) -> io::Result<u64> {
        let Some(told) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(self.lock.epoch) };
        let number = told.to_str().and_then(|told| told.parse().ok());
        number.ok_or_else(|| io::Error::other("SOURCE_DATE_EPOCH must be a number of seconds since 1970"))
    }

    /// The program, and whose work is in it.
    fn program(&self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let built = || self.workspace.target.join("static").join(TARGET).join("bulbil");
        let path = self.request.program.clone().unwrap_or_else(built);
        let named = |why: &dyn std::fmt::Display| io::Error::other(format!("{}: {why}", path.display()));
        let bytes = fs::read(&path).map_err(|error| {
            named(&format_args!(
                "{error}; run `cargo image static --target aarch64`, or name a program with --program"
            ))
        })?;
        let linkage = Linkage::read(&bytes)?;
        if !linkage.is_static() || !linkage.for_arm {
            return Err(named(&"a board needs a static program for 64-bit ARM"));
        }
        Ok((bytes, credits::beside(self.workspace, &path, TARGET)?))
    }

    fn settings(&self) -> io::Result<Vec<u8>> {
        let Some(path) = &self.request.settings else {
            return Ok(include_bytes!("../base/bulbil.toml").to_vec());
        };
        fs::read(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
    }

    fn packages(&self) -> io::Result<Tree> {
        let folder = self.workspace.target.join("images/packages");
        let mut tree = Tree::default();
        for purpose in &self.board.packages {
            for package in self.lock.for_use(purpose)? {
                tree.add(package, &cache::get(&folder, package, &self.request.mirror)?)?;
            }
        }
        Ok(tree)
    }

    fn initramfs(&self, tree: &Tree, kernel: &Kernel<'_>, program: &[u8], epoch: u64) -> io::Result<Vec<u8>> {
        let mut initramfs = Initramfs::new(epoch)?;
        initramfs.file("init", 0o755, program)?;
        let about = format!("board = \"{}\"\nepoch = {epoch}\n", self.board.id);
        initramfs.file("image.toml", 0o644, about.as_bytes())?;
        // Arti asks who the owners of its folders are.
        initramfs.folder("etc")?;
        initramfs.file("etc/passwd", 0o644, b"root:x:0:0::/:\nbulbil:x:10001:10001::/run/bulbil:\n")?;
        initramfs.file("etc/group", 0o644, b"root:x:0:\nbulbil:x:10001:\n")?;
        initramfs.modules(&kernel.closure(&self.board.linux.modules)?)?;
        let mut folders = Vec::new();
        for path in &self.board.linux.firmware {
            let bytes = firmware(tree, path)?;
            let folder = path.rsplit_once('/').map(|(folder, _)| format!("lib/firmware/{folder}"));
            if let Some(folder) = folder.filter(|folder| !folders.contains(folder)) {
                initramfs.folder(&folder)?;
                folders.push(folder);
            }
            initramfs.file(&format!("lib/firmware/{path}"), 0o644, bytes)?;
        }
        initramfs.finish()
    }

    fn write(&self, out: &Path, epoch: u64, boot: &[u8]) -> io::Result<(u64, u64, String)> {
        let data = u64::from(self.request.data) << 20;
        let mut image = disk::table(boot.len() as u64, data, epoch);
        image.resize(usize::try_from(disk::START).map_err(io::Error::other)?, 0);
        image.extend_from_slice(boot);
        image.resize(image.len() + usize::try_from(data).map_err(io::Error::other)?, 0);
        let name = format!("bulbil-{}.img", self.board.id);
        sparse(&out.join(&name), &image)?;
        let sha256 = cache::hex(&image);
        let mut sums = format!("{sha256}  {name}\n");
        let mut packed_size = 0;
        if !self.request.plain {
            let packed = pack(&image, PACK_BLOCK)?;
            packed_size = packed.len() as u64;
            let _ = writeln!(sums, "{}  {name}.xz", cache::hex(&packed));
            fs::write(out.join(format!("{name}.xz")), &packed)?;
            imager::write(out, self.board, &self.request.url, epoch, (&image, &packed))?;
        }
        fs::write(out.join(format!("{name}.sha256")), sums)?;
        Ok((image.len() as u64, packed_size, sha256))
    }
}

/// A file that drivers load. Where a package has one in two makings, Debian chooses its own when it is installed.
fn firmware<'a>(tree: &'a Tree, path: &str) -> io::Result<&'a [u8]> {
    let place = format!("/usr/lib/firmware/{path}");
    tree.get(&format!("{place}-debian")).map_or_else(|| tree.need(&place), Ok)
}

/// Writes a file without the parts that are all zeros.
fn sparse(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(path); // what was there may be read by someone still
    let mut file = File::create(path)?;
    for chunk in bytes.chunks(HOLE) {
        if chunk.iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Current(i64::try_from(chunk.len()).map_err(io::Error::other)?))?;
        } else {
            file.write_all(chunk)?;
        }
    }
    file.set_len(bytes.len() as u64)
}

/// In blocks of a fixed size, so that the number of workers makes no difference to the bytes.
fn pack(bytes: &[u8], block: u64) -> io::Result<Vec<u8>> {
    let mut options = lzma_rust2::XzOptions::with_preset(6);
    options.set_block_size(NonZeroU64::new(block));
    let workers =
        std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let mut packer = lzma_rust2::XzWriterMt::new(Vec::new(), options, workers)?;
    packer.write_all(bytes)?;
    packer.finish()
}

/// What all boards are.
const TARGET: &str = "aarch64-unknown-linux-musl";

/// 16 MiB: enough to compress well, small enough for several workers.
const PACK_BLOCK: u64 = 16 << 20;

/// What a file system keeps as one piece.
const HOLE: usize = 64 * 1024;

/// 16 GiB: images are made in memory, and a card's own tool can make larger partitions.
const MAX_DATA_MIB: i64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn packing_depends_on_the_bytes_alone() {
        let bytes: Vec<u8> =
            (0..400_000_u32).map(|at| u8::try_from((at % 251 / 7 * (at >> 12)) & 0xff).unwrap()).collect();
        let (one, two) = (pack(&bytes, 65_536).unwrap(), pack(&bytes, 65_536).unwrap());
        assert!(one == two);
        let mut back = Vec::new();
        lzma_rust2::XzReader::new(&one[..], true).read_to_end(&mut back).unwrap();
        assert!(back == bytes);
    }
}

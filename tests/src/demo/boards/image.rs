//! The images of the story, built as people build them.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::images;
use crate::machine::Start;

/// MiB of the partition with files to share.
const DATA: &str = "64";

/// Images by board.
pub(super) struct Images {
    folder: PathBuf,
    recipe: Recipe,
}

impl Images {
    /// The image that this machine boots.
    pub(super) fn of(&self, start: Start) -> PathBuf {
        self.folder.join(format!("bulbil-{}.img", start.board()))
    }

    /// Whether a second build, by another user with other habits in another folder, comes out the same.
    pub(super) fn repeatable(&self) -> io::Result<bool> {
        let folder = self.folder.join("again");
        let recipe = Recipe { packed: false, ..self.recipe.clone() };
        run(&mut images::elsewhere(&recipe.command("virt", &folder)))?;
        let image = |folder: &Path| fs::read(folder.join("bulbil-virt.img"));
        Ok(image(&self.folder)? == image(&folder)?)
    }

    /// MB of a machine's packed image.
    pub(super) fn packed_mb(&self, start: Start) -> io::Result<f64> {
        let path = self.folder.join(format!("bulbil-{}.img.xz", start.board()));
        let bytes = u32::try_from(fs::metadata(path)?.len()).map_err(io::Error::other)?;
        Ok(f64::from(bytes) / 1e6)
    }
}

/// How images of this run are built.
#[derive(Clone)]
struct Recipe {
    program: Option<PathBuf>,
    epoch: u64,
    packed: bool,
}

/// Builds images of these boards into `folder`, with the program that [`program`] finds; `packed` as well, if asked to.
pub(super) fn build(folder: &Path, boards: &[&str], packed: bool) -> io::Result<Images> {
    // A board without a clock believes that it is as late as its image says; Tor wants to know the day.
    build_aged(folder, boards, packed, Duration::from_mins(1))
}

/// The same, of images that say they were made so long ago.
pub(super) fn build_aged(folder: &Path, boards: &[&str], packed: bool, age: Duration) -> io::Result<Images> {
    let program = program()?; // may take long, and images age meanwhile
    let made =
        SystemTime::now().checked_sub(age).and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let epoch = made.ok_or_else(|| io::Error::other("this machine's clock is wrong"))?.as_secs();
    let recipe = Recipe { program, epoch, packed };
    for board in boards {
        run(&mut recipe.command(board, folder))?;
    }
    Ok(Images { folder: folder.to_owned(), recipe })
}

/// The program that goes inside: the one that `BULBIL_BOARD_BIN` names, or (`None`) the static one, made now.
pub(super) fn program() -> io::Result<Option<PathBuf>> {
    let program = env::var_os("BULBIL_BOARD_BIN").map(PathBuf::from);
    if program.is_none() {
        println!("building the static program for 64-bit ARM (the first time this takes long)");
        run(builder().args(["static", "--target", "aarch64-unknown-linux-musl"]))?;
    }
    Ok(program)
}

impl Recipe {
    fn command(&self, board: &str, folder: &Path) -> Command {
        let mut command = builder();
        command.args([board, "--data", DATA, "--out"]).arg(folder);
        if let Some(program) = &self.program {
            command.arg("--program").arg(program);
        }
        if !self.packed {
            command.arg("--plain");
        }
        command.env("SOURCE_DATE_EPOCH", self.epoch.to_string());
        command
    }
}

/// `cargo image`, from wherever it is called.
pub(super) fn builder() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    command.args([
        "run",
        "--quiet",
        "--manifest-path",
        manifest,
        "-p",
        "bulbil-boards",
        "--bin",
        "image",
        "--",
    ]);
    command
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the image does not build: see above")) }
}

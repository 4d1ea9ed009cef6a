//! The images of the story, built as people build them.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

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

    /// Whether a second build, in another folder, time zone and mask of permissions, comes out the same.
    pub(super) fn repeatable(&self) -> io::Result<bool> {
        let folder = self.folder.join("again");
        let mut command = Command::new("sh");
        let again = self.recipe.command("virt", &folder);
        command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(again.get_program()).args(again.get_args());
        command.env("SOURCE_DATE_EPOCH", self.recipe.epoch.to_string());
        run(command.env("TZ", "Pacific/Chatham").current_dir(env::temp_dir()))?;
        let image = |folder: &Path| fs::read(folder.join("bulbil-virt.img"));
        Ok(image(&self.folder)? == image(&folder)?)
    }
}

/// How images of this run are built.
struct Recipe {
    program: Option<PathBuf>,
    epoch: u64,
}

/// Builds images of these boards into `folder`. The program inside is the one that `BULBIL_BOARD_BIN` names, or the static one, made first.
pub(super) fn build(folder: &Path, boards: &[&str]) -> io::Result<Images> {
    let program = env::var_os("BULBIL_BOARD_BIN").map(PathBuf::from);
    if program.is_none() {
        println!("building the static program for 64-bit ARM (the first time this takes long)");
        run(image().args(["static", "--target", "aarch64-unknown-linux-musl"]))?;
    }
    // A board without a clock believes that it is as late as its image says; Tor wants to know the day.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
    let recipe = Recipe { program, epoch: now - 60 };
    for board in boards {
        run(&mut recipe.command(board, folder))?;
    }
    Ok(Images { folder: folder.to_owned(), recipe })
}

impl Recipe {
    fn command(&self, board: &str, folder: &Path) -> Command {
        let mut command = image();
        command.args([board, "--plain", "--data", DATA, "--out"]);
        command.arg(folder).env("SOURCE_DATE_EPOCH", self.epoch.to_string());
        if let Some(program) = &self.program {
            command.arg("--program").arg(program);
        }
        command
    }
}

/// `cargo image`, from wherever it is called.
fn image() -> Command {
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

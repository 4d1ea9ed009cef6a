//! The images of the story, built as people build them.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::machine::Start;

/// MiB of the partition with files to share.
const DATA: &str = "64";

/// Images by board.
pub(super) struct Images(PathBuf);

impl Images {
    /// The image that this machine boots.
    pub(super) fn of(&self, start: Start) -> PathBuf {
        self.0.join(format!("bulbil-{}.img", start.board()))
    }
}

/// Builds both boards' images into `folder`. The program inside is the one that `BULBIL_BOARD_BIN` names, or the static one, made first.
pub(super) fn build(folder: &Path) -> io::Result<Images> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let image = |arguments: &[&str]| {
        let mut command = Command::new(&cargo);
        command.args(["run", "--quiet", "-p", "bulbil-boards", "--bin", "image", "--"]).args(arguments);
        command
    };
    let named = env::var_os("BULBIL_BOARD_BIN").map(PathBuf::from);
    if named.is_none() {
        println!("building the static program for 64-bit ARM (the first time this takes long)");
        run(&mut image(&["static", "--target", "aarch64-unknown-linux-musl"]))?;
    }
    // A board without a clock believes that it is as late as its image says; Tor wants to know the day.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
    for board in ["virt", "raspberry-pi-3"] {
        let mut command = image(&[board, "--plain", "--data", DATA, "--out"]);
        command.arg(folder).env("SOURCE_DATE_EPOCH", (now - 60).to_string());
        if let Some(program) = &named {
            command.arg("--program").arg(program);
        }
        run(&mut command)?;
    }
    Ok(Images(folder.to_owned()))
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the image does not build: see above")) }
}

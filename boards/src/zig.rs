//! `cargo zigbuild`: a C compiler and linker for every target in two Python wheels.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool;
use crate::workspace::Workspace;

/// A `cargo-zigbuild` that works, and the `PATH` it works with.
#[derive(Debug)]
pub(crate) struct Zig {
    program: PathBuf,
    path: OsString,
    version: String,
}

impl Zig {
    /// The one on the path, else the one in the target folder, else installs that one (about 100 MB).
    pub(crate) fn find(workspace: &Workspace) -> io::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if let Some(zig) = Self::usable("cargo-zigbuild".into(), path.clone()) {
            return Ok(zig);
        }
        let home = workspace.target.join("static/zig");
        let bin = home.join("bin");
        let folders = std::iter::once(bin.clone()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).map_err(io::Error::other)?;
        let program = bin.join("cargo-zigbuild");
        if let Some(zig) = Self::usable(program.clone(), path.clone()) {
            return Ok(zig);
        }
        install(&home, &workspace.root.join("boards/zig.txt"))?;
        Self::usable(program, path).ok_or_else(|| {
            io::Error::other(format!("zig does not run; remove {} and try again", home.display()))
        })
    }

    /// For people: both versions, since they decide what the program is made of.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// `zigbuild`, which is `cargo build`, or `rustc`, as `verb` says, for any target in `root`, to be given arguments.
    pub(crate) fn command(&self, root: &Path, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        tool::unmarked(&mut command).arg(verb).env("PATH", &self.path).current_dir(root);
        command
    }

    fn usable(program: PathBuf, path: OsString) -> Option<Self> {
        let build = tool::probe(Command::new(&program).arg("--version").env("PATH", &path))?;
        // The same order in which cargo-zigbuild looks.
        let zig = tool::probe(Command::new("python3").args(["-m", "ziglang", "version"]).env("PATH", &path))
            .or_else(|| tool::probe(Command::new("zig").arg("version").env("PATH", &path)))?;
        Some(Self { program, path, version: format!("{build}, zig {zig}") })
    }
}

/// Puts both wheels, at the versions and hashes of `pins`, into a Python environment of their own.
fn install(home: &Path, pins: &Path) -> io::Result<()> {
    eprintln!("installing zig into {}", home.display());
    let advice = |error: io::Error| {
        io::Error::other(format!(
            "{error}\nzig comes from the Python index. On Debian: apt install python3-venv; then run this again"
        ))
    };
    tool::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home)).map_err(advice)?;
    let mut pip = Command::new(home.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        "--require-hashes",
    ]);
    tool::run(pip.arg("--requirement").arg(pins)).map_err(advice)
}

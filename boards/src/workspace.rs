//! Where things are: the workspace, its target folder, the compiler and its targets.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::tool;

/// Folders, all absolute.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Where the top `Cargo.toml` is.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// The compiler's own files.
    sysroot: PathBuf,
}

impl Workspace {
    /// Asks cargo, so that every way of moving the target folder is respected.
    pub(crate) fn find() -> io::Result<Self> {
        // Cargo says at run time where this package is; a built-in path would break when the checkout moves.
        let package =
            std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let mut metadata = tool::cargo(&package);
        let text = tool::capture(metadata.args(["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: serde_json::Value = serde_json::from_str(&text)?;
        let folder = |key: &str| {
            let path = metadata.get(key).and_then(serde_json::Value::as_str).map(PathBuf::from);
            path.ok_or_else(|| io::Error::other(format!("`cargo metadata` gives no {key}")))
        };
        let sysroot = tool::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
        Ok(Self {
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
            sysroot: sysroot.trim().into(),
        })
    }

    /// Where boards are described.
    pub(crate) fn boards(&self) -> PathBuf {
        self.root.join("boards")
    }

    /// Makes sure the compiler has the standard library of `target`, through rustup when it is missing.
    pub(crate) fn ensure_target(&self, target: &str) -> io::Result<()> {
        if self.sysroot.join("lib/rustlib").join(target).join("lib").is_dir() {
            return Ok(());
        }
        eprintln!("adding the Rust target {target}");
        tool::run(Command::new("rustup").args(["target", "add", target])).map_err(|error| {
            io::Error::other(format!(
                "{error}\nthe compiler lacks {target}: run `rustup target add {target}`"
            ))
        })
    }

    /// The linker that comes with the compiler.
    pub(crate) fn linker(&self) -> io::Result<PathBuf> {
        let version = tool::capture(Command::new("rustc").arg("-vV"))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or_else(|| io::Error::other("`rustc -vV` names no host"))?;
        Ok(self.sysroot.join("lib/rustlib").join(host).join("bin/rust-lld"))
    }
}

//! Other programs, run with a reason when they fail.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs to the end with its output where ours goes. The error names the command; its own output says the rest.
pub(crate) fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status().map_err(|error| missing(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{} ended with {status}", shown(command))))
    }
}

/// Runs to the end and returns what it printed on stdout, as text.
pub(crate) fn capture(command: &mut Command) -> io::Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| missing(command, &error))?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{} ended with {}", shown(command), output.status)));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// The first line it prints, or `None` when it is not there or fails. For asking whether a tool can be used.
pub(crate) fn probe(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}

/// The cargo that runs us, else the one on the path.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    unmarked(&mut command).current_dir(root);
    command
}

/// Takes away what `cargo run` says about us. ring's build script looks at these names in the environment of cargo, and
/// would be run again, with all of Arti behind it, whenever one build is started by hand and the next one from here.
pub(crate) fn unmarked(command: &mut Command) -> &mut Command {
    let names = std::env::vars_os().map(|(name, _)| name);
    let ours = |name: &OsStr| {
        let name = name.to_string_lossy();
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|ours| name.starts_with(ours))
    };
    names.filter(|name| ours(name)).fold(command, |command, name| command.env_remove(name))
}

fn missing(command: &Command, error: &io::Error) -> io::Error {
    let name = command.get_program().display();
    io::Error::new(error.kind(), format!("`{name}` does not start ({error}); is it installed?"))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    format!("`{}`", words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" "))
}

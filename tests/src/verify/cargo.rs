//! Runs cargo, rustup and friends at the top of the workspace, showing what they print as they print it.

use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::counts::{self, Counts};

/// The folder of the workspace.
pub(super) fn workspace() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map(PathBuf::from).unwrap_or(own)
}

/// The cargo that runs us, with `arguments`.
pub(super) fn cargo(arguments: &str) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    tool(program, arguments)
}

/// Any program, with `arguments` that hold no spaces themselves.
pub(super) fn tool(program: impl AsRef<std::ffi::OsStr>, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).current_dir(workspace()).stdin(Stdio::null());
    // What `cargo run` tells us about our own package would make other packages look changed.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if OWN.iter().any(|own| name.starts_with(own)) {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// Runs a command to its end; counts the tests it reports; fails if it does.
pub(super) fn run(command: &mut Command) -> io::Result<Counts> {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let line = format!("{} {}", program.display(), words.join(" "));
    println!("   {line}");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|e| io::Error::new(e.kind(), format!("cannot run {line}: {e}")))?;
    let counts = Mutex::new(Counts::default());
    std::thread::scope(|scope| {
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        scope.spawn(|| output.map(|stream| show(stream, &counts)));
        scope.spawn(|| errors.map(|stream| show(stream, &counts)));
    });
    let counts = *counts.lock().unwrap_or_else(PoisonError::into_inner);
    match child.wait()? {
        status if status.success() => Ok(counts),
        status => Err(counts::error(&format!("`{line}` failed ({status}): see above"), counts)),
    }
}

/// What a command prints on standard output, if it succeeds.
pub(super) fn printed(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn show(stream: impl Read, counts: &Mutex<Counts>) {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        counts.lock().unwrap_or_else(PoisonError::into_inner).read(text.trim_end());
        line.clear();
    }
}

const OWN: [&str; 5] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];

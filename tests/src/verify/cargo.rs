//! Runs cargo, rustup and friends at the top of the workspace, showing what they print as they print it.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::counts::{self, Counts};
use super::place::Place;
use crate::wait;

/// The folder of the workspace.
pub(super) fn workspace() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map(PathBuf::from).unwrap_or(own)
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

/// Runs a command to its end; counts the tests it reports; fails if it does. What takes longer than `limit` is ended with
/// everything it started, and the lines it printed last tell where it was. So is what runs when the time for the whole is over.
pub(super) fn run(place: &Place, limit: Duration, command: &mut Command) -> io::Result<Counts> {
    let limit = limit.min(WHOLE.saturating_sub(start().elapsed()));
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let line = format!("{} {}", program.display(), words.join(" "));
    place.say(&format!("   {line}\n"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|e| io::Error::new(e.kind(), format!("cannot run {line}: {e}")))?;
    let counts = Mutex::new(Counts::default());
    let status = std::thread::scope(|scope| {
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        scope.spawn(|| output.map(|stream| show(place, stream, &counts)));
        scope.spawn(|| errors.map(|stream| show(place, stream, &counts)));
        let status = wait::found(limit, &format!("`{line}` to end"), || child.try_wait());
        if status.is_err() {
            end(&mut child);
        }
        status
    });
    let counts = *counts.lock().unwrap_or_else(PoisonError::into_inner);
    match status {
        Ok(status) if status.success() => Ok(counts),
        Ok(status) => Err(counts::error(&format!("`{line}` failed ({status}): see above"), counts)),
        Err(late) => Err(counts::error(&late.to_string(), counts)),
    }
}

/// When the first command was run.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Ends a command and all that came of it: one that lived on would hold the pipes that are read to their ends.
fn end(child: &mut Child) {
    let all = family(child.id());
    // Nextest ends its tests, and they what they started, when it is asked to.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let _ = wait::found(ENDING, "it to end after SIGTERM", || child.try_wait());
    for pid in all {
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
    }
    let _ = child.wait();
}

/// A process, its children, theirs, and so on.
fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    [pid].into_iter().chain(children.flat_map(family)).collect()
}

/// What a command prints on standard output, if it succeeds.
pub(super) fn printed(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn show(place: &Place, stream: impl Read, counts: &Mutex<Counts>) {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        place.say(&text);
        counts.lock().unwrap_or_else(PoisonError::into_inner).read(text.trim_end());
        line.clear();
    }
}

/// For everything. On two cores of our own it takes 40 to 60 minutes; a build server gives 90, and would not say what hung.
const WHOLE: Duration = Duration::from_secs(85 * 60);

/// What nextest gets to end its tests.
const ENDING: Duration = Duration::from_secs(15);

const OWN: [&str; 5] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_ended_with_its_children() {
        // The inner shell outlives the outer one and holds its output open, as an interpreter under cargo does.
        let mut hangs = Command::new("sh");
        hangs.args(["-c", "sh -c 'trap : TERM; sleep 600; sleep 600' & wait"]);
        let error = run(&Place::front(), Duration::from_millis(200), &mut hangs).unwrap_err();
        assert!(error.to_string().contains("waited 0 s"), "{error}");
    }
}

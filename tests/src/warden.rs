//! Nothing started here outlives us. A small shell holds the list of our children and folders and reads a pipe; when
//! we die, however that happens, the pipe ends, and the shell kills the children and removes the folders.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use std::os::unix::process::CommandExt;

/// Adds a child process to the list.
pub(crate) fn guard_process(pid: u32) -> io::Result<()> {
    tell(&format!("pid {pid}\n"))
}

/// Takes a child off the list, because it was reaped and its number may be given to a stranger.
pub(crate) fn release_process(pid: u32) -> io::Result<()> {
    tell(&format!("gone {pid}\n"))
}

/// Adds a folder to be removed at the end. A path with a line break is refused.
pub(crate) fn guard_folder(path: &Path) -> io::Result<()> {
    let path = path.to_str().filter(|path| !path.contains('\n'));
    let path = path.ok_or_else(|| io::Error::other("the temporary folder's name must be plain text"))?;
    tell(&format!("folder {path}\n"))
}

struct Warden {
    pipe: ChildStdin,
    _shell: Child,
}

fn tell(line: &str) -> io::Result<()> {
    static WARDEN: OnceLock<Mutex<Option<Warden>>> = OnceLock::new();
    let warden = WARDEN.get_or_init(Mutex::default);
    let mut warden = warden.lock().unwrap_or_else(PoisonError::into_inner);
    if warden.is_none() {
        *warden = Some(start()?);
    }
    warden.as_mut().map_or(Ok(()), |warden| warden.pipe.write_all(line.as_bytes()))
}

fn start() -> io::Result<Warden> {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // In a group of its own, so that Ctrl-C ends us and not it.
    let mut shell = command.process_group(0).spawn()?;
    let pipe = shell.stdin.take().ok_or_else(|| io::Error::other("the shell has no standard input"))?;
    Ok(Warden { pipe, _shell: shell })
}

const SCRIPT: &str = r#"
pids=" "
while read -r verb what; do
  case $verb in
    pid) pids="$pids$what " ;;
    gone) case "$pids" in *" $what "*) pids="${pids%% $what *} ${pids#* $what }" ;; esac ;;
    folder) set -- "$@" "$what" ;;
  esac
done
for pid in $pids; do kill -9 "$pid"; done
rm -rf -- "$@"
"#;

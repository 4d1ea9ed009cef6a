//! The node: started as a user who may do nothing, watched, and started again when it ends.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::console::say;
use super::light::{Light, Mood};
use super::settings::NodeSettings;
use crate::power;
use crate::status::board::FOLDER;
use crate::sys::board::process::{self, Ended, Limits};
use crate::sys::board::system::Power;

/// The node's own folder, in memory: its state. Nothing in it is ever written by us, as any name there may be a link that the node made.
const HOME: &str = "/run/bulbil";

/// The node's settings, which it may read, in [`FOLDER`]: there is room for them when the node has filled everything else.
const CONFIG: &str = "bulbil.toml";

/// User and group of the node; nobody else has them.
pub(super) const ID: u32 = 10_001;

/// What the node may do. Sockets and shared files are open files; blocking work runs on threads.
const LIMITS: Limits = Limits { id: ID, files: 4096, processes: 512 };

/// Pause before it is started again: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A node that ran for so long starts again after the shortest pause.
const RAN_WELL: Duration = Duration::from_secs(60);

/// Time to stop in order.
const STOP: Duration = Duration::from_secs(10);

thread_local! {
    /// The node's process number while it runs.
    static NODE: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Keeps the node running until it asks for the machine's end.
pub(super) async fn run(
    settings: NodeSettings,
    ask: mpsc::Sender<Power>,
    mut ends: mpsc::Receiver<Ended>,
    light: Rc<Light>,
) {
    let mut pause = PAUSE.0;
    loop {
        let started = Instant::now();
        let ended = match start(&settings) {
            Ok(pid) => {
                NODE.set(Some(pid));
                let ended = wait(pid, &mut ends).await;
                NODE.set(None);
                ended
            }
            Err(error) => {
                say(&format!("the node does not start: {error}"));
                None
            }
        };
        if let Some(power) = ended.and_then(power::of_code) {
            let _ = ask.send(power).await; // the end has been asked for already
            return;
        }
        if started.elapsed() >= RAN_WELL {
            pause = PAUSE.0;
        }
        light.show(Mood::Trouble);
        let (how, advice) = match ended {
            // The kernel's own way out when memory is short.
            None => ("was killed".to_owned(), "if that goes on, set a smaller memory in bulbil.toml"),
            Some(code) => (format!("ended with code {code}"), "its last lines above say why"),
        };
        say(&format!("the node {how}; it starts again in {} s; {advice}", pause.as_secs()));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Lets the node stop in order; after [`STOP`] it is not asked any more.
pub(super) async fn stop() {
    let Some(pid) = NODE.take() else { return };
    if process::stop(pid, false).is_err() {
        return;
    }
    let gone = async {
        // The reaper collects it; then there is nothing under /proc.
        while Path::new("/proc").join(pid.to_string()).exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(STOP, gone).await.is_err() {
        say("the node does not stop; it is ended");
        let _ = process::stop(pid, true); // it may have ended just now
    }
}

/// The exit code of this process; `None` when a signal ended it.
async fn wait(pid: u32, ends: &mut mpsc::Receiver<Ended>) -> Option<i32> {
    loop {
        match ends.recv().await {
            Some(ended) if ended.pid == pid => return ended.code,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

fn start(settings: &NodeSettings) -> io::Result<u32> {
    let (home, own) = (Path::new(HOME), Path::new(FOLDER));
    let config = prepare(home, own, &settings.text(), (LIMITS.id, LIMITS.id))?;
    // Ports below 1024 need no right on a machine with one user.
    let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    let arguments = ["run", "--config"].map(OsStr::new);
    let arguments = [&arguments[..], &[config.as_os_str()]].concat();
    process::start(OsStr::new("/init"), "bulbil", &arguments, LIMITS)
}

/// Makes the node's folder and, in `own`, its settings, for this user and group, and returns where the settings are.
fn prepare(home: &Path, own: &Path, settings: &str, (user, group): (u32, u32)) -> io::Result<PathBuf> {
    if !home.is_dir() {
        DirBuilder::new().mode(0o700).create(home)?;
        process::give(home, Some(user), group)?;
    }
    let (config, fresh) = (own.join(CONFIG), own.join(CONFIG).with_extension("new"));
    let _ = fs::remove_file(&fresh); // none is there unless the last start failed
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(settings.as_bytes())?;
    process::give(&fresh, None, group)?;
    file.set_permissions(fs::Permissions::from_mode(0o640))?;
    fs::rename(&fresh, &config)?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn nothing_is_written_where_the_node_may_put_links() {
        let folder = Scratch::new("child");
        let run = folder.path();
        let about = fs::metadata(run).unwrap();
        let user = (about.uid(), about.gid());
        let (home, own, victim) = (run.join("bulbil"), run.join("board"), run.join("victim"));
        fs::create_dir(&own).unwrap();
        prepare(&home, &own, "first", user).unwrap();
        fs::write(&victim, "whole").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o604)).unwrap();
        for name in ["config.toml", CONFIG, "bulbil.new"] {
            symlink(&victim, home.join(name)).unwrap();
        }
        let config = prepare(&home, &own, "second", user).unwrap();
        assert_eq!(fs::read_to_string(&config).unwrap(), "second");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "whole");
        assert_eq!(fs::metadata(&victim).unwrap().mode() & 0o777, 0o604);
        assert_eq!(config.parent(), Some(own.as_path()), "beside the node's folder, not in it");
        let modes = [&config, &home].map(|path| fs::metadata(path).unwrap().mode() & 0o777);
        assert_eq!(modes, [0o640, 0o700]);
        assert_eq!(fs::read_dir(&home).unwrap().count(), 3, "only the links");
    }
}

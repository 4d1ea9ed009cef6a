//! Giving up rights before anything else is done, and telling which of it worked.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::config::Config;
use crate::publish::Backend;
use crate::status::hardening::{Measure, State};
use crate::sys::process;
use crate::sys::sandbox::{self, Sight};
use crate::sys::swap::{self, Keeping};

/// Files of the system that a node reads: names and resolvers, users (Arti asks whose its folders are), its clock's zone,
/// itself, temperatures; what a board's first process tells it; and the C library's own parts, where it is not a static program.
const SYSTEM: [&str; 14] = [
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/localtime",
    "/proc",
    "/sys",
    "/dev/urandom",
    crate::status::board::FOLDER,
    "/lib",
    "/usr/lib",
];

/// Devices that anyone may write to; a passphrase is asked for on the terminal.
const SINKS: [&str; 2] = ["/dev/null", "/dev/tty"];

/// What was done. It concerns the process as a whole and cannot be undone, hence one for all.
static DONE: OnceLock<Vec<Measure>> = OnceLock::new();

/// Gives up what the configuration lets it; what it said the first time counts. `config_file` stays readable.
///
/// Must come before other threads make files, and after the state directory exists.
pub(crate) fn apply(config: &Config, state: &Path, config_file: Option<&Path>) -> &'static [Measure] {
    DONE.get_or_init(|| {
        let mut measures = vec![user(), core_dumps(), privileges(), memory()];
        measures.push(files(config, state, config_file));
        // Last, so that what was asked for above still worked.
        measures.push(system_calls());
        measures
    })
}

/// What was given up so far; nothing before [`apply`].
pub(crate) fn measures() -> &'static [Measure] {
    DONE.get().map_or(&[], Vec::as_slice)
}

/// What is missing, in one sentence, if the configuration is strict and anything is.
pub(crate) fn refusal(config: &Config, measures: &[Measure]) -> Option<String> {
    let missing: Vec<String> = measures
        .iter()
        .filter(|measure| config.harden.strict && measure.state == State::Off)
        .map(|measure| format!("{}: {}", measure.name, measure.why))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "strict hardening (harden.strict or SECMEM_STRICT=1) is not possible here; {}",
            missing.join("; ")
        )
    })
}

fn measure(name: &str, state: State, why: impl Into<String>) -> Measure {
    Measure { name: name.into(), state, why: why.into() }
}

fn user() -> Measure {
    if process::uid() == 0 {
        let why =
            "it runs as root; run it as a user of its own, as the systemd unit and the container image do";
        return measure("user", State::Off, why);
    }
    measure("user", State::On, "it does not run as root")
}

fn core_dumps() -> Measure {
    match process::harden() {
        Ok(()) => {
            measure("core_dumps", State::On, "a crash writes no memory to disk, and nobody can look into it")
        }
        Err(error) => {
            measure("core_dumps", State::Off, format!("core dumps could not be switched off: {error}"))
        }
    }
}

fn privileges() -> Measure {
    match sandbox::no_new_privileges() {
        Ok(()) => measure("privileges", State::On, "no program it runs can gain rights"),
        Err(error) => measure("privileges", State::Off, format!("no_new_privs could not be set: {error}")),
    }
}

fn memory() -> Measure {
    match swap::keep_from_disk() {
        Ok(Some(Keeping::NoSwap)) => measure("memory", State::On, "this system swaps to no disk"),
        Ok(Some(Keeping::Group)) => measure("memory", State::On, "its control group may not swap"),
        Ok(Some(Keeping::Locked)) => measure("memory", State::On, "locked"),
        Ok(None) => measure(
            "memory",
            State::Off,
            "this system swaps and memory may not be locked; switch swap off, or allow locking: LimitMEMLOCK=infinity for \
             a unit (or MemorySwapMax=0), the lines `ulimits:` and below it `memlock: -1` for a service of a compose file, \
             --ulimit memlock=-1 for a container (IPC_LOCK in cap_add is not in force for a user other than root)",
        ),
        Err(error) => {
            measure("memory", State::Off, format!("it could not be locked: {error}; raise LimitMEMLOCK"))
        }
    }
}

fn system_calls() -> Measure {
    match sandbox::deny_calls() {
        Ok(()) => {
            measure("system_calls", State::On, "calls that a node has no use for are refused (seccomp)")
        }
        Err(error) => measure("system_calls", State::Off, format!("seccomp could not be set up: {error}")),
    }
}

fn files(config: &Config, state: &Path, config_file: Option<&Path>) -> Measure {
    if config.harden.folders.is_empty() && !config.harden.strict {
        return measure(
            "files",
            State::Off,
            "any file it may read can be shared; name the folders to share and fetch in harden.folders to put all others \
             out of its reach",
        );
    }
    match sandbox::narrow(&sight(config, state, config_file)) {
        Ok(true) => {
            measure("files", State::On, "it can open its state and the named folders only (landlock)")
        }
        Ok(false) => {
            measure("files", State::Absent, "this kernel has no landlock, or the container hides it")
        }
        Err(error) => measure("files", State::Off, format!("landlock could not be set up: {error}")),
    }
}

/// Everything the configuration names.
fn sight(config: &Config, state: &Path, config_file: Option<&Path>) -> Sight {
    let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    read.extend(config_file.map(Path::to_owned));
    read.extend(config.net.tor.network_file.clone());
    read.extend(config.keep.passphrase_file.clone());
    read.extend(config.share.iter().map(|share| share.path.clone()));
    let mut write: Vec<PathBuf> = SINKS.iter().map(PathBuf::from).collect();
    write.push(state.to_owned());
    write.extend(config.socket().parent().map(Path::to_owned));
    // A file is replaced whole, which takes its folder.
    write.extend(config.keep.file.as_deref().and_then(Path::parent).map(Path::to_owned));
    write.extend(config.harden.folders.iter().cloned());
    // The keep file is replaced, which takes its folder.
    write.extend(config.keep.file.as_deref().and_then(Path::parent).map(Path::to_owned));
    for service in &config.publish {
        // Made now: what does not exist cannot be allowed.
        if let Some(folder) = &service.key_dir {
            drop(crate::publish::keys::KeyFolder::open(folder));
            write.push(folder.clone());
        }
        write.extend(service.url_file.as_deref().and_then(Path::parent).map(Path::to_owned));
        let sockets = service.routes().flat_map(|(_, backends)| backends.to_vec());
        let folders = sockets.filter_map(|backend| match backend {
            Backend::Unix(path) => path.parent().map(Path::to_owned),
            Backend::Socket(_) | Backend::Name(..) => None,
        });
        read.extend(folders);
    }
    Sight { read, write, run: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_strict_refuse() {
        let measures =
            [measure("user", State::Off, "it runs as root"), measure("files", State::Absent, "none")];
        let mut config = Config::default();
        assert_eq!(refusal(&config, &measures), None);
        config.harden.strict = true;
        let refusal = refusal(&config, &measures).unwrap();
        assert!(refusal.contains("user: it runs as root") && !refusal.contains("files"), "{refusal}");
    }

    #[test]
    fn named_folders_are_in_sight() {
        let text = "[harden]\nfolders = [\"/srv/share\"]\n[[publish]]\nname = \"a\"\nurl_file = \"/run/a/url\"\n\
                    [publish.ports]\n80 = [\"unix:/run/b/app.sock\"]";
        let config = Config::parse(text).unwrap();
        let sight = sight(&config, Path::new("/run/bulbil"), Some(Path::new("/etc/bulbil.toml")));
        let has = |paths: &[PathBuf], path: &str| paths.iter().any(|one| one == Path::new(path));
        assert!(["/srv/share", "/run/a", "/run/bulbil"].iter().all(|path| has(&sight.write, path)));
        assert!(
            ["/run/b", "/etc/bulbil.toml", "/etc/hosts", "/run/board"]
                .iter()
                .all(|path| has(&sight.read, path))
        );
    }
}

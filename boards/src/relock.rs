//! `cargo image relock`: looks up today's versions and writes `packages.lock`.
//!
//! apt does it, on folders of its own: it checks the archive's signature, and finds its way out as it always does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{fs, io};

use crate::mirror::{Choice, Mirror};
use crate::packages::{Archive, Lock, Package, Wish, Wishes};
use crate::tool;
use crate::workspace::Workspace;

/// Looks up every wish and replaces `packages.lock`.
pub(crate) fn run(workspace: &Workspace, choice: &Choice) -> io::Result<()> {
    let boards = workspace.boards();
    let wishes = Wishes::load(&boards)?;
    let apt = Apt::prepare(&workspace.target.join("images/apt"), choice.mirror()?, &wishes)?;
    let mut packages = Vec::new();
    for wish in &wishes.package {
        packages.extend(apt.resolve(wish)?);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
    let lock = Lock { epoch: now - now % DAY_S, package: packages };
    for package in &lock.package {
        println!("{:<16}{:<36}{}", package.purpose, package.name, package.version);
    }
    let text = toml::to_string_pretty(&lock).map_err(io::Error::other)?;
    fs::write(boards.join("packages.lock"), format!("{HEAD}{text}"))
}

/// apt with its own sources, lists and cache.
struct Apt {
    folder: PathBuf,
    mirror: Mirror,
}

impl Apt {
    fn prepare(folder: &Path, mirror: Mirror, wishes: &Wishes) -> io::Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let mut suites: Vec<&str> =
            wishes.package.iter().flat_map(|wish| &wish.suites).map(String::as_str).collect();
        suites.sort_unstable();
        suites.dedup();
        let (security, usual): (Vec<&str>, Vec<&str>) =
            suites.into_iter().partition(|suite| suite.ends_with("-security"));
        let stanza = |address: &str, suites: &[&str]| {
            format!(
                "Types: deb\nURIs: {address}\nSuites: {}\nComponents: main non-free-firmware\n\
                 Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n",
                suites.join(" ")
            )
        };
        let text = stanza(&mirror.debian, &usual) + &stanza(&mirror.security, &security);
        fs::write(folder.join("sources.sources"), text)?;
        let apt = Self { folder: folder.to_owned(), mirror };
        tool::run(apt.command("apt-get").arg("--quiet").arg("update").stdout(io::stderr()))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let option = |name: &str, path: PathBuf| [String::from("-o"), format!("{name}={}", path.display())];
        command.args(option("Dir::State::lists", self.folder.join("lists")));
        command.args(option("Dir::Cache", self.folder.join("cache")));
        command.args(option("Dir::Etc::sourcelist", self.folder.join("sources.sources")));
        for fixed in [
            "Dir::Etc::sourceparts=/dev/null",
            "Dir::Etc::preferencesparts=/dev/null",
            "Dir::State::status=/dev/null",
            "APT::Architecture=arm64",
            "APT::Architectures=arm64",
            "APT::Sandbox::User=",
            "Acquire::Languages=none",
        ] {
            command.args(["-o", fixed]);
        }
        command
    }

    /// The packages that one wish comes to.
    fn resolve(&self, wish: &Wish) -> io::Result<Vec<Package>> {
        let version = self.version(&wish.name, &wish.suites)?;
        if wish.follow.is_empty() {
            return Ok(vec![self.pin(wish, &wish.name, &version)?]);
        }
        let mut found: Vec<(String, String)> = Vec::new();
        let mut open = vec![(wish.name.clone(), version)];
        while let Some((name, version)) = open.pop() {
            for next in self.depends(&name, &version)? {
                let wanted = wish.follow.iter().any(|start| next.starts_with(start.as_str()));
                if wanted && !found.iter().any(|(known, _)| *known == next) {
                    let version = self.version(&next, &wish.suites)?;
                    found.push((next.clone(), version.clone()));
                    open.push((next, version));
                }
            }
        }
        found.sort();
        found.iter().map(|(name, version)| self.pin(wish, name, version)).collect()
    }

    /// The version that the first of these suites has.
    fn version(&self, name: &str, suites: &[String]) -> io::Result<String> {
        let table = tool::capture(self.command("apt-cache").args(["madison", name]))?;
        let rows: Vec<Vec<&str>> =
            table.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        let in_suite = |suite: &String| {
            rows.iter().find_map(|row| {
                let place = row.get(2)?.split_whitespace().nth(1)?;
                (place.split('/').next() == Some(suite.as_str())).then(|| row.get(1).copied())?
            })
        };
        let version = suites.iter().find_map(in_suite);
        version.map(str::to_owned).ok_or_else(|| io::Error::other(format!("{name} is in none of {suites:?}")))
    }

    fn depends(&self, name: &str, version: &str) -> io::Result<Vec<String>> {
        let text = tool::capture(self.command("apt-cache").arg("show").arg(format!("{name}={version}")))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
        let first = |part: &str| part.split_whitespace().next().map(str::to_owned);
        Ok(line.split([',', '|']).filter_map(first).collect())
    }

    fn pin(&self, wish: &Wish, name: &str, version: &str) -> io::Result<Package> {
        let mut command = self.command("apt-get");
        command.args(["download", "--print-uris"]).arg(format!("{name}={version}"));
        let text = tool::capture(&mut command)?;
        self.pinned(wish, name, version, &text).ok_or_else(|| {
            io::Error::other(format!("apt-get says nothing of use about {name} {version}: {}", text.trim()))
        })
    }

    /// Reads `'ADDRESS' FILE SIZE SHA256:HASH`.
    fn pinned(&self, wish: &Wish, name: &str, version: &str, text: &str) -> Option<Package> {
        let mut words = text.split_whitespace();
        let address = words.next()?.trim_matches('\'').replace("%2b", "+").replace("%7e", "~");
        let size = words.nth(1)?.parse().ok()?;
        let sha256 = words.next()?.strip_prefix("SHA256:")?.to_owned();
        let below = |base: &str| address.strip_prefix(base)?.strip_prefix('/').map(str::to_owned);
        let (archive, path) = below(&self.mirror.debian)
            .map(|path| (Archive::Debian, path))
            .or_else(|| below(&self.mirror.security).map(|path| (Archive::DebianSecurity, path)))?;
        let (purpose, name, version) = (wish.purpose.clone(), name.to_owned(), version.to_owned());
        Some(Package { purpose, name, version, archive, path, size, sha256 })
    }
}

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// What stands above the lock's content.
const HEAD: &str =
    "# Written by `cargo image relock` from packages.toml. An image is made of exactly these files.\n\n";

//! Where Debian's packages come from: the mirror that this machine's own apt uses, or the one that is named.
//!
//! Files are fetched by apt's own downloader, so that its proxies, passwords and certificates serve here too; where there is no apt, by
//! `curl`.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use crate::packages::{Archive, Package};
use crate::tool;

/// Where to fetch from.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Choice {
    /// Debian's archive to fetch from, such as <http://host/debian> [default: the one that apt uses]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// The archive of security updates [default: the one that apt uses, or beside --mirror]
    #[arg(long, value_name = "URL")]
    security_mirror: Option<String>,
}

/// Addresses, without a slash at the end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mirror {
    pub(crate) debian: String,
    pub(crate) security: String,
}

impl Choice {
    /// As told, else as apt is told.
    pub(crate) fn mirror(&self) -> io::Result<Mirror> {
        let clean = |url: &String| url.trim_end_matches('/').to_owned();
        if let Some(debian) = self.mirror.as_ref().map(clean) {
            let beside = || format!("{debian}-security");
            let security = self.security_mirror.as_ref().map_or_else(beside, clean);
            return Ok(Mirror { debian, security });
        }
        let found = of_this_machine()?;
        Ok(Mirror { security: self.security_mirror.as_ref().map_or(found.security, clean), ..found })
    }
}

impl Mirror {
    /// Where the file of `package` is.
    pub(crate) fn address(&self, package: &Package) -> String {
        let base = match package.archive {
            Archive::Debian => &self.debian,
            Archive::DebianSecurity => &self.security,
        };
        // These letters occur in versions and mean something else in addresses.
        format!("{base}/{}", package.path.replace('+', "%2b").replace('~', "%7e"))
    }

    /// Fetches the file of `package` to `target`.
    pub(crate) fn fetch(&self, package: &Package, target: &Path) -> io::Result<()> {
        let address = self.address(package);
        let mut command = if Path::new(APT_HELPER).is_file() {
            let mut command = Command::new(APT_HELPER);
            command.args(["-q", "download-file", &address]).arg(target);
            command.arg(format!("SHA256:{}", package.sha256));
            command
        } else {
            let mut command = Command::new("curl");
            command.args(["--fail", "--silent", "--show-error", "--location", "--output"]);
            command.arg(target).arg(&address);
            command
        };
        tool::run(command.stdout(std::process::Stdio::null())).map_err(|error| {
            io::Error::other(format!(
                "{error}\n{} {} cannot be fetched. Mirrors drop packages when newer ones come: name one that keeps them \
                 with --mirror, or run `cargo image relock` for those of today",
                package.name, package.version
            ))
        })
    }
}

/// Reads the sources of a Debian machine.
fn of_this_machine() -> io::Result<Mirror> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let no = |why: &str| {
        io::Error::other(format!(
            "{why}: name a mirror of Debian with --mirror, such as the one nearest to you"
        ))
    };
    if field("ID").as_deref() != Some("debian") {
        return Err(no("this machine runs no Debian whose sources could be used"));
    }
    let codename = field("VERSION_CODENAME").unwrap_or_default();
    of_sources(&read_sources()?, &codename).ok_or_else(|| no("apt's sources name no archive of Debian"))
}

/// The archives that have this release and its security updates.
fn of_sources(sources: &[Source], codename: &str) -> Option<Mirror> {
    let with = |suite: &str| {
        let source = sources.iter().find(|source| source.suites.iter().any(|one| one == suite))?;
        Some(source.address.trim_end_matches('/').to_owned())
    };
    let debian = with(codename).or_else(|| with("stable"))?;
    let security = with(&format!("{codename}-security"))
        .or_else(|| with(&format!("{codename}/updates")))
        .unwrap_or_else(|| format!("{debian}-security"));
    Some(Mirror { debian, security })
}

/// One archive that apt uses.
#[derive(Debug, Eq, PartialEq)]
struct Source {
    address: String,
    suites: Vec<String>,
}

fn read_sources() -> io::Result<Vec<Source>> {
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        more.sort();
        files.extend(more);
    }
    let mut sources = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(text.lines().filter_map(one_line)),
            Some("sources") => sources.extend(stanzas(&text)),
            _ => {}
        }
    }
    Ok(sources)
}

/// `deb [options] address suite component...` (sources.list(5)).
fn one_line(line: &str) -> Option<Source> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    Some(Source { address: words.next()?.to_owned(), suites: vec![words.next()?.to_owned()] })
}

/// The deb822 form (sources.list(5)).
fn stanzas(text: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let words = |key: &str| -> Vec<String> {
            let value = stanza.iter().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case(key).then_some(value)
            });
            value.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        let off = words("Enabled").first().is_some_and(|word| word == "no");
        if off || !words("Types").iter().any(|kind| kind == "deb") {
            continue;
        }
        let suites = words("Suites");
        found.extend(words("URIs").into_iter().map(|address| Source { address, suites: suites.clone() }));
    }
    found
}

/// Part of the package apt.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_sources_are_understood() {
        let new = "Types: deb deb-src\n# a comment\nURIs: http://a.test/debian/\nSuites: stone stone-updates\n\
                   Components: main\n\nTypes: deb\nURIs: http://b.test/sec\nSuites: stone-security\n\n\
                   Enabled: no\nTypes: deb\nURIs: http://c.test/x\nSuites: stone\n";
        let mirror = of_sources(&stanzas(new), "stone").unwrap();
        assert_eq!(
            mirror,
            Mirror { debian: "http://a.test/debian".into(), security: "http://b.test/sec".into() }
        );

        let old = "deb-src http://x.test/y stone main\ndeb [arch=arm64 trusted=yes] http://a.test/debian stone main\n# deb";
        let sources: Vec<Source> = old.lines().filter_map(one_line).collect();
        assert_eq!(sources.len(), 1);
        assert_eq!(of_sources(&sources, "stone").unwrap().security, "http://a.test/debian-security");
        assert_eq!(of_sources(&sources, "other"), None);
    }

    #[test]
    fn a_named_mirror_wins_and_versions_are_quoted() {
        let choice = Choice { mirror: Some("http://m.test/debian/".into()), security_mirror: None };
        let package = Package {
            purpose: "kernel".into(),
            name: "linux".into(),
            version: "1+2~3".into(),
            archive: Archive::DebianSecurity,
            path: "pool/l_1+2~3.deb".into(),
            size: 1,
            sha256: String::new(),
        };
        let address = choice.mirror().unwrap().address(&package);
        assert_eq!(address, "http://m.test/debian-security/pool/l_1%2b2%7e3.deb");
    }
}

//! The package in a clean Debian: installed, run, upgraded, purged.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::systemd::Systemd;
use super::{Rows, TARGET, expect, lines, output, packed};
use crate::scratch::Scratch;

/// The release that is installed into.
const SUITE: &str = "bookworm";

/// Folders in which Debian's own tools write down what they did.
const BOOKS: [&str; 8] =
    ["proc", "sys", "var/lib/dpkg", "var/lib/apt", "var/lib/systemd", "var/cache", "var/log", "mnt"];

/// What the owner keeps, and added to the configuration.
const KEEP: &str = "srv/keep.age";
const EDIT: &str = "\n# mine\n";

pub(super) fn run(rows: &mut Rows) -> io::Result<()> {
    let packages =
        [packed(&["deb", "--target", TARGET])?, packed(&["deb", "--target", TARGET, "--suffix", "+1"])?];
    let root = Scratch::new("debian")?;
    let mut bootstrap = Command::new("debootstrap");
    bootstrap.args(["--variant=minbase", "--include=systemd", SUITE]).arg(root.path()).arg(mirror()?);
    rows.timed("deb: a clean Debian", || output(&mut bootstrap).map(drop));
    let debian = Debian { root: &root };
    fs::write(root.join(KEEP), "sealed")?;
    lines::lay_out(root.path(), &packages[0])?;
    let before = files(root.path())?;
    rows.timed("deb: installs", || debian.install(&packages[0]));
    rows.timed("deb: runs and stops", || debian.runs());
    rows.timed("deb: upgrades and keeps the configuration", || debian.upgrades(&packages[1]));
    rows.timed("deb: removed and installed again, it is on if it was on before", || {
        debian.returns(&packages[1])
    });
    rows.timed("deb: purges and leaves no trace but the keep file", || {
        debian.run(&["dpkg", "--purge", "bulbil"])?;
        let after = files(root.path())?;
        let odd: Vec<_> = before.symmetric_difference(&after).collect();
        expect(odd.is_empty(), &format!("nothing is left or gone: {odd:?}"))?;
        expect(root.join(KEEP).is_file(), "the keep file is still there")
    });
    match Systemd::boot(root.path(), &root.join("mnt/boot.log")) {
        Ok(systemd) => {
            debian.serves(rows, &systemd, &packages)?;
            debian.by_hand(rows, &systemd)?;
        }
        Err(why) => rows.timed("deb: a Debian with systemd boots", || Err(why)),
    }
    Ok(())
}

struct Debian<'r> {
    root: &'r Scratch,
}

impl Debian<'_> {
    fn run(&self, words: &[&str]) -> io::Result<String> {
        let mut command = Command::new("chroot");
        command.arg(self.root.path()).args(words).env("DEBIAN_FRONTEND", "noninteractive");
        output(command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }

    fn install(&self, package: &Path) -> io::Result<()> {
        fs::copy(package, self.root.join("mnt/bulbil.deb"))?;
        // What dpkg does about a changed configuration file when nobody can be asked.
        self.run(&["dpkg", "--force-confold", "-i", "/mnt/bulbil.deb"])?;
        for paper in ["copyright", "THIRD-PARTY.txt"] {
            expect(self.root.join("usr/share/doc/bulbil").join(paper).is_file(), paper)?;
        }
        expect(self.run(&["bulbil", "--version"])?.starts_with("bulbil "), "it says its version")
    }

    /// As the unit would start it, with a tmpfs on /run, in a mount namespace of its own. Tor need not get through.
    fn runs(&self) -> io::Result<()> {
        let root = self.root.path().display();
        let script = format!(
            "set -e; mount -t tmpfs -o mode=0755 tmpfs {root}/run; mount -t proc proc {root}/proc\n\
             chroot {root} bulbil run --config /etc/bulbil/bulbil.toml 2>{root}/mnt/log & node=$!\n\
             for turn in $(seq 300); do chroot {root} bulbil status && break || sleep 0.2; done\n\
             chroot {root} bulbil stop; wait $node"
        );
        let mut command = Command::new("unshare");
        output(command.args(["--mount", "sh", "-c", &script])).map(drop)
    }

    /// The same three steps with a systemd that runs the service.
    fn serves(&self, rows: &mut Rows, systemd: &Systemd, packages: &[PathBuf; 2]) -> io::Result<()> {
        let install = |package: &Path| {
            fs::copy(package, self.root.join("mnt/bulbil.deb"))?;
            systemd.run(&["dpkg", "--force-confold", "-i", "/mnt/bulbil.deb"])
        };
        let before = files(self.root.path())?;
        let mut first = String::new();
        rows.timed("deb: under systemd, the unit starts and its page answers", || {
            install(&packages[0])?;
            first = systemd.serves()?;
            Ok(())
        });
        rows.timed("deb: under systemd, an upgrade starts the new one in place of the old one", || {
            install(&packages[1])?;
            expect(systemd.serves()? != first, "another process serves")
        });
        rows.timed("deb: under systemd, removed and installed again, it is on and serves", || {
            systemd.run(&["dpkg", "--remove", "bulbil"])?;
            expect(systemd.run(&["systemctl", "is-active", "bulbil"]).is_err(), "it is stopped")?;
            install(&packages[1])?;
            systemd.run(&["systemctl", "is-enabled", "bulbil"])?;
            systemd.serves().map(drop)
        });
        rows.timed("deb: under systemd, a purge stops it and leaves no trace", || {
            systemd.run(&["dpkg", "--purge", "bulbil"])?;
            self.is_as(&before, systemd)
        });
        Ok(())
    }

    /// Without the package: the lines of the README.
    fn by_hand(&self, rows: &mut Rows, systemd: &Systemd) -> io::Result<()> {
        let lines = |purpose: &str| systemd.run(&["sh", "-c", &lines::script(purpose)?]);
        let before = files(self.root.path())?;
        let mut first = String::new();
        rows.timed("by hand: under systemd, the README's lines install and start it", || {
            lines("systemd install")?;
            first = systemd.serves()?;
            Ok(())
        });
        rows.timed(
            "by hand: under systemd, the same lines leave the configuration and start a new one",
            || {
                let config = self.root.join("etc/bulbil/bulbil.toml");
                let changed = fs::read_to_string(&config)? + EDIT;
                fs::write(&config, &changed)?;
                lines("systemd install")?;
                expect(systemd.serves()? != first, "another process serves")?;
                expect(fs::read_to_string(&config)? == changed, "the owner's configuration is untouched")
            },
        );
        rows.timed("by hand: under systemd, the README's lines remove it and leave no trace", || {
            lines("systemd remove")?;
            self.is_as(&before, systemd)
        });
        Ok(())
    }

    /// Whether nothing of it runs, and every file but the keep file is gone that was not there before.
    fn is_as(&self, before: &BTreeSet<PathBuf>, systemd: &Systemd) -> io::Result<()> {
        expect(systemd.run(&["systemctl", "is-active", "bulbil"]).is_err(), "it is stopped")?;
        expect(
            systemd.run(&["sh", "-c", "grep -x bulbil /proc/[0-9]*/comm"]).is_err(),
            "nothing of it runs",
        )?;
        let after = files(self.root.path())?;
        let odd: Vec<_> = before.symmetric_difference(&after).collect();
        expect(odd.is_empty(), &format!("nothing is left or gone: {odd:?}"))
    }

    /// Removed without its configuration, which dpkg takes for an upgrade when it comes back.
    fn returns(&self, package: &Path) -> io::Result<()> {
        let is_on = || self.run(&["systemctl", "is-enabled", "bulbil"]).is_ok();
        let again = || {
            self.run(&["dpkg", "--remove", "bulbil"])?;
            expect(!is_on(), "a removed service is off")?;
            self.install(package)
        };
        expect(is_on(), "it is on")?;
        again()?;
        expect(is_on(), "it is on again")?;
        self.run(&["systemctl", "disable", "bulbil"])?;
        again()?;
        expect(!is_on(), "what its owner switched off stays off")?;
        self.run(&["systemctl", "enable", "bulbil"]).map(drop)
    }

    fn upgrades(&self, package: &Path) -> io::Result<()> {
        let config = self.root.join("etc/bulbil/bulbil.toml");
        let changed = fs::read_to_string(&config)? + EDIT;
        fs::write(&config, &changed)?;
        self.install(package)?;
        expect(fs::read_to_string(&config)? == changed, "the owner's configuration is untouched")?;
        let version = self.run(&["dpkg-query", "-W", "-f", "${Version}", "bulbil"])?;
        expect(version.ends_with("+1"), "the new version is installed")
    }
}

/// Every file of a root but what Debian's own tools write about it.
pub(super) fn files(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            let inside = path.strip_prefix(root).unwrap_or(&path).to_owned();
            if BOOKS.iter().any(|book| inside.starts_with(book)) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                open.push(path);
            }
            found.insert(inside);
        }
    }
    Ok(found)
}

/// Where this machine's own apt gets its packages from.
pub(super) fn mirror() -> io::Result<String> {
    let format = "$(SITE) $(COMPONENT)";
    let printed =
        output(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let mut sites = printed.lines().filter_map(|line| line.strip_suffix(" main"));
    let site = sites.find(|site| !site.contains("security")).map(str::to_owned);
    site.ok_or_else(|| io::Error::other("apt names no Debian mirror: add one to its sources"))
}

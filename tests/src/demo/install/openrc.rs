//! The service under `OpenRC`, in a Debian that has it: installed and removed by the lines of `boards/README.md`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::debian::{files, mirror};
use super::systemd::READ;
use super::{Rows, TARGET, expect, lines, output, packed};
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

/// The first release whose `OpenRC` hands what a service says to a logger.
const SUITE: &str = "trixie";

/// From its start until `OpenRC` has its folders.
const START: Duration = Duration::from_mins(1);

/// From the start of the service to its page, and from its death to the next one: the supervisor waits five seconds.
const PAGE: Duration = Duration::from_mins(1);

/// What a container engine would mount, with a system log and `OpenRC`, which starts nothing by itself. `$0` is the root. The last line
/// takes in whatever loses its parent.
const BOOT: &str = r#"
set -e
cd "$0"
chmod 755 .
ip link set lo up
mount --make-rprivate /
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=0755 tmpfs dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mkdir -m 1777 dev/shm
chroot . /mnt/busybox syslogd -O /run/messages
mkdir run/openrc
touch run/openrc/softlevel
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . openrc sysinit
touch run/up
exec sh -c 'while sleep 60; do :; done'
"#;

/// Debian's own network scripts are left out: the network is one of its own, and up.
const CABLE: &str = "#!/sbin/openrc-run\ndepend() { provide net; }\nstart() { return 0; }\n";

/// What the owner adds to the configuration.
const EDIT: &str = "\n# mine\n";

pub(super) fn run(rows: &mut Rows) -> io::Result<()> {
    let package = packed(&["deb", "--target", TARGET])?;
    let root = Scratch::new("openrc")?;
    let mut bootstrap = Command::new("debootstrap");
    bootstrap.args(["--variant=minbase", "--include=openrc", SUITE]).arg(root.path()).arg(mirror()?);
    rows.timed("openrc: a clean Debian with OpenRC", || output(&mut bootstrap).map(drop));
    let cable = root.join("etc/init.d/cable");
    fs::write(&cable, CABLE)?;
    fs::set_permissions(&cable, fs::Permissions::from_mode(0o755))?;
    output(
        Command::new("sh").args(["-c", "cp \"$(command -v busybox)\" \"$0\""]).arg(root.join("mnt/busybox")),
    )?;
    lines::lay_out(root.path(), &package)?;
    let openrc = match Openrc::boot(root.path(), &root.join("mnt/boot.log")) {
        Ok(openrc) => openrc,
        Err(why) => {
            rows.timed("openrc: it boots", || Err(why));
            return Ok(());
        }
    };
    openrc.story(rows)
}

/// The first process of namespaces of its own, in which `OpenRC` runs. Everything ends with this value.
struct Openrc {
    process: Process,
    root: PathBuf,
}

impl Openrc {
    /// Installed, looked at, killed, upgraded, removed.
    fn story(&self, rows: &mut Rows) -> io::Result<()> {
        let before = files(&self.root)?;
        let mut first = String::new();
        rows.timed("openrc: the README's lines install and start it, and its page answers", || {
            self.lines("openrc install")?;
            first = self.serves()?;
            expect(
                self.run(&["rc-service", "bulbil", "status"])?.contains("started"),
                "its status is: started",
            )
        });
        rows.timed("openrc: it runs as its user, without rights to come by, with its limits", || {
            self.is_bound(&first)
        });
        rows.timed("openrc: what it says is in the system's log", || {
            let log = self.run(&["cat", "/run/messages"])?;
            expect(log.lines().any(|line| line.contains(" bulbil: ")), &format!("a line of bulbil in: {log}"))
        });
        rows.timed("openrc: killed, it comes back", || {
            self.run(&["sh", "-c", &format!("kill -9 {first}")])?;
            wait::found(PAGE, "another process", || Ok(self.pid().ok().filter(|pid| *pid != first)))?;
            self.serves().map(drop)
        });
        rows.timed("openrc: the same lines again leave the configuration and start a new one", || {
            let config = self.root.join("etc/bulbil/bulbil.toml");
            let changed = fs::read_to_string(&config)? + EDIT;
            fs::write(&config, &changed)?;
            let before = self.serves()?;
            self.lines("openrc install")?;
            expect(self.serves()? != before, "another process serves")?;
            expect(fs::read_to_string(&config)? == changed, "the owner's configuration is untouched")
        });
        rows.timed("openrc: the README's lines stop and remove it, and leave no trace", || {
            self.lines("openrc remove")?;
            expect(self.pid().is_err(), "nothing of it runs")?;
            expect(self.run(&["test", "!", "-e", "/run/bulbil"]).is_ok(), "its state is gone")?;
            let after = files(&self.root)?;
            let odd: Vec<_> = before.symmetric_difference(&after).collect();
            expect(odd.is_empty(), &format!("nothing is left or gone: {odd:?}"))?;
            let users = fs::read_to_string(self.root.join("etc/passwd"))?
                + &fs::read_to_string(self.root.join("etc/group"))?;
            expect(!users.contains("bulbil"), "its user and group are gone")
        });
        Ok(())
    }

    fn boot(root: &Path, log: &Path) -> io::Result<Self> {
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            BOOT,
        ]);
        let process = Process::start("openrc", command.arg(root), log)?;
        let mut this = Self { process, root: root.to_owned() };
        wait::found(START, "OpenRC to be up", || {
            if this.process.ended()?.is_some() {
                return Err(io::Error::other(format!("it ended: {}", this.process.output()?)));
            }
            Ok(this.run(&["test", "-e", "/run/up"]).ok())
        })?;
        Ok(this)
    }

    /// Runs a program beside it, in the root.
    fn run(&self, words: &[&str]) -> io::Result<String> {
        let pid = self.process.pid();
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid.to_string(), "--mount", "--uts", "--ipc", "--net"]);
        // Of its children: the first process is one, and this its parent.
        command.arg(format!("--pid=/proc/{pid}/ns/pid_for_children"));
        command.arg("chroot").arg(&self.root).args(words);
        output(command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }

    fn lines(&self, purpose: &str) -> io::Result<()> {
        self.run(&["sh", "-c", &lines::script(purpose)?]).map(drop)
    }

    /// The program's process, by its number inside.
    fn pid(&self) -> io::Result<String> {
        Ok(self.run(&["/mnt/busybox", "pidof", "bulbil"])?.trim().to_owned())
    }

    /// Waits until the page answers, and gives the process.
    fn serves(&self) -> io::Result<String> {
        let answered = wait::found(PAGE, "the page of the service", || {
            let page = self.run(&["bash", "-c", READ]).unwrap_or_default();
            Ok((page.starts_with("HTTP/1.1 200") && page.contains("<title>Bulbil</title>")).then_some(()))
        });
        answered.map_err(|why| {
            let said = self.run(&["cat", "/run/messages"]).unwrap_or_default();
            io::Error::other(format!("{why}: {said}"))
        })?;
        self.pid()
    }

    fn is_bound(&self, pid: &str) -> io::Result<()> {
        let status = self.run(&["cat", &format!("/proc/{pid}/status")])?;
        for line in ["Uid:\t10001\t10001\t10001\t10001", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"] {
            expect(status.contains(line), &format!("{line} in {status}"))?;
        }
        let limits = self.run(&["cat", &format!("/proc/{pid}/limits")])?;
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
        };
        expect(limit("Max open files") == ["16384", "16384"], "16384 files at most")?;
        expect(limit("Max core file size") == ["0", "0"], "no core files")
    }
}

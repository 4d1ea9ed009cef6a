//! A systemd that runs: the first process of namespaces of its own, on a Debian root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::output;
use crate::process::Process;
use crate::wait;

/// From its start until it has started everything of its own.
const START: Duration = Duration::from_mins(1);

/// From its end until nothing of it is left.
const STOP: Duration = Duration::from_secs(10);

/// From a package's installation to the first page.
const PAGE: Duration = Duration::from_secs(30);

/// Where cgroups of version 2 are mounted: beside those of version 1, or alone.
const GROUPS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// What a container engine mounts for a container. Its network is its own: nothing is reached but itself, so nothing that
/// waits for a network is started. `$0` is the root.
const BOOT: &str = r#"
set -e
cd "$0"
chmod 755 .
mount --make-rprivate /
mount --bind . .
cd "$0"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=0755 tmpfs dev
mkdir dev/pts dev/shm mnt/old
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
touch etc/machine-id
ln -sf /dev/null etc/systemd/system/systemd-networkd-wait-online.service
pivot_root . mnt/old
umount -l /mnt/old
rmdir /mnt/old
exec env -i container=bulbil PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=basic.target --log-target=journal-or-kmsg --show-status=no
"#;

/// A unit of Debian's own that does not suit the place is none of our business.
const UP: &str = "systemctl is-system-running | grep -Ex 'running|degraded'";

/// Reads a page without any program that a small Debian lacks.
pub(super) const READ: &str = r"exec 3<>/dev/tcp/127.0.0.1/3090
printf 'GET / HTTP/1.1\r\nHost: 127.0.0.1:3090\r\nConnection: close\r\n\r\n' >&3
cat <&3";

/// It ends with this value.
pub(super) struct Systemd {
    process: Process,
    group: PathBuf,
}

impl Systemd {
    /// Boots a Debian root that has systemd; `log` is for what goes wrong before.
    pub(super) fn boot(root: &Path, log: &Path) -> io::Result<Self> {
        let groups = GROUPS.iter().map(Path::new).find(|groups| groups.join("cgroup.procs").is_file());
        let groups = groups.filter(|groups| groups.join("cgroup.subtree_control").is_file());
        let groups = groups.ok_or_else(|| io::Error::other("cgroups of version 2 are mounted nowhere"))?;
        let group = groups.join(format!("bulbil-install-{}", std::process::id()));
        fs::create_dir(&group)?;
        let mut command = Command::new("sh");
        let enter = "echo $$ > \"$0/cgroup.procs\" && exec unshare --mount --pid --fork --uts --ipc --cgroup --net \
                     --kill-child sh -c \"$2\" \"$1\"";
        command.args(["-c", enter]).args([&group, root]).arg(BOOT);
        let process = Process::start("systemd", &mut command, log)?;
        let mut this = Self { process, group };
        wait::found(START, "systemd to be up", || {
            if this.process.ended()?.is_some() {
                return Err(io::Error::other(format!("systemd ended: {}", this.process.output()?)));
            }
            Ok(this.run(&["sh", "-c", UP]).ok())
        })?;
        Ok(this)
    }

    /// Runs a program beside it.
    pub(super) fn run(&self, words: &[&str]) -> io::Result<String> {
        let pid = self.process.pid();
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &pid.to_string(),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--cgroup",
            "--root",
        ]);
        command.arg(format!("--wd=/proc/{pid}/root"));
        // Of its children: the first process is one, and this its parent.
        command.arg(format!("--pid=/proc/{pid}/ns/pid_for_children"));
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        output(command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }

    /// Waits until the service is up and its page answers, and gives its first process.
    pub(super) fn serves(&self) -> io::Result<String> {
        let answered = wait::found(PAGE, "the page of the service", || {
            let page = self.run(&["bash", "-c", READ]).unwrap_or_default();
            Ok((page.starts_with("HTTP/1.1 200") && page.contains("<title>Bulbil</title>")).then_some(()))
        });
        answered.map_err(|why| {
            let said =
                self.run(&["journalctl", "-u", "bulbil", "--no-pager", "-n", "20"]).unwrap_or_default();
            io::Error::other(format!("{why}: {said}"))
        })?;
        self.run(&["systemctl", "is-active", "bulbil"])?;
        self.run(&["systemctl", "show", "-P", "MainPID", "bulbil"])
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // With it all that it started goes, as the first process of its namespace does.
        drop(self.process.kill());
        drop(wait::eventually(STOP, "its cgroup to be empty", || {
            remove(&self.group);
            !self.group.exists()
        }));
    }
}

/// Removes a cgroup with those in it, as far as they are empty.
fn remove(group: &Path) {
    let inner = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path());
    }
    drop(fs::remove_dir(group));
}

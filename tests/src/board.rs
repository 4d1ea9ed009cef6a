//! A board without hardware: the program as the first process of namespaces of its own (namespaces(7)), with a file system, a
//! network and a name that nobody else sees. It is root there and nowhere else: it cannot set the clock, load drivers or mount disks.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::namespace;
use crate::packages::{self, Need};
use crate::process::Process;
use crate::scratch::Scratch;
use crate::{program, wait};

/// What stories about boards need.
pub const NEEDS: [Need; 4] = [
    Need { program: "ip", package: "iproute2" },
    Need { program: "busybox", package: "busybox" },
    Need { program: "python3", package: "python3" },
    Need { program: "avahi-daemon", package: "avahi-daemon" },
];

/// Our end of the cable, and the board's.
pub const CABLE: &str = "cable0";
const THEIRS: &str = "cable1";

/// Time for anything that takes no network.
const SOON: Duration = Duration::from_secs(20);

/// Makes the root of the file system, of what is mounted here already, and starts the first process in it.
const START: &str = r#"
set -e
mount -t tmpfs none "$ROOT"
cd "$ROOT"
mkdir -p usr lib lib64 bin proc sys dev run boot disks tmp
for folder in usr lib lib64 bin; do mount --rbind "/$folder" "$folder"; done
mount -t proc none proc
mount -t sysfs none sys
touch init dev/null
mount --bind /dev/null dev/null
mount --bind "$PROGRAM" init
cp "$FILES"/* boot
printf 'board = "namespace"\nepoch = 0\n' > image.toml
exec chroot . /init
"#;

/// See the module. Dropping it ends it.
#[derive(Debug)]
pub struct Board {
    process: Process,
    folder: Scratch,
}

impl Board {
    /// Switches one on, with these files on its boot partition. Call within a network namespace of our own
    /// ([`namespace::inside`]).
    pub fn start(files: &[(&str, &str)]) -> io::Result<Self> {
        packages::ensure(&NEEDS)?;
        let folder = Scratch::new("board")?;
        let (root, boot) = (folder.join("root"), folder.join("boot"));
        fs::create_dir(&root)?;
        fs::create_dir(&boot)?;
        for (name, text) in files {
            fs::write(boot.join(name), text)?;
        }
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--net", "--uts", "--ipc", "--pid"]);
        command.args(["--fork", "--kill-child", "--", "sh", "-c", START]);
        command.env("ROOT", &root).env("FILES", &boot).env("PROGRAM", program::bulbil()?);
        let process = Process::start("board", &mut command, &folder.join("console"))?;
        let board = Self { process, folder };
        wait::found(SOON, "the first process of a board", || {
            let said = board.console()?;
            Ok(said.contains("bulbil: Bulbil ").then_some(()))
        })?;
        Ok(board)
    }

    /// Puts a cable between it and us. Our end is [`CABLE`] and has the address `ours` (`10.0.0.1/24`).
    pub fn plug(&self, ours: &str) -> io::Result<()> {
        let init = self.init()?.to_string();
        namespace::run(&["ip", "link", "add", CABLE, "type", "veth", "peer", "name", THEIRS])?;
        namespace::run(&["ip", "address", "add", ours, "dev", CABLE])?;
        namespace::run(&["ip", "link", "set", CABLE, "up"])?;
        namespace::run(&["ip", "link", "set", THEIRS, "netns", &init]).map(drop)
    }

    /// Puts in another cable, whose ends have these names here and there. Nothing is connected before our end is switched on.
    pub fn plug_dead(&self, here: &str, there: &str) -> io::Result<()> {
        let init = self.init()?.to_string();
        namespace::run(&["ip", "link", "add", here, "type", "veth", "peer", "name", there])?;
        namespace::run(&["ip", "link", "set", there, "netns", &init]).map(drop)
    }

    /// What it has said so far.
    pub fn console(&self) -> io::Result<String> {
        fs::read_to_string(self.folder.join("console"))
    }

    /// Waits until it has said this.
    pub fn says(&self, words: &str, limit: Duration) -> io::Result<()> {
        self.says_times(words, 1, limit)
    }

    /// Waits until it has said this so many times.
    pub fn says_times(&self, words: &str, times: usize, limit: Duration) -> io::Result<()> {
        let said = wait::eventually(limit, words, || {
            self.console().is_ok_and(|console| console.matches(words).count() >= times)
        });
        said.map_err(|error| {
            io::Error::other(format!("{error}; the board said:\n{}", self.console().unwrap_or_default()))
        })
    }

    /// What it tells its node of itself.
    pub fn report(&self) -> io::Result<Value> {
        let file =
            Path::new("/proc").join(self.init()?.to_string()).join("root").join("run/board/report.json");
        serde_json::from_slice(&fs::read(file)?).map_err(io::Error::other)
    }

    /// Fills the memory in which its node keeps everything, to the last byte.
    pub fn fill_memory(&self) -> io::Result<()> {
        let run = Path::new("/proc").join(self.init()?.to_string()).join("root/run");
        // Half of all memory is more than a test should take.
        let target = run.to_string_lossy().into_owned();
        let mount = format!("--mount=/proc/{}/ns/mnt", self.init()?);
        namespace::run(&["nsenter", &mount, "--", "mount", "-o", "remount,size=1m", &target])?;
        let mut file = fs::File::create(run.join("full"))?;
        loop {
            match io::Write::write(&mut file, &[0; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs a program on its network.
    pub fn run(&self, words: &[&str]) -> io::Result<String> {
        let net = format!("--net=/proc/{}/ns/net", self.init()?);
        namespace::run(&[&["nsenter", &net, "--"], words].concat())
    }

    /// Presses its power button, and waits until it is off.
    pub fn switch_off(&mut self) -> io::Result<()> {
        let init = i32::try_from(self.init()?).map_err(io::Error::other)?;
        kill(Pid::from_raw(init), Signal::SIGTERM)?;
        self.process.finish(SOON).map(drop)
    }

    /// The first process, as it is called here.
    fn init(&self) -> io::Result<u32> {
        let pid = self.process.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        children.trim().parse().map_err(|_| io::Error::other("the board is off"))
    }
}

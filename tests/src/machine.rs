//! A board that is none: QEMU with an image of ours.

mod card;
mod keys;
mod monitor;
mod setting;

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::packages::Need;
use crate::ports::Ports;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::usage::Usage;
pub use card::{Card, Format};
use keys::Keys;
use monitor::Monitor;
pub use setting::Setting;

/// What running images needs.
pub const NEEDS: [Need; 8] = [
    Need { program: "qemu-system-aarch64", package: "qemu-system-arm" },
    Need { program: UEFI, package: "qemu-efi-aarch64" },
    Need { program: "mcopy", package: "mtools" },
    Need { program: "mkfs.vfat", package: "dosfstools" },
    Need { program: "mkfs.ext4", package: "e2fsprogs" },
    Need { program: "debugfs", package: "e2fsprogs" },
    Need { program: "curl", package: "curl" },
    Need { program: "ip", package: "iproute2" },
];

/// UEFI for 64-bit ARM. QEMU's package only recommends it.
const UEFI: &str = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";

/// From being told to switch off to being off.
const OFF_LIMIT: Duration = Duration::from_mins(2);

/// How the guest is started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// QEMU's `virt`; QEMU hands over kernel and initramfs itself.
    VirtDirect,
    /// QEMU's `virt`; UEFI finds its way on the disk.
    VirtUefi,
    /// QEMU's `raspi3b`; QEMU hands over kernel, initramfs and device tree, as it runs no firmware of the board.
    Pi3,
}

impl Start {
    /// The image it boots.
    #[must_use]
    pub fn board(self) -> &'static str {
        match self {
            Self::VirtDirect | Self::VirtUefi => "virt",
            Self::Pi3 => "raspberry-pi-3",
        }
    }

    /// Where the board shows the card's second partition.
    #[must_use]
    pub fn data_folder(self) -> &'static str {
        match self {
            Self::VirtDirect | Self::VirtUefi => "/disks/vda2",
            Self::Pi3 => "/disks/mmcblk0p2",
        }
    }
}

/// A running guest. Dropping it takes its power away.
#[derive(Debug)]
pub struct Machine {
    process: Process,
    monitor: Monitor,
    start: Start,
    page: u16,
    serial: PathBuf,
    /// Where its console can be typed at, if it can.
    typed: Option<PathBuf>,
    began: Instant,
    _ports: Ports,
    _folder: Scratch,
}

impl Machine {
    /// Switches it on with this card and so many MiB of memory (`raspi3b` has 1024 always).
    pub fn start(start: Start, card: &Card, memory_mib: u32) -> io::Result<Self> {
        Self::start_in(start, card, memory_mib, &Setting::default())
    }

    /// The same, where not everything is as it should be.
    pub fn start_in(start: Start, card: &Card, memory_mib: u32, setting: &Setting) -> io::Result<Self> {
        let folder = Scratch::new("machine")?;
        let mut ports = Ports::reserve(Ipv4Addr::LOCALHOST)?;
        let page = ports.take()?;
        let (socket, serial) = (folder.join("monitor"), folder.join("serial"));
        let mut command = Command::new("qemu-system-aarch64");
        command.args(["-display", "none", "-nodefaults", "-no-user-config"]);
        command.args(["-qmp", &format!("unix:{},server=on,wait=off", socket.display())]);
        command.args(["-netdev", &format!("user,id=router,hostfwd=tcp:127.0.0.1:{page}-:80")]);
        // Between the two, so that the router can fall silent while the cable is in.
        command.args([
            "-netdev",
            "hubport,id=wall,hubid=0,netdev=router",
            "-netdev",
            "hubport,id=net,hubid=0",
        ]);
        setting.apply(&mut command);
        let typed = folder.join("keys");
        match start {
            Start::VirtDirect | Start::VirtUefi => {
                command.args(["-chardev", &Keys::device(&typed, &serial)]);
                virt(&mut command, card, memory_mib, setting);
            }
            Start::Pi3 => pi3(&mut command, card, &format!("file:{}", serial.display())),
        }
        match start {
            Start::VirtDirect => direct(&mut command, card, "vmlinuz.efi", &setting.cmdline(VIRT_CMDLINE))?,
            Start::VirtUefi => drop(command.args(["-bios", UEFI])),
            Start::Pi3 => {
                direct(&mut command, card, "kernel8.img", &setting.cmdline(PI3_CMDLINE))?;
                command.arg("-dtb").arg(card.take("bcm2837-rpi-3-b.dtb")?);
            }
        }
        let began = Instant::now();
        let process = Process::start("qemu", &mut command, &folder.join("log"))?;
        let mut monitor = Monitor::open(&socket, &process)?;
        if setting.router_is_silent {
            monitor.say(&link("router", false))?;
        }
        let typed = (start != Start::Pi3).then_some(typed);
        Ok(Self { process, monitor, start, page, serial, typed, began, _ports: ports, _folder: folder })
    }

    /// When it was switched on.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The port on this machine behind which the guest's page is.
    #[must_use]
    pub fn page(&self) -> u16 {
        self.page
    }

    /// What its console has shown so far.
    #[must_use]
    pub fn console(&self) -> String {
        std::fs::read(&self.serial)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// An error when it is off already.
    pub fn fail_if_off(&mut self) -> io::Result<()> {
        let Some(status) = self.process.ended()? else { return Ok(()) };
        let (said, console) = (self.process.output()?, self.console());
        Err(io::Error::other(format!("the machine went off ({status}): {} {}", said.trim(), tail(&console))))
    }

    /// Memory and CPU of QEMU itself.
    pub fn usage(&self) -> io::Result<Usage> {
        self.process.usage()
    }

    /// Presses the power button, and returns the seconds until the machine was off.
    pub fn press_power(&mut self) -> io::Result<f64> {
        let pressed = Instant::now();
        match self.start {
            Start::VirtDirect | Start::VirtUefi => self.monitor.say("{\"execute\":\"system_powerdown\"}")?,
            // A keyboard's: the board has none of its own.
            Start::Pi3 => self.monitor.say(POWER_KEY)?,
        }
        self.wait_off()?;
        Ok(pressed.elapsed().as_secs_f64())
    }

    /// Waits until it has switched itself off, and returns the seconds that took.
    pub fn wait_off(&mut self) -> io::Result<f64> {
        let asked = Instant::now();
        let off = self.process.finish(OFF_LIMIT);
        let (status, _, _) =
            off.map_err(|error| io::Error::other(format!("{error}; console: {}", tail(&self.console()))))?;
        if !status.success() {
            return Err(io::Error::other(format!(
                "QEMU ended with {status}: {}",
                self.process.output()?.trim()
            )));
        }
        Ok(asked.elapsed().as_secs_f64())
    }

    /// Lets the router answer, or not. The cable stays in.
    pub fn set_router(&mut self, answers: bool) -> io::Result<()> {
        self.monitor.say(&link("router", answers))
    }

    /// Puts the cable in, or pulls it.
    pub fn set_cable(&mut self, is_in: bool) -> io::Result<()> {
        self.monitor.say(&link("nic", is_in))
    }

    /// Has the kernel kill the largest program, as it does when memory is short. Needs [`Setting::keys`].
    pub fn kill_largest(&mut self) -> io::Result<()> {
        let typed = self.typed.as_ref();
        let typed = typed.ok_or_else(|| io::Error::other("nobody can type at this machine's console"))?;
        let mut keys = Keys::open(typed)?;
        self.monitor.say(keys::BREAK)?;
        keys.press(b'f')
    }

    /// From now on its card takes so many bytes a second. Only `virt` has such a card.
    pub fn set_write_limit(&mut self, limit: u32) -> io::Result<()> {
        self.monitor.say(&setting::write_limit("card", limit))
    }

    /// Takes its power away.
    pub fn cut_power(&mut self) -> io::Result<()> {
        self.process.kill()
    }
}

fn virt(command: &mut Command, card: &Card, memory_mib: u32, setting: &Setting) {
    command.args([
        "-M",
        "virt",
        "-cpu",
        "cortex-a72",
        "-m",
        &memory_mib.to_string(),
        "-serial",
        keys::DEVICE,
    ]);
    command.args(["-device", "virtio-net-pci,id=nic,netdev=net,romfile=", "-device", "virtio-rng-pci"]);
    command.args(["-device", "i6300esb", "-action", "watchdog=reset"]);
    let file = card.path().display();
    command.arg("-drive").arg(format!("if=none,id=card,format=raw,file={file}{}", setting.drive()));
    command.args(["-device", "virtio-blk-pci,drive=card"]);
}

fn pi3(command: &mut Command, card: &Card, serial: &str) {
    // The board's console is the second of its serial ports.
    command.args(["-M", "raspi3b", "-serial", "null", "-serial", serial]);
    command.args(["-device", "usb-net,netdev=net", "-device", "usb-kbd"]);
    command.arg("-drive").arg(format!("if=sd,format=raw,file={}", card.path().display()));
}

/// What tells QEMU to connect a part of the network, or to disconnect it.
fn link(name: &str, up: bool) -> String {
    format!("{{\"execute\":\"set_link\",\"arguments\":{{\"name\":\"{name}\",\"up\":{up}}}}}")
}

fn direct(command: &mut Command, card: &Card, kernel: &str, cmdline: &str) -> io::Result<()> {
    command.arg("-kernel").arg(card.take(kernel)?);
    command.arg("-initrd").arg(card.take("initramfs.gz")?);
    command.args(["-append", cmdline]);
    Ok(())
}

/// The end of a console, for errors.
fn tail(console: &str) -> String {
    let lines: Vec<&str> = console.lines().rev().take(15).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// As the images' own files have them; QEMU takes the start of the watchdog of a Raspberry Pi for its bark.
const VIRT_CMDLINE: &str =
    "console=ttyAMA0 quiet loglevel=3 transparent_hugepage=never cryptomgr.notests=1 panic=10";
const PI3_CMDLINE: &str = "console=ttyS1,115200 quiet loglevel=3 transparent_hugepage=never cryptomgr.notests=1 panic=10 bulbil.watchdog=off";

/// Down and up of the key `power`.
const POWER_KEY: &str =
    "{\"execute\":\"send-key\",\"arguments\":{\"keys\":[{\"type\":\"qcode\",\"data\":\"power\"}]}}";

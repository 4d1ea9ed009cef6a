//! What stands on a boot partition for the firmware to find.

use std::io;

use crate::board::{Board, Firmware};
use crate::deb::Tree;
use crate::fat::Files;
use crate::kernel::Kernel;

/// Adds kernel, initramfs and what the firmware needs to start them.
pub(crate) fn add(
    files: &mut Files,
    board: &Board,
    tree: &Tree,
    kernel: &Kernel<'_>,
    initramfs: Vec<u8>,
) -> io::Result<()> {
    files.insert("initramfs.gz".to_owned(), initramfs);
    match board.boot.firmware {
        Firmware::RaspberryPi => raspberry_pi(files, board, tree, kernel),
        Firmware::Efi => efi(files, board, tree, kernel),
    }
}

/// Name of the kernel on the boot partition.
fn kernel_name(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::RaspberryPi => "kernel8.img",
        Firmware::Efi => "vmlinuz.efi",
    }
}

/// `config.txt`, as the firmware's documentation names its keys. `upstream_kernel` makes it look for the device trees by the
/// kernel's own names.
fn raspberry_pi(files: &mut Files, board: &Board, tree: &Tree, kernel: &Kernel<'_>) -> io::Result<()> {
    for path in &board.boot.files {
        files.insert(base(path).to_owned(), tree.need(path)?.to_vec());
    }
    for name in &board.boot.dtbs {
        files.insert(base(name).to_owned(), kernel.device_tree(name)?.to_vec());
    }
    let name = kernel_name(board.boot.firmware);
    files.insert(name.to_owned(), kernel.image()?.to_vec());
    let fixed = format!(
        "arm_64bit=1\nupstream_kernel=1\ndisable_splash=1\nboot_delay=0\nkernel={name}\n\
         initramfs initramfs.gz followkernel\n"
    );
    let lines = fixed + &board.boot.config.join("\n") + "\n";
    files.insert("config.txt".to_owned(), lines.into_bytes());
    files.insert("cmdline.txt".to_owned(), format!("{}\n", board.boot.cmdline).into_bytes());
    Ok(())
}

/// systemd-boot under the name that UEFI looks for on a disk it does not know, with one entry and no waiting.
fn efi(files: &mut Files, board: &Board, tree: &Tree, kernel: &Kernel<'_>) -> io::Result<()> {
    let [loader] = board.boot.files.as_slice() else {
        return Err(io::Error::other("board.toml: boot.files must name one boot loader for UEFI"));
    };
    files.insert("EFI/BOOT/BOOTAA64.EFI".to_owned(), tree.need(loader)?.to_vec());
    let name = kernel_name(board.boot.firmware);
    files.insert(name.to_owned(), kernel.image()?.to_vec());
    files.insert("loader/loader.conf".to_owned(), b"timeout 0\neditor no\ndefault bulbil.conf\n".to_vec());
    let entry =
        format!("title Bulbil\nlinux /{name}\ninitrd /initramfs.gz\noptions {}\n", board.boot.cmdline);
    files.insert("loader/entries/bulbil.conf".to_owned(), entry.into_bytes());
    Ok(())
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

//! The programs that `cargo image static` makes run on both kinds of machine and compute the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop anywhere")]

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::scratch::Scratch;
use data_encoding::HEXLOWER;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// An emulated program on a busy machine takes seconds for what a native one does in milliseconds.
const DEADLINE: Duration = Duration::from_mins(2);

/// Machine, target, and the emulator where the machine is another.
const MACHINES: [(&str, &str, &str); 2] = [
    ("x86_64", "x86_64-unknown-linux-musl", "qemu-x86_64-static"),
    ("aarch64", "aarch64-unknown-linux-musl", "qemu-aarch64-static"),
];

#[test]
fn both_programs_know_their_version() {
    for (machine, target, emulator) in MACHINES {
        let said = run(bulbil(machine, target, emulator).arg("--version"));
        assert_eq!(said.trim(), concat!("bulbil ", env!("CARGO_PKG_VERSION")), "{target}");
    }
}

#[test]
fn both_programs_hash_alike() {
    let tree = Tree::new("static-binary");
    // Around the edges of a block (16 KiB) and of a piece, and what a file name may hold.
    let lengths = [0, 1, 16_383, 16_384, 16_385, 32_768, 70_001];
    for (number, length) in lengths.into_iter().enumerate() {
        let bytes: Vec<u8> = (0_u8..251).cycle().skip(number).take(length).collect();
        tree.write(&format!("déjà {number}/{length}.bin"), &bytes);
    }
    let [here, there] = MACHINES.map(|(machine, target, emulator)| {
        let mut command = bulbil(machine, target, emulator);
        let said = run(command.arg("hash").arg(&tree.0).args(["--piece-length", "32768", "--json"]));
        serde_json::from_str::<Value>(&said).expect("one JSON document on stdout")
    });
    assert_eq!(here, there);
    assert_eq!(here.get("size").and_then(Value::as_u64), Some(lengths.iter().sum::<usize>() as u64));
    // BEP 52: the root of a file of one block is its SHA-256.
    let root = HEXLOWER.encode(&Sha256::digest([1]));
    let files = here.get("files").and_then(Value::as_array).expect("a list of files");
    let small = files.iter().find(|file| file.get("length").and_then(Value::as_u64) == Some(1));
    assert_eq!(small.and_then(|file| file.get("pieces_root")).and_then(Value::as_str), Some(root.as_str()));
}

/// Both ways: what one serves the other fetches, over onion services. Emulated, a MiB takes some seconds.
#[test]
fn the_arm_program_shares_and_fetches() {
    const SIZE: u64 = 512 * 1024 + 7;
    let network = Network::start(Shape::default()).unwrap();
    let native = Node::start(&network, Settings::named("native")).unwrap();
    let settings = Settings { launcher: emulated(), ..Settings::named("emulated") };
    let emulated = Node::start(&network, settings).unwrap();
    for (from, to, seed) in [(&native, &emulated, 1), (&emulated, &native, 2)] {
        let (files, out) = (Scratch::new("files").unwrap(), Scratch::new("out").unwrap());
        let path = files.join("file.bin");
        let sha256 = content::write_file(&path, SIZE, seed).unwrap();
        let link = from.share(&path).unwrap();
        from.wait_reachable().unwrap();
        let said = to.say(&["fetch", &link, "--out", &out.path().to_string_lossy()]).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(content::digest(&out.join("file.bin")).unwrap(), sha256);
    }
}

/// Runs the ARM program in place of the one that is appended.
fn emulated() -> Vec<String> {
    let [_, (_, target, emulator)] = MACHINES;
    let program = program(target);
    let run = format!("shift; exec {emulator} '{}' \"$@\"", program.display());
    ["sh", "-c", &run, "sh"].map(str::to_owned).to_vec()
}

fn program(target: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("static").join(target).join("bulbil");
    assert!(program.is_file(), "no {}: run `cargo image static` first", program.display());
    program
}

/// The program for this machine, with nothing of our environment, so that it leans on nothing.
fn bulbil(machine: &str, target: &str, emulator: &str) -> Command {
    let program = program(target);
    let mut command = if machine == ARCH { Command::new(&program) } else { Command::new(emulator) };
    if machine != ARCH {
        command.arg(&program);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path);
    command
}

/// What it printed on stdout; it must end well, and in time.
fn run(command: &mut Command) -> String {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child =
        child.unwrap_or_else(|error| panic!("{command:?}: {error}; for qemu: apt install qemu-user-static"));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(output) = told.recv_timeout(DEADLINE) else {
        let _ = kill(pid, Signal::SIGKILL);
        panic!("{command:?} took over {DEADLINE:?}");
    };
    let Output { status, stdout, stderr } = output.unwrap();
    assert!(status.success(), "{command:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text on stdout")
}

/// A folder that goes when the test ends.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

//! The private network itself: it comes up, several at once, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use std::env;
use std::io::{BufRead, BufReader, stdin};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bulbil_tests::baseline::Baseline;
use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::process::Process;
use bulbil_tests::scratch::Scratch;
use bulbil_tests::usage::Usage;
use bulbil_tests::wait::eventually;

#[test]
fn comes_up_and_goes() {
    let start = Instant::now();
    let network = Network::start(Shape::default()).unwrap();
    println!("usable after {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(network.relays().len(), 9);
    let pids: Vec<u32> = network.pids().collect();
    let folder = network.relays()[0].folder.clone();
    assert_eq!(pids.len(), 9);
    assert!(folder.exists());
    drop(network);
    assert!(pids.iter().all(|pid| Usage::of(*pid).is_err()));
    assert!(!folder.exists());
}

#[test]
fn c_tor_serves_a_file() {
    let network = Network::start(Shape::default()).unwrap();
    let folder = Scratch::new("served").unwrap();
    let sha256 = content::write_file(&folder.join("file.bin"), 8 << 20, 3).unwrap();
    let mut baseline = Baseline::start(&network, folder.path()).unwrap();
    let measured = baseline.fetch("file.bin", &sha256).unwrap();
    println!("{measured:?} {:.1} MiB/s", measured.mib_s());
    assert!(measured.verified);
    assert_eq!(measured.bytes, 8 << 20);
    assert!(measured.serve_cpu_s > 0.0 && measured.fetch_cpu_s > 0.0);
    assert!(baseline.fetch("missing.bin", &sha256).is_err());
}

/// Set in the process that is to be killed.
const VICTIM: &str = "BULBIL_TESTS_VICTIM";

/// The test runs itself once more; that one starts a child and makes a folder, says so, and waits to be killed.
#[test]
fn a_killed_test_leaves_nothing_behind() {
    if env::var_os(VICTIM).is_some() {
        let scratch = Scratch::new("victim").unwrap();
        let mut command = Command::new("sleep");
        let child = Process::start("sleep", command.arg("600"), &scratch.join("log")).unwrap();
        println!("\nstarted {} {}", child.pid(), scratch.path().display());
        stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "a_killed_test_leaves_nothing_behind", "--nocapture"]).env(VICTIM, "1");
    let mut victim = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let started = lines.find_map(|line| line.strip_prefix("started ").map(str::to_owned)).unwrap();
    let (pid, folder) = started.split_once(' ').unwrap();
    let (pid, folder): (u32, PathBuf) = (pid.parse().unwrap(), folder.into());
    assert!(Usage::of(pid).is_ok() && folder.is_dir());
    victim.kill().unwrap();
    victim.wait().unwrap();
    let limit = Duration::from_secs(20);
    // Its new parent may take its time to take notice of its end.
    eventually(limit, "the child to end", || Usage::of(pid).map_or(true, |usage| usage.ended)).unwrap();
    eventually(limit, "the folder to go", || !folder.exists()).unwrap();
}

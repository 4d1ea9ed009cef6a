//! The story `install`: what people install, installed: the systemd unit, the Debian package, the lines for systemd and `OpenRC`, the container image.

mod api;
mod container;
mod debian;
mod engine;
mod lines;
mod openrc;
mod systemd;
mod unit;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Options;
use crate::packages::{self, Need};

/// What this story needs from the system.
const NEEDS: [Need; 7] = [
    Need { program: "systemd-analyze", package: "systemd" },
    Need { program: "debootstrap", package: "debootstrap" },
    Need { program: "dockerd", package: "docker.io" },
    Need { program: "docker-compose", package: "docker-compose" },
    Need { program: "busybox", package: "busybox-static" },
    Need { program: "dig", package: "dnsutils" },
    Need { program: "ip", package: "iproute2" },
];

/// The machine that this runs on, as the builder calls it.
const TARGET: &str = concat!("x86_64", "-unknown-linux-musl");

/// Names a container image to look at instead of the one that is built; the package is left out then.
const IMAGE: &str = "BULBIL_IMAGE";

/// One thing that was looked at.
#[derive(Debug)]
struct Row {
    name: String,
    pass: bool,
    value: f64,
    unit: &'static str,
}

/// All of them.
#[derive(Debug, Default)]
struct Rows(Vec<Row>);

impl Rows {
    fn add(&mut self, name: &str, pass: bool, value: f64, unit: &'static str) {
        println!("{}  {name}  {value:.1} {unit}", if pass { "ok    " } else { "FAILED" });
        self.0.push(Row { name: name.to_owned(), pass, value, unit });
    }

    /// A row that holds or fails; how long it took is its value.
    fn timed(&mut self, name: &str, look: impl FnOnce() -> io::Result<()>) {
        let start = std::time::Instant::now();
        let outcome = look();
        if let Err(error) = &outcome {
            println!("        {error}");
        }
        self.add(name, outcome.is_ok(), start.elapsed().as_secs_f64(), "s");
    }

    fn json(&self) -> Value {
        let row =
            |row: &Row| json!({ "name": row.name, "pass": row.pass, "value": row.value, "unit": row.unit });
        json!({ "rows": self.0.iter().map(row).collect::<Vec<_>>() })
    }
}

pub(super) fn run(options: &Options) -> io::Result<bool> {
    if !nix::unistd::geteuid().is_root() {
        return Err(io::Error::other(
            "this story makes a Debian root and runs a container engine: run it as root",
        ));
    }
    packages::ensure(&NEEDS)?;
    let mut rows = Rows::default();
    let plays = |part: &str| options.only.as_deref().is_none_or(|word| part.contains(word));
    let shipped = env::var(IMAGE).ok();
    if plays("unit") {
        unit::run(&mut rows)?;
    }
    if given().is_none() && shipped.is_none() {
        println!("building the static program (the first time this takes some minutes)");
        image(&["static", "--target", TARGET])?;
    }
    if plays("deb") && shipped.is_none() {
        debian::run(&mut rows)?;
    }
    if plays("openrc") && shipped.is_none() {
        openrc::run(&mut rows)?;
    }
    if plays("container") {
        container::run(&mut rows, shipped.as_deref())?;
    }
    options.write_json(&rows.json())?;
    Ok(!rows.0.is_empty() && rows.0.iter().all(|row| row.pass))
}

/// The static program to install, if one is named.
fn given() -> Option<OsString> {
    env::var_os("BULBIL_BIN")
}

/// Makes an image or a package of the program under test, and returns its path.
fn packed(arguments: &[&str]) -> io::Result<PathBuf> {
    let mut words: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    if let Some(program) = given() {
        words.extend(["--program".into(), program]);
    }
    image(&words)
}

/// Runs `cargo image`; the last line it prints names what it made.
fn image<A: AsRef<OsStr>>(arguments: &[A]) -> io::Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(top()).arg("image").args(arguments);
    let printed = output(command.stderr(Stdio::inherit()))?;
    Ok(PathBuf::from(printed.lines().last().unwrap_or_default()))
}

/// The folder of the workspace.
fn top() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// What a command prints. An error carries what it said.
fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(out.into_owned());
    }
    Err(io::Error::other(format!("{command:?} failed ({}): {} {}", output.status, out.trim(), err.trim())))
}

fn expect(holds: bool, what: &str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(format!("not so: {what}"))) }
}

//! A web API in a container of its own: this machine's Python with the program `api.py`, and nothing else.

use std::fs;
use std::io;
use std::process::Command;

use super::engine::Engine;
use super::output;
use crate::scratch::Scratch;

/// What its image is called.
pub(super) const IMAGE: &str = "api-under-test";

/// Where it listens, as the compose files have it.
const PORTS: [&str; 2] = ["80", "8000"];

const PROGRAM: &str = include_str!("api.py");

/// Debian's Python; one of another place could not be taken along so simply.
const PYTHON: &str = "/usr/bin/python3";

/// Makes the image.
pub(super) fn build(engine: &Engine, scratch: &Scratch) -> io::Result<()> {
    let folder = scratch.join("api");
    let root = folder.join("root");
    fs::create_dir_all(&root)?;
    fs::write(folder.join("api.py"), PROGRAM)?;
    let ask = "import os, sys, sysconfig; print(os.path.realpath(sys.executable)); print(sysconfig.get_path('stdlib'))";
    let said = output(Command::new(PYTHON).args(["-I", "-c", ask]))?;
    let mut lines = said.lines();
    let (Some(python), Some(library)) = (lines.next(), lines.next()) else {
        return Err(io::Error::other(format!("{PYTHON} does not say where it lives: {said}")));
    };
    let linked = output(Command::new("ldd").arg(python))?;
    let linked = linked.split_whitespace().filter(|word| word.starts_with('/'));
    let mut copy = Command::new("cp");
    copy.args(["-rL", "--parents"]).args([python, library]).args(linked).arg(&root);
    output(&mut copy)?;
    let ports = PORTS.map(|port| format!("\"{port}\"")).join(", ");
    let recipe = format!(
        "FROM scratch\nCOPY root /\nCOPY api.py /\nENTRYPOINT [\"{python}\", \"-u\", \"/api.py\", {ports}]\n"
    );
    fs::write(folder.join("Dockerfile"), recipe)?;
    engine.docker(&["build", "-t", IMAGE, &folder.to_string_lossy()]).map(drop)
}

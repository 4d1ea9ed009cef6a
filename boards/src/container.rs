//! The node as a container image with nothing else in it, in the form that `docker load` and `podman load` read
//! (Docker image specification 1.2).

use std::path::PathBuf;
use std::{fs, io};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::credits;
use crate::program::Target;
use crate::tape::{Owner, Tape};
use crate::workspace::Workspace;

/// The user it runs as.
const USER: u64 = 10_001;

/// Where the licences are.
const LICENCES: &str = "usr/share/licenses/bulbil/";

/// What to put in it.
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    /// The machine it is for
    #[arg(long, value_name = "TARGET", default_value = "x86_64")]
    target: Target,
    /// The program [default: what `cargo image static` made for that machine]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Its name
    #[arg(long, default_value = "bulbil:latest")]
    tag: String,
}

/// Writes `container/<architecture>/image.tar` and `layer.tar` in the target folder, and prints the path of the image.
pub(crate) fn build(workspace: &Workspace, request: &Request) -> io::Result<()> {
    let (program, credits) = request.target.read(workspace, request.program.as_deref())?;
    let config = fs::read(workspace.root.join("boards/container/bulbil.toml"))?;
    let layer = layer(&program, &config, &credits)?;
    let out = workspace.target.join("container").join(request.target.debian());
    fs::create_dir_all(&out)?;
    fs::write(out.join("layer.tar"), &layer)?;
    let image = out.join("image.tar");
    fs::write(&image, wrap(&layer, request.target.debian(), &request.tag)?)?;
    println!("{}", image.display());
    Ok(())
}

/// The whole file system.
fn layer(program: &[u8], config: &[u8], credits: &[u8]) -> io::Result<Vec<u8>> {
    let mut tape = Tape::new();
    let folders = ["bin/", "etc/", "usr/", "usr/share/", "usr/share/licenses/", LICENCES, "var/", "var/lib/"];
    for path in folders {
        tape.folder(path, 0o755, Owner(0))?;
    }
    tape.file("bulbil", 0o755, program)?;
    tape.file("etc/bulbil.toml", 0o644, config)?;
    // Arti asks whose its folders are.
    tape.file("etc/passwd", 0o644, format!("bulbil:x:{USER}:{USER}::/:/\n").as_bytes())?;
    tape.file("etc/group", 0o644, format!("bulbil:x:{USER}:\n").as_bytes())?;
    // `docker exec … cat …/hostname` is how people read their address today.
    tape.link("bin/cat", "/bulbil")?;
    // The health check of the proxy that people move over from.
    tape.link("torrust", "/bulbil")?;
    for (name, licence) in credits::OURS {
        tape.file(&format!("{LICENCES}{name}"), 0o644, licence.as_bytes())?;
    }
    tape.file(&format!("{LICENCES}{}", credits::FILE), 0o644, credits)?;
    // A volume that is mounted here gets this owner and mode.
    tape.folder("var/lib/tor/", 0o700, Owner(USER))?;
    tape.finish()
}

fn wrap(layer: &[u8], architecture: &str, tag: &str) -> io::Result<Vec<u8>> {
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": format!("{USER}:{USER}"),
            "Env": ["PATH=/:/bin"],
            "Entrypoint": ["/bulbil"],
            "Cmd": ["run", "--config", "/etc/bulbil.toml"],
            "StopSignal": "SIGTERM",
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", hex(layer))] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "cargo image container" }],
    });
    let config = serde_json::to_vec(&config)?;
    let name = format!("{}.json", hex(&config));
    let manifest = json!([{ "Config": name, "RepoTags": [full(tag)], "Layers": ["layer.tar"] }]);
    let mut tape = Tape::new();
    tape.file(&name, 0o644, &config)?;
    tape.file("layer.tar", 0o644, layer)?;
    tape.file("manifest.json", 0o644, &serde_json::to_vec(&manifest)?)?;
    tape.finish()
}

/// With a version, without which `docker load` refuses a name.
fn full(tag: &str) -> String {
    let last = tag.rsplit('/').next().unwrap_or(tag);
    if last.contains(':') { tag.to_owned() } else { format!("{tag}:latest") }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_images_of_one_program_are_one() {
        let make =
            || wrap(&layer(b"program", b"config", b"credits").unwrap(), "amd64", "bulbil:latest").unwrap();
        assert_eq!(make(), make());
    }

    #[test]
    fn a_name_without_a_version_gets_one() {
        assert_eq!(full("bulbil"), "bulbil:latest");
        assert_eq!(full("localhost:5000/a/bulbil"), "localhost:5000/a/bulbil:latest");
        assert_eq!(full("localhost:5000/bulbil:1.0"), "localhost:5000/bulbil:1.0");
    }

    #[test]
    fn it_holds_the_licences() {
        let layer = layer(b"program", b"config", b"credits").unwrap();
        let mut archive = tar::Archive::new(layer.as_slice());
        let names: Vec<String> =
            archive.entries().unwrap().map(|it| it.unwrap().path().unwrap().display().to_string()).collect();
        for name in ["bulbil-MIT.txt", "bulbil-Apache-2.0.txt", "THIRD-PARTY.txt"] {
            assert!(names.contains(&format!("{LICENCES}{name}")), "{names:?}");
        }
    }

    #[test]
    fn it_names_what_it_holds() {
        let image = wrap(&layer(b"program", b"config", b"credits").unwrap(), "amd64", "a:b").unwrap();
        let mut archive = tar::Archive::new(image.as_slice());
        let names: Vec<String> =
            archive.entries().unwrap().map(|it| it.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names.len(), 3);
        assert!(names[1..] == ["layer.tar", "manifest.json"] && names[0].len() == 69, "{names:?}");
    }
}

//! The node as a Debian package (deb(5), Debian policy): program, configuration, systemd unit, maintainer scripts.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::{Compression, GzBuilder};

use crate::credits;
use crate::program::Target;
use crate::tape::{Owner, Tape};
use crate::workspace::Workspace;

/// Bytes in a unit of `Installed-Size`.
const KIB: usize = 1024;

/// Scripts that Debian runs around installing and removing.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Where its files are, each after the one that it is in.
const FOLDERS: [&str; 11] = [
    "./",
    "./etc/",
    "./etc/bulbil/",
    "./usr/",
    "./usr/bin/",
    "./usr/lib/",
    "./usr/lib/systemd/",
    "./usr/lib/systemd/system/",
    "./usr/share/",
    "./usr/share/doc/",
    "./usr/share/doc/bulbil/",
];

/// What to package.
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    /// The machine it is for
    #[arg(long, value_name = "TARGET", default_value = "x86_64")]
    target: Target,
    /// The program [default: what `cargo image static` made for that machine]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Part of the version after its number, such as `+1` for a second packaging of one release
    #[arg(long, value_name = "TEXT", default_value = "")]
    suffix: String,
}

/// Writes `deb/bulbil_<version>_<architecture>.deb` in the target folder, and prints its path.
pub(crate) fn build(workspace: &Workspace, request: &Request) -> io::Result<()> {
    let (program, credits) = request.target.read(workspace, request.program.as_deref())?;
    let version = format!("{}{}", env!("CARGO_PKG_VERSION"), request.suffix);
    let folder = workspace.root.join("boards/deploy");
    let deb = pack(&folder, &version, request.target.debian(), (&program, &credits))?;
    let out = workspace.target.join("deb");
    fs::create_dir_all(&out)?;
    let path = out.join(format!("bulbil_{version}_{}.deb", request.target.debian()));
    fs::write(&path, deb)?;
    println!("{}", path.display());
    Ok(())
}

fn pack(
    folder: &Path,
    version: &str,
    architecture: &str,
    (program, credits): (&[u8], &[u8]),
) -> io::Result<Vec<u8>> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).map_err(|error| io::Error::other(format!("cannot read {}: {error}", path.display())))
    };
    let mut control = Tape::new();
    control.file(
        "./control",
        0o644,
        describe(version, architecture, program.len() + credits.len()).as_bytes(),
    )?;
    control.file("./conffiles", 0o644, b"/etc/bulbil/bulbil.toml\n")?;
    for script in SCRIPTS {
        control.file(&format!("./{script}"), 0o755, &read(&format!("debian/{script}"))?)?;
    }
    let mut data = Tape::new();
    for path in FOLDERS {
        data.folder(path, 0o755, Owner(0))?;
    }
    data.file("./etc/bulbil/bulbil.toml", 0o644, &read("bulbil.toml")?)?;
    data.file("./usr/bin/bulbil", 0o755, program)?;
    data.file("./usr/lib/systemd/system/bulbil.service", 0o644, &read("bulbil.service")?)?;
    data.file("./usr/share/doc/bulbil/copyright", 0o644, copyright().as_bytes())?;
    data.file(&format!("./usr/share/doc/bulbil/{}", credits::FILE), 0o644, credits)?;
    archive(&zip(&control.finish()?)?, &zip(&data.finish()?)?)
}

/// The file that each Debian package has.
fn copyright() -> String {
    let head = format!(
        "Copyright (c) The Bulbil contributors\n\n\
         Bulbil is under the MIT licence or the Apache License, Version 2.0, at your option. Both texts follow. Works of others that are\n\
         linked into the program are named, with their licences, in {} beside this file.\n",
        credits::FILE
    );
    credits::OURS.iter().fold(head, |text, (_, licence)| format!("{text}\n{}\n{licence}", "-".repeat(72)))
}

fn describe(version: &str, architecture: &str, size: usize) -> String {
    format!(
        "Package: bulbil\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: the Bulbil project <bulbil@localhost>\n\
         Installed-Size: {}\nSection: net\nPriority: optional\nDescription: files and proxies inside Tor\n \
         Shares and fetches files between nodes over onion services, and is the Tor\n proxy of the house. One static \
         program; what it knows is in memory.\n",
        size.div_ceil(KIB)
    )
}

/// The three members, in their order.
fn archive(control: &[u8], data: &[u8]) -> io::Result<Vec<u8>> {
    let mut builder = ar::Builder::new(Vec::new());
    for (name, bytes) in
        [("debian-binary", b"2.0\n".as_slice()), ("control.tar.gz", control), ("data.tar.gz", data)]
    {
        let mut header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        header.set_mode(0o100_644);
        builder.append(&header, bytes)?;
    }
    builder.into_inner()
}

fn zip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut zipper = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    zipper.write_all(bytes)?;
    zipper.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
    }

    #[test]
    fn two_packages_of_one_program_are_one() {
        let make = || pack(&deploy(), "1", "amd64", (b"program", b"credits")).unwrap();
        assert_eq!(make(), make());
    }

    #[test]
    fn it_has_the_members_in_their_order() {
        let deb = pack(&deploy(), "1", "amd64", (b"program", b"credits")).unwrap();
        let mut archive = ar::Archive::new(deb.as_slice());
        let mut names = Vec::new();
        while let Some(entry) = archive.next_entry() {
            names.push(String::from_utf8_lossy(entry.unwrap().header().identifier()).into_owned());
        }
        assert_eq!(names, ["debian-binary", "control.tar.gz", "data.tar.gz"]);
    }
}

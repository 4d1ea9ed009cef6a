//! The node as one static program.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use sha2::{Digest, Sha256};

use crate::credits;
use crate::elf::Linkage;
use crate::tool;
use crate::workspace::Workspace;
use crate::zig::Zig;

/// Bytes a program may have: what fits a small board's memory beside what it does.
const MAX_PROGRAM: usize = 16 * 1024 * 1024;

/// Where the program can run.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Target {
    /// 64-bit PCs and servers.
    #[value(name = "x86_64-unknown-linux-musl", alias = "x86_64")]
    X86,
    /// 64-bit ARM boards: Raspberry Pi Zero 2 W and later.
    #[value(name = "aarch64-unknown-linux-musl", alias = "aarch64")]
    Arm,
}

/// How it is optimised.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Profile {
    /// Thin LTO: for tests.
    Release,
    /// Fat LTO: for shipping; takes much longer.
    Image,
}

/// What to build.
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    /// Build for this target; may be given several times [default: all]
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<Target>,
    /// How to optimise
    #[arg(long, value_name = "PROFILE", default_value = "release")]
    profile: Profile,
}

/// Builds, checks and copies to `static/<target>/bulbil` in the target folder, with the licences of what is in it beside it; prints one row
/// for each.
pub(crate) fn build(workspace: &Workspace, request: &Request) -> io::Result<()> {
    let zig = Zig::find(workspace)?;
    eprintln!("using {}", zig.version());
    let targets = if request.targets.is_empty() { &[Target::X86, Target::Arm] } else { &request.targets[..] };
    let mut table = format!("{:<28}{:<9}{:>11}  {:<8}sha256\n", "target", "profile", "bytes", "static");
    // All that the programs are linked from, for all targets at once: where one of them waits for a core, another uses it.
    for target in targets {
        workspace.ensure_target(target.triple())?;
    }
    tool::run(cargo(workspace, &zig, "zigbuild", targets, request.profile)?.arg("--lib"))?;
    for &target in targets {
        let program = link(workspace, &zig, target, request.profile)?;
        let bytes = fs::read(&program)?;
        check(&bytes).map_err(|why| io::Error::other(format!("{}: {why}", program.display())))?;
        let credits = credits::make(workspace, target.triple())?;
        let copy = keep(workspace, target, &bytes, &credits)?;
        eprintln!("wrote {}", copy.display());
        row(&mut table, target, request.profile, &bytes);
    }
    print!("{table}");
    Ok(())
}

impl Target {
    /// The program for it, and whose work is in it: `given`, or what was built last. It is checked either way.
    pub(crate) fn read(self, workspace: &Workspace, given: Option<&Path>) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let usual = workspace.target.join("static").join(self.triple()).join("bulbil");
        let path = given.unwrap_or(&usual);
        let bytes = fs::read(path).map_err(|error| {
            let (path, triple) = (path.display(), self.triple());
            io::Error::other(format!(
                "cannot read {path}: {error}; make it: cargo image static --target {triple}"
            ))
        })?;
        check(&bytes).map_err(|why| io::Error::other(format!("{}: {why}", path.display())))?;
        Ok((bytes, credits::beside(workspace, path, self.triple())?))
    }

    /// What Debian and Docker call it.
    pub(crate) const fn debian(self) -> &'static str {
        match self {
            Self::X86 => "amd64",
            Self::Arm => "arm64",
        }
    }

    fn triple(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-unknown-linux-musl",
            Self::Arm => "aarch64-unknown-linux-musl",
        }
    }
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Image => "image",
        }
    }
}

/// Returns where cargo put the program.
fn link(workspace: &Workspace, zig: &Zig, target: Target, profile: Profile) -> io::Result<PathBuf> {
    let mut command = cargo(workspace, zig, "rustc", &[target], profile)?;
    command.args(["--bin", "bulbil", "--", "-C", "linker-flavor=ld.lld", "-C"]);
    command.arg(joined("linker=", linker(workspace)?)).args(LINKING.iter().flat_map(|arg| ["-C", arg]));
    if matches!(target, Target::Arm) {
        command.args(["-C", CORTEX_A53]);
    }
    tool::run(&mut command)?;
    Ok(workspace.target.join(target.triple()).join(profile.name()).join("bulbil"))
}

fn cargo(
    workspace: &Workspace,
    zig: &Zig,
    verb: &str,
    targets: &[Target],
    profile: Profile,
) -> io::Result<Command> {
    let mut command = zig.command(&workspace.root, verb);
    command.args(["--locked", "--package", "bulbil", "--profile", profile.name()]);
    command.args(targets.iter().flat_map(|target| ["--target", target.triple()]));
    command.arg("--target-dir").arg(&workspace.target).env("CARGO_ENCODED_RUSTFLAGS", flags()?);
    Ok(command)
}

/// Writes the command for the last link, which the compiler's own linker does with the compiler's own C library: zig, the
/// compiler of the C code, packs no relocations. Where the compiler asks for a program with fixed addresses (ARM) it gets
/// one that the kernel places anew at every start: the first object is the one that relocates the rest.
fn linker(workspace: &Workspace) -> io::Result<PathBuf> {
    let folder = workspace.target.join("static/linker");
    fs::create_dir_all(&folder)?;
    let (script, linker) = (folder.join("link"), workspace.linker()?);
    fs::write(&script, LINK.replace("LINKER", &linker.to_string_lossy()))?;
    executable(&script)?;
    Ok(script)
}

const LINK: &str = r#"#!/bin/sh
for word; do
    shift
    case "$word" in
        */self-contained/crt1.o) word="${word%crt1.o}rcrt1.o" ;;
        */self-contained/crtbegin.o) word="${word%.o}S.o" ;;
        */self-contained/crtend.o) word="${word%.o}S.o" ;;
    esac
    set -- "$@" "$word"
done
exec "LINKER" "$@"
"#;

/// Movable, relocations packed (1.5 MB less), functions of equal code kept once, no index for unwinding, which a program
/// that aborts never does.
const LINKING: [&str; 6] = [
    "link-arg=-pie",
    "link-arg=--no-dynamic-linker",
    "link-arg=--pack-dyn-relocs=relr",
    "link-arg=--icf=all",
    "link-arg=--no-eh-frame-hdr",
    "link-arg=--strip-all",
];

/// The processor of the Raspberry Pi 3 and Zero 2 W may compute a wrong address where two instructions meet at the end of a
/// page (Arm's erratum 843419); the linker keeps them apart.
const CORTEX_A53: &str = "link-arg=--fix-cortex-a53-843419";

fn joined(start: &str, path: PathBuf) -> OsString {
    let mut whole = OsString::from(start);
    whole.push(path);
    whole
}

/// The caller's flags, one that keeps the builder's home folder out of panic messages, and one that leaves out the tables by which a
/// stack is unwound: panics abort, so nothing reads them, and they are a tenth of the program.
fn flags() -> io::Result<OsString> {
    let mut flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_else(|_| {
        let plain = env::var("RUSTFLAGS").unwrap_or_default();
        plain.split_whitespace().collect::<Vec<_>>().join("\u{1f}")
    });
    if !flags.is_empty() {
        flags.push('\u{1f}');
    }
    let mut flags = OsString::from(flags);
    flags.push("--remap-path-prefix=");
    flags.push(cargo_home()?);
    flags.push("=/cargo\u{1f}-Cforce-unwind-tables=no");
    Ok(flags)
}

/// Where cargo keeps the sources of dependencies.
fn cargo_home() -> io::Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    home.ok_or_else(|| io::Error::other("neither CARGO_HOME nor HOME is set: set one"))
}

/// Why these bytes must not be shipped, if so.
fn check(bytes: &[u8]) -> io::Result<()> {
    let linkage = Linkage::read(bytes)?;
    if !linkage.is_static() {
        return Err(io::Error::other(format!("not static: {linkage:?}")));
    }
    if !linkage.movable {
        return Err(io::Error::other("has fixed addresses: an attacker would know where everything is"));
    }
    if !linkage.stripped {
        return Err(io::Error::other("not stripped: the profile must say `strip = true`"));
    }
    if bytes.len() > MAX_PROGRAM {
        return Err(io::Error::other(format!("{} bytes are over the limit of {MAX_PROGRAM}", bytes.len())));
    }
    Ok(())
}

/// Copies to where images, containers and tests look for it.
fn keep(workspace: &Workspace, target: Target, bytes: &[u8], credits: &[u8]) -> io::Result<PathBuf> {
    let folder = workspace.target.join("static").join(target.triple());
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(credits::FILE), credits)?;
    let copy = folder.join("bulbil");
    // A program that is running cannot be overwritten, but it can be replaced.
    let new = folder.join("bulbil.new");
    fs::write(&new, bytes)?;
    executable(&new)?;
    fs::rename(&new, &copy)?;
    Ok(copy)
}

fn executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn row(table: &mut String, target: Target, profile: Profile, bytes: &[u8]) {
    let digest = Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let (triple, profile) = (target.triple(), profile.name());
    let _ = writeln!(table, "{triple:<28}{profile:<9}{:>11}  {:<8}{digest}", bytes.len(), "yes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_refused() {
        // This test's own program is linked against the C library of the machine, unless the host is musl.
        let bytes = fs::read(env::current_exe().unwrap()).unwrap();
        let linkage = Linkage::read(&bytes).unwrap();
        assert_eq!(linkage.is_static(), cfg!(target_env = "musl"), "{linkage:?}");
        assert!(!linkage.stripped);
        assert!(check(&bytes).is_err());
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(check(b"#!/bin/sh\n").unwrap_err().to_string().contains("not a 64-bit ELF"));
        assert!(check(&[]).is_err());
    }
}

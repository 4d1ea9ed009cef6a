//! The story `images`: every board's image, built twice, and judged by other people's programs.

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::super::Options;
use super::image;
use super::rows::Rows;
use crate::machine::Card;
use crate::packages::{self, Need};
use crate::scratch::Scratch;

const NEEDS: [Need; 4] = [
    Need { program: "fsck.fat", package: "dosfstools" },
    Need { program: "xz", package: "xz-utils" },
    Need { program: "unshare", package: "util-linux" },
    Need { program: "sha256sum", package: "coreutils" },
];

/// Another user, group, mask of permissions, time zone, language and folder. Files are still root's outside; to the builder nobody is.
const ELSEWHERE: [&str; 6] =
    ["--user", "--map-user=65534", "--map-group=65534", "sh", "-c", "umask 077; exec \"$@\""];
const OTHERWISE: [(&str, &str); 4] =
    [("TZ", "Pacific/Chatham"), ("USER", "nobody"), ("LOGNAME", "nobody"), ("LC_ALL", "C.UTF-8")];

pub(in super::super) fn run(options: &Options) -> io::Result<bool> {
    packages::ensure(&NEEDS)?;
    let folder = Scratch::new("images")?;
    let (here, there) = (folder.join("here"), folder.join("there"));
    let program = image::program()?;
    let mut rows = Rows::default();
    build(&mut all(program.as_deref(), &here))?;
    build(&mut elsewhere(&all(program.as_deref(), &there)))?;
    let list: Value = serde_json::from_slice(&fs::read(here.join("os_list.json"))?)?;
    let list = list.get("os_list").and_then(Value::as_array).cloned().unwrap_or_default();
    for board in boards(&here)? {
        println!("\n{board}");
        judge(&mut rows, &board, (&here, &there), &list);
    }
    rows.add(
        "images",
        "boards built",
        list.len() == 5,
        Some((f64::from(u32::try_from(list.len()).unwrap_or(0)), "")),
    );
    options.write_json(&rows.json())?;
    Ok(rows.all_passed())
}

/// The same command, run where everything is different that may be.
pub(super) fn elsewhere(command: &Command) -> Command {
    let mut other = Command::new("unshare");
    other.args(ELSEWHERE).arg("sh").arg(command.get_program()).args(command.get_args());
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    other.envs(OTHERWISE).current_dir(env::temp_dir());
    other
}

fn all(program: Option<&Path>, out: &Path) -> Command {
    let mut command = image::builder();
    command.args(["all", "--url", "https://example.org/", "--out"]).arg(out);
    if let Some(program) = program {
        command.arg("--program").arg(program);
    }
    command
}

fn build(builder: &mut Command) -> io::Result<()> {
    let status = builder.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the images do not build: see above")) }
}

/// Ids of all boards with an image in this folder, sorted.
fn boards(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        found.extend(
            name.strip_prefix("bulbil-").and_then(|name| name.strip_suffix(".img")).map(str::to_owned),
        );
    }
    found.sort();
    Ok(found)
}

fn judge(rows: &mut Rows, board: &str, (here, there): (&Path, &Path), list: &[Value]) {
    let mut look = |what: &str, looked: io::Result<Option<(f64, &'static str)>>| match looked {
        Ok(figure) => rows.passed(board, what, figure),
        Err(why) => rows.failed(board, &format!("{what}: {why}")),
    };
    let name = format!("bulbil-{board}.img");
    look("the same again, by another user elsewhere", same(here, there, &name).map(|()| None));
    look(
        "fsck.fat finds nothing",
        Card::copy(&here.join(&name)).and_then(|card| card.check_boot()).map(|()| None),
    );
    look("its .sha256 is right", sums(here, &name).map(|()| None));
    let packed = here.join(format!("{name}.xz"));
    look("packed", size(&packed).map(Some));
    let entry = list.iter().find(|entry| text(entry, "url").ends_with(&format!("/{name}.xz")));
    let entry = entry.ok_or_else(|| io::Error::other("it is not in os_list.json"));
    look("its entry in os_list.json is right", entry.and_then(|entry| listed(entry, &packed)).map(|()| None));
}

/// Image, packed image and sums.
fn same(here: &Path, there: &Path, name: &str) -> io::Result<()> {
    for file in [name.to_owned(), format!("{name}.xz"), format!("{name}.sha256")] {
        if fs::read(here.join(&file))? != fs::read(there.join(&file))? {
            return Err(io::Error::other(format!("{file} differs")));
        }
    }
    Ok(())
}

fn sums(folder: &Path, name: &str) -> io::Result<()> {
    let mut command = Command::new("sha256sum");
    output(command.args(["--check", "--strict", &format!("{name}.sha256")]).current_dir(folder)).map(drop)
}

fn size(path: &Path) -> io::Result<(f64, &'static str)> {
    let bytes = u32::try_from(fs::metadata(path)?.len()).map_err(io::Error::other)?;
    Ok((f64::from(bytes) / 1e6, "MB"))
}

/// What Raspberry Pi Imager checks: sizes and sums of the packed image, and of what `xz` makes of it.
fn listed(entry: &Value, packed: &Path) -> io::Result<()> {
    let unpacked = |then: &str| {
        let mut command = Command::new("sh");
        output(command.args(["-c", &format!("xz --decompress --stdout \"$1\" | {then}"), "sh"]).arg(packed))
    };
    let whole = output(Command::new("sha256sum").arg(packed))?;
    let expected = [
        ("image_download_sha256", first(&whole)),
        ("image_download_size", fs::metadata(packed)?.len().to_string()),
        ("extract_sha256", first(&unpacked("sha256sum")?)),
        ("extract_size", first(&unpacked("wc -c")?)),
    ];
    for (key, right) in expected {
        let said =
            entry.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        if said.as_deref() != Some(right.as_str()) {
            return Err(io::Error::other(format!("{key} is {said:?} and should be {right}")));
        }
    }
    let shown = ["name", "description", "icon", "url", "release_date", "init_format"];
    match shown.iter().find(|key| text(entry, key).is_empty()) {
        Some(key) => Err(io::Error::other(format!("it has no {key}"))),
        None => Ok(()),
    }
}

fn text<'v>(entry: &'v Value, key: &str) -> &'v str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn first(line: &str) -> String {
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{} failed: {said}", command.get_program().display())))
}

//! The lines of `boards/README.md` by which people install without a package, and those that remove it again.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::{output, top};

/// Where a root has the program and the files that the lines take: what those who downloaded them have around them.
const FOLDER: &str = "mnt/hand";

/// What the lines for one purpose stand below, such as `systemd install`.
fn mark(purpose: &str) -> String {
    format!("<!-- lines: {purpose} -->\n```sh\n")
}

/// The lines as one script, which ends at the first that fails.
pub(super) fn script(purpose: &str) -> io::Result<String> {
    let readme = fs::read_to_string(top().join("boards/README.md"))?;
    let lines = find(&readme, purpose);
    let lines =
        lines.ok_or_else(|| io::Error::other(format!("boards/README.md has no lines for {purpose}")))?;
    Ok(format!("set -e; cd /{FOLDER}\n{lines}"))
}

fn find<'r>(readme: &'r str, purpose: &str) -> Option<&'r str> {
    Some(readme.split_once(&mark(purpose))?.1.split_once("```")?.0)
}

/// Puts the program of a package, and the files of `boards/deploy`, into a root.
pub(super) fn lay_out(root: &Path, package: &Path) -> io::Result<()> {
    let (folder, unpacked) = (root.join(FOLDER), root.join("mnt/unpacked"));
    fs::create_dir_all(&folder)?;
    output(Command::new("dpkg-deb").arg("-x").arg(package).arg(&unpacked))?;
    fs::copy(unpacked.join("usr/bin/bulbil"), folder.join("bulbil"))?;
    fs::remove_dir_all(&unpacked)?;
    for entry in fs::read_dir(top().join("boards/deploy"))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_lines_that_are_played() {
        let readme = "x\n<!-- lines: a install -->\n```sh\none\ntwo\n```\n\n<!-- lines: a remove -->\n```sh\nthree\n```\n";
        assert_eq!(find(readme, "a install"), Some("one\ntwo\n"));
        assert_eq!(find(readme, "a remove"), Some("three\n"));
        assert_eq!(find(readme, "b install"), None);
        for purpose in ["systemd install", "systemd remove", "openrc install", "openrc remove"] {
            assert!(script(purpose).unwrap().contains("/usr/bin/bulbil"), "{purpose}");
        }
    }
}

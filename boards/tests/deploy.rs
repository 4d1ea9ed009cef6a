//! The scripts and lines by which people install the node, as far as a shell alone can judge them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this file is a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands in for procd: it says what it was asked for.
const PROCD: &str = r#"
said() { printf '%s\n' "$*"; }
procd_open_instance() { said open; }
procd_set_param() { said "$@"; }
procd_close_instance() { said close; }
mkdir() { said mkdir "$@"; }
chown() { said chown "$@"; }
chmod() { said chmod "$@"; }
. "$1"
start_service
"#;

#[test]
fn shells_can_read_the_scripts() {
    let scripts = ["bulbil.openrc", "bulbil.procd", "debian/postinst", "debian/prerm", "debian/postrm"];
    for script in scripts {
        let path = boards().join("deploy").join(script);
        for mut shell in shells() {
            let output = shell.arg("-n").arg(&path).output().unwrap();
            assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn shells_can_read_the_lines_of_the_readme() {
    let readme = fs::read_to_string(boards().join("README.md")).unwrap();
    for system in ["systemd", "openrc", "procd"] {
        for what in ["install", "remove"] {
            let mark = format!("<!-- lines: {system} {what} -->\n```sh\n");
            let (_, rest) = readme.split_once(&mark).unwrap_or_else(|| panic!("no {mark}"));
            let (lines, _) = rest.split_once("```").unwrap();
            for mut shell in shells() {
                let output = shell.args(["-n", "-c", lines]).output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && !lines.trim().is_empty(), "{system}, {what}: {said}");
            }
        }
    }
}

/// procd itself was not run: see boards/README.md.
#[test]
fn procd_is_asked_for_both_limits_and_a_state_in_memory() {
    let script = boards().join("deploy/bulbil.procd");
    for mut shell in shells() {
        let output = shell.args(["-e", "-c", PROCD, "sh"]).arg(&script).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        for line in [
            "mkdir -p /var/run/bulbil",
            "chown bulbil:bulbil /var/run/bulbil",
            "chmod 0700 /var/run/bulbil",
            "env BULBIL__STATE_DIR=/var/run/bulbil",
            "command /usr/bin/bulbil run --config /etc/bulbil/bulbil.toml",
            "limits core=0 0 memlock=unlimited nofile=16384 16384",
            "no_new_privs 1",
        ] {
            assert!(said.lines().any(|heard| heard == line), "{line:?} is not in {said}");
        }
        let respawn = said.lines().find_map(|line| line.strip_prefix("respawn ")).expect("it comes back");
        assert_ne!(respawn.split(' ').next_back(), Some("0"), "for ever");
        assert_eq!(said.lines().last(), Some("close"));
    }
}

fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The shell of this machine, and that of small systems if it is here.
fn shells() -> Vec<Command> {
    let mut small = Command::new("busybox");
    small.arg("ash");
    let has_small =
        Command::new("busybox").args(["ash", "-c", ":"]).output().is_ok_and(|it| it.status.success());
    std::iter::once(Command::new("sh")).chain(has_small.then_some(small)).collect()
}

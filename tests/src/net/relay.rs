//! One relay of the private network: what it is called, where it listens, its keys.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a relay is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Votes on the list of relays, and relays too.
    Authority,
    /// Relays only.
    Middle,
    /// Relays, and opens connections to loopback and anywhere else.
    Exit,
}

/// One `tor` process to be.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Its nickname.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Where others reach it. With added latency a forwarder listens here.
    pub or_port: u16,
    /// Where it listens itself; the same as `or_port` without latency.
    pub own_port: u16,
    /// Where an authority serves the directory; 0 for all others.
    pub dir_port: u16,
    /// Its data folder.
    pub folder: PathBuf,
    /// What names it.
    pub keys: Fingerprints,
}

/// The names that a relay's keys give it.
#[derive(Clone, Debug, Default)]
pub struct Fingerprints {
    /// 40 hexadecimal digits.
    pub rsa: String,
    /// Base64.
    pub ed25519: String,
    /// 40 hexadecimal digits; authorities only.
    pub v3: Option<String>,
}

impl Relay {
    /// Makes the data folder and the keys in it. Takes a second or two of CPU for an authority.
    pub(super) fn make_keys(&mut self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.folder.join("keys"))?;
        if self.kind == Kind::Authority {
            self.keys.v3 = Some(make_authority_keys(&self.folder.join("keys"), self.dir_port)?);
        }
        let empty = self.folder.join("empty");
        fs::write(&empty, "")?;
        let mut command = Command::new("tor");
        command.arg("-f").arg(&empty).arg("--defaults-torrc").arg(&empty).arg("--list-fingerprint");
        command.args(["--quiet", "--orport", "1", "--nickname", &self.name]).arg("--datadirectory");
        // Any authority but the public ones, so that nothing can go out.
        command.arg(&self.folder).args(["--dirauthority", &format!("x 127.0.0.1:1 {}", "F".repeat(40))]);
        run(&mut command, b"")?;
        self.keys.rsa = second_word(&self.folder.join("fingerprint"))?;
        self.keys.ed25519 = second_word(&self.folder.join("fingerprint-ed25519"))?;
        Ok(())
    }
}

/// Returns the fingerprint of the new identity.
fn make_authority_keys(folder: &Path, dir_port: u16) -> io::Result<String> {
    let certificate = folder.join("authority_certificate");
    let mut command = Command::new("tor-gencert");
    command.args(["--create-identity-key", "--passphrase-fd", "0", "-m", "12"]);
    command.arg("-i").arg(folder.join("authority_identity_key"));
    command.arg("-s").arg(folder.join("authority_signing_key"));
    command.arg("-c").arg(&certificate).args(["-a", &format!("127.0.0.1:{dir_port}")]);
    run(&mut command, b"private network\n")?;
    let text = fs::read_to_string(&certificate)?;
    let line = text.lines().find_map(|line| line.strip_prefix("fingerprint "));
    line.map(str::to_owned).ok_or_else(|| io::Error::other("tor-gencert wrote no fingerprint"))
}

fn second_word(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    let word = text.split_whitespace().nth(1);
    word.map(str::to_owned).ok_or_else(|| io::Error::other("tor wrote an odd fingerprint file"))
}

fn run(command: &mut Command, input: &[u8]) -> io::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot run {program}: {e}"));
    let mut child = command.spawn().map_err(named)?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input).map_err(named)?;
    }
    let output = child.wait_with_output().map_err(named)?;
    if output.status.success() {
        return Ok(());
    }
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    Err(io::Error::other(format!("{program} failed ({}): {}", output.status, said.trim())))
}

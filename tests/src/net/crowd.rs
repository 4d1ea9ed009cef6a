//! A directory as long as the public network's: relays that exist in the consensus only.
//!
//! Each has all that a client keeps of a relay: its entry, protocols and version, a microdescriptor with keys, for some
//! an exit policy and a family. Their weight is zero, so that no circuit goes through one, and none is a directory of
//! onion services, so that services stay reachable. The authorities' own keys sign the consensus again.
//!
//! Formats: dir-spec, "consensus documents" and "microdescriptors".

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::{BASE64, BASE64_NOPAD, HEXUPPER};
use sha2::{Digest, Sha256};

use super::relay::Relay;

/// The documents that every relay serves from now on.
#[derive(Debug)]
pub(super) struct Crowd {
    consensus: String,
    microdescriptors: String,
}

impl Crowd {
    /// Adds `count` relays to the consensus that the first of `relays` has, and has the authorities sign it.
    pub(super) fn join(relays: &[Relay], count: u32) -> io::Result<Self> {
        let first = relays.first().ok_or_else(|| odd("there are no relays"))?;
        let text = fs::read_to_string(first.folder.join("cached-microdesc-consensus"))?;
        let (head, rest) = split(&text, "\nr ").ok_or_else(|| odd("the consensus lists no relay"))?;
        let (real, footer) = split(rest, "\ndirectory-footer\n").ok_or_else(|| odd("it has no footer"))?;
        let (footer, signatures) =
            split(footer, "\ndirectory-signature ").ok_or_else(|| odd("nobody signed it"))?;
        let mut entries = real_entries(real)?;
        let onion_key = real_onion_key(first)?;
        let listed = head.lines().find_map(|line| line.strip_prefix("valid-after "));
        let listed = listed.ok_or_else(|| odd("the consensus has no date"))?;
        let mut microdescriptors = String::new();
        for number in 0..count {
            let seed: [u8; 32] = Sha256::digest(number.to_be_bytes()).into();
            let microdescriptor = microdescriptor(number, &seed, &onion_key);
            let digest = BASE64_NOPAD.encode(&Sha256::digest(&microdescriptor));
            entries.push((seed[..20].to_vec(), entry(number, &seed, &digest)));
            // Without the date a relay takes it for one that nobody has listed for long, and drops it.
            let _ = write!(microdescriptors, "@last-listed {listed}\n{microdescriptor}");
        }
        entries.sort();
        let mut consensus = head.to_owned();
        consensus.extend(entries.iter().map(|(_, entry)| entry.as_str()));
        consensus.push_str(footer);
        sign(&mut consensus, signatures, relays)?;
        Ok(Self { consensus, microdescriptors })
    }

    /// Bytes of the microdescriptors of all added relays.
    pub(super) const fn bytes(&self) -> u64 {
        self.microdescriptors.len() as u64
    }

    /// Replaces what the relay with this data folder has. It must not run.
    pub(super) fn settle(&self, folder: &Path) -> io::Result<()> {
        let own = fs::read_to_string(folder.join("cached-microdescs.new"))?;
        fs::write(folder.join("cached-microdescs"), own + &self.microdescriptors)?;
        fs::remove_file(folder.join("cached-microdescs.new"))?;
        fs::write(folder.join("cached-microdesc-consensus"), &self.consensus)?;
        let differences = folder.join("diff-cache");
        if differences.exists() {
            fs::remove_dir_all(differences)?;
        }
        fs::remove_file(folder.join("tor.log"))
    }
}

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the private network's directory: {why}"))
}

/// Cuts before `mark` but after its leading newline.
fn split<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    text.find(mark).and_then(|at| text.split_at_checked(at + 1))
}

/// Identity and text of each, and a weight, which a young network has not measured yet.
fn real_entries(text: &str) -> io::Result<Vec<(Vec<u8>, String)>> {
    let mut entries = Vec::new();
    for entry in format!("\n{text}").split("\nr ").skip(1) {
        let identity = entry.split(' ').nth(1).and_then(|word| BASE64_NOPAD.decode(word.as_bytes()).ok());
        let identity = identity.ok_or_else(|| odd("a relay has no identity"))?;
        let lines = entry.lines().filter(|line| !line.starts_with("w "));
        let lines = lines.collect::<Vec<_>>().join("\n");
        entries.push((identity, format!("r {lines}\nw Bandwidth={WEIGHT}\n")));
    }
    Ok(entries)
}

fn entry(number: u32, seed: &[u8; 32], digest: &str) -> String {
    let identity = BASE64_NOPAD.encode(&seed[..20]);
    let (high, low) = (number / 250 % 250, number % 250 + 1);
    let guard = if number.is_multiple_of(2) { "Guard " } else { "" };
    format!(
        "r crowd{number} {identity} 2038-01-01 00:00:00 198.{}.{high}.{low} 9001 0\nm {digest}\n\
         s Fast {guard}Running Stable V2Dir Valid\nv Tor 0.4.8.21\n\
         pr Conflux=1 Cons=1-2 Desc=1-2 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4-5 HSRend=1-2 Link=1-5 LinkAuth=1,3 Microdesc=1-2 Padding=2 Relay=1-4\n\
         w Bandwidth=0\n",
        18 + number % 2
    )
}

/// One in five is an exit, one in three belongs to a family.
fn microdescriptor(number: u32, seed: &[u8; 32], onion_key: &str) -> String {
    let more = |label: &str| -> [u8; 32] { Sha256::digest([seed, label.as_bytes()].concat()).into() };
    let mut text = format!("onion-key\n{onion_key}ntor-onion-key {}\n", BASE64.encode(&more("ntor")));
    if number.is_multiple_of(3) {
        text.push_str("family");
        for member in 0..FAMILY {
            let name = more(&format!("family {member}"));
            let (name, _) = name.split_at(20);
            // Writing to a string cannot fail.
            let _ = write!(text, " ${}", HEXUPPER.encode(name));
        }
        text.push('\n');
    }
    if number.is_multiple_of(5) {
        text.push_str(
            "p accept 20-23,43,53,79-81,88,110,143,194,220,389,443,464,531,543-544,554,563,587,636\n",
        );
    }
    let _ = writeln!(text, "id ed25519 {}", BASE64_NOPAD.encode(&more("ed25519")));
    text
}

/// An RSA key that parses. Clients keep none of these.
fn real_onion_key(relay: &Relay) -> io::Result<String> {
    let text = fs::read_to_string(relay.folder.join("cached-microdescs.new"))?;
    let (_, key) = split(&text, "\n-----BEGIN RSA").ok_or_else(|| odd("no microdescriptor has a key"))?;
    split(key, "\nntor-onion-key").map(|(key, _)| key.to_owned()).ok_or_else(|| odd("a key does not end"))
}

fn sign(consensus: &mut String, old: &str, relays: &[Relay]) -> io::Result<()> {
    // All sign the same: all up to here.
    let digest = Sha256::digest(format!("{consensus}directory-signature "));
    for line in old.lines().filter(|line| line.starts_with("directory-signature ")) {
        let signer = |relay: &&Relay| relay.keys.v3.as_deref().is_some_and(|v3| line.contains(v3));
        let relay = relays.iter().find(signer).ok_or_else(|| odd("a stranger signed it"))?;
        let signature = sign_digest(&relay.folder.join("keys/authority_signing_key"), &digest)?;
        let _ = writeln!(consensus, "{line}\n-----BEGIN SIGNATURE-----");
        for part in BASE64.encode(&signature).as_bytes().chunks(64) {
            let _ = writeln!(consensus, "{}", String::from_utf8_lossy(part));
        }
        consensus.push_str("-----END SIGNATURE-----\n");
    }
    Ok(())
}

/// PKCS #1 padding round the bare digest, as `tor` signs.
fn sign_digest(key: &Path, digest: &[u8]) -> io::Result<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(["pkeyutl", "-sign", "-pkeyopt", "rsa_padding_mode:pkcs1", "-inkey"]).arg(key);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let missing = |e| io::Error::other(format!("cannot run openssl ({e}): apt-get install openssl"));
    let mut child = command.spawn().map_err(missing)?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(digest)?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(io::Error::other(format!("openssl failed: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// Of each real relay: any that is not zero.
const WEIGHT: u32 = 10_000;

/// Relays named in a family.
const FAMILY: u32 = 8;

//! A service's folder, laid out as C tor lays out a `HiddenServiceDir`: either program can serve what the other wrote.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::net::{ClientKey, IdentityKey};

/// What C tor's secret key file begins with (tor, `src/lib/crypt_ops/crypto_format.c`), padded to 32 bytes.
const SECRET_TAG: &[u8; 29] = b"== ed25519v1-secret: type0 ==";

/// The same of the public one.
const PUBLIC_TAG: &[u8; 29] = b"== ed25519v1-public: type0 ==";

/// Length of either tag with its padding.
const TAG: usize = 32;

/// Names in the folder.
const SECRET: &str = "hs_ed25519_secret_key";
const PUBLIC: &str = "hs_ed25519_public_key";
const HOSTNAME: &str = "hostname";
const CLIENTS: &str = "authorized_clients";

/// Ours, and ignored by C tor: the service stays closed although nobody is let in.
const CLOSED: &str = "restricted";

/// Bytes of a file in it at most.
const MAX_FILE: u64 = 4096;

/// Clients of one service at most: a descriptor holds no more (tor-hsservice, `MAX_RESTRICTED_DISCOVERY_CLIENTS`, less
/// our own).
pub const MAX_CLIENTS: usize = 150;

/// Why a folder cannot be used. The text says what to do, and goes to the owner only.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Cannot be read or written.
    #[error("cannot use {0}: {1}; check who owns it and free space (it must be closed to others: chmod 700)")]
    File(PathBuf, io::Error),
    /// Not what C tor writes.
    #[error(
        "{0} is no key file of an onion service; restore it from a backup, or move it away to get a new address"
    )]
    Damaged(PathBuf),
    /// A line that is no client.
    #[error("{0} holds no client key (descriptor:x25519:…); mend or remove it")]
    Client(PathBuf),
    /// Too many files.
    #[error("{0} holds over {MAX_CLIENTS} clients, more than a service can have; remove some")]
    Many(PathBuf),
}

/// Somebody who may find the service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Client {
    /// What the owner calls it.
    pub name: String,
    /// Its public key.
    pub key: ClientKey,
}

/// A folder with the keys of one service.
#[derive(Clone, Debug)]
pub struct KeyFolder(PathBuf);

impl KeyFolder {
    /// Makes the folder (0700) if there is none.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let make = DirBuilder::new().recursive(true).mode(0o700).create(path);
        make.map_err(|error| KeyError::File(path.to_owned(), error))?;
        Ok(Self(path.to_owned()))
    }

    /// The identity in it; `None` if there is none yet.
    pub fn identity(&self) -> Result<Option<IdentityKey>, KeyError> {
        let path = self.0.join(SECRET);
        let bytes = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| KeyError::File(path.clone(), error))?,
        };
        identity_from(&bytes).map(Some).ok_or(KeyError::Damaged(path))
    }

    /// Writes the identity and what follows from it, each file whole or not at all.
    pub fn set_identity(&self, key: &IdentityKey) -> Result<(), KeyError> {
        let address = key.address(80);
        self.write(SECRET, &secret_file(key))?;
        self.write(PUBLIC, &file(PUBLIC_TAG, &address.key))?;
        self.write(HOSTNAME, format!("{}\n", address.host()).as_bytes())
    }

    /// Who may find the service, by name; and whether it is closed to everybody else.
    pub fn clients(&self) -> Result<(Vec<Client>, bool), KeyError> {
        let folder = self.0.join(CLIENTS);
        let failed = |error| KeyError::File(folder.clone(), error);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(failed)?),
        };
        let mut clients = Vec::new();
        for entry in entries.into_iter().flatten() {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_none_or(|extension| extension != "auth") {
                continue;
            }
            if clients.len() >= MAX_CLIENTS {
                return Err(KeyError::Many(folder));
            }
            let name = path.file_stem().and_then(|stem| stem.to_str());
            let text = read(&path).map_err(|error| KeyError::File(path.clone(), error))?;
            let key = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
            let (Some(name), Some(key)) = (name, key) else { return Err(KeyError::Client(path)) };
            clients.push(Client { name: name.to_owned(), key });
        }
        clients.sort_by(|one, other| one.name.cmp(&other.name));
        let closed = !clients.is_empty() || self.0.join(CLOSED).exists();
        Ok((clients, closed))
    }

    /// Lets a client in; the service is closed to others from then on.
    pub fn add_client(&self, client: &Client) -> Result<(), KeyError> {
        let folder = self.0.join(CLIENTS);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| KeyError::File(folder, error))?;
        self.write(CLOSED, b"only clients with a key may find this service\n")?;
        self.write(&client_file(&client.name), format!("{}\n", client.key).as_bytes())
    }

    /// Shuts a client out. The service stays closed.
    pub fn remove_client(&self, name: &str) -> Result<(), KeyError> {
        self.remove(&client_file(name))
    }

    /// Lets everybody in.
    pub fn open_to_all(&self) -> Result<(), KeyError> {
        for client in self.clients()?.0 {
            self.remove_client(&client.name)?;
        }
        self.remove(CLOSED)
    }

    fn remove(&self, name: &str) -> Result<(), KeyError> {
        let path = self.0.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(KeyError::File(path, error)),
            _ => Ok(()),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), KeyError> {
        let path = self.0.join(name);
        replace(&path, bytes).map_err(|error| KeyError::File(path, error))
    }
}

/// Writes a file that only its owner can open, whole or not at all.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let written = (|| {
        let mut file = OpenOptions::new().mode(0o600).write(true).create(true).truncate(true).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        file.sync_all() // on FAT the new name is that of an empty file until then
    })();
    if written.is_err() {
        // What could not be written whole is of no use.
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// Whether a name can be that of a client and of its file.
pub fn is_client_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(plain)
}

/// The content of C tor's secret key file.
pub fn secret_file(key: &IdentityKey) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(file(SECRET_TAG, &*key.bytes()))
}

/// The key in the content of C tor's secret key file.
pub fn identity_from(content: &[u8]) -> Option<IdentityKey> {
    let (tag, key) = content.split_at_checked(TAG)?;
    let (name, padding) = tag.split_at_checked(SECRET_TAG.len())?;
    let right = name == SECRET_TAG && padding.iter().all(|byte| *byte == 0);
    IdentityKey::from_bytes(key.try_into().ok().filter(|_| right)?)
}

fn file(tag: &[u8], key: &[u8]) -> Vec<u8> {
    let padding = std::iter::repeat_n(&0, TAG.saturating_sub(tag.len()));
    tag.iter().chain(padding).chain(key).copied().collect()
}

fn client_file(name: &str) -> String {
    format!("{CLIENTS}/{name}.auth")
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn an_identity_survives_the_round_trip() {
        let scratch = Scratch::new("keys");
        let folder = KeyFolder::open(&scratch.path().join("service")).unwrap();
        assert_eq!(folder.identity().unwrap(), None);
        let key = IdentityKey::random().unwrap();
        folder.set_identity(&key).unwrap();
        assert_eq!(folder.identity().unwrap(), Some(key.clone()));
        let path = scratch.path().join("service");
        assert_eq!(fs::read_to_string(path.join(HOSTNAME)).unwrap().trim(), key.address(80).host());
        assert_eq!(fs::read(path.join(SECRET)).unwrap().len(), 96);
        assert_eq!(fs::read(path.join(PUBLIC)).unwrap().len(), 64);
        let mode = |name| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(SECRET), mode("")), (0o600, 0o700));
    }

    #[test]
    fn a_damaged_key_is_never_replaced_in_silence() {
        let scratch = Scratch::new("keys");
        let folder = KeyFolder::open(scratch.path()).unwrap();
        folder.set_identity(&IdentityKey::random().unwrap()).unwrap();
        let path = scratch.path().join(SECRET);
        let whole = fs::read(&path).unwrap();
        for bytes in [&whole[..95], &whole[1..], b"", &[0; 96]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(folder.identity(), Err(KeyError::Damaged(_))), "{} bytes", bytes.len());
        }
    }

    #[test]
    fn clients_come_and_go_and_the_service_stays_closed() {
        let scratch = Scratch::new("keys");
        let folder = KeyFolder::open(scratch.path()).unwrap();
        assert_eq!(folder.clients().unwrap(), (vec![], false));
        let [ann, bob] =
            ["ann", "bob"].map(|name| Client { name: name.into(), key: ClientKey([name.as_bytes()[0]; 32]) });
        folder.add_client(&bob).unwrap();
        folder.add_client(&ann).unwrap();
        assert_eq!(folder.clients().unwrap(), (vec![ann, bob.clone()], true));
        folder.remove_client("ann").unwrap();
        folder.remove_client("bob").unwrap();
        assert_eq!(folder.clients().unwrap(), (vec![], true));
        folder.add_client(&bob).unwrap();
        folder.open_to_all().unwrap();
        assert_eq!(folder.clients().unwrap(), (vec![], false));
    }

    #[test]
    fn a_wrong_client_file_is_named() {
        let scratch = Scratch::new("keys");
        let folder = KeyFolder::open(scratch.path()).unwrap();
        fs::create_dir(scratch.path().join(CLIENTS)).unwrap();
        fs::write(scratch.path().join(CLIENTS).join("x.auth"), "nonsense").unwrap();
        assert!(folder.clients().unwrap_err().to_string().contains("x.auth"));
    }

    #[test]
    fn names_are_plain() {
        assert!(is_client_name("ann-1_b"));
        for name in ["", "a/b", "..", "a b", "é", &"a".repeat(65)] {
            assert!(!is_client_name(name), "{name}");
        }
    }
}

//! Packages on this machine: fetched once, known by their SHA-256, checked at each use.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest, Sha256};

use crate::mirror::Choice;
use crate::packages::Package;

/// The bytes of `package`: from `folder` when they are there, else from the mirror.
pub(crate) fn get(folder: &Path, package: &Package, choice: &Choice) -> io::Result<Vec<u8>> {
    let path = place(folder, package);
    if let Ok(bytes) = fs::read(&path)
        && hex(&bytes) == package.sha256
    {
        return Ok(bytes);
    }
    fs::create_dir_all(folder)?;
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    eprintln!("fetching {} {} ({} kB)", package.name, package.version, package.size / 1000);
    let fetched = choice.mirror()?.fetch(package, &fresh).and_then(|()| fs::read(&fresh));
    let checked = fetched.and_then(|bytes| check(package, bytes));
    match checked {
        Ok(bytes) => {
            fs::rename(&fresh, &path)?;
            Ok(bytes)
        }
        Err(error) => {
            let _ = fs::remove_file(&fresh); // it may not be there
            Err(error)
        }
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn place(folder: &Path, package: &Package) -> PathBuf {
    folder.join(format!("{}.deb", package.sha256))
}

fn check(package: &Package, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let (size, sha256) = (bytes.len() as u64, hex(&bytes));
    if size == package.size && sha256 == package.sha256 {
        return Ok(bytes);
    }
    Err(io::Error::other(format!(
        "the mirror gave another file for {} {}: {size} bytes with SHA-256 {sha256}, but packages.lock says {} and {}; \
         use another mirror (--mirror)",
        package.name, package.version, package.size, package.sha256
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::Archive;

    #[test]
    fn another_file_is_refused() {
        let package = Package {
            purpose: "p".into(),
            name: "n".into(),
            version: "1".into(),
            archive: Archive::Debian,
            path: "p".into(),
            size: 3,
            sha256: hex(b"abc"),
        };
        assert_eq!(check(&package, b"abc".to_vec()).unwrap(), b"abc");
        assert!(check(&package, b"abd".to_vec()).unwrap_err().to_string().contains("--mirror"));
        assert!(check(&package, b"abcd".to_vec()).is_err());
    }
}

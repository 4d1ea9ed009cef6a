//! Folders of the state directory that hold files of their own: the keys of services published for other programs.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path};

use zeroize::Zeroizing;

use super::blob::Blob;

/// Which folders.
const FOLDERS: [&str; 1] = ["publish"];

/// Folders below each other at most: `publish/<service>/authorized_clients`.
const DEPTH: usize = 3;

/// Files at most, and bytes of each.
const MAX_FILES: usize = 4096;

/// See [`MAX_FILES`].
const MAX_FILE: u64 = 64 * 1024;

/// Files by their path from the state directory, with `/` between its parts.
pub(super) type Files = BTreeMap<String, Blob>;

/// All of them; links are left out. Fails with [`io::ErrorKind::FileTooLarge`] if there is too much.
pub(super) fn collect(state: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    for name in FOLDERS {
        match gather(&state.join(name), name, DEPTH, &mut files) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(files)
}

fn gather(folder: &Path, path: &str, depth: usize, files: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (Ok(name), kind) = (entry.file_name().into_string(), entry.file_type()?) else { continue };
        let path = format!("{path}/{name}");
        if kind.is_dir() && depth > 1 {
            gather(&entry.path(), &path, depth - 1, files)?;
        } else if kind.is_file() {
            if files.len() >= MAX_FILES || entry.metadata()?.len() > MAX_FILE {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            files.insert(path, Blob(Zeroizing::new(fs::read(entry.path())?)));
        }
    }
    Ok(())
}

/// Writes them back, for the owner only. A path that leads elsewhere is an [`io::ErrorKind::InvalidData`], before
/// anything is written.
pub(super) fn restore(state: &Path, files: &Files) -> io::Result<()> {
    if !files.keys().all(|path| is_inside(path)) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    for (path, bytes) in files {
        let path = state.join(path);
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600);
        file.open(path)?.write_all(&bytes.0)?;
    }
    Ok(())
}

/// Whether it names something below one of our folders, plainly.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    let first = parts.next().and_then(|part| part.as_os_str().to_str());
    let plain = parts.clone().all(|part| matches!(part, Component::Normal(_)));
    first.is_some_and(|name| FOLDERS.contains(&name)) && plain && (1..=DEPTH).contains(&parts.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn keys_of_services_come_back_for_their_owner_only() {
        let scratch = Scratch::new("folders");
        let (old, new) = (scratch.path().join("old"), scratch.path().join("new"));
        let clients = old.join("publish/shop/authorized_clients");
        fs::create_dir_all(&clients).unwrap();
        fs::write(old.join("publish/shop/key"), [1, 2]).unwrap();
        fs::write(clients.join("anna.auth"), [3]).unwrap();
        fs::write(old.join("lock"), "not ours").unwrap();
        symlink("/etc/hostname", old.join("publish/link")).unwrap();
        let files = collect(&old).unwrap();
        assert_eq!(
            files.keys().collect::<Vec<_>>(),
            ["publish/shop/authorized_clients/anna.auth", "publish/shop/key"]
        );
        restore(&new, &files).unwrap();
        assert!(collect(&new).unwrap() == files);
        let mode = |path: &str| fs::metadata(new.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("publish/shop"), mode("publish/shop/key")), (0o700, 0o600));
        assert!(collect(&scratch.path().join("nothing")).unwrap().is_empty());
        fs::write(old.join("publish/large"), vec![0; 70_000]).unwrap();
        assert_eq!(collect(&old).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["", "publish", "state.json", "/etc/x", "publish/../x", "../publish/x", "publish/a/b/c/d"]
        {
            assert!(!is_inside(path), "{path:?}");
        }
        assert!(is_inside("publish/shop/key") && is_inside("publish/shop/authorized_clients/a.auth"));
        let scratch = Scratch::new("folders");
        let bad = Files::from([("publish/../../x".to_owned(), Blob(Zeroizing::new(vec![1])))]);
        assert_eq!(restore(scratch.path(), &bad).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}

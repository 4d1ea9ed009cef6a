//! A file that is replaced whole or not at all, whenever the power goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes written at once.
const STEP: usize = 64 * 1024;

/// What replacing a file takes of a file system. Names are relative to one folder.
pub(super) trait Disk {
    /// Makes an empty file that only its owner can open; one that is there goes first.
    fn create(&mut self, name: &str) -> io::Result<()>;
    /// Adds to the file that was made last.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Forces the file that was made last to the device.
    fn sync(&mut self) -> io::Result<()>;
    /// Gives `from` the name `to`, in place of what had it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Forces names to the device.
    fn sync_names(&mut self) -> io::Result<()>;
    /// Removes a file, as far as that works.
    fn remove(&mut self, name: &str);
}

/// Puts `bytes` in place of what `name` held. When it fails, `name` is as it was before. `still` has the last word.
pub(super) fn put(
    disk: &mut impl Disk,
    name: &str,
    bytes: &[u8],
    still: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let fresh = format!(".{name}.new");
    let written = (|| {
        disk.create(&fresh)?;
        bytes.chunks(STEP).try_for_each(|part| disk.write(part))?;
        // On FAT this forces the table of clusters, too. A file that points into clusters which the table calls free would
        // take them from whoever gets them next; a kernel that meets one makes the disk read-only.
        disk.sync_names()?;
        disk.sync()?; // before the name: or a power cut may leave an empty file under it
        still()?; // as late as can be: on a disk that came since, there is no `fresh` to rename
        disk.rename(&fresh, name)
    })();
    if written.is_err() {
        disk.remove(&fresh);
        return written;
    }
    // FAT: under its new name it is an empty file, or the old one, until it is forced out once more.
    disk.sync()?;
    disk.sync_names()
}

/// A folder of this machine.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    file: Option<File>,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Self { path: path.to_owned(), file: None }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::Error::other("no file was made"))
    }
}

impl Disk for Folder {
    fn create(&mut self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // A link that somebody planted in between is not followed.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        self.file = Some(file);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file()?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn remove(&mut self, name: &str) {
        _ = fs::remove_file(self.path.join(name)); // the error that led here is told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    /// What is on the device for sure, and what was done since: a power cut may keep any part of the latter.
    #[derive(Clone, Default)]
    struct Model {
        /// Bytes of files, by number; how many of them are on the device for sure.
        files: Vec<(Vec<u8>, usize)>,
        names: BTreeMap<String, usize>,
        /// Every table of names that a cut may leave: the last for sure, and all since.
        tables: Vec<BTreeMap<String, usize>>,
        /// Steps until the power goes.
        left: usize,
        /// Whether a file was moved and not forced out since: on FAT its new name may then be that of an empty file.
        moved: bool,
        /// Whether the failure is an error only, after which the program goes on.
        survives: bool,
    }

    impl Model {
        fn with_old(left: usize, survives: bool) -> Self {
            let names = BTreeMap::from([("keep".to_owned(), 0)]);
            Self {
                files: vec![(b"old".to_vec(), 3)],
                tables: vec![names.clone()],
                names,
                left,
                moved: false,
                survives,
            }
        }

        fn step(&mut self) -> io::Result<()> {
            if self.left == 0 {
                return Err(io::Error::other("cut"));
            }
            self.left -= 1;
            Ok(())
        }

        fn renamed(&mut self) {
            self.tables.push(self.names.clone());
        }

        /// Every content that the name may have after the cut.
        fn outcomes(&self, name: &str) -> Vec<Option<Vec<u8>>> {
            let mut all = Vec::new();
            for table in &self.tables {
                let Some((bytes, sure)) = table.get(name).and_then(|at| self.files.get(*at)) else {
                    all.push(None);
                    continue;
                };
                // Not yet on the device: there, missing, or zeros.
                all.push(Some(bytes.clone()));
                all.push(Some(bytes[..*sure].to_vec()));
                let zeros = (0..bytes.len()).map(|at| if at < *sure { bytes[at] } else { 0 });
                all.push(Some(zeros.collect()));
            }
            all
        }
    }

    impl Disk for Model {
        fn create(&mut self, name: &str) -> io::Result<()> {
            self.step()?;
            self.files.push((Vec::new(), 0));
            self.names.insert(name.to_owned(), self.files.len() - 1);
            self.renamed();
            Ok(())
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            let cut = self.step().err();
            let kept = if cut.is_some() { bytes.len() / 2 } else { bytes.len() };
            self.files.last_mut().unwrap().0.extend(&bytes[..kept]);
            cut.map_or(Ok(()), Err)
        }

        fn sync(&mut self) -> io::Result<()> {
            self.step()?;
            let file = self.files.last_mut().unwrap();
            file.1 = file.0.len();
            self.moved = false;
            Ok(())
        }

        fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
            self.step()?;
            let file = self.names.remove(from).unwrap();
            self.names.insert(to.to_owned(), file);
            self.moved = true;
            self.renamed();
            Ok(())
        }

        fn sync_names(&mut self) -> io::Result<()> {
            self.step()?;
            self.tables = vec![self.names.clone()];
            Ok(())
        }

        fn remove(&mut self, name: &str) {
            if self.survives {
                self.names.remove(name);
                self.renamed();
            }
        }
    }

    #[test]
    fn a_power_cut_at_any_step_leaves_the_old_file_or_the_new_one() {
        let new = vec![b'n'; STEP * 2 + 100];
        let (old, fresh) = (Some(b"old".to_vec()), Some(new.clone()));
        let mut whole = 0;
        for survives in [false, true] {
            for left in 0..=9 {
                let mut disk = Model::with_old(left, survives);
                let done = put(&mut disk, "keep", &new, || Ok(())).is_ok();
                let outcomes = disk.outcomes("keep");
                assert!(outcomes.iter().all(|seen| *seen == old || *seen == fresh), "cut after {left} steps");
                if done {
                    assert!(
                        outcomes.iter().all(|seen| *seen == fresh),
                        "done, and yet the old one may come back"
                    );
                    assert!(!disk.moved, "done, and yet FAT may have no more than the name");
                    whole += 1;
                }
            }
        }
        // create, three writes, sync of names, sync, rename, sync, sync of names: the ninth step is the last.
        assert_eq!(whole, 2);
    }

    #[test]
    fn without_either_sync_the_model_would_notice() {
        let mut disk = Model::with_old(99, false);
        disk.create("x").unwrap();
        disk.write(b"new").unwrap();
        disk.rename("x", "keep").unwrap();
        assert!(disk.outcomes("keep").contains(&Some(Vec::new())), "an empty file under the name");
        disk.sync().unwrap();
        assert!(disk.outcomes("keep").contains(&Some(b"old".to_vec())), "the old name came back");
    }

    #[test]
    fn on_this_machine_the_file_is_its_owners_and_nothing_is_left_beside_it() {
        let scratch = Scratch::new("put");
        let path = scratch.path().join("keep");
        fs::write(&path, "old").unwrap();
        fs::write(scratch.path().join(".keep.new"), "left by a cut").unwrap();
        put(&mut Folder::new(scratch.path()), "keep", b"new", || Ok(())).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
        let gone = scratch.path().join("gone");
        assert!(put(&mut Folder::new(&gone), "keep", b"new", || Ok(())).is_err());
        fs::create_dir(scratch.path().join("folder")).unwrap();
        assert!(put(&mut Folder::new(scratch.path()), "folder", b"new", || Ok(())).is_err());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2, "a failure leaves nothing");
    }
}

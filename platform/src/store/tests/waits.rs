//! What waits for another fetch, for the device, and for a disk that is late.

use super::*;

#[test]
fn two_fetches_never_write_the_same_part() {
    let mut source = source(&[("file", 4 * BLOCK)]);
    let out = Scratch::new("store");
    let target = fetched(&source, out.path());
    let open = || Fetched::open(Arc::clone(&source.content), out.path(), Fsync::Never);
    let why = open().unwrap_err();
    assert!(matches!(why, OpenError::Busy(_)) && why.to_string().contains("goes on when that has ended"));
    target.let_go();
    let other = open().unwrap();
    assert!(open().is_err());
    drop(other);
    drop(target);
    let mut target = open().unwrap();
    source.content.clone().blocks().for_each(|id| copy(&mut source, &mut target, id).unwrap());
    finish(&mut target);
    assert!(fetched(&source, out.path()).is_finished());
}

#[test]
fn what_waits_for_the_device_is_left_to_others() {
    let mut source = source(&[("deep/file", 4 * BLOCK), ("other", BLOCK)]);
    let out = Scratch::new("store");
    let mut target = Fetched::open(Arc::clone(&source.content), out.path(), Fsync::Always).unwrap();
    let id = |piece, block| BlockId { piece, block };
    copy(&mut source, &mut target, id(0, 0)).unwrap();
    assert!(target.due().is_none(), "only whole pieces are");
    copy(&mut source, &mut target, id(0, 1)).unwrap();
    let flush = target.due().unwrap();
    assert!(target.due().is_none(), "not twice");
    std::thread::spawn(move || flush.run()).join().unwrap().unwrap();
    target.flush_failed(&io::Error::other("pulled out"));
    copy(&mut source, &mut target, id(1, 0)).unwrap();
    assert_eq!(copy(&mut source, &mut target, id(1, 1)), Err(StoreError::Failed), "said once");
    source.content.clone().blocks().for_each(|id| copy(&mut source, &mut target, id).unwrap());
    let flush = target.last_flush().unwrap().unwrap();
    assert!(!out.path().join("share").exists());
    std::thread::spawn(move || flush.run()).join().unwrap().unwrap();
    let tidy = target.finish().unwrap().unwrap();
    assert!(
        out.path().join("share/deep/file").is_file() && out.path().join(".share.bulbil/leaves").is_file()
    );
    std::thread::spawn(move || tidy.run()).join().unwrap().unwrap();
    same(&source, out.path(), &[("deep/file", 4 * BLOCK), ("other", BLOCK)]);
}

#[test]
fn only_what_is_plainly_not_in_its_folder_was_moved_away() {
    let source = source(&FILES);
    let home = source.scratch.path();
    let find = |out: &Path| Fetched::find(&source.content, out);
    assert_eq!(find(home), Found::There);
    assert_eq!(find(&home.join("no disk")), Found::Late);
    assert_eq!(find(&home.join("share/five pieces")), Found::Late, "no folder");
    assert_eq!(find(&home.join("share")), Found::Moved);
    fs::write(home.join("share/five pieces"), b"short").unwrap();
    assert_eq!(find(home), Found::Partly);
    fs::remove_dir_all(home.join("share")).unwrap();
    symlink("/nowhere", home.join("share")).unwrap();
    assert_eq!(find(home), Found::Partly, "it may lead to a disk");
}

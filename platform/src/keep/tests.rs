//! Keep files in real folders.

use super::*;
use crate::state::tracker::{MirrorEntry, Tracker, TrustEntry};
use crate::state::{FetchEntry, Secret, SecretText, ShareEntry};
use crate::sys::scratch::Scratch;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

fn passphrase() -> Passphrase {
    Passphrase::to_seal("correct horse battery").unwrap()
}

/// A state with one of everything, in a folder of its own.
fn full(folder: &Path) -> StateDir {
    let dir = StateDir::open(folder, true).unwrap();
    let info_hash = "ab".repeat(32);
    let share = ShareEntry {
        info_hash: info_hash.clone(),
        sources: vec!["/srv/film".into()],
        public: false,
        browser: false,
        onion: Secret([1; 32]),
        token: Secret([2; 16]),
        peer: Secret([3; 32]),
        tags: "film".into(),
        text: String::new(),
    };
    let fetch = FetchEntry {
        done: false,
        id: 7,
        link: SecretText("http://x".into()),
        out: "/srv".into(),
        info_hash: None,
        onion: Secret([4; 32]),
        peer: Secret([5; 32]),
    };
    let tracker = Tracker {
        trust: vec![TrustEntry { address: "friend".into(), name: Some("bob".into()), told: true }],
        mirrors: vec![MirrorEntry { address: "mirror".into(), follow: true }],
        ..Tracker::default()
    };
    let state = State {
        catalogue: Some(Secret([6; 32])),
        last_fetch: 7,
        shares: vec![share],
        fetches: vec![fetch],
        tracker,
        mail: crate::state::MailEntries::default(),
        page: crate::state::PageEntry::default(),
        tombstones: vec!["AA==".into()],
    };
    dir.save(&state).unwrap();
    fs::write(folder.join(format!("{info_hash}.torrent")), b"d4:infoe").unwrap();
    fs::create_dir_all(folder.join("publish/shop")).unwrap();
    fs::write(folder.join("publish/shop/key"), b"key").unwrap();
    let guards = BTreeMap::from([("guards".to_owned(), json!({"default": [1, 2]}))]);
    net::restore_guards(folder, &guards).unwrap();
    dir
}

#[test]
fn everything_comes_back_on_an_empty_machine() {
    let scratch = Scratch::new("keep");
    let old = full(&scratch.path().join("old"));
    let file = scratch.path().join("keep.age");
    write(&file, &Kept::collect(old.path()).unwrap().seal(&passphrase()).unwrap()).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let new = StateDir::open(&scratch.path().join("new"), true).unwrap();
    Kept::load(&file, &passphrase()).unwrap().restore(&new, false).unwrap();
    assert_eq!(new.load().unwrap(), old.load().unwrap());
    let torrent = format!("{}.torrent", "ab".repeat(32));
    assert_eq!(fs::read(new.path().join(torrent)).unwrap(), b"d4:infoe");
    assert_eq!(net::guards(new.path()), net::guards(old.path()));
    assert_eq!(net::guards(new.path()).len(), 1);
    assert_eq!(fs::read(new.path().join("publish/shop/key")).unwrap(), b"key");
}

#[test]
fn a_state_that_would_be_missed_is_not_thrown_away_unasked() {
    let scratch = Scratch::new("keep");
    let dir = full(&scratch.path().join("state"));
    let kept = Kept::collect(dir.path()).unwrap();
    let refused = kept.restore(&dir, false).unwrap_err().to_string();
    assert!(
        refused.contains("its address, 1 share, 1 fetch, 1 trusted node, 1 mirror")
            && refused.contains("--replace"),
        "{refused}"
    );
    kept.restore(&dir, true).unwrap();
}

#[test]
fn secrets_do_not_stand_in_the_sealed_file() {
    let scratch = Scratch::new("keep");
    let dir = full(&scratch.path().join("state"));
    let sealed = Kept::collect(dir.path()).unwrap().seal(&passphrase()).unwrap();
    for secret in ["0101010101", "/srv/film", "catalogue", "d4:infoe"] {
        assert!(!sealed.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    assert_eq!(sealed.len() / 65536, 2, "padded, so that the size tells little");
}

#[test]
fn what_is_no_keep_file_is_neither_opened_nor_overwritten() {
    let scratch = Scratch::new("keep");
    let file = scratch.path().join("precious");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(write(&file, b"x"), Err(KeepError::Occupied(_))));
    assert!(matches!(Kept::load(&file, &passphrase()), Err(KeepError::Foreign)));
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    assert!(matches!(write(scratch.path(), b"x"), Err(KeepError::Occupied(_))));
    assert!(matches!(Kept::load(&scratch.path().join("no"), &passphrase()), Err(KeepError::Read(..))));
}

#[test]
fn a_later_version_is_told_apart_from_damage() {
    let later = seal::seal(br#"{"bulbil_keep": 2, "more": []}"#, &passphrase()).unwrap();
    assert!(matches!(Kept::open(&later, &passphrase()), Err(KeepError::Version(2))));
    for text in [&b"[]"[..], b"", b"{\"bulbil_keep\": 1}", b"\xff"] {
        let sealed = seal::seal(text, &passphrase()).unwrap();
        assert!(matches!(Kept::open(&sealed, &passphrase()), Err(KeepError::Damaged)));
    }
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused() {
    let scratch = Scratch::new("keep");
    let dir = full(&scratch.path().join("state"));
    let mut kept = Kept::collect(dir.path()).unwrap();
    kept.torrents.insert("../escape".to_owned(), Blob(Zeroizing::new(vec![1])));
    assert!(matches!(kept.restore(&dir, true), Err(KeepError::Damaged)));
    assert!(!scratch.path().join("escape.torrent").exists());
}

#[test]
fn at_start_the_file_is_taken_up_only_by_an_empty_node_with_the_right_passphrase() {
    let scratch = Scratch::new("keep");
    let file = scratch.path().join("keep.age");
    let old = full(&scratch.path().join("old"));
    assert_eq!(take_up(&file, &passphrase(), &old).unwrap(), (TakenUp::Nothing, None));
    write(&file, &Kept::collect(old.path()).unwrap().seal(&passphrase()).unwrap()).unwrap();
    let new = StateDir::open(&scratch.path().join("new"), true).unwrap();
    let wrong = Passphrase::to_open("something else").unwrap();
    assert!(matches!(take_up(&file, &wrong, &old), Err(KeepError::Passphrase)));
    assert!(matches!(take_up(&file, &wrong, &new), Err(KeepError::Passphrase)));
    assert!(new.is_new());
    let mark = Mark::read(&file).unwrap();
    assert!(mark.is_some());
    assert_eq!(take_up(&file, &passphrase(), &new).unwrap(), (TakenUp::Restored, mark.clone()));
    assert_eq!(take_up(&file, &passphrase(), &new).unwrap(), (TakenUp::Present, mark));
    assert_eq!(new.load().unwrap(), old.load().unwrap());
}

/// A node that keeps itself in `file`, as far as it concerns the keep file.
fn keeper(file: &Path, state: &StateDir, mark: Option<Mark>) -> std::rc::Rc<Keeper> {
    let (file, passphrase_file, passphrase) = (Some(file.to_owned()), None, Some(passphrase()));
    Keeper::new(&crate::config::Keep { file, passphrase_file, passphrase, mark }, state)
}

/// A new node's state, whatever file it should have been.
fn fresh(folder: &Path) -> StateDir {
    let state = StateDir::open(folder, true).unwrap();
    state.save(&State { catalogue: Some(Secret([9; 32])), ..State::default() }).unwrap();
    state
}

#[tokio::test]
async fn a_disk_that_comes_late_keeps_the_file_that_is_on_it() {
    let scratch = Scratch::new("keep");
    let (place, disk) = (scratch.path().join("place"), scratch.path().join("disk"));
    let file = place.join("keep.age");
    let old = full(&scratch.path().join("old"));
    fs::create_dir(&disk).unwrap();
    let sealed = Kept::collect(old.path()).unwrap().seal(&passphrase()).unwrap();
    write(&disk.join("keep.age"), &sealed).unwrap();

    let new = fresh(&scratch.path().join("new"));
    assert_eq!(take_up(&file, &passphrase(), &new).unwrap(), (TakenUp::Nothing, None));
    let node = keeper(&file, &new, None);
    node.finish().await;
    let failed = || node.view(&new.load().unwrap()).failed;
    assert!(failed().unwrap().contains("check the folder"), "the place of the disk is not even there");
    fs::create_dir(&place).unwrap();
    node.finish().await;
    assert_eq!(failed(), None);
    assert!(file.exists(), "saved below the disk, where nothing was");

    fs::rename(&place, scratch.path().join("below")).unwrap();
    fs::rename(&disk, &place).unwrap();
    for _ in 0..2 {
        new.touch();
        node.finish().await;
        assert!(fs::read(&file).unwrap() == sealed, "the file of before is as it was");
        assert!(failed().unwrap().contains("left as it is"));
    }
    let refused = node.keep_to(file.clone(), passphrase()).await;
    assert!(matches!(refused, Err(KeepError::Another(_))) && fs::read(&file).unwrap() == sealed);

    // Started again, a node with nothing to lose is the one of before; one with a share stays, and saves nothing.
    let share = old.load().unwrap().shares;
    let busy = fresh(&scratch.path().join("busy"));
    busy.save(&State { shares: share, ..busy.load().unwrap() }).unwrap();
    assert_eq!(take_up(&file, &passphrase(), &busy).unwrap(), (TakenUp::Another, None));
    keeper(&file, &busy, None).finish().await;
    assert!(fs::read(&file).unwrap() == sealed);
    let (taken_up, mark) = take_up(&file, &passphrase(), &new).unwrap();
    assert_eq!((taken_up, new.load().unwrap()), (TakenUp::Restored, old.load().unwrap()));
    keeper(&file, &new, mark).finish().await;
    assert!(fs::read(&file).unwrap() != sealed, "and saves itself there again");
}

#[tokio::test]
async fn what_passes_does_not_end_the_saving() {
    let scratch = Scratch::new("keep");
    let (file, state) = (scratch.path().join("keep.age"), full(&scratch.path().join("state")));
    let node = keeper(&file, &state, None);
    node.finish().await;
    let sealed = fs::read(&file).unwrap();
    let failed = || node.view(&state.load().unwrap()).failed;
    let torrent = state.path().join(format!("{}.torrent", "ab".repeat(32)));
    fs::remove_file(&torrent).unwrap();
    fs::create_dir(&torrent).unwrap();
    state.touch();
    node.finish().await;
    assert!(failed().is_some() && fs::read(&file).unwrap() == sealed);
    fs::remove_dir(&torrent).unwrap();
    node.finish().await;
    assert_eq!(failed(), None);
    assert!(fs::read(&file).unwrap() != sealed, "saved without another change");
}

#[tokio::test]
async fn a_change_is_saved_although_the_file_was_refused() {
    let scratch = Scratch::new("keep");
    let (file, state) = (scratch.path().join("keep.age"), full(&scratch.path().join("state")));
    keeper(&file, &state, None).finish().await;
    let sealed = fs::read(&file).unwrap();
    let (tail, rest) = sealed.split_last().unwrap();
    fs::write(&file, [rest, &[!tail]].concat()).unwrap();
    let node = keeper(&file, &state, None);
    node.finish().await;
    let failed = || node.view(&state.load().unwrap()).failed;
    assert!(failed().unwrap().contains("damaged"));
    fs::write(&file, &sealed).unwrap();
    node.finish().await;
    assert!(failed().is_some(), "not opened again and again");
    state.touch();
    node.finish().await;
    assert_eq!(failed(), None);
    assert!(fs::read(&file).unwrap() != sealed);
}

#[test]
fn a_file_that_comes_while_another_is_written_stays() {
    let scratch = Scratch::new("keep");
    let file = scratch.path().join("keep.age");
    let dir = full(&scratch.path().join("state"));
    let seal = || Kept::collect(dir.path()).unwrap().seal(&passphrase()).unwrap();
    let (first, second, third) = (seal(), seal(), seal());
    replace(&file, &first, None).unwrap();
    assert!(matches!(replace(&file, &second, None), Err(KeepError::Write(..))));
    assert!(matches!(replace(&file, &second, Mark::of(&third).as_ref()), Err(KeepError::Write(..))));
    assert!(fs::read(&file).unwrap() == first);
    replace(&file, &second, Mark::of(&first).as_ref()).unwrap();
    assert!(fs::read(&file).unwrap() == second);
}

#[test]
fn by_hand_too_only_the_same_node_is_replaced() {
    let scratch = Scratch::new("keep");
    let file = scratch.path().join("keep.age");
    let put = |folder: &Path, words: &str| {
        let (kept, passphrase) = (Kept::collect(folder).unwrap(), Passphrase::to_seal(words).unwrap());
        let sealed = kept.seal(&passphrase).unwrap();
        kept.put(&file, &sealed, &passphrase)
    };
    let (one, other) = (full(&scratch.path().join("one")), fresh(&scratch.path().join("other")));
    put(one.path(), "correct horse battery").unwrap();
    put(one.path(), "correct horse battery").unwrap();
    assert!(matches!(put(other.path(), "correct horse battery"), Err(KeepError::Another(_))));
    assert!(matches!(put(one.path(), "another passphrase"), Err(KeepError::Passphrase)));
    assert_eq!(Kept::load(&file, &passphrase()).unwrap().state, one.load().unwrap());
}

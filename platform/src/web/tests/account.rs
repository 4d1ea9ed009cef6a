//! The password: who gets in, and who does not.

use hyper::StatusCode;

use super::live::{Browser, Live, PASSWORD, with_node};
use crate::config::Page;

async fn sign_in(browser: &mut Browser, password: &str) -> super::live::Answer {
    browser.get("/login").await;
    browser.post("/login", &[("password", password)]).await
}

/// A browser that was never here, with a form at hand.
async fn stranger(live: &Live) -> Browser {
    let mut browser = live.browser();
    assert_eq!(browser.get("/login").await.status, StatusCode::OK);
    browser
}

#[tokio::test]
async fn the_first_run_makes_the_node_ones_own() {
    with_node(Page::default(), async |live| {
        let mut browser = live.browser();
        assert_eq!(browser.get("/").await.status, StatusCode::OK, "open as long as there is no password");
        assert_eq!(browser.get("/login").await.location(), "/first");
        for (password, again, word) in [("short", "short", "at least 10"), (PASSWORD, "other", "differ")] {
            browser.get("/first").await;
            let refused = browser.post("/first", &[("password", password), ("again", again)]).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(refused.body.contains(word), "{}", refused.body);
        }
        let nowhere = [("password", PASSWORD), ("again", PASSWORD), ("folders", "/nowhere/at/all")];
        assert!(browser.post("/first", &nowhere).await.body.contains("create it first"));
        let mut owner = live.owner("machine").await;
        assert_eq!(owner.get("/").await.status, StatusCode::OK);
        assert_eq!(browser.get("/").await.location(), "/login");
        assert_eq!(browser.get("/first").await.location(), "/", "only once");
        let late = browser.post("/first", &[("password", PASSWORD), ("again", PASSWORD)]).await;
        assert_eq!(late.location(), "/login");
        assert_eq!(browser.get("/status.json").await.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn the_first_run_can_keep_the_node_in_a_file() {
    with_node(Page::default(), async |live| {
        let (mut browser, file) = (live.browser(), live.write("disk/other.txt", "no keep file"));
        let (phrase, kept) =
            ("a passphrase of words", file.with_file_name("bulbil.keep").display().to_string());
        browser.get("/first").await;
        let begin = |file: &str, again: &str| {
            [("password", PASSWORD), ("again", PASSWORD), ("keep", "file"), ("passphrase", phrase)]
                .map(|(name, value)| (name, value.to_owned()))
                .into_iter()
                .chain([("keep-file", file.to_owned()), ("once-more", again.to_owned())])
                .collect::<Vec<_>>()
        };
        let other = file.display().to_string();
        for (file, again, words) in [
            ("bulbil.keep", phrase, "whole path"),
            ("/no/such/bulbil.keep", phrase, "create it first"),
            (kept.as_str(), "something else", "passphrases differ"),
            (other.as_str(), phrase, "is no keep file"),
        ] {
            let fields = begin(file, again);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let refused = browser.post("/first", &fields).await;
            assert!(
                refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.body.contains(words),
                "{words}"
            );
        }
        assert_eq!(live.node.page().await.unwrap().password, None, "until all of it is right");
        let fields = begin(&kept, phrase);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(browser.post("/first", &fields).await.location(), "/?said=welcome");
        assert!(
            live.node.status().keep.automatic && browser.get("/settings").await.body.contains("keeps itself")
        );
        let stop = [("do", "stop")];
        assert!(browser.post("/settings/keep", &stop).await.body.contains("Stop keeping now"));
        assert!(live.node.status().keep.automatic, "only asked");
        let stopped = browser.post("/settings/keep", &[stop[0], ("sure", "yes")]).await;
        assert_eq!(stopped.location(), "/settings?said=unkept");
        assert!(!live.node.status().keep.automatic);
        let again =
            [("do", "here"), ("keep-file", kept.as_str()), ("passphrase", phrase), ("once-more", phrase)];
        browser.get("/settings").await;
        assert_eq!(browser.post("/settings/keep", &again).await.location(), "/settings?said=kept");
        live.node.stop().await.unwrap();
        let phrase = crate::keep::Passphrase::to_open(phrase).unwrap();
        let saved = crate::keep::Kept::load(kept.as_ref(), &phrase).unwrap();
        let state = crate::state::StateDir::open(&live.scratch.path().join("again"), true).unwrap();
        saved.restore(&state, false).unwrap();
        assert!(state.load().unwrap().page.password.is_some(), "what came after the first save is in it too");
    })
    .await;
}

#[tokio::test]
async fn only_a_new_node_is_replaced_and_only_by_the_right_passphrase() {
    with_node(Page::default(), async |live| {
        let file = live.write("bulbil.keep", "no keep file").display().to_string();
        let mut browser = live.browser();
        assert!(browser.get("/first").await.body.contains("/first/restore"));
        browser.get("/first/restore").await;
        for (file, words) in
            [("bulbil.keep", "whole path"), ("/no/such", "cannot read"), (&file, "no keep file")]
        {
            let fields = [("keep-file", file), ("passphrase", "a passphrase of words")];
            let refused = browser.post("/first/restore", &fields).await;
            assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY, "{words}");
            assert!(refused.body.contains(words), "{words}: {}", refused.body);
        }
        live.owner("machine").await;
        let mut late = live.browser();
        assert_eq!(late.get("/first/restore").await.location(), "/first");
        late.get("/login").await;
        let fields = [("keep-file", file.as_str()), ("passphrase", "a passphrase of words")];
        assert_eq!(late.post("/first/restore", &fields).await.location(), "/first");
    })
    .await;
}

#[tokio::test]
async fn signing_out_and_in_again() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        let before = owner.jar.clone();
        owner.post("/logout", &[]).await;
        assert_eq!(owner.get("/").await.location(), "/login");
        let mut thief = live.browser();
        thief.jar = before;
        assert_eq!(thief.get("/").await.location(), "/login", "the session is over, whoever has its cookie");
        assert_eq!(sign_in(&mut owner, "not the password").await.status, StatusCode::FORBIDDEN);
        assert_eq!(sign_in(&mut owner, PASSWORD).await.location(), "/");
        assert!(owner.get("/").await.body.contains("Sign out"));
    })
    .await;
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        let mut second = stranger(&live).await;
        assert_eq!(sign_in(&mut second, PASSWORD).await.location(), "/");
        owner.get("/settings").await;
        let new = "quite another phrase";
        let wrong =
            owner.post("/settings/password", &[("password", "x"), ("new", new), ("again", new)]).await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN);
        assert!(wrong.body.contains("not the present password"));
        let right = [("password", PASSWORD), ("new", new), ("again", new)];
        assert_eq!(owner.post("/settings/password", &right).await.location(), "/settings?said=password");
        assert!(owner.get("/settings").await.body.contains("Change the password"));
        assert_eq!(second.get("/").await.location(), "/login");
        assert_eq!(sign_in(&mut second, PASSWORD).await.status, StatusCode::FORBIDDEN);
        assert_eq!(sign_in(&mut second, new).await.location(), "/");
    })
    .await;
}

#[tokio::test]
async fn a_reset_from_the_machine_begins_anew() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("password").await;
        live.node.forget_page().await.unwrap();
        let page = owner.get("/").await;
        assert!(page.body.contains("Set a password") && !page.body.contains("Sign out"));
        live.owner("machine").await;
    })
    .await;
}

/// Neither in, nor the owner out: not the one who is signed in, not the one whose browser is known, and a strange browser
/// waits ten seconds at most. The memory for hashes stays that of one.
#[tokio::test]
async fn ten_thousand_wrong_passwords_change_nothing_for_the_owner() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        let mut known = stranger(&live).await;
        assert_eq!(sign_in(&mut known, PASSWORD).await.location(), "/");
        known.get("/").await;
        assert_eq!(known.post("/logout", &[]).await.location(), "/");
        let mut attacker = stranger(&live).await;
        let (mut wrong, mut later) = (0, 0);
        for number in 0..10_000 {
            let guess = format!("guess number {number}");
            match attacker.post("/login", &[("password", &guess)]).await.status {
                StatusCode::FORBIDDEN => wrong += 1,
                StatusCode::TOO_MANY_REQUESTS => later += 1,
                other => panic!("{other}"),
            }
            if number == 5_000 {
                assert_eq!(sign_in(&mut known, PASSWORD).await.location(), "/", "in the midst of it");
                assert_eq!(owner.get("/").await.status, StatusCode::OK);
            }
        }
        assert!((6..=20).contains(&wrong) && later >= 9_900, "{wrong} reckoned, {later} put off");
        assert_eq!(attacker.get("/").await.location(), "/login");
        let mut strange = stranger(&live).await;
        let put_off = strange.post("/login", &[("password", PASSWORD)]).await;
        let wait: u64 = put_off.header("retry-after").parse().unwrap();
        assert!(put_off.status == StatusCode::TOO_MANY_REQUESTS && wait <= 11, "{wait}");
    })
    .await;
}

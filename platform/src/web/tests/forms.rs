//! Forms: what was typed stays, what is not understood does nothing, and none undoes what came between.

use hyper::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::live::{Browser, PASSWORD, with_node};
use crate::config::Page;
use crate::keep::{self, Passphrase};
use crate::state::Audience;

const NEW: &str = "quite another phrase";

async fn change_password(browser: &mut Browser) {
    browser.get("/settings").await;
    let fields = [("password", PASSWORD), ("new", NEW), ("again", NEW)];
    assert_eq!(browser.post("/settings/password", &fields).await.location(), "/settings?said=password");
}

#[tokio::test]
async fn a_form_that_comes_slowly_does_not_undo_a_new_password() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("password").await;
        let cookies: Vec<_> = owner.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body = format!("audience=figures&folders=&token={}", owner.token);
        let head = format!(
            "POST /settings/access HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            live.address,
            cookies.join("; "),
            body.len()
        );
        let (early, late) = body.split_at(10);
        let mut slow = TcpStream::connect(live.address).await.unwrap();
        slow.write_all((head + early).as_bytes()).await.unwrap();
        change_password(&mut owner).await;
        let changed = live.node.page().await.unwrap();
        slow.write_all(late.as_bytes()).await.unwrap();
        let mut answer = String::new();
        slow.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("out of date"), "{answer}");
        assert_eq!(live.node.page().await.unwrap(), changed);
    })
    .await;
}

#[tokio::test]
async fn a_change_counts_only_under_the_password_it_was_begun_under() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("password").await;
        let before = live.node.page().await.unwrap();
        let open = |entry: &mut crate::state::PageEntry| entry.audience = Audience::Figures;
        change_password(&mut owner).await;
        let changed = live.node.page().await.unwrap();
        let refused = live.node.change_page(before.seal, open).await;
        assert!(refused.unwrap_err().to_string().contains("changed meanwhile"));
        assert_eq!(live.node.page().await.unwrap(), changed);
        let done = live.node.change_page(changed.seal.clone(), open).await.unwrap();
        assert_eq!((done.audience, done.password), (Audience::Figures, changed.password));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_understood_does_nothing() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        let node = format!("{}.onion", "a".repeat(56));
        for (path, wanted) in [
            ("/services", ""),
            ("/services", "opens"),
            ("/trust/change", ""),
            ("/friends", "x"),
            ("/settings/keep", ""),
        ] {
            let fields = [("do", wanted), ("service", "shop"), ("node", node.as_str()), ("sure", "yes")];
            let answer = owner.post(path, &fields).await;
            assert!(answer.body.contains("this page cannot do that"), "{path} {wanted}: {}", answer.body);
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {wanted}");
        }
        let asked = owner.post("/services", &[("do", "open"), ("service", "shop")]).await;
        assert!(asked.body.contains("Open it to everybody?") && asked.body.contains("value=\"shop\""));
        let asked = owner.post("/trust/change", &[("do", "block"), ("node", &node)]).await;
        assert!(asked.body.contains("Block it?") && live.node.status().trust.blocked.is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_was_typed_stays_when_something_is_wrong() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        let typed = "typed by <hand>";
        let value = "typed by &lt;hand&gt;";
        let phrase = "a passphrase of words";
        let long = "long word ".repeat(40);
        let endless = format!("{typed} {long}");
        for (path, fields) in [
            ("/trust/change", vec![("do", "trust"), ("node", "nobody"), ("name", typed), ("untold", "yes")]),
            ("/trust/change", vec![("do", "mirror"), ("node", typed), ("follow", "yes")]),
            ("/friends", vec![("do", "accept"), ("words", "three"), ("friend", typed)]),
            ("/search", vec![("words", endless.as_str())]),
            ("/settings/access", vec![("audience", "figures"), ("folders", typed)]),
            (
                "/settings/keep",
                vec![("do", "here"), ("keep-file", typed), ("passphrase", phrase), ("once-more", "x")],
            ),
            ("/fetches/add", vec![("link", typed), ("folder", "/")]),
            ("/messages/send", vec![("to", "nobody"), ("text", typed)]),
        ] {
            let answer = owner.post(path, &fields).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", answer.body);
            assert!(answer.body.contains(value), "{path}: {}", answer.body);
            assert!(!answer.body.contains(phrase), "{path}: what is secret is typed again");
            let ticked = answer.body.contains("checked aria-describedby=\"untold-hint\"")
                || answer.body.contains("checked aria-describedby=\"follow-hint\"");
            assert_eq!(ticked, path == "/trust/change", "{path}");
        }
        let file = live.write("files/film.txt", "text").display().to_string();
        owner.post("/shares/add", &[("path", &file)]).await;
        let share = live.node.status().shares[0].clone();
        for kind in ["publish", "clean"] {
            let path = format!("/shares/{}/{kind}", share.info_hash);
            let answer = owner.post(&path, &[("tags", typed), ("text", &long.repeat(2))]).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{kind}");
            assert!(answer.body.contains(value) && answer.body.contains("shorten it"), "{}", answer.body);
            assert!(answer.body.contains("Publish as it is"), "the same form");
        }
    })
    .await;
}

#[tokio::test]
async fn a_keep_file_can_be_sent_to_a_new_node() {
    with_node(Page::default(), async |live| {
        let phrase = "a passphrase of words";
        let sealed = live.node.keep(Passphrase::to_seal(phrase).unwrap()).await.unwrap();
        let mut browser = live.browser();
        browser.get("/first/restore").await;
        for (file, phrase, words) in [
            (&b"no keep file"[..], phrase, "no keep file"),
            (b"", phrase, "choose the keep file"),
            (&sealed[..], "another passphrase", "does not open this keep file"),
            (&sealed[..], phrase, "The node starts again as the one it was"),
        ] {
            let token = browser.token.clone();
            let part = |head: &str| format!("--x7\r\nContent-Disposition: form-data; name=\"{head}\r\n\r\n");
            let fields = [("token", token.as_str()), ("keep-file", ""), ("passphrase", phrase)];
            let mut body: Vec<u8> = Vec::new();
            for (name, value) in fields {
                body.extend(format!("{}{value}\r\n", part(&format!("{name}\""))).bytes());
            }
            body.extend(part("upload\"; filename=\"bulbil.keep\"").bytes());
            body.extend(file.iter().copied().chain(*b"\r\n--x7--\r\n"));
            let kind = [("content-type", "multipart/form-data; boundary=x7")];
            let answer = browser.send(Method::POST, "/first/restore", body, &kind).await;
            assert!(answer.body.contains(words), "{words}: {}", answer.body);
        }
        let (kept, place) = keep::take_aside().unwrap();
        assert!(place.is_none() && kept.age_s().is_some(), "it lies nowhere here");
    })
    .await;
}

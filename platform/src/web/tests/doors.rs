//! What is refused before any page is made, and what every answer says to the browser.

use hyper::{Method, StatusCode};

use super::live::{with_config, with_node};
use crate::config::{Config, Metrics, Page, Password};

const PATHS: [&str; 28] = [
    "/",
    "/login",
    "/first",
    "/first/restore",
    "/style.css",
    "/icon.svg",
    "/metrics",
    "/shares",
    "/shares/none",
    "/fetches",
    "/fetches/new",
    "/files",
    "/search",
    "/trust",
    "/trust/qr.bmp",
    "/messages",
    "/proxies",
    "/services",
    "/services/none/key.bmp",
    "/machine",
    "/peers",
    "/tor",
    "/statistics",
    "/statistics.json",
    "/log",
    "/settings",
    "/status.json",
    "/nowhere",
];

#[tokio::test]
async fn every_answer_is_strict_with_the_browser() {
    with_node(Page::default(), async |live| {
        let (mut owner, mut stranger) = (live.owner("machine").await, live.browser());
        for path in PATHS {
            for browser in [&mut owner, &mut stranger] {
                let answer = browser.get(path).await;
                let csp = answer.header("content-security-policy");
                assert!(
                    csp.starts_with("default-src 'none';") && csp.contains("frame-ancestors 'none'"),
                    "{path}"
                );
                assert!(
                    !csp.contains("unsafe") && !csp.contains("script") && !csp.contains("data:"),
                    "{path}: {csp}"
                );
                for (name, value) in [
                    ("referrer-policy", "no-referrer"),
                    ("x-content-type-options", "nosniff"),
                    ("x-frame-options", "DENY"),
                    ("cache-control", "no-store"),
                    ("cross-origin-opener-policy", "same-origin"),
                    ("cross-origin-resource-policy", "same-origin"),
                    ("access-control-allow-origin", ""),
                    ("server", ""),
                ] {
                    assert_eq!(answer.header(name), value, "{path}: {name}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn cookies_stay_with_the_browser_and_on_this_page() {
    with_node(Page::default(), async |live| {
        let mut browser = live.browser();
        let begun = browser.get("/first").await;
        let fields = [("password", super::live::PASSWORD), ("again", super::live::PASSWORD)];
        let welcome = browser.post("/first", &fields).await;
        let all: Vec<_> = [&begun, &welcome]
            .iter()
            .flat_map(|answer| answer.headers.get_all("set-cookie"))
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        assert_eq!(all.len(), 4, "{all:?}");
        for cookie in all {
            for word in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
                assert!(cookie.contains(word), "{cookie}");
            }
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
    })
    .await;
}

#[tokio::test]
async fn names_that_are_not_ours_are_refused() {
    let page = Page { names: vec!["node.home.arpa".into()], ..Page::default() };
    with_node(page, async |live| {
        let mut owner = live.owner("machine").await;
        let port = live.address.port();
        for (host, status) in [
            (format!("evil.example:{port}"), StatusCode::MISDIRECTED_REQUEST),
            (format!("localhost.evil.example:{port}"), StatusCode::MISDIRECTED_REQUEST),
            ("127.0.0.1:1".into(), StatusCode::MISDIRECTED_REQUEST),
            ("127.0.0.1".into(), StatusCode::MISDIRECTED_REQUEST),
            (format!("{}.onion", "a".repeat(56)), StatusCode::MISDIRECTED_REQUEST),
            (format!("localhost:{port}"), StatusCode::OK),
            (format!("Node.Home.Arpa:{port}"), StatusCode::OK),
        ] {
            let answer = owner.send(Method::GET, "/", String::new(), &[("host", &host)]).await;
            assert_eq!(answer.status, status, "{host}");
            assert!(status == StatusCode::OK || !answer.body.contains("Shares"), "{host}");
        }
    })
    .await;
}

#[tokio::test]
async fn forms_from_elsewhere_or_without_their_token_do_nothing() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        let entry = live.node.page().await.unwrap();
        let right = owner.token.clone();
        let access = |token: &str| format!("audience=password&folders=&token={token}");
        for (token, headers, why) in [
            (right.as_str(), vec![("origin", "http://evil.example")], "another origin"),
            (&right, vec![("origin", "http://127.0.0.1:1")], "another port"),
            (&right, vec![("sec-fetch-site", "cross-site")], "another site"),
            (&right, vec![("origin", "null"), ("sec-fetch-site", "same-site")], "another port, hidden"),
            ("", vec![], "no token"),
            ("aaaa", vec![], "a wrong token"),
        ] {
            let answer = owner.send(Method::POST, "/settings/access", access(token), &headers).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{why}");
        }
        let mut stranger = live.browser();
        stranger.get("/login").await;
        let foreign = stranger.token.clone();
        let answer = owner.send(Method::POST, "/settings/access", access(&foreign), &[]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "the token of another browser");
        let answer = stranger.send(Method::POST, "/settings/access", access(&foreign), &[]).await;
        assert_eq!(answer.location(), "/login", "a token without a session");
        let answer = owner.send(Method::PUT, "/settings/access", access(&right), &[]).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(live.node.page().await.unwrap(), entry, "nothing was changed");
        let answer =
            owner.send(Method::POST, "/settings/access", access(&right), &[("origin", "null")]).await;
        assert_eq!(answer.location(), "/settings?said=saved");
        assert_ne!(live.node.page().await.unwrap(), entry);
    })
    .await;
}

#[tokio::test]
async fn other_pages_cannot_use_ours() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        let script =
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")];
        let answer = owner.send(Method::GET, "/status.json", String::new(), &script).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(owner.send(Method::GET, "/", String::new(), &link).await.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn figures_for_programs_need_a_session_or_the_token() {
    let token = Some(Password("0123456789abcdefghij".into()));
    let metrics = Metrics { token, ..Metrics::default() };
    with_config(Config { metrics, ..Config::default() }, async |live| {
        let mut owner = live.owner("password").await;
        let mut program = live.browser();
        for (authorization, status) in [
            ("", StatusCode::UNAUTHORIZED),
            ("Bearer 0123456789abcdefghiJ", StatusCode::UNAUTHORIZED),
            ("Bearer 0123456789abcdefghijk", StatusCode::UNAUTHORIZED),
            ("Basic 0123456789abcdefghij", StatusCode::UNAUTHORIZED),
            ("Bearer 0123456789abcdefghij", StatusCode::OK),
            ("bearer 0123456789abcdefghij", StatusCode::OK),
        ] {
            let answer = program
                .send(Method::GET, "/metrics", String::new(), &[("authorization", authorization)])
                .await;
            assert_eq!(answer.status, status, "{authorization:?}");
            assert_eq!(answer.body.contains("bulbil_uptime_seconds"), status == StatusCode::OK);
            assert_eq!(answer.header("www-authenticate") == "Bearer", status != StatusCode::OK);
        }
        let token = [("authorization", "Bearer 0123456789abcdefghij")];
        for path in ["/", "/status.json", "/settings"] {
            let answer = program.send(Method::GET, path, String::new(), &token).await;
            assert_ne!(answer.status, StatusCode::OK, "{path}: the token opens the figures only");
        }
        let answer = owner.get("/metrics").await;
        assert_eq!(answer.header("content-type"), crate::metrics::CONTENT_TYPE);
        assert!(!owner.get("/settings").await.body.contains("0123456789abcdefghij"), "hidden on the page");
    })
    .await;
}

#[tokio::test]
async fn without_a_token_in_the_settings_none_is_right() {
    with_node(Page::default(), async |live| {
        live.owner("password").await;
        for authorization in ["Bearer ", "Bearer", "Bearer none"] {
            let mut program = live.browser();
            let headers = [("authorization", authorization)];
            let answer = program.send(Method::GET, "/metrics", String::new(), &headers).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{authorization:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_is_not_ours_is_not_switched_off() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        for wanted in ["off", "reboot", "", "x"] {
            let fields = [("do", wanted), ("sure", "yes")];
            assert_eq!(owner.post("/machine/power", &fields).await.location(), "/machine");
        }
        assert_eq!(owner.get("/machine").await.status, StatusCode::OK, "it still runs");
        let allowed = owner.post("/files/allow", &[("disk", "/etc")]).await;
        assert_eq!(allowed.location(), "/files?said=saved");
        assert!(!live.node.page().await.unwrap().folders.iter().any(|folder| folder == "/etc"), "no disk");
    })
    .await;
}

#[tokio::test]
async fn figures_are_for_everyone_and_names_are_not() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("figures").await;
        let file = live.write("files/secret name.txt", "text");
        let path = file.display().to_string();
        let shared = owner.post("/shares/add", &[("path", &path)]).await;
        assert!(shared.location().ends_with("?said=shared"), "{}", shared.body);
        assert!(owner.get("/shares").await.body.contains("secret name.txt"));
        let mut guest = live.browser();
        let seen = guest.get("/").await;
        assert!(seen.status == StatusCode::OK && !seen.body.contains("secret name"), "{}", seen.body);
        for path in ["/shares", "/files", "/log", "/settings", "/tor", "/statistics"] {
            assert_eq!(guest.get(path).await.location(), "/login", "{path}");
        }
        assert_eq!(guest.get("/status.json").await.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn shares_and_fetches_stay_within_the_allowed_folders() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        let outside = live.write("outside/file.txt", "text").display().to_string();
        let inside = live.write("files/deep/file.txt", "text");
        let detour = format!("{}/../../outside/file.txt", inside.parent().unwrap().display());
        for path in [outside.as_str(), &detour, "", "/"] {
            let refused = owner.post("/shares/add", &[("path", path)]).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        }
        let shared = owner.post("/shares/add", &[("path", &inside.display().to_string())]).await;
        let share = live.node.status().shares[0].clone();
        assert_eq!(shared.location(), format!("/shares/{}?said=shared", share.info_hash));
        let page = owner.get(&format!("/shares/{}", share.info_hash)).await;
        assert!(page.body.contains(&share.link));
        let code = owner.get(&format!("/shares/{}/qr.bmp", share.info_hash)).await;
        assert!(code.header("content-type") == "image/bmp" && code.body.starts_with("BM"));
        let elsewhere = [("link", share.link.as_str()), ("folder", "/")];
        let refused = owner.post("/fetches/add", &elsewhere).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let inside = inside.parent().unwrap().display().to_string();
        owner.post("/fetches/add", &[("link", share.link.as_str()), ("folder", inside.as_str())]).await;
        let forget = format!("/fetches/{}/forget", live.node.status().fetches[0].id);
        assert!(owner.get("/fetches").await.body.contains(&forget));
        assert_eq!(owner.post(&forget, &[]).await.location(), "/fetches?said=forgotten");
        assert!(live.node.status().fetches.is_empty());
        assert_eq!(owner.post(&forget, &[]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let unshare = format!("/shares/{}/unshare", share.info_hash);
        assert!(owner.post(&unshare, &[]).await.body.contains("Its link is dead for good"));
        assert_eq!(live.node.status().shares.len(), 1, "only asked");
        let gone = owner.post(&unshare, &[("sure", "yes")]).await;
        assert_eq!(gone.location(), "/shares?said=unshared");
        assert!(live.node.status().shares.is_empty());
    })
    .await;
}

#[tokio::test]
async fn folders_are_walked_by_number() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        live.write("files/deep/down/file.txt", "text");
        let folder = |page: &str, name: &str| {
            let before = page.split(&format!("\">{name}")).next().unwrap().to_owned();
            before.rsplit("href=\"").next().unwrap().to_owned()
        };
        let roots = owner.get("/files").await.body;
        let root = live.scratch.path().join("files").display().to_string();
        let top = owner.get(&folder(&roots, &root)).await.body;
        let deep = owner.get(&folder(&top, "deep/")).await.body;
        let down = owner.get(&folder(&deep, "down/")).await.body;
        assert!(down.contains("file.txt") && down.contains("Share this whole folder"));
        assert_eq!(owner.get("/files/99999").await.status, StatusCode::NOT_FOUND);
        // What stands in addresses tells nothing about the disk.
        assert!(!down.contains("href=\"/files?") && !folder(&deep, "down/").contains("down"));
    })
    .await;
}

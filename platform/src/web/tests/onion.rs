//! The page's own onion service, and who comes by it.

use std::time::Duration;

use hyper::StatusCode;
use tokio::time::sleep;

use super::live::{Answer, Browser, Door, Live, PASSWORD, with_node};
use crate::config::Page;
use crate::net::{AccessKey, ServiceKey};

/// Until the page shows these words. The limit on the whole test ends this if it never does.
async fn shown(browser: &mut Browser, words: &str) -> String {
    loop {
        let page = browser.get("/tor").await.body;
        if page.contains(words) {
            return page;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn host(page: &str) -> String {
    page.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned()
}

/// A browser that comes by the onion service.
async fn far(live: &Live) -> Browser {
    let entry = live.node.page().await.unwrap();
    let address = ServiceKey::from_seed(entry.onion_seed.unwrap().0).address(80);
    let access = AccessKey::derive(&entry.onion_access.unwrap().0);
    let mut browser = live.browser();
    browser.door = Some(Door { network: live.network.clone(), address, access });
    browser
}

async fn switch(browser: &mut Browser, fields: &[(&str, &str)]) -> Answer {
    browser.post("/tor/onion", fields).await
}

#[tokio::test]
async fn the_page_visits_its_own_onion() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        assert_eq!(owner.get("/tor/qr.bmp").await.status, StatusCode::NOT_FOUND);
        assert!(owner.get("/tor").await.body.contains("Switch on"));
        assert_eq!(switch(&mut owner, &[("onion", "on")]).await.location(), "/tor?said=saved");
        let page = shown(&mut owner, "fetched it through Tor itself").await;
        assert!(page.contains(".onion/") && page.contains("Client key"));
        let before = host(&page);
        let asked = switch(&mut owner, &[("onion", "renew")]).await.body;
        let next = host(&asked);
        assert!(next != before && asked.contains("dead for good") && !asked.contains("by this very address"));
        shown(&mut owner, &before).await;
        let other = switch(&mut owner, &[("onion", "renew"), ("host", &before), ("sure", "yes")]).await;
        assert!(other.body.contains("shown too long ago"), "only what was shown is taken");
        let sure = [("onion", "renew"), ("host", next.as_str()), ("sure", "yes")];
        assert_eq!(switch(&mut owner, &sure).await.location(), "/tor?said=saved");
        shown(&mut owner, &next).await;
        for wanted in ["", "of", "x"] {
            let answer = switch(&mut owner, &[("onion", wanted), ("sure", "yes")]).await;
            assert!(answer.body.contains("this page cannot do that"), "{wanted}");
        }
        assert!(switch(&mut owner, &[("onion", "off")]).await.body.contains("Switch it off?"));
        assert!(live.node.page().await.unwrap().onion, "only asked");
        let off = switch(&mut owner, &[("onion", "off"), ("sure", "yes")]).await;
        assert_eq!(off.location(), "/tor?said=saved");
        shown(&mut owner, "Switch on").await;
    })
    .await;
}

#[tokio::test]
async fn who_comes_by_the_onion_has_the_next_address_before_it_ends() {
    with_node(Page::default(), async |live| {
        let mut owner = live.owner("machine").await;
        switch(&mut owner, &[("onion", "on")]).await;
        shown(&mut owner, "reachable").await;
        let mut remote = far(&live).await;
        remote.get("/login").await;
        assert_eq!(remote.post("/login", &[("password", PASSWORD)]).await.location(), "/");
        remote.get("/tor").await;
        let asked = switch(&mut remote, &[("onion", "renew")]).await.body;
        assert!(asked.contains("You are here by this very address"), "{asked}");
        let next = host(&asked);
        let key = asked.rsplit("<code class=\"select\">").next().unwrap().split('<').next().unwrap();
        let sure = [("onion", "renew"), ("host", next.as_str()), ("sure", "yes")];
        let gone = switch(&mut remote, &sure).await;
        assert!(gone.status == StatusCode::OK && gone.body.contains(&next) && gone.body.contains(key));
        let page = shown(&mut owner, &next).await;
        assert!(page.contains(key), "the key that was told is the one that counts");
        shown(&mut owner, "reachable").await;
        let mut remote = far(&live).await;
        assert_eq!(remote.get("/login").await.status, StatusCode::OK, "and it leads here");
    })
    .await;
}

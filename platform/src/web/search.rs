//! Searching among the nodes that the owner trusts. Results come as nodes answer; the page shows those so far.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use maud::{Markup, html};
use serde::Serialize;

use super::frame::{self, Frame};
use super::guard::Fields;
use super::layout::{fault, field, heading, plural};
use super::site::Shared;
use super::visitor::Visitor;
use crate::status::{Hit, SearchEvent, Status};
use crate::words::{size, span};

/// Searches remembered; one more forgets the oldest.
const SEARCHES: usize = 8;

/// Results of a search that are kept.
const HITS: usize = 300;

/// What answers within this is on the first page already.
const SOON: Duration = Duration::from_millis(1_500);

/// One search, as the page shows it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Search {
    pub(super) id: u64,
    pub(super) words: String,
    pub(super) hits: Vec<Hit>,
    /// Nodes that answered.
    pub(super) asked: u64,
    /// Nodes that did not.
    pub(super) failed: u64,
    pub(super) done: bool,
}

/// The searches, newest last.
#[derive(Debug, Default)]
pub(super) struct Searches(Mutex<(u64, VecDeque<Search>)>);

impl Searches {
    fn begin(&self, words: &str) -> u64 {
        let mut inner = self.lock();
        let (next, all) = &mut *inner;
        *next = next.saturating_add(1);
        if all.len() == SEARCHES {
            all.pop_front();
        }
        all.push_back(Search { id: *next, words: words.to_owned(), ..Search::default() });
        *next
    }

    /// Takes note; `false` once the search is forgotten.
    fn hear(&self, id: u64, event: SearchEvent) -> bool {
        let mut inner = self.lock();
        let Some(search) = inner.1.iter_mut().find(|search| search.id == id) else { return false };
        match event {
            SearchEvent::Hit(hit) => {
                search.hits.retain(|known| known.info_hash != hit.info_hash);
                if search.hits.len() < HITS {
                    search.hits.push(hit);
                }
            }
            SearchEvent::Asked { failed: None, .. } => search.asked += 1,
            SearchEvent::Asked { .. } => search.failed += 1,
            SearchEvent::Done { asked, failed } => {
                (search.asked, search.failed, search.done) = (asked, failed, true);
            }
        }
        true
    }

    fn end(&self, id: u64) {
        self.lock().1.iter_mut().filter(|search| search.id == id).for_each(|search| search.done = true);
    }

    fn get(&self, id: u64) -> Option<Search> {
        self.lock().1.iter().find(|search| search.id == id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<Search>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /search`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    Html(page(&site.node.status(), None, "", None, &Frame::of(&site, &visitor, &uri)).into_string())
}

/// `GET /search/{id}`
pub(super) async fn found(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<u64>,
    uri: Uri,
) -> Response {
    let Some(search) = site.searches.get(id) else { return frame::missing() };
    let frame = Frame::of(&site, &visitor, &uri);
    Html(page(&site.node.status(), Some(&search), &search.words, None, &frame).into_string()).into_response()
}

/// `GET /search/{id}/data.json`
pub(super) async fn data(State(site): State<Shared>, Path(id): Path<u64>) -> Response {
    site.searches.get(id).map_or_else(frame::missing, |search| Json(search).into_response())
}

/// `POST /search`: words are no part of an address, so a form leads here.
pub(super) async fn begin(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let words = fields.get("words").trim().to_owned();
    let mut events = match site.node.search(words.clone()).await {
        Ok(events) => events,
        Err(why) => {
            let frame = Frame::of(&site, &visitor, &uri);
            let page = page(&site.node.status(), None, &words, Some(&why.to_string()), &frame);
            return (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response();
        }
    };
    let (id, working) = (site.searches.begin(&words), Shared::clone(&site));
    let listening = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if !working.searches.hear(id, event) {
                return; // dropping the receiver ends the search
            }
        }
        working.searches.end(id);
    });
    _ = tokio::time::timeout(SOON, listening).await; // it goes on behind
    Redirect::to(&format!("/search/{id}")).into_response()
}

/// The page, as a pure function of the status and what was found so far.
pub(super) fn page(
    status: &Status,
    search: Option<&Search>,
    words: &str,
    why: Option<&str>,
    frame: &Frame,
) -> Markup {
    frame.page("Search", "/search", &html! {
        (heading("Search", &html! {}))
        (fault(why))
        (frame.form("/search", "card row", &html! {
            (field("words", "Words in the name, the tags or the text", "", &html! {
                input id="words" name="words" type="search" required maxlength="256" value=(words);
            }))
            button type="submit" class="main" { "Search" }
        }))
        @match search {
            None => p class="quiet" {
                "Asks the " (plural(status.trust.nodes.len() as u64, "node", "nodes")) " that you "
                a href="/trust" { "trust" } ", and searches the " (plural(status.records.served.saturating_add(status.records.seen), "record", "records")) " that are here."
            },
            Some(search) => (results(search, frame)),
        }
    })
}

fn results(search: &Search, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="found-title" {
            h2 id="found-title" { "Found" @if !search.hits.is_empty() { " " span class="count" { (search.hits.len()) } } }
            p class="quiet" role="status" {
                (plural(search.asked, "node", "nodes")) " answered"
                @if search.failed > 0 { ", " (search.failed) " did not" }
                @if search.done { "." } @else { "; others are still being asked." }
            }
            @if !search.done { (frame.watch(&format!("/search/{}", search.id))) }
            @if search.hits.is_empty() && search.done { p class="empty" { "Nothing was found." } }
            @for hit in &search.hits { (card(hit, frame)) }
        }
    }
}

fn card(hit: &Hit, frame: &Frame) -> Markup {
    html! {
        article class="card" {
            header { h3 { (hit.name) } }
            @if !hit.text.is_empty() { p { (hit.text) } }
            p class="line" {
                span { (size(hit.size)) }
                span { (plural(hit.sources, "source", "sources")) }
                span { (span(hit.age_s)) " old" }
                @if !hit.tags.is_empty() { span { (hit.tags) } }
                span { @if hit.through.is_empty() { "known here" } @else { "through " (hit.through.join(", ")) } }
            }
            @match &hit.link {
                Some(link) => div class="actions" {
                    (frame.form("/fetches/new", "inline", &html! {
                        input type="hidden" name="link" value=(link);
                        button type="submit" aria-label={ "Fetch " (hit.name) } { "Fetch" }
                    }))
                },
                None => p class="quiet" { "Nobody is known to serve it now." },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_search_makes_room_and_hits_are_told_once() {
        let searches = Searches::default();
        let first = searches.begin("one");
        let hit = |sources| SearchEvent::Hit(Hit { info_hash: "aa".into(), sources, ..Hit::default() });
        assert!(searches.hear(first, hit(1)) && searches.hear(first, hit(2)));
        assert!(searches.hear(first, SearchEvent::Asked { node: "x".into(), failed: None }));
        let found = searches.get(first).unwrap();
        assert_eq!((found.hits.len(), found.hits[0].sources, found.asked, found.done), (1, 2, 1, false));
        assert!(searches.hear(first, SearchEvent::Done { asked: 3, failed: 1 }));
        assert!(searches.get(first).unwrap().done);
        (0..SEARCHES).for_each(|_| _ = searches.begin("more"));
        assert!(searches.get(first).is_none() && !searches.hear(first, hit(1)));
    }
}

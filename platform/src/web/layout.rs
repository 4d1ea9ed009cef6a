//! The frame around every page.

use maud::{DOCTYPE, Markup, html};

/// A whole page. It reloads itself every `refresh` seconds, if at all.
pub(super) fn page(title: &str, refresh: Option<u64>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                @if let Some(seconds) = refresh {
                    meta http-equiv="refresh" content=(seconds);
                }
                title { (title) }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a class="skip" href="#main" { "Skip to content" }
                header class="top" {
                    p class="name" { a href="/" { "Bulbil" } }
                    nav aria-label="Sections" {
                        a href="#fetches" { "Fetches" }
                        a href="#shares" { "Shares" }
                        a href="#peers" { "Peers" }
                    }
                }
                main id="main" { (body) }
                footer {
                    p { "The same as data: " a href="/status.json" { "status.json" } }
                }
            }
        }
    }
}

/// A path that is none.
pub(super) fn missing() -> Markup {
    page(
        "Not found",
        None,
        &html! {
            section { h1 { "Nothing here" } p { a href="/" { "Back to the overview" } } }
        },
    )
}

/// A section with a heading and a count beside it.
pub(super) fn section(id: &str, title: &str, count: usize, body: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) @if count > 0 { " " span class="count" { (count) } } }
            (body)
        }
    }
}

/// A short word with a colour; the word alone says it too.
pub(super) fn badge(kind: &str, word: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (word) } }
}

/// A bar with its label.
pub(super) fn bar(label: &str, percent: u64) -> Markup {
    html! { progress max="100" value=(percent) aria-label=(label) { (percent) " %" } }
}

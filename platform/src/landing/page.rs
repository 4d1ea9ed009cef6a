//! The page at a link. No script, no form, nothing loaded: one request, one answer.

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::Landing;
use crate::words::size;

/// Files on one page.
const FILES: usize = 500;

const STYLE: &str = include_str!("style.css");

/// What the page may load: nothing but the style that stands in it.
pub(super) fn policy() -> String {
    let hash = BASE64.encode(&Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page about a share, with its files from this number on. `None` if there are not so many.
pub(super) fn page(landing: &Landing, from: usize) -> Option<Markup> {
    let content = &landing.content;
    let files = content.paths().len();
    if from != 0 && (from >= files || !from.is_multiple_of(FILES)) {
        return None;
    }
    Some(frame(
        content.name(),
        &html! {
            h1 { bdi { (content.name()) } }
            dl {
                dt { "Size" } dd { (size(content.layout().total())) }
                dt { "Files" } dd { (files) }
                dt { "Info-hash" } dd { code { (content.info_hash().to_string()) } }
            }
            (listing(landing, from))
            (how(landing))
        },
    ))
}

fn listing(landing: &Landing, from: usize) -> Markup {
    let files = landing.content.paths().len();
    let upto = from.saturating_add(FILES).min(files);
    let at = |from: usize| format!("{}/from/{from}", base(landing));
    html! {
        h2 { @if landing.browser { "Download" } @else { "What is in it" } }
        @if landing.browser {
            p { "Each file is kept, never opened. A download that breaks off, as one over 150 MiB may, can be resumed. Your browser does not check \
                 that what it gets is whole and right; Bulbil does." }
        }
        ol start=(from.saturating_add(1)) {
            @for number in from..upto { li { (line(landing, number)) } }
        }
        @if files > FILES {
            p {
                "Files " (from.saturating_add(1)) " to " (upto) " of " (files) ". "
                @if from > 0 { a rel="prev" href=(at(from.saturating_sub(FILES))) { "The ones before" } " " }
                @if upto < files { a rel="next" href=(at(upto)) { "The next ones" } }
            }
        }
    }
}

fn line(landing: &Landing, number: usize) -> Markup {
    let content = &landing.content;
    let path = match content.paths().get(number) {
        Some(path) if !content.is_single_file() => path.as_str(),
        _ => content.name(),
    };
    let span = u32::try_from(number).ok().and_then(|file| content.layout().span_of_file(file));
    html! {
        @if landing.browser {
            a href={ (base(landing)) "/files/" (number) } download { bdi { (path) } }
        } @else {
            bdi { (path) }
        }
        " " span class="size" { (size(span.map_or(0, |span| span.length))) }
    }
}

fn how(landing: &Landing) -> Markup {
    html! {
        h2 { "With Bulbil" }
        p {
            "Bulbil checks every block, goes on after any interruption, and is faster."
            @if !landing.browser { " The owner of this share gives its files to Bulbil only." }
        }
        pre { code { "bulbil fetch " (landing.link.to_string()) " --out ." } }
        p { "Whoever has this link can fetch the files. Give it away with care." }
    }
}

/// Path of the share, without a slash at the end.
fn base(landing: &Landing) -> String {
    let kind = if landing.link.public { "public" } else { "private" };
    format!("/{kind}/{}", landing.link.token.reveal())
}

pub(super) fn missing() -> String {
    notice("Nothing here", "The link is wrong, or the share was withdrawn. Ask its owner for a new one.")
}

pub(super) fn busy() -> String {
    notice("Busy", "Others are downloading this right now. Try again in half a minute.")
}

pub(super) fn unreadable() -> String {
    notice(
        "Not readable",
        "The file changed since it was shared, or is gone. Ask its owner to share it again.",
    )
}

pub(super) fn only_reading() -> String {
    notice("Read only", "This can only be looked at and downloaded.")
}

pub(super) fn bulbil_only() -> String {
    notice(
        "With Bulbil only",
        "The owner of this share gives its files to Bulbil only; the page of the link says how.",
    )
}

/// A page with nothing but words, without any style.
fn notice(title: &str, text: &str) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } link rel="icon" href="data:,"; }
            body { h1 { (title) } p { (text) } }
        }
    }
    .into_string()
}

fn frame(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    }
}

//! The small parts that pages are made of.

use maud::{Markup, html};

/// A section with a heading and a count beside it.
pub(super) fn section(id: &str, title: &str, count: usize, body: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) @if count > 0 { " " span class="count" { (count) } } }
            (body)
        }
    }
}

/// A heading of a page, with what one may do there beside it.
pub(super) fn heading(title: &str, aside: &Markup) -> Markup {
    html! { div class="heading" { h1 { (title) } div class="aside" { (aside) } } }
}

/// A short word with a colour; the word alone says it too.
pub(super) fn badge(kind: &str, word: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (word) } }
}

/// A bar with its label.
pub(super) fn bar(label: &str, percent: u64) -> Markup {
    html! { progress max="100" value=(percent) aria-label=(label) { (percent) " %" } }
}

/// What went wrong, and what to do about it.
pub(super) fn fault(why: Option<&str>) -> Markup {
    html! { @if let Some(why) = why { p class="notice bad" role="alert" { (why) } } }
}

/// A field with its label, and a hint below.
pub(super) fn field(id: &str, label: &str, hint: &str, input: &Markup) -> Markup {
    html! {
        div class="field" {
            label for=(id) { (label) }
            (input)
            @if !hint.is_empty() { small id={ (id) "-hint" } { (hint) } }
        }
    }
}

/// A wide table that scrolls by itself on narrow screens.
pub(super) fn table(label: &str, inner: &Markup) -> Markup {
    html! { div class="scroll" tabindex="0" role="region" aria-label=(label) { table { (inner) } } }
}

/// A table whose last column is a sentence: on narrow screens that goes below the others. What it is, is said in so many words:
/// a browser takes a row that is laid out otherwise for none. `log`: rows are told by a number, not by a name.
pub(super) fn list(
    label: &str,
    log: bool,
    heads: [&str; 3],
    rows: impl IntoIterator<Item = [Markup; 3]>,
) -> Markup {
    html! {
        div class="scroll stack" tabindex="0" role="region" aria-label=(label) {
            table role="table" aria-label=(label) {
                thead role="rowgroup" { tr role="row" {
                    @for head in heads { th scope="col" role="columnheader" { (head) } }
                } }
                tbody role="rowgroup" class=[log.then_some("log")] { @for [first, second, third] in rows { tr role="row" {
                    @if log { td role="cell" class="number" { (first) } }
                    @else { th scope="row" role="rowheader" { (first) } }
                    td role="cell" { (second) }
                    td role="cell" { (third) }
                } } }
            }
        }
    }
}

/// One or many of something.
pub(super) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

//! The question before something that cannot be taken back: what it costs, a button that does it, and a way out.

use maud::{Markup, html};

use super::frame::Frame;
use super::guard::Fields;
use super::layout::heading;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) title: &'a str,
    /// The page that it belongs to, as the navigation knows it.
    pub(super) here: &'a str,
    /// Where the answer is sent: to the handler that asks.
    pub(super) action: &'a str,
    /// What the form says besides.
    pub(super) fields: &'a [(&'a str, &'a str)],
    /// What the button says.
    pub(super) yes: &'a str,
    /// What the way out says, and where it leads.
    pub(super) no: (&'a str, &'a str),
}

/// Whether the form is the answer to a question.
pub(super) fn is_answered(fields: &Fields) -> bool {
    fields.ticked("sure")
}

impl Question<'_> {
    /// The page; `cost` is what the visitor should know first.
    pub(super) fn page(&self, cost: &Markup, frame: &Frame) -> Markup {
        frame.page(
            self.title,
            self.here,
            &html! {
                (heading(self.title, &html! {}))
                (cost)
                (frame.form(self.action, "actions", &html! {
                    @for (name, value) in self.fields { input type="hidden" name=(name) value=(value); }
                    button type="submit" name="sure" value="yes" class="danger" { (self.yes) }
                    a class="button" href=(self.no.1) { (self.no.0) }
                }))
            },
        )
    }
}

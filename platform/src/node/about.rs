//! What a share says about itself in public, besides its name: by these words it is found.

use bulbil_core::limits::{MAX_TAGS, MAX_TEXT};
use serde::{Deserialize, Serialize};

use super::NodeError;

/// See the module. What is left out stays as it is; what is empty is taken away.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct About {
    /// Separated by commas; 128 bytes with them at most.
    pub tags: Option<String>,
    /// One line of 400 bytes at most.
    pub text: Option<String>,
}

impl About {
    /// The same in its one form: blanks and empty tags left out, none twice.
    pub(crate) fn checked(self) -> Result<Self, NodeError> {
        let tags = self.tags.map(|tags| {
            let mut each: Vec<&str> = Vec::new();
            for tag in tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                if !each.contains(&tag) {
                    each.push(tag);
                }
            }
            each.join(",")
        });
        let text = self.text.map(|text| text.trim().to_owned());
        if [&tags, &text].into_iter().flatten().any(|words| words.chars().any(char::is_control)) {
            return Err(bad("tags and text are one line each, without control characters"));
        }
        if let Some(length) = tags.as_ref().map(String::len).filter(|length| *length > MAX_TAGS) {
            return Err(bad(&format!(
                "tags have {MAX_TAGS} bytes in all, commas included, and these have {length} ({BEYOND}); leave some out"
            )));
        }
        if let Some(length) = text.as_ref().map(String::len).filter(|length| *length > MAX_TEXT) {
            return Err(bad(&format!(
                "the text of a share has {MAX_TEXT} bytes at most, and this has {length} ({BEYOND}); shorten it"
            )));
        }
        Ok(Self { tags, text })
    }

    /// Whether it says anything new.
    pub(super) const fn is_empty(&self) -> bool {
        self.tags.is_none() && self.text.is_none()
    }
}

/// Why a form that counts letters lets more through.
const BEYOND: &str = "a letter beyond plain English counts as two to four";

fn bad(why: &str) -> NodeError {
    NodeError::Bad(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tags: &str, text: &str) -> Result<(String, String), String> {
        let about = About { tags: Some(tags.into()), text: Some(text.into()) }.checked();
        about.map(|about| (about.tags.unwrap(), about.text.unwrap())).map_err(|why| why.to_string())
    }

    #[test]
    fn words_have_one_form_and_a_limit() {
        assert_eq!(
            check(" maps,, deltas ,maps,", " As of 1890. "),
            Ok(("maps,deltas".into(), "As of 1890.".into()))
        );
        assert_eq!(check("", " "), Ok((String::new(), String::new())));
        let (tags, text) = ("t".repeat(MAX_TAGS), "x".repeat(MAX_TEXT));
        assert!(check(&tags, &text).is_ok());
        assert!(check(&format!("{tags}t"), "").unwrap_err().contains("128 bytes"));
        assert!(check(&"ä".repeat(MAX_TAGS), "").unwrap_err().contains("these have 256 (a letter"));
        assert!(check("", &format!("{text}x")).unwrap_err().contains("400 bytes"));
        for (tags, text) in [("a\u{1b}[2J", ""), ("", "two\nlines")] {
            assert!(check(tags, text).unwrap_err().contains("one line"));
        }
        assert!(About::default().checked().unwrap().is_empty());
    }
}

//! What the image says of itself.

use std::fs;

use serde::Deserialize;

/// Written by the builder of the image.
const FILE: &str = "/image.toml";

/// Which board this is for, and when it was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct Image {
    /// The board's folder in `boards/`.
    pub(super) board: String,
    /// The earliest time it can be now, in seconds since 1970.
    pub(super) epoch: u64,
}

impl Image {
    /// Reads it; an image made by hand may have none.
    pub(super) fn read() -> Self {
        let text = fs::read_to_string(FILE).unwrap_or_default();
        toml::from_str(&text).unwrap_or_else(|_| Self { board: "a board".to_owned(), epoch: 0 })
    }
}

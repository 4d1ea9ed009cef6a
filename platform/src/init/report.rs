//! What the node should show of the machine: kept here, and written for it at each change.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use super::console::say;
use super::image::Image;
use super::settings::Settings;
use crate::status::board::{Board, FILE, Link, Note, Verdict};

/// The key of notes about a radio.
pub(super) fn wifi_key(interface: &str) -> String {
    format!("Wi-Fi {interface}")
}

/// The one account of the machine.
#[derive(Debug)]
pub(super) struct Report(RefCell<Board>);

impl Report {
    pub(super) fn new(image: &Image, settings: &Settings) -> Self {
        Self(RefCell::new(Board {
            image: image.board.clone(),
            notes: settings.notes.clone(),
            ..Board::default()
        }))
    }

    /// The machine's name.
    pub(super) fn set_name(&self, name: &str) {
        name.clone_into(&mut self.0.borrow_mut().name);
        self.write();
    }

    /// What became of something that the owner wished, in whatever file; the newest word counts, and is told on the console.
    pub(super) fn note(&self, key: &str, verdict: Verdict, why: &str) {
        let changed = {
            let mut board = self.0.borrow_mut();
            let file = board.notes.iter().find(|known| known.key == key).map(|known| known.file.clone());
            let file = file.unwrap_or_default();
            let note = Note { file, key: key.to_owned(), verdict, why: why.to_owned() };
            let changed = !board.notes.contains(&note);
            board.notes.retain(|known| known.key != key);
            board.notes.push(note);
            changed
        };
        if changed {
            say(&format!("{key}: {why}"));
            self.write();
        }
    }

    /// What one interface does now. A new address is told on the console too: that is where its page is.
    pub(super) fn set_link(&self, link: &Link) {
        let changed = {
            let mut board = self.0.borrow_mut();
            match board.links.iter_mut().find(|known| known.interface == link.interface) {
                Some(known) if known == link => false,
                Some(known) => {
                    known.clone_from(link);
                    true
                }
                None => {
                    board.links.push(link.clone());
                    true
                }
            }
        };
        if changed {
            match &link.address {
                Some(address) => say(&format!("{}: address {address}, {}", link.interface, link.doing)),
                None => say(&format!("{}: {}", link.interface, link.doing)),
            }
            self.write();
        }
    }

    /// An interface is gone, and what was told of it.
    pub(super) fn forget(&self, interface: &str) {
        {
            let mut board = self.0.borrow_mut();
            board.links.retain(|link| link.interface != interface);
            let radio = wifi_key(interface);
            board.notes.retain(|note| note.key != radio);
        }
        say(&format!("{interface}: it is gone; whatever comes in its place is taken up"));
        self.write();
    }

    /// Whole or not at all, as the node may read at any time.
    fn write(&self) {
        let fresh = Path::new(FILE).with_extension("new");
        let text = serde_json::to_vec(&*self.0.borrow()).unwrap_or_default();
        if let Err(error) = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, FILE)) {
            say(&format!("the page cannot be told about the board: {error}"));
        }
    }
}

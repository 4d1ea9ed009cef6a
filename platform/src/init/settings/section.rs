//! The sections of the first process itself: what `bulbil.toml` says, and where it says nothing, what other files say.

use toml::{Table, Value};

use super::note;
use super::sift::{sift, without_secret};
use crate::init::imager::Wish;
use crate::status::board::{Note, OURS, Verdict};

/// What becomes of a wish that comes second, and of a password whose network is not joined.
const SAID: &str = "bulbil.toml, or a file read before this one, says it already";
const NO_NETWORK: &str = "the network that it belongs to is not joined";

/// What names a Wi-Fi network: a password belongs to the name that it stands beside, so both are of one file.
const NETWORK: [&str; 2] = ["ssid", "password"];

/// A section as it counts.
pub(super) struct Section {
    pub(super) table: Table,
    /// The file that named the Wi-Fi network.
    pub(super) network: Option<&'static str>,
}

/// Takes a section of ours out of the file, and fills it up with what other files say of it.
pub(super) fn section<T>(
    name: &str,
    wishes: &mut Table,
    more: &[Wish],
    notes: &mut Vec<Note>,
    judge: &impl Fn(&Table) -> Result<T, String>,
) -> Section {
    let own = match wishes.remove(name) {
        Some(Value::Table(own)) => own,
        Some(_) => {
            let why = format!("is a section: write [{name}] in a line of its own");
            notes.push(note(OURS, name, Verdict::Wrong, why));
            Table::new()
        }
        None => Table::new(),
    };
    let (mut table, found) = sift(Table::new(), own, &format!("{name}."), judge);
    notes.extend(found);
    let mut network = NETWORK.iter().any(|key| table.contains_key(*key)).then_some(OURS);
    for wish in more.iter().filter(|wish| wish.section == name) {
        let of_network = NETWORK.contains(&wish.key);
        let second =
            table.contains_key(wish.key) || of_network && network.is_some_and(|file| file != wish.file);
        let orphan = wish.key == "password" && network.is_none();
        if second || orphan {
            let why = if second { SAID } else { NO_NETWORK };
            notes.push(note(wish.file, &wish.from, Verdict::Ignored, why));
            continue;
        }
        let mut tried = table.clone();
        tried.insert(wish.key.to_owned(), wish.value.clone());
        match judge(&tried) {
            Ok(_) => {
                table = tried;
                network = network.or(of_network.then_some(wish.file));
                notes.push(note(wish.file, &wish.from, Verdict::Understood, ""));
            }
            Err(why) => {
                let why = without_secret(wish.key, &wish.value, why);
                notes.push(note(wish.file, &wish.from, Verdict::Wrong, why));
            }
        }
    }
    Section { table, network }
}

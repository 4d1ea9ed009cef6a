//! Believes a table key by key: one wrong key costs that key alone.

use toml::{Table, Value};

use super::note;
use crate::config::secret::is_secret;
use crate::init::wifi;
use crate::status::board::{Note, OURS, Verdict};

/// Words that repeat a value which is, or may be, a secret are left out; our own do not. A value of the wrong kind may stand where a
/// section with secrets belongs.
pub(super) fn without_secret(key: &str, value: &Value, why: String) -> String {
    if let Some((_, kind)) = why.strip_prefix(WRONG_KIND).and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("must be {kind}");
    }
    // The node's own checks begin with the key.
    let plain =
        why == wifi::PASSWORD || why.starts_with(NAMES_ONLY) || why.starts_with(key) && !repeats(&why, value);
    if is_secret(key) && !plain {
        "is not what it should be; it is not repeated here".to_owned()
    } else {
        why
    }
}

/// Whether the words have any part of this value that says something.
fn repeats(why: &str, value: &Value) -> bool {
    let (why, value) = (why.to_lowercase(), value.to_string().to_lowercase());
    value.split(|letter: char| !letter.is_alphanumeric()).any(|part| part.len() > 2 && why.contains(part))
}

/// How the reader of TOML begins when it goes on with a value, and when it goes on with names of keys.
const WRONG_KIND: &str = "invalid type: ";
const NAMES_ONLY: &str = "unknown field ";

/// Puts the `wishes` of `bulbil.toml` over `ground`, leaving out what `judge` refuses. A key may need another one, so those refused get a second chance.
pub(super) fn sift<T>(
    ground: Table,
    wishes: Table,
    prefix: &str,
    judge: &impl Fn(&Table) -> Result<T, String>,
) -> (Table, Vec<Note>) {
    let mut open = Vec::new();
    leaves(wishes, &mut Vec::new(), &mut open);
    let mut table = ground;
    let mut notes = Vec::new();
    for last in [false, true] {
        for (path, value) in std::mem::take(&mut open) {
            let mut tried = table.clone();
            put(&mut tried, &path, value.clone());
            let key = format!("{prefix}{}", path.join("."));
            match judge(&tried) {
                Ok(_) => {
                    table = tried;
                    notes.push(note(OURS, key, Verdict::Understood, String::new()));
                }
                Err(why) if last => {
                    let why = without_secret(&key, &value, why);
                    notes.push(note(OURS, key, Verdict::Wrong, why));
                }
                Err(_) => open.push((path, value)),
            }
        }
    }
    (table, notes)
}

/// All values that are no sections, with the way to each.
fn leaves(table: Table, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    for (key, value) in table {
        path.push(key);
        match value {
            Value::Table(inner) => leaves(inner, path, found),
            value => found.push((path.clone(), value)),
        }
        path.pop();
    }
}

fn put(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => drop(table.insert(key.clone(), value)),
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| Table::new().into());
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

//! What the owner is told of the files: lines on the console, and as many notes as the page takes.

use crate::status::board::{Note, OURS, Verdict};

/// Lines about keys of one file, on the console, at most: a serial line shows some ten a second, and nothing goes on meanwhile.
const MAX_LINES: usize = 20;

/// Notes that the page is given at most, and bytes of the words of each: the report has its limit, and a key may be as long as its file.
const MAX_NOTES: usize = 160;
const MAX_KEY: usize = 100;
const MAX_WHY: usize = 400;

/// For each of `files` how many of its keys were understood, ignored and wrong, then those that do not count.
pub(super) fn lines(files: &[&str], notes: &[Note]) -> Vec<String> {
    let mut lines = Vec::new();
    for file in files {
        let own = || notes.iter().filter(|note| note.file == *file);
        let count = |verdict| own().filter(|note| note.verdict == verdict).count();
        let [good, ignored, wrong] = [Verdict::Understood, Verdict::Ignored, Verdict::Wrong].map(count);
        lines.push(format!("{file}: {good} understood, {ignored} ignored, {wrong} wrong"));
        // What is wrong first: those lines may be too many.
        let left = own().filter(|note| note.verdict == Verdict::Wrong);
        let left = left.chain(own().filter(|note| note.verdict == Verdict::Ignored));
        lines.extend(left.take(MAX_LINES).map(line));
        if ignored + wrong > MAX_LINES {
            lines.push(format!("{file}: and {} more", ignored + wrong - MAX_LINES));
        }
    }
    lines
}

fn line(note: &Note) -> String {
    let key = if note.key.is_empty() { String::new() } else { format!("{}: ", note.key) };
    let verdict = if note.verdict == Verdict::Ignored { "ignored: " } else { "" };
    format!("{}: {key}{verdict}{}", note.file, note.why)
}

/// As many as the page takes, those that count for the owner first.
pub(super) fn that_fit(mut notes: Vec<Note>) -> Vec<Note> {
    for note in &mut notes {
        shorten(&mut note.key, MAX_KEY);
        shorten(&mut note.why, MAX_WHY);
    }
    if notes.len() > MAX_NOTES {
        notes.sort_by_key(|note| match note.verdict {
            Verdict::Wrong => 0,
            Verdict::Ignored => 1,
            Verdict::Understood => 2,
        });
        let more = notes.len() - (MAX_NOTES - 1);
        notes.truncate(MAX_NOTES - 1);
        notes.push(super::note(OURS, "", Verdict::Ignored, format!("{more} more keys are not shown here")));
    }
    notes
}

/// Letters that would take more room than they have are none that anybody typed.
fn shorten(text: &mut String, most: usize) {
    text.retain(|letter| !letter.is_control());
    if text.len() > most {
        text.truncate((0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::super::note;
    use super::*;

    #[test]
    fn each_file_is_summed_up_and_what_does_not_count_is_named() {
        let notes = [
            note(OURS, "board.name", Verdict::Understood, ""),
            note(OURS, "memroy", Verdict::Wrong, "unknown field"),
            note("user-data", "hostname", Verdict::Understood, ""),
            note("user-data", "users", Verdict::Ignored, "none here"),
            note("firstrun.sh", "", Verdict::Ignored, "never run"),
        ];
        assert_eq!(
            lines(&[OURS, "user-data", "firstrun.sh"], &notes),
            [
                "bulbil.toml: 1 understood, 0 ignored, 1 wrong",
                "bulbil.toml: memroy: unknown field",
                "user-data: 1 understood, 1 ignored, 0 wrong",
                "user-data: users: ignored: none here",
                "firstrun.sh: 0 understood, 1 ignored, 0 wrong",
                "firstrun.sh: ignored: never run",
            ]
        );
    }

    #[test]
    fn there_are_limits_and_what_is_wrong_comes_first() {
        let long = "ä\0\"".repeat(1000);
        let mut notes: Vec<Note> =
            (0..300).map(|_| note(OURS, long.as_str(), Verdict::Ignored, long.as_str())).collect();
        notes.push(note(OURS, "last", Verdict::Wrong, "wrong"));
        let told = lines(&[OURS], &notes);
        assert_eq!(told.len(), MAX_LINES + 2);
        assert_eq!(told[1], "bulbil.toml: last: wrong");
        assert!(told.last().unwrap().ends_with("and 281 more"));
        let notes = that_fit(notes);
        assert_eq!((notes.len(), notes[0].key.as_str()), (MAX_NOTES, "last"));
        assert!(notes.last().unwrap().why.starts_with("142 more"));
        assert!(serde_json::to_vec(&notes).unwrap().len() < 200 * 1024, "it fits into the report");
    }
}

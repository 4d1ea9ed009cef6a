//! The little of YAML that Raspberry Pi Imager writes: `key: value` in lines, nested by indentation. Lists and blocks of text are
//! passed over.

/// Lines that are read at most, and levels.
const MAX_LINES: usize = 2000;
const MAX_DEPTH: usize = 12;

/// One value, with the keys that lead to it. A key that has only others below it has an empty value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) path: Vec<String>,
    pub(super) value: String,
    /// The number of a line that is not understood; there is no value then, and the path is where it stands.
    pub(super) unread: Option<usize>,
}

/// All values, in order.
pub(super) fn read(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut block = None;
    for (number, line) in (1..).zip(text.lines().take(MAX_LINES)) {
        let content = line.trim_start_matches(' ');
        let depth = line.len() - content.len();
        if content.trim().is_empty() || content.starts_with('#') || content.trim() == "---" {
            continue;
        }
        if block.is_some_and(|outside| depth > outside) {
            continue;
        }
        block = None;
        while open.last().is_some_and(|(other, _)| *other >= depth) {
            open.pop();
        }
        if content.starts_with("- ") || content.trim() == "-" {
            block = Some(depth);
            continue;
        }
        let above = open.iter().map(|(_, key)| key.clone());
        let Some((key, value)) = pair(content) else {
            // What stands below belongs to nothing else.
            block = Some(depth);
            entries.push(Entry { path: above.collect(), value: String::new(), unread: Some(number) });
            continue;
        };
        if value.starts_with('|') || value.starts_with('>') {
            block = Some(depth);
        }
        if open.len() == MAX_DEPTH {
            continue;
        }
        let path = above.chain([key.clone()]).collect();
        entries.push(Entry { path, value, unread: None });
        open.push((depth, key));
    }
    entries
}

/// `key: value`, either of which may be quoted.
fn pair(line: &str) -> Option<(String, String)> {
    let (key, rest) = scalar(line, true)?;
    let rest = rest.trim_start().strip_prefix(':')?;
    let (value, _) = scalar(rest.trim(), false)?;
    Some((key, value))
}

/// A text in quotes or without, and what follows it. As a key it ends before a colon.
fn scalar(text: &str, key: bool) -> Option<(String, &str)> {
    let mut letters = text.char_indices();
    let quote = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => quote,
        _ if key => {
            let (key, _) = text.split_once(':')?;
            return Some((key.trim().to_owned(), text.get(key.len()..)?));
        }
        _ => {
            let value = text.split_once(" #").map_or(text, |(value, _)| value);
            return Some((value.trim().to_owned(), ""));
        }
    };
    letters.next();
    let mut value = Vec::new();
    let push = |value: &mut Vec<u8>, letter: char| value.extend(letter.encode_utf8(&mut [0; 4]).bytes());
    while let Some((at, letter)) = letters.next() {
        let rest = text.get(at + 1..).unwrap_or_default();
        match letter {
            '\\' if quote == '"' => {
                let (_, letter) = letters.next()?;
                match letter {
                    'n' => value.push(b'\n'),
                    't' => value.push(b'\t'),
                    // Imager writes the name of a network byte by byte, as UTF-8 has it.
                    'x' => value.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?),
                    letter => push(&mut value, letter),
                }
                if letter == 'x' {
                    letters.nth(1)?;
                }
            }
            '\'' if quote == '\'' && rest.starts_with('\'') => {
                letters.next();
                value.push(b'\'');
            }
            letter if letter == quote => return Some((String::from_utf8(value).ok()?, rest)),
            letter => push(&mut value, letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(String, String)> {
        read(text).into_iter().map(|entry| (entry.path.join("/"), entry.value)).collect()
    }

    #[test]
    fn keys_nest_and_quotes_go() {
        let text = "#cloud-config\nhostname: attic # mine\napt:\n  conf: |\n    a: b\n      c: d\nusers:\n- name: me\n  \
                    groups: x\nq:\n  \"a \\\"b\\\": c\":\n    'it''s': \"x # y\"\n";
        let expected = [
            ("hostname", "attic"),
            ("apt", ""),
            ("apt/conf", "|"),
            ("users", ""),
            ("q", ""),
            ("q/a \"b\": c", ""),
            ("q/a \"b\": c/it's", "x # y"),
        ];
        assert_eq!(entries(text), expected.map(|(path, value)| (path.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_name_written_byte_by_byte_is_put_together() {
        let text = r#""M\xc3\xbcller\tand \"\\": "a\nb""#;
        assert_eq!(entries(text), [("Müller\tand \"\\".to_owned(), "a\nb".to_owned())]);
    }

    #[test]
    fn nonsense_is_passed_over() {
        for text in [
            "\"",
            "\"\\x",
            "\"\\xff\": 1",
            "\"\\xé\"",
            "\"a",
            "a",
            ": :",
            "'a\\",
            "- - -",
            "\u{feff}x: 1",
            "    \"\\",
        ] {
            let _ = read(text);
        }
        let deep: Vec<String> = (0..40).map(|level| format!("{}k:", " ".repeat(level))).collect();
        assert_eq!(read(&deep.join("\n")).len(), MAX_DEPTH);
        let broken = read("a:\n  \"b:\n    c: d\n  e: f\n");
        let told: Vec<_> = broken.iter().map(|entry| (entry.path.join("/"), entry.unread)).collect();
        assert_eq!(told, [("a".to_owned(), None), ("a".to_owned(), Some(2)), ("a/e".to_owned(), None)]);
    }
}

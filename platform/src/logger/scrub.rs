//! The last net under the rule that no log line names an address, a token, a key or a path. Callers must not rely on it.

/// Shortest run of letters and digits that is taken for a secret: tokens have 26, keys 43 and more, hashes 64.
const SECRET: usize = 24;

/// Masks onion names, long runs of letters and digits, and absolute paths.
///
/// A path ends where its quotes end, else at `: ` or at the end of the line: too much is masked rather than too little.
pub(super) fn scrub(line: &str) -> String {
    runs(&paths(line))
}

/// Masks from a `/` that starts a word to where the path may end.
fn paths(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let starts = c == '/' && !before.is_alphanumeric() && !matches!(before, '/' | '.' | ')' | ']' | '}');
        let scheme = before == ':' && rest.starts_with("//") && !rest.starts_with("///");
        let path = starts && !scheme && rest.chars().nth(1).is_some_and(|next| !next.is_whitespace());
        if !path {
            out.push(c);
            before = c;
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            continue;
        }
        let end = match before {
            '"' | '\'' | '`' => rest.find(before),
            _ => rest.find(": "),
        };
        out.push_str("[path]");
        before = ']';
        rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
    }
    out
}

/// Masks long runs of ASCII letters and digits, and whatever stands before `.onion`.
fn runs(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(length);
        let onion = tail.get(..6).is_some_and(|tail| tail.eq_ignore_ascii_case(".onion"));
        if run.len() >= SECRET || (onion && !run.is_empty()) {
            out.push_str("[hidden]");
        } else {
            out.push_str(run);
        }
        let next = tail.chars().next();
        out.extend(next);
        rest = next.and_then(|c| tail.get(c.len_utf8()..)).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::scrub;

    const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid";
    const TOKEN: &str = "abcdefghijklmnopqrstuvwxy4";

    #[test]
    fn secrets_are_hidden() {
        for line in [
            format!("to {ONION}.onion:80"),
            format!("to http://{ONION}.onion:80/private/{TOKEN}"),
            format!("token={TOKEN}"),
            format!("({})", ONION.to_uppercase()),
            "short.onion".to_owned(),
            format!("hash {}", "0f".repeat(32)),
        ] {
            let said = scrub(&line);
            for secret in [ONION, TOKEN, &ONION.to_uppercase(), "short", "0f0f"] {
                assert!(!said.contains(secret), "{said}");
            }
        }
    }

    #[test]
    fn paths_are_hidden() {
        for (line, said) in [
            ("cannot open /srv/my films/a.mkv: no such file", "cannot open [path]: no such file"),
            ("cannot open \"/srv/my films\" (busy)", "cannot open \"[path]\" (busy)"),
            ("/etc/passwd", "[path]"),
            ("path=/srv/x", "path=[path]"),
            ("file:/srv/x", "file:[path]"),
            ("file:///srv/x", "file:[path]"),
        ] {
            assert_eq!(scrub(line), said);
        }
    }

    #[test]
    fn plain_words_stay() {
        for line in [
            "page at http://127.0.0.1:3090/",
            "2 of 3 lanes, 1.5 MiB/s",
            "half / whole",
            "peer 7 dropped: bad block",
            "é",
        ] {
            assert_eq!(scrub(line), line);
        }
    }
}

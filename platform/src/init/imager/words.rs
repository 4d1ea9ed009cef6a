//! The words of a shell's line, as far as Raspberry Pi Imager quotes them (POSIX.1-2017, Shell Command Language, section 2.2).

/// The words of one line; `None` where a quote does not end.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().push(letters.next()?),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t' | '\r') => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_hold_words_together() {
        let line = r#"   set_wlan -h 'it'"'"'s mine' "" a\ b 'x\y'"#;
        assert_eq!(split(line).unwrap(), ["set_wlan", "-h", "it's mine", "", "a b", r"x\y"]);
        assert_eq!([split("'a"), split("a\\")], [None, None]);
        assert_eq!(split(" "), Some(Vec::new()));
    }
}

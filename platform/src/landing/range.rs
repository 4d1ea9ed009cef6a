//! Which bytes of a file a request is for (RFC 9110, sections 13 and 14).

use hyper::HeaderMap;
use hyper::header::{self, HeaderName};

/// What to send of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// 200: all of it.
    Whole,
    /// 206: from the first to the second byte, both included.
    Range(u64, u64),
    /// 304: the reader has it.
    Unchanged,
    /// 412: the reader wants another version.
    Changed,
    /// 416: nothing of it lies there.
    Beyond,
}

/// What a request with these headers is for, of a file of `length` bytes with this strong tag. `get`: only then does
/// a range count.
pub(super) fn wanted(headers: &HeaderMap, tag: &str, length: u64, get: bool) -> Part {
    if let Some(tags) = text(headers, &header::IF_MATCH)
        && !names(tags, tag, false)
    {
        return Part::Changed;
    }
    if let Some(tags) = text(headers, &header::IF_NONE_MATCH)
        && names(tags, tag, true)
    {
        return Part::Unchanged;
    }
    let still = text(headers, &header::IF_RANGE).is_none_or(|known| known.trim() == tag);
    match text(headers, &header::RANGE) {
        Some(range) if get && still => part(range, length),
        _ => Part::Whole,
    }
}

/// A header that stands there once and is text; anything else is as if it were not there.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    if all.next().is_some() { None } else { first.to_str().ok() }
}

/// Whether a list of tags has this one. A weak tag counts only where that is enough.
fn names(list: &str, tag: &str, weak: bool) -> bool {
    list.trim() == "*"
        || list
            .split(',')
            .map(str::trim)
            .any(|one| one == tag || (weak && one.strip_prefix("W/") == Some(tag)))
}

/// One range of bytes. What is malformed, or several ranges at once, may be ignored.
fn part(range: &str, length: u64) -> Part {
    let Some((unit, bounds)) = range.split_once('=') else { return Part::Whole };
    let Some((first, last)) = bounds.trim().split_once('-') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || bounds.contains(',') {
        return Part::Whole;
    }
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Part::Whole,
        (Some(first), last) if last.is_some() || bounds.trim().ends_with('-') => {
            let end = length.saturating_sub(1);
            if first >= length { Part::Beyond } else { Part::Range(first, last.unwrap_or(end).min(end)) }
        }
        (None, Some(count)) if first.is_empty() => {
            if count == 0 || length == 0 {
                Part::Beyond
            } else {
                Part::Range(length.saturating_sub(count), length.saturating_sub(1))
            }
        }
        _ => Part::Whole,
    }
}

/// Digits only; a number too large for any file is the largest one.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"abc\"";

    fn ask(lines: &[(HeaderName, &str)], get: bool) -> Part {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        wanted(&headers, TAG, 100, get)
    }

    fn range(text: &str) -> Part {
        ask(&[(header::RANGE, text)], true)
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        assert_eq!(range("bytes=0-"), Part::Range(0, 99));
        assert_eq!(range("bytes=10-19"), Part::Range(10, 19));
        assert_eq!(range("Bytes = 99-1000"), Part::Range(99, 99));
        assert_eq!(range("bytes=-7"), Part::Range(93, 99));
        assert_eq!(range("bytes=-700"), Part::Range(0, 99));
        assert_eq!(range("bytes=0-99999999999999999999999"), Part::Range(0, 99));
    }

    #[test]
    fn what_lies_beyond_cannot_be_sent() {
        for text in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(range(text), Part::Beyond, "{text}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Beyond);
        assert_eq!(part("bytes=-5", 0), Part::Beyond);
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5",
            "bytes=9-1",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=1-x",
            "bytes=x-1",
            "bytes=1-2-3",
        ] {
            assert_eq!(range(text), Part::Whole, "{text}");
        }
        assert_eq!(ask(&[(header::RANGE, "bytes=0-1"), (header::RANGE, "bytes=3-4")], true), Part::Whole);
        assert_eq!(ask(&[(header::RANGE, "bytes=0-1")], false), Part::Whole, "HEAD knows no ranges");
    }

    #[test]
    fn conditions_come_first() {
        let range = (header::RANGE, "bytes=0-1");
        let ask = |name, value| ask(&[range.clone(), (name, value)], true);
        assert_eq!(ask(header::IF_RANGE, TAG), Part::Range(0, 1));
        assert_eq!(
            ask(header::IF_RANGE, "W/\"abc\""),
            Part::Whole,
            "a weak tag does not promise the same bytes"
        );
        assert_eq!(ask(header::IF_RANGE, "\"old\""), Part::Whole);
        assert_eq!(ask(header::IF_RANGE, "Sat, 01 Jan 2028 00:00:00 GMT"), Part::Whole);
        assert_eq!(ask(header::IF_NONE_MATCH, "\"x\", W/\"abc\""), Part::Unchanged);
        assert_eq!(ask(header::IF_NONE_MATCH, "\"x\""), Part::Range(0, 1));
        assert_eq!(ask(header::IF_MATCH, "*"), Part::Range(0, 1));
        assert_eq!(ask(header::IF_MATCH, "\"x\", W/\"abc\""), Part::Changed);
    }
}

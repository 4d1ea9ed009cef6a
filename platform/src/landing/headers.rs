//! Headers of every answer, and a file's name as they carry it.

use std::fmt::Write;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

/// What a browser may do with any answer: nothing but show it.
const EVERY: [(HeaderName, &str); 6] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Where nothing may be loaded at all.
pub(super) const CLOSED: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds the headers of every answer, with this policy on what its content may load.
pub(super) fn guard(headers: &mut HeaderMap, policy: &str) {
    for (name, value) in EVERY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Tells a browser to keep a file, under this name (RFC 6266, RFC 8187).
pub(super) fn attachment(name: &str) -> String {
    let plain: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            _ = write!(value, "%{byte:02X}"); // a string takes everything
        }
    }
    value
}

/// Means itself between quotes, to browsers that decode and to those that do not.
fn is_plain(letter: char) -> bool {
    matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\' | '%' | '/' | ';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_header() {
        assert_eq!(attachment("a b.txt"), "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
        assert_eq!(
            attachment("\"; x=\r\n\\%é"),
            "attachment; filename=\"__ x=_____\"; filename*=UTF-8''%22%3B%20x%3D%0D%0A%5C%25%C3%A9"
        );
        assert!(HeaderValue::from_str(&attachment("\u{0}\u{7f}\n雪")).is_ok());
    }
}

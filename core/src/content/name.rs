//! Which names of files and folders are safe to create on the reader's disk.

use core::fmt;

use crate::limits::MAX_COMPONENT;

/// Why a name of a file or folder is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameError {
    /// No characters.
    Empty,
    /// `.`, the folder itself.
    Here,
    /// `..`, the folder above.
    Above,
    /// `/` within a name: a path, perhaps an absolute one.
    Slash,
    /// `\` within a name: a path on other systems.
    Backslash,
    /// A NUL character.
    Nul,
    /// Another control character.
    Control,
    /// One of `< > : " | ? *`, which many file systems refuse.
    Reserved,
    /// A device on Windows, such as `CON` or `com1.txt`.
    Device,
    /// Longer than [`MAX_COMPONENT`].
    Long,
    /// Not UTF-8.
    Encoding,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Here => "is `.`",
            Self::Above => "is `..` and would leave the folder of the share",
            Self::Slash => "contains `/` and would be a path of its own",
            Self::Backslash => "contains `\\` and would be a path of its own on some systems",
            Self::Nul => "contains a NUL character",
            Self::Control => "contains a control character",
            Self::Reserved => "contains one of < > : \" | ? * that many file systems refuse",
            Self::Device => "is the name of a device on some systems, such as CON or COM1",
            Self::Long => "is longer than 255 bytes",
            Self::Encoding => "is not UTF-8",
        })
    }
}

impl core::error::Error for NameError {}

/// Checks one component of a path.
pub fn check(name: &[u8]) -> Result<&str, NameError> {
    let text = core::str::from_utf8(name).map_err(|_| NameError::Encoding)?;
    match text {
        "" => return Err(NameError::Empty),
        "." => return Err(NameError::Here),
        ".." => return Err(NameError::Above),
        _ if name.len() > MAX_COMPONENT => return Err(NameError::Long),
        _ => {}
    }
    text.chars().try_for_each(check_char)?;
    if is_device(text) { Err(NameError::Device) } else { Ok(text) }
}

fn check_char(c: char) -> Result<(), NameError> {
    match c {
        '/' => Err(NameError::Slash),
        '\\' => Err(NameError::Backslash),
        '\0' => Err(NameError::Nul),
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => Err(NameError::Reserved),
        c if c.is_control() => Err(NameError::Control),
        _ => Ok(()),
    }
}

/// Whether Windows takes this for a device: it looks at what stands before the first dot, without trailing spaces.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ');
    if ["con", "prn", "aux", "nul"].iter().any(|device| stem.eq_ignore_ascii_case(device)) {
        return true;
    }
    let Some((port, number)) = stem.split_at_checked(3) else { return false };
    let port = port.eq_ignore_ascii_case("com") || port.eq_ignore_ascii_case("lpt");
    let mut digits = number.chars();
    port && matches!((digits.next(), digits.next()), (Some('1'..='9' | '¹' | '²' | '³'), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for name in ["a", ".hidden", "...", "naïve ☃.txt", "日本", "console.log", "com10", "COM", "nullable"]
        {
            assert_eq!(check(name.as_bytes()), Ok(name));
        }
        assert_eq!(check(&[b'x'; 255]).map(str::len), Ok(255));
    }

    #[test]
    fn each_unsafe_name_is_told_why() {
        use NameError as E;
        let cases: [(&[u8], NameError); 19] = [
            (b"", E::Empty),
            (b".", E::Here),
            (b"..", E::Above),
            (b"a/b", E::Slash),
            (b"/etc", E::Slash),
            (b"..\\a", E::Backslash),
            (b"a\0", E::Nul),
            (b"a\n", E::Control),
            ("a\u{85}".as_bytes(), E::Control),
            (b"c:", E::Reserved),
            (b"why?", E::Reserved),
            (b"CON", E::Device),
            (b"nul.txt", E::Device),
            (b"aux .txt", E::Device),
            (b"com1", E::Device),
            ("LPT²".as_bytes(), E::Device),
            (&[b'x'; 256], E::Long),
            (b"\xff", E::Encoding),
            (b"\xed\xa0\x80", E::Encoding),
        ];
        for (name, error) in cases {
            assert_eq!(check(name), Err(error), "{name:?}");
        }
    }
}

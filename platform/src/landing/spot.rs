//! Which thing a path names.

use crate::link::Token;

/// What a request asks for. The token may be anybody's.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Spot {
    pub(super) public: bool,
    pub(super) token: Token,
    pub(super) what: What,
}

/// A part of a share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// The page, with the files from this number on.
    Page(usize),
    /// The file of this number.
    File(usize),
}

impl Spot {
    /// Reads `/<kind>/<token>`, `…/from/<number>` and `…/files/<number>`. `None` is no path of any share.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.splitn(3, '/');
        let public = match parts.next()? {
            "public" => true,
            "private" => false,
            _ => return None,
        };
        let token = parts.next()?.parse().ok()?;
        let what = match parts.next().unwrap_or_default() {
            "" => What::Page(0),
            rest => match rest.split_once('/')? {
                ("from", at) => What::Page(number(at)?),
                ("files", at) => What::File(number(at)?),
                _ => return None,
            },
        };
        Some(Self { public, token, what })
    }
}

/// Digits as this node writes them: one number has one path.
fn number(text: &str) -> Option<usize> {
    let plain = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain && digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_parts_of_a_share() {
        let token = "abcdefghijklmnopqrstuvwxy4";
        let spot = |rest: &str| Spot::parse(&format!("/private/{token}{rest}"));
        let what = |rest| spot(rest).map(|spot| spot.what);
        assert_eq!((what(""), what("/")), (Some(What::Page(0)), Some(What::Page(0))));
        assert_eq!((what("/from/500"), what("/files/0")), (Some(What::Page(500)), Some(What::File(0))));
        assert!(!spot("").unwrap().public && Spot::parse(&format!("/public/{token}")).unwrap().public);
        for rest in
            ["/files", "/files/", "/files/01", "/files/+1", "/files/1/", "/x/1", "//", "/files/9999999999"]
        {
            assert_eq!(spot(rest), None, "{rest}");
        }
        for path in ["", "/", "/private", "/private/", "/secret/abcdefghijklmnopqrstuvwxy4", "private/x"] {
            assert_eq!(Spot::parse(path), None, "{path}");
        }
    }
}

//! Links: what the owner of a share gives away.
//!
//! ```text
//! http://<56 characters>.onion:<port>/private/<token>     one share, one onion made for it alone
//! http://<56 characters>.onion:<port>/public/<token>      one share of a node's public catalogue
//! ```

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

use crate::net::{Address, BadAddress};

/// Bytes of a token: 128 bits of randomness.
pub const TOKEN_LEN: usize = 16;

/// Characters of a token in a link: base32 (RFC 4648) without padding, lower case.
const TOKEN_CHARS: usize = 26;

/// The secret that opens a share. Never printed by `Debug`; compared in constant time; wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Token([u8; TOKEN_LEN]);

/// A link, taken apart.
#[derive(Clone, Eq, PartialEq)]
pub struct Link {
    /// Whom to call; port 80 if the link names none.
    pub address: Address,
    /// Whether the share belongs to the public catalogue.
    pub public: bool,
    /// The secret.
    pub token: Token,
}

/// Why a text is no link. Does not repeat the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadLink {
    /// Another kind of address.
    #[error("a link starts with http:// and the onion address; copy the whole link")]
    Scheme,
    /// `https://`.
    #[error(
        "a link starts with http://, not https://: the onion service encrypts by itself; copy the link as it was given"
    )]
    Https,
    /// Not an onion address.
    #[error(
        "the link does not name an onion address of 56 letters and digits and .onion; copy the whole link"
    )]
    Host,
    /// A typing error in the address.
    #[error(
        "the onion address in the link has a typing error: its checksum does not match; copy the whole link"
    )]
    Checksum,
    /// Port 0, over 65535, or no number.
    #[error("the port in the link is not a number from 1 to 65535; copy the whole link")]
    Port,
    /// Neither `/private/` nor `/public/`.
    #[error("the link lacks /private/ or /public/ after the onion address; copy the whole link")]
    Kind,
    /// Too short, too long, or other characters.
    #[error("the end of the link is not a token of 26 letters and digits; copy the whole link")]
    Token,
}

impl Token {
    /// A new one from the system's randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; TOKEN_LEN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The one with these bytes.
    pub const fn from_bytes(bytes: [u8; TOKEN_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for keys derived from it.
    pub const fn as_bytes(&self) -> &[u8; TOKEN_LEN] {
        &self.0
    }

    /// As it stands in links: 26 letters and digits.
    pub fn reveal(&self) -> String {
        BASE32_NOPAD.encode(&self.0).to_lowercase()
    }
}

impl PartialEq for Token {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl FromStr for Token {
    type Err = BadLink;

    fn from_str(text: &str) -> Result<Self, BadLink> {
        if text.len() != TOKEN_CHARS {
            return Err(BadLink::Token);
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| BadLink::Token)?;
        bytes.try_into().map(Self).map_err(|_| BadLink::Token)
    }
}

impl fmt::Display for Link {
    /// The whole link, for its owner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.public { "public" } else { "private" };
        write!(f, "http://{}/{kind}/{}", self.address, self.token.reveal())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link(hidden)")
    }
}

impl FromStr for Link {
    type Err = BadLink;

    /// Accepts upper case in scheme, host and token, and one slash at the end.
    fn from_str(text: &str) -> Result<Self, BadLink> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(BadLink::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err(BadLink::Https),
            _ => return Err(BadLink::Scheme),
        }
        let (place, path) =
            rest.split_once('/').ok_or(if rest.is_empty() { BadLink::Host } else { BadLink::Kind })?;
        let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
        let port = port.map_or(Ok(80), parse_port)?;
        let address = format!("{host}:{port}").parse().map_err(|why| match why {
            BadAddress::Checksum => BadLink::Checksum,
            BadAddress::Port => BadLink::Port,
            BadAddress::Form | BadAddress::Version => BadLink::Host,
        })?;
        let (kind, token) = path.split_once('/').ok_or(BadLink::Kind)?;
        let public = match kind {
            "public" => true,
            "private" => false,
            _ => return Err(BadLink::Kind),
        };
        let token = token.strip_suffix('/').unwrap_or(token).parse()?;
        Ok(Self { address, public, token })
    }
}

fn parse_port(text: &str) -> Result<u16, BadLink> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(BadLink::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
    const TOKEN: &str = "abcdefghijklmnopqrstuvwxy4";

    fn link(text: &str) -> Result<Link, BadLink> {
        text.replace("ONION", ONION).replace("TOKEN", TOKEN).parse()
    }

    #[test]
    fn a_link_survives_the_round_trip() {
        for kind in ["private", "public"] {
            let text = format!("http://{ONION}:8080/{kind}/{TOKEN}");
            let link: Link = text.parse().unwrap();
            assert_eq!(link.to_string(), text);
            assert_eq!(link.public, kind == "public");
        }
    }

    #[test]
    fn small_liberties_are_fine() {
        let plain = link("http://ONION:80/private/TOKEN").unwrap();
        assert_eq!(link("http://ONION/private/TOKEN"), Ok(plain.clone()));
        assert_eq!(link(" http://ONION/private/TOKEN/\n"), Ok(plain.clone()));
        let loud = format!("HTTP://{}/private/{}", ONION.to_uppercase(), TOKEN.to_uppercase());
        assert_eq!(loud.parse(), Ok(plain));
    }

    #[test]
    fn each_wrong_form_has_its_own_answer() {
        for (text, error) in [
            ("", BadLink::Scheme),
            ("ONION/private/TOKEN", BadLink::Scheme),
            ("magnet://ONION/private/TOKEN", BadLink::Scheme),
            ("https://ONION/private/TOKEN", BadLink::Https),
            ("http://example.com/private/TOKEN", BadLink::Host),
            ("http://", BadLink::Host),
            ("http://www.ONION/private/TOKEN", BadLink::Host),
            ("http://ONION:0/private/TOKEN", BadLink::Port),
            ("http://ONION:65536/private/TOKEN", BadLink::Port),
            ("http://ONION:+8/private/TOKEN", BadLink::Port),
            ("http://ONION:/private/TOKEN", BadLink::Port),
            ("http://ONION", BadLink::Kind),
            ("http://ONION/", BadLink::Kind),
            ("http://ONION/secret/TOKEN", BadLink::Kind),
            ("http://ONION/private/", BadLink::Token),
            ("http://ONION/private/TOKENa", BadLink::Token),
            ("http://ONION/private/TOKEN/more", BadLink::Token),
            ("http://ONION/private/TOKEN?x=1", BadLink::Token),
            ("http://ONION/private/1bcdefghijklmnopqrstuvwxy4", BadLink::Token),
        ] {
            assert_eq!(link(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn debug_tells_nothing() {
        assert_eq!(format!("{:?}", link("http://ONION/private/TOKEN").unwrap()), "Link(hidden)");
        assert_eq!(format!("{:?}", Token::random().unwrap()), "Token(hidden)");
    }
}

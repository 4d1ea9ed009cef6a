//! What browsers are recognised by: the cookies and the tokens of forms that belong to them.

use axum::http::{HeaderMap, HeaderValue, header};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Seconds for which a browser is known after it gave the password: half a year.
const KNOWN_S: u32 = 180 * 86_400;

/// The cookies there are. Their names end with the port, because browsers keep one jar for all ports of a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cookie {
    /// Who is signed in.
    Session,
    /// Who fills in a form without being signed in.
    Form,
    /// Who knew the password before.
    Known,
}

impl Cookie {
    fn name(self, port: u16) -> String {
        let name = match self {
            Self::Session => "session",
            Self::Form => "form",
            Self::Known => "known",
        };
        format!("bulbil-{name}-{port}")
    }

    /// Its value in a request.
    pub(super) fn read(self, headers: &HeaderMap, port: u16) -> Option<String> {
        let name = self.name(port);
        let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    }

    /// The header that sets it; an empty value removes it.
    pub(super) fn set(self, port: u16, value: &str) -> Option<HeaderValue> {
        let age = match (self, value) {
            (_, "") => "; Max-Age=0".to_owned(),
            (Self::Known, _) => format!("; Max-Age={KNOWN_S}"),
            _ => String::new(),
        };
        let name = self.name(port);
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{age}").parse().ok()
    }
}

/// The token that a form must carry for the cookie that came with it.
pub(super) fn form_token(key: &[u8; 32], cookie: &str) -> String {
    BASE32_NOPAD.encode(&mac(key, b"form", cookie.as_bytes())).to_lowercase()
}

/// Whether a form carried the right token. In constant time.
pub(super) fn is_form_token(key: &[u8; 32], cookie: &str, given: &str) -> bool {
    form_token(key, cookie).as_bytes().ct_eq(given.as_bytes()).into()
}

/// The value by which a browser is known.
pub(super) fn known_value(seal: &[u8; 32], id: [u8; 16]) -> String {
    format!("{}.{}", HEXLOWER.encode(&id), HEXLOWER.encode(&mac(seal, b"known", &id)))
}

/// Whose value this is, if we made it.
pub(super) fn known_id(seal: &[u8; 32], value: &str) -> Option<[u8; 16]> {
    let (id, given) = value.split_once('.')?;
    let id: [u8; 16] = HEXLOWER.decode(id.as_bytes()).ok()?.try_into().ok()?;
    let given = HEXLOWER.decode(given.as_bytes()).ok()?;
    bool::from(mac(seal, b"known", &id).as_slice().ct_eq(&given)).then_some(id)
}

fn mac(key: &[u8; 32], purpose: &[u8], text: &[u8]) -> [u8; 32] {
    // An HMAC key may have any length; the fallback only satisfies the type.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(purpose).chain_update([0]).chain_update(text).finalize().into_bytes())
        .map(Into::into)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_strict_and_know_their_port() {
        let set = Cookie::Session.set(3090, "abc").unwrap();
        assert_eq!(set, "bulbil-session-3090=abc; Path=/; HttpOnly; SameSite=Strict");
        assert!(Cookie::Session.set(3090, "").unwrap().to_str().unwrap().ends_with("; Max-Age=0"));
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=b; bulbil-session-3090=abc; bulbil-form-3090=x=y".parse().unwrap());
        assert_eq!(Cookie::Session.read(&headers, 3090).as_deref(), Some("abc"));
        assert_eq!(Cookie::Form.read(&headers, 3090).as_deref(), Some("x=y"));
        assert_eq!(Cookie::Session.read(&headers, 3091), None);
    }

    #[test]
    fn tokens_belong_to_one_cookie_and_one_run() {
        let token = form_token(&[1; 32], "cookie");
        assert!(is_form_token(&[1; 32], "cookie", &token));
        for (key, cookie, given) in
            [([2; 32], "cookie", token.as_str()), ([1; 32], "other", &token), ([1; 32], "cookie", "")]
        {
            assert!(!is_form_token(&key, cookie, given));
        }
    }

    #[test]
    fn a_browser_is_known_by_our_seal_only() {
        let value = known_value(&[1; 32], [9; 16]);
        assert_eq!(known_id(&[1; 32], &value), Some([9; 16]));
        assert_eq!(known_id(&[2; 32], &value), None);
        assert_eq!(known_id(&[1; 32], &value.replacen('0', "1", 1)), None);
        assert_eq!(known_id(&[1; 32], "x"), None);
    }
}

//! Who calls, and whether they may.

use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use subtle::ConstantTimeEq;
use url::Url;

use crate::config::Gateway;
use crate::exit::Isolation;

/// The password, for programs in a browser: these cannot send `Proxy-Authorization`.
pub(super) const PASSWORD: HeaderName = HeaderName::from_static("x-bulbil-password");

/// What no page can make a browser send here without asking for leave first, which has an origin (WHATWG Fetch, section
/// 3.2.2). Its value does not matter.
pub(super) const PROGRAM: HeaderName = HeaderName::from_static("x-bulbil-program");

/// Why a caller is sent away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stranger(pub(super) StatusCode, pub(super) &'static str);

/// A caller that may go on.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// What their streams may share a circuit with.
    pub(super) isolation: Isolation,
    /// The page that calls, if it is one of those allowed to read the answer.
    pub(super) origin: Option<HeaderValue>,
}

/// How the gateway is called: as itself, or as a proxy on the way to somewhere else. A page in a browser cannot make it do
/// the latter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    /// `GET /…`
    Itself,
    /// `CONNECT host:port`, `GET http://…`
    Proxy,
}

impl Caller {
    /// Looks at a request's headers.
    pub(super) fn admit(
        config: &Gateway,
        client: IpAddr,
        manner: Manner,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Self, Stranger> {
        let mut origin = None;
        if manner == Manner::Itself {
            host(config, headers)?;
            origin = page(config, headers)?;
        }
        // A browser asks for leave without saying who it is.
        let asks_leave = manner == Manner::Itself && is_preflight(method, headers) && origin.is_some();
        if let Some(password) = &config.password
            && !asks_leave
            && !knows(&password.0, headers)
        {
            return Err(Stranger(
                StatusCode::PROXY_AUTHENTICATION_REQUIRED,
                "send the password of proxy.http.password as Proxy-Authorization: Basic, or as X-Bulbil-Password",
            ));
        }
        let part = |name: &HeaderName| headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
        let isolation = Isolation::of("http")
            .and(client.to_string().as_bytes())
            .and(part(&header::PROXY_AUTHORIZATION))
            .and(origin.as_ref().map_or(&[][..], HeaderValue::as_bytes));
        Ok(Self { isolation, origin })
    }
}

/// Refuses what a page somewhere may have made a browser of this network ask. To addresses beyond loopback, browsers do
/// not say where a request comes from (Fetch Metadata is for trustworthy URLs only), and a page can have them leave the
/// referrer out: a picture of `http://192.168.1.9:3080/proxy?url=…` comes without any sign of its page. Browsers are known by
/// how they call themselves, which no page can change without asking for leave.
pub(super) fn is_asked_by_somebody(config: &Gateway, headers: &HeaderMap) -> Result<(), Stranger> {
    let signs = [header::ORIGIN, header::REFERER, HeaderName::from_static("sec-fetch-site"), PROGRAM];
    if config.password.is_some()
        || is_loopback(headers)
        || signs.iter().any(|name| headers.contains_key(name))
    {
        return Ok(());
    }
    let says = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agent = says(header::USER_AGENT);
    // Some programs say that they take any language; browsers say which.
    let languages = says(header::ACCEPT_LANGUAGE);
    if agent.contains("Mozilla/") || agent.contains("Opera/") || !matches!(languages, "" | "*") {
        return Err(Stranger(
            StatusCode::FORBIDDEN,
            "this looks like a browser, and any page could have sent it; send a header X-Bulbil-Program: 1, call from a \
             page of proxy.http.origins, or set proxy.http.password",
        ));
    }
    Ok(())
}

/// Whether the gateway was called by a name that leads to the caller's own machine.
fn is_loopback(headers: &HeaderMap) -> bool {
    let given = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name =
        given.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(given, |(name, _)| name);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// A browser's question whether a page may call (WHATWG Fetch, section 3.3.7).
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// A page whose name points here would be called by that name: only names of ours will do (DNS rebinding).
fn host(config: &Gateway, headers: &HeaderMap) -> Result<(), Stranger> {
    let given = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match given.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => given,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_address = bare.map_or_else(
        || name.parse::<std::net::Ipv4Addr>().is_ok(),
        |name| name.parse::<std::net::Ipv6Addr>().is_ok(),
    );
    let is_ours = is_address
        || name.eq_ignore_ascii_case("localhost")
        || config
            .hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(name) || host.eq_ignore_ascii_case(given));
    if is_ours {
        Ok(())
    } else {
        Err(Stranger(
            StatusCode::MISDIRECTED_REQUEST,
            "call the gateway by its address or localhost, or add this name to proxy.http.hosts",
        ))
    }
}

/// The page that calls, if a browser says that one does; refused unless it is ours or on the list (CSRF).
fn page(config: &Gateway, headers: &HeaderMap) -> Result<Option<HeaderValue>, Stranger> {
    const FOREIGN: Stranger = Stranger(
        StatusCode::FORBIDDEN,
        "this page may not call the gateway; add its origin to proxy.http.origins",
    );
    let mut origins = headers.get_all(header::ORIGIN).iter();
    if let Some(origin) = origins.next() {
        let text = origin.to_str().map_err(|_| FOREIGN)?;
        let known = is_own(text, headers) || config.origins.iter().any(|known| covers(known, text));
        return if known && origins.next().is_none() { Ok(Some(origin.clone())) } else { Err(FOREIGN) };
    }
    // Pictures, frames and links come without an origin; newer browsers say where from, older ones send a referrer.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"none" | b"same-origin")) {
        return Err(FOREIGN);
    }
    if let Some(referrer) = headers.get(header::REFERER) {
        let url = referrer.to_str().ok().and_then(|text| Url::parse(text).ok()).ok_or(FOREIGN)?;
        let origin = url.origin().ascii_serialization();
        if !is_own(&origin, headers) && !config.origins.iter().any(|known| covers(known, &origin)) {
            return Err(FOREIGN);
        }
    }
    Ok(None)
}

/// Whether the page came from the very name and port that is called, which [`host`] found to be ours.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    origin.strip_prefix("http://").zip(host).is_some_and(|(page, host)| page.eq_ignore_ascii_case(host))
}

/// Whether an entry of the list stands for this origin.
fn covers(known: &str, origin: &str) -> bool {
    match known.strip_suffix(":*") {
        None => known.eq_ignore_ascii_case(origin),
        Some(front) => {
            let (name, rest) = match origin.get(..front.len()) {
                Some(name) => (name, origin.get(front.len()..).unwrap_or_default()),
                None => return false,
            };
            let port = rest.strip_prefix(':');
            name.eq_ignore_ascii_case(front)
                && (rest.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_ok()))
        }
    }
}

/// Whether one of the two headers carries the password. Takes the same time whatever is wrong with it.
fn knows(password: &str, headers: &HeaderMap) -> bool {
    let is_it = |word: &[u8]| bool::from(word.ct_eq(password.as_bytes()));
    if headers.get(PASSWORD).is_some_and(|word| is_it(word.as_bytes())) {
        return true;
    }
    let basic = headers.get(header::PROXY_AUTHORIZATION).and_then(|value| value.to_str().ok());
    let login = basic.and_then(|text| {
        let (scheme, rest) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| rest.trim().as_bytes())
    });
    let login = login.and_then(|text| data_encoding::BASE64.decode(text).ok());
    login.as_deref().is_some_and(|login| {
        let colon = login.iter().position(|byte| *byte == b':').map_or(0, |at| at.saturating_add(1));
        is_it(login.get(colon..).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Password;

    fn admit(config: &Gateway, lines: &[(&'static str, &str)]) -> Result<Caller, Stranger> {
        let headers = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        Caller::admit(config, [127, 0, 0, 1].into(), Manner::Itself, &Method::GET, &headers)
    }

    fn code(config: &Gateway, lines: &[(&'static str, &str)]) -> u16 {
        admit(config, lines).map_or_else(|stranger| stranger.0.as_u16(), |_| 200)
    }

    #[test]
    fn only_our_own_names_are_answered_to() {
        let mut config = Gateway::default();
        for host in [
            "127.0.0.1:3080",
            "localhost:3080",
            "LOCALHOST",
            "[::1]:3080",
            "192.168.1.9:8080",
            "localhost:80",
        ] {
            assert_eq!(code(&config, &[("host", host)]), 200, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:3080",
            "localhost.evil.example",
            "localhost.:3080",
            "127.0.0.1.nip.io",
            "bulbil",
            "[::1].evil.example",
            "127.0.0.1:x",
            "127.1",
            "0x7f000001",
        ] {
            assert_eq!(code(&config, &[("host", host)]), 421, "{host}");
        }
        config.hosts = vec!["bulbil".into()];
        assert_eq!(code(&config, &[("host", "bulbil:3080")]), 200);
    }

    #[test]
    fn foreign_pages_are_sent_away() {
        let config = Gateway {
            origins: vec!["http://localhost:*".into(), "https://app.test".into()],
            ..Gateway::default()
        };
        let host = ("host", "127.0.0.1:3080");
        for origin in
            ["http://127.0.0.1:3080", "http://localhost:3000", "http://localhost", "https://app.test"]
        {
            let caller = admit(&config, &[host, ("origin", origin)]).unwrap();
            assert_eq!(caller.origin.unwrap(), origin);
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "https://localhost:3000",
            "http://localhost.evil.example",
            "http://localhost:3000.evil.example",
            "https://app.test:444",
            "https://app.test.evil.example",
            "http://127.0.0.1:3081",
            "http://localhost:",
        ] {
            assert_eq!(code(&config, &[host, ("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(
            code(&config, &[host, ("origin", "https://app.test"), ("origin", "null")]),
            403,
            "two origins"
        );
        for (name, value, expected) in [
            ("sec-fetch-site", "cross-site", 403),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
            ("referer", "http://evil.example/a", 403),
            ("referer", "http://127.0.0.1:3080/ip", 200),
            ("referer", "http://localhost:3000/x", 200),
            ("referer", "nonsense", 403),
        ] {
            assert_eq!(code(&config, &[host, (name, value)]), expected, "{name}: {value}");
        }
    }

    #[test]
    fn on_the_lan_what_may_be_a_pages_picture_is_sent_away() {
        let open = Gateway::default();
        let closed = Gateway { password: Some(Password("swordfish".into())), ..Gateway::default() };
        let firefox =
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
        let (lan, language) = (("host", "192.168.1.9:3080"), ("accept-language", "de,en;q=0.5"));
        let asks = |config: &Gateway, lines: &[(&'static str, &str)]| {
            let headers = lines
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
                .collect();
            is_asked_by_somebody(config, &headers).is_ok()
        };
        for lines in [
            &[lan, firefox][..],
            &[("host", "[fe80::1]:3080"), firefox],
            &[("host", "[fe80::1]"), firefox],
            &[("host", "bulbil"), firefox],
            &[lan, ("user-agent", "Odd/1"), language],
            &[lan, language],
        ] {
            assert!(!asks(&open, lines), "{lines:?}");
            assert!(asks(&closed, lines), "a password is more than a sign");
            assert!(asks(&open, &[lines, &[("x-bulbil-program", "1")]].concat()));
            assert!(asks(&open, &[lines, &[("sec-fetch-site", "none")]].concat()));
        }
        for lines in [
            &[lan][..],
            &[lan, ("user-agent", "curl/8.14.1"), ("accept", "*/*")],
            &[lan, ("user-agent", "node"), ("accept-language", "*")],
            &[("host", "127.0.0.1:3080"), firefox, language],
            &[("host", "[::1]:3080"), firefox],
            &[("host", "[::1]"), firefox],
            &[("host", "localhost"), firefox],
        ] {
            assert!(asks(&open, lines), "{lines:?}");
        }
    }

    #[test]
    fn a_password_is_asked_for_where_there_is_one() {
        let config = Gateway { password: Some(Password("swordfish".into())), ..Gateway::default() };
        let host = ("host", "127.0.0.1:3080");
        for (name, value, expected) in [
            ("x-bulbil-password", "swordfish", 200),
            ("x-bulbil-password", "swordfis", 407),
            ("x-bulbil-password", "", 407),
            ("proxy-authorization", "Basic bWU6c3dvcmRmaXNo", 200),
            ("proxy-authorization", "basic bWU6c3dvcmRmaXNo", 200),
            ("proxy-authorization", "Basic c3dvcmRmaXNo", 200),
            ("proxy-authorization", "Basic bWU6eA==", 407),
            ("proxy-authorization", "Bearer swordfish", 407),
            ("authorization", "Basic bWU6c3dvcmRmaXNo", 407),
        ] {
            assert_eq!(code(&config, &[host, (name, value)]), expected, "{name}: {value}");
        }
        assert_eq!(code(&config, &[host]), 407);
        let headers = HeaderMap::new();
        let tunnel =
            |headers| Caller::admit(&config, [10, 0, 0, 1].into(), Manner::Proxy, &Method::CONNECT, headers);
        assert_eq!(tunnel(&headers).unwrap_err().0, 407);
    }

    #[test]
    fn users_and_pages_share_no_circuit() {
        let config = Gateway::default();
        let host = ("host", "127.0.0.1:3080");
        let of = |lines: &[(&'static str, &str)]| admit(&config, lines).unwrap().isolation;
        let plain = of(&[host]);
        assert_eq!(plain, of(&[host, ("user-agent", "x")]));
        assert_ne!(plain, of(&[host, ("proxy-authorization", "Basic bWU6")]));
        assert_ne!(plain, of(&[host, ("origin", "http://localhost:3000")]));
    }
}

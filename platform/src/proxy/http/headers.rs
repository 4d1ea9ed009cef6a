//! Which headers pass the gateway.
//!
//! | Header | `/proxy?url=` | as a proxy |
//! |---|---|---|
//! | hop-by-hop: `Connection` and what it names, `Keep-Alive`, `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade`, `Proxy-*` (RFC 9110, 7.6.1) | removed | removed |
//! | who is behind it: `Forwarded`, `Via`, `X-Forwarded-*`, `X-Real-IP` and the like | removed | removed |
//! | what a browser adds about the page that calls and its person: `Origin`, `Referer`, `Cookie`, `Sec-*`, `Accept-Language`, `DNT`, `From` | removed | kept: they are meant for the target |
//! | `User-Agent` | replaced | kept |
//! | in answers: `Set-Cookie` (it would set one for this gateway), and all that makes a browser call somebody by itself | removed | kept |

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// Meant for the next hop only.
const HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that say who is behind a proxy, whoever put them in.
const BEHIND: [&str; 18] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-originating-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-proxyuser-ip",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-bulbil-password",
    "x-bulbil-program",
    "x-request-id",
    "x-correlation-id",
];

/// What a browser tells of the page that calls the gateway, and of its person.
const PERSONAL: [&str; 14] = [
    "origin",
    "referer",
    "cookie",
    "cookie2",
    "accept-language",
    "dnt",
    "from",
    "priority",
    "save-data",
    "device-memory",
    "downlink",
    "ect",
    "rtt",
    "viewport-width",
];

/// Answers' headers that would set something for the gateway itself, speak for it, or make a browser call somebody without
/// Tor.
const MEDDLING: [&str; 25] = [
    "set-cookie",
    "set-cookie2",
    "alt-svc",
    "alt-used",
    "link",
    "refresh",
    "content-location",
    "report-to",
    "reporting-endpoints",
    "nel",
    "sourcemap",
    "x-sourcemap",
    "clear-site-data",
    "strict-transport-security",
    "public-key-pins",
    "expect-ct",
    "service-worker-allowed",
    "speculation-rules",
    "origin-agent-cluster",
    "content-security-policy",
    "content-security-policy-report-only",
    "cross-origin-resource-policy",
    "referrer-policy",
    "x-frame-options",
    "permissions-policy",
];

/// Headers of every answer of `/proxy`: should somebody open it as a page, it can neither run nor load anything.
const INERT: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "sandbox; default-src 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Takes out what neither way lets through, in requests and answers.
pub(super) fn trim(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    remove(headers, &HOP);
    remove(headers, &BEHIND);
    remove_all_that(headers, |name| name.starts_with("x-forwarded") || name.starts_with("proxy-"));
}

/// Makes the headers of a call to `/proxy` those of a plain request of nobody in particular.
pub(super) fn anonymize(headers: &mut HeaderMap, user_agent: &str) {
    trim(headers);
    remove(headers, &PERSONAL);
    remove_all_that(headers, |name| name.starts_with("sec-") || name.starts_with("access-control-"));
    headers.remove(header::EXPECT); // answered here
    headers.remove(header::HOST);
    if let Ok(user_agent) = HeaderValue::from_str(user_agent)
        && !user_agent.is_empty()
    {
        headers.insert(header::USER_AGENT, user_agent);
    }
}

/// Makes the headers of an answer those of one that comes from the gateway. A redirect leads through it again.
pub(super) fn defuse(headers: &mut HeaderMap, from: &Url) {
    trim(headers);
    remove(headers, &MEDDLING);
    remove_all_that(headers, |name| name.starts_with("access-control-"));
    if let Some(location) = headers.remove(header::LOCATION) {
        let there = location.to_str().ok().and_then(|text| from.join(text).ok());
        if let Some(value) = there.and_then(|url| HeaderValue::try_from(through(&url)).ok()) {
            headers.insert(header::LOCATION, value);
        }
    }
    for (name, value) in INERT {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The path that leads to `url` through the gateway.
fn through(url: &Url) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(url.as_str().as_bytes()).collect();
    format!("/proxy?url={encoded}")
}

fn remove(headers: &mut HeaderMap, names: &[&str]) {
    for name in names {
        headers.remove(*name);
    }
}

fn remove_all_that(headers: &mut HeaderMap, is_it: impl Fn(&str) -> bool) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_it(name.as_str())).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&'static str]) -> HeaderMap {
        names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x"))).collect()
    }

    #[test]
    fn nothing_that_tells_who_calls_goes_on() {
        let kept = ["accept", "authorization", "content-type", "x-api-key", "range"];
        let mut all = headers(&kept);
        for names in [
            &HOP[..],
            &BEHIND,
            &PERSONAL,
            &["x-forwarded-for", "x-forwarded-any", "sec-ch-ua", "sec-fetch-site", "host"],
        ] {
            all.extend(headers(names));
        }
        all.insert(header::CONNECTION, HeaderValue::from_static("close, X-Secret"));
        all.insert("x-secret", HeaderValue::from_static("x"));
        anonymize(&mut all, "Agent");
        let mut left: Vec<&str> = all.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "authorization", "content-type", "range", "user-agent", "x-api-key"]);
        assert_eq!(all["user-agent"], "Agent");
    }

    #[test]
    fn as_a_proxy_only_the_hop_is_taken_out() {
        let mut all = headers(&[
            "cookie",
            "origin",
            "referer",
            "user-agent",
            "via",
            "x-forwarded-for",
            "te",
            "proxy-connection",
        ]);
        trim(&mut all);
        let mut left: Vec<&str> = all.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["cookie", "origin", "referer", "user-agent"]);
    }

    #[test]
    fn answers_can_do_nothing_by_themselves_and_redirects_come_back() {
        let mut all =
            headers(&["set-cookie", "alt-svc", "link", "refresh", "access-control-allow-origin", "etag"]);
        all.insert(header::LOCATION, HeaderValue::from_static("../c?d=e&f"));
        defuse(&mut all, &Url::parse("https://a.test/b/b2").unwrap());
        assert_eq!(all[header::LOCATION], "/proxy?url=https%3A%2F%2Fa.test%2Fc%3Fd%3De%26f");
        assert!(all.contains_key("etag") && !all.contains_key("set-cookie") && !all.contains_key("link"));
        assert!(all[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("sandbox"));
    }
}

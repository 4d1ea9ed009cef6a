//! What stands before every page: whose name we were called by, where a form came from, and what a browser may do with
//! the answer.

use axum::body::Body;
use axum::extract::{Form, FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;
use std::time::Duration;

use super::cookie::{self, Cookie};
use super::frame;
use super::site::{Shared, Site};
use super::upload::{self, Upload};
use super::visitor::{Place, Sight, Visitor};
use crate::control::seats::Seat;

/// Where a keep file may come with the form.
pub(super) const RESTORE: &str = "/first/restore";

/// Longest wait for a whole form.
const FORM_DEADLINE: Duration = Duration::from_secs(20);

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("x-dns-prefetch-control"), "off"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The fields of a form whose token was right.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The value of a field; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Whether the form has such a field, empty or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// All values of a field that may come several times.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box was ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }
}

#[cfg(test)]
impl<'a> FromIterator<(&'a str, &'a str)> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

/// Refuses names that are not ours (a foreign page may have its name point here), foreign pages, and forms without
/// their token.
pub(super) async fn check(State(site): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = match admit(&site, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets only those through who may see everything; what changes something needs a session.
pub(super) async fn members(State(site): State<Shared>, request: Request, next: Next) -> Response {
    let Some(visitor) = request.extensions().get::<Visitor>() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "no visitor").into_response();
    };
    let sight = visitor.sight(site.page.first_run);
    let changes = *request.method() == Method::POST;
    if sight == Sight::All && (visitor.session.is_some() || !changes) {
        return next.run(request).await;
    }
    away(sight, changes, request.uri().path())
}

/// Where someone goes who may not see this.
fn away(sight: Sight, changes: bool, path: &str) -> Response {
    let data = std::path::Path::new(path).extension().is_some_and(|extension| extension == "json");
    match sight {
        Sight::Nothing => frame::refused(),
        _ if data => (StatusCode::UNAUTHORIZED, "sign in on the page first").into_response(),
        Sight::FirstRun => Redirect::to("/first").into_response(),
        Sight::All if changes => Redirect::to("/first").into_response(),
        _ => Redirect::to("/login").into_response(),
    }
}

async fn admit(site: &Shared, request: Request) -> Result<Request, Response> {
    let place = Place::of(request.extensions()).map_err(|why| plain(StatusCode::FORBIDDEN, why))?;
    if !is_called_right(site, place, request.headers()) {
        return Err(plain(
            StatusCode::MISDIRECTED_REQUEST,
            "open this page by its own address, such as http://127.0.0.1, or add the name to page.names",
        ));
    }
    let changes = match *request.method() {
        Method::GET | Method::HEAD => false,
        Method::POST => true,
        _ => return Err(plain(StatusCode::METHOD_NOT_ALLOWED, "this page knows GET and POST only")),
    };
    if !is_own_page(request.headers(), changes) {
        return Err(plain(StatusCode::FORBIDDEN, "another page sent this; open the page by its own address"));
    }
    let (parts, body) = request.into_parts();
    let form = if changes { Some(read_form(site, place, &parts, body).await?) } else { None };
    if let Some(seat) = parts.extensions.get::<Arc<Seat>>() {
        seat.work();
    }
    // Only now: a form may take its time to come, and the password may be another one since it began.
    let visitor = visitor(site, place, &parts.headers).await?;
    let mut request = Request::from_parts(parts, Body::empty());
    if let Some((fields, upload)) = form {
        if !is_answered_for(site, &visitor, &request, &fields) {
            return Err(frame::stale());
        }
        request.extensions_mut().insert(fields);
        if let Some(upload) = upload {
            request.extensions_mut().insert(upload);
        }
    }
    request.extensions_mut().insert(visitor);
    Ok(request)
}

async fn visitor(site: &Site, place: Place, headers: &HeaderMap) -> Result<Visitor, Response> {
    let entry = site.entry().await;
    let entry = entry.map_err(|why| plain(StatusCode::SERVICE_UNAVAILABLE, &why.to_string()))?;
    Ok(Visitor::new(site, place, entry, headers))
}

/// Whether a form carries the token that belongs to the session, or to the browser if there is none.
fn is_answered_for(site: &Site, visitor: &Visitor, request: &Request, fields: &Fields) -> bool {
    let cookie = visitor.session.clone().or_else(|| Cookie::Form.read(request.headers(), site.port));
    cookie.is_some_and(|cookie| cookie::is_form_token(&site.key, &cookie, fields.get("token")))
}

/// Reads the form. With a file only where a keep file is waited for, and from who may bring one back.
async fn read_form(
    site: &Site,
    place: Place,
    parts: &Parts,
    body: Body,
) -> Result<(Fields, Option<Upload>), Response> {
    let wrong = |why: &str| plain(StatusCode::BAD_REQUEST, why);
    if parts.uri.path() == RESTORE && upload::is_one(&parts.headers) {
        if !visitor(site, place, &parts.headers).await?.may_begin(site.page.first_run) {
            return Err(frame::refused());
        }
        let read = site.uploads.read(&parts.headers, body).await;
        let (fields, upload) = read.map_err(wrong)?;
        return Ok((Fields(fields), Some(upload)));
    }
    let request = Request::from_parts(parts.clone(), body);
    let form = Form::<Vec<(String, String)>>::from_request(request, &());
    match tokio::time::timeout(FORM_DEADLINE, form).await {
        Ok(Ok(Form(fields))) => Ok((Fields(fields), None)),
        _ => Err(wrong("that was no form of this page; go back and try again")),
    }
}

/// Whether the browser says that one of our own pages sent this.
///
/// Browsers say `Origin: null` for forms of pages that send no referrer, as ours do; then `Sec-Fetch-Site` decides where
/// it is sent, and the token in any case.
fn is_own_page(headers: &HeaderMap, changes: bool) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text("sec-fetch-site");
    if !changes {
        // A link on another page may lead here, but nothing of ours is for use within other pages.
        let opened = text("sec-fetch-mode") == Some("navigate") && text("sec-fetch-dest") == Some("document");
        return matches!(site, None | Some("same-origin" | "none")) || opened;
    }
    let host = text("host").unwrap_or_default();
    let origin = match text("origin") {
        None | Some("null") => true,
        Some(origin) => origin.strip_prefix("http://").is_some_and(|from| from.eq_ignore_ascii_case(host)),
    };
    origin && matches!(site, None | Some("same-origin"))
}

/// Whether the page was called by a name of its own.
fn is_called_right(site: &Site, place: Place, headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (named.next().and_then(|host| host.to_str().ok()), named.next()) else {
        return false;
    };
    match place {
        Place::Onion => site.onion.is_called(host),
        Place::Machine => port_of(host, site.port)
            .is_some_and(|name| is_loopback(name) || site.is_called(name) || is_address(name)),
        Place::Lan(_) => {
            port_of(host, site.port).is_some_and(|name| site.is_called(name) || is_address(name))
        }
    }
}

/// The name before our port; without a port it is 80.
fn port_of(host: &str, port: u16) -> Option<&str> {
    let (name, given) = match host.rsplit_once(':') {
        Some((name, digits)) if !digits.ends_with(']') => (name, digits.parse().ok()),
        _ => (host, Some(80)),
    };
    (given == Some(port)).then_some(name)
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || matches!(name, "127.0.0.1" | "[::1]")
}

/// An address cannot be made to point elsewhere, as a name can.
fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    bare.map_or_else(
        || name.parse::<std::net::Ipv4Addr>().is_ok(),
        |bare| bare.parse::<std::net::Ipv6Addr>().is_ok(),
    )
}

fn plain(status: StatusCode, text: &str) -> Response {
    (status, text.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_names_of_this_machine_and_addresses_are_ours() {
        let ours = |host: &str| port_of(host, 3090).is_some_and(|name| is_loopback(name) || is_address(name));
        for host in ["127.0.0.1:3090", "localhost:3090", "LocalHost:3090", "[::1]:3090", "192.168.1.7:3090"] {
            assert!(ours(host), "{host}");
        }
        for host in ["", "127.0.0.1", "127.0.0.1:3091", "evil.example:3090", "localhost.evil.example:3090"] {
            assert!(!ours(host), "{host}");
        }
        assert_eq!(port_of("[::1]", 80), Some("[::1]"));
    }

    #[test]
    fn forms_come_from_our_own_pages_only() {
        const HOST: (&str, &str) = ("host", "127.0.0.1:3090");
        for (more, right) in [
            (vec![], true),
            (vec![("origin", "http://127.0.0.1:3090")], true),
            (vec![("origin", "null"), ("sec-fetch-site", "same-origin")], true),
            (vec![("origin", "null")], true),
            (vec![("origin", "null"), ("sec-fetch-site", "cross-site")], false),
            (vec![("origin", "null"), ("sec-fetch-site", "same-site")], false),
            (vec![("origin", "null"), ("sec-fetch-site", "none")], false),
            (vec![("origin", "http://127.0.0.1:3091")], false),
            (vec![("origin", "https://127.0.0.1:3090")], false),
            (vec![("origin", "http://evil.example")], false),
        ] {
            let all: Vec<_> = more.iter().copied().chain([HOST]).collect();
            assert_eq!(is_own_page(&headers(&all), true), right, "{more:?}");
        }
    }

    #[test]
    fn other_pages_may_link_here_but_use_nothing() {
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(is_own_page(&headers(&link), false));
        for other in [
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")],
            [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        ] {
            assert!(!is_own_page(&headers(&other), false), "{other:?}");
        }
    }
}

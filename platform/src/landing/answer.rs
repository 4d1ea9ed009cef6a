//! Which request gets what.

use std::rc::Rc;

use data_encoding::HEXLOWER;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::body::Body;
use super::file::FileBody;
use super::range::{self, Part};
use super::spot::{Spot, What};
use super::{Landing, find, headers, page};
use crate::link::{TOKEN_LEN, Token};

/// Answers a request at a service that offers `all` of these. `admit` is asked for room for a reader who named the right
/// token, and not before: strangers take no reader's place.
pub(super) async fn answer<B>(
    request: &Request<B>,
    all: &[Rc<Landing>],
    admit: impl FnOnce(&Rc<Landing>) -> bool,
) -> Response<Body> {
    let spot = Spot::parse(request.uri().path());
    // A path without a token is looked up like one with a token, so that the search is always the same.
    let nobody = Token::from_bytes([0; TOKEN_LEN]);
    let (public, token) = spot.as_ref().map_or((false, &nobody), |spot| (spot.public, &spot.token));
    let found = find(all, public, token);
    let (Some(spot), Some(landing)) = (spot, found) else { return missing() };
    if !admit(&landing) {
        return busy();
    }
    let get = match *request.method() {
        Method::GET => true,
        Method::HEAD => false,
        _ => return only_reading(),
    };
    match spot.what {
        What::Page(from) => match page::page(&landing, from) {
            Some(page) => html(StatusCode::OK, page.into_string(), &page::policy()),
            None => missing(),
        },
        What::File(_) if !landing.browser => {
            html(StatusCode::FORBIDDEN, page::bulbil_only(), headers::CLOSED)
        }
        What::File(number) => file(&landing, number, request.headers(), get).await,
    }
}

/// The one answer to everything that is not there, whyever: the same bytes each time, and the connection ends.
fn missing() -> Response<Body> {
    let mut response = html(StatusCode::NOT_FOUND, page::missing(), headers::CLOSED);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Other readers have all the room there is.
fn busy() -> Response<Body> {
    let mut response = html(StatusCode::SERVICE_UNAVAILABLE, page::busy(), headers::CLOSED);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn only_reading() -> Response<Body> {
    let mut response = html(StatusCode::METHOD_NOT_ALLOWED, page::only_reading(), headers::CLOSED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn html(status: StatusCode, text: impl Into<Bytes>, policy: &str) -> Response<Body> {
    let mut response = Response::new(Body::whole(text));
    *response.status_mut() = status;
    headers::guard(response.headers_mut(), policy);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// A file, or the part of it that was asked for. Never shown by the browser, only kept.
async fn file(landing: &Rc<Landing>, number: usize, asked: &hyper::HeaderMap, get: bool) -> Response<Body> {
    let Some(path) = landing.content.paths().get(number) else { return missing() };
    let span =
        u32::try_from(number).ok().and_then(|file| landing.content.layout().span_of_file(file)).copied();
    let length = span.map_or(0, |span| span.length);
    let tag = span.map_or("\"empty\"".to_owned(), |span| format!("\"{}\"", HEXLOWER.encode(&span.root.0)));
    let part = range::wanted(asked, &tag, length, get);
    let (status, from, end) = match part {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Range(first, last) => (StatusCode::PARTIAL_CONTENT, first, last.saturating_add(1)),
        Part::Unchanged => (StatusCode::NOT_MODIFIED, 0, 0),
        Part::Changed => (StatusCode::PRECONDITION_FAILED, 0, 0),
        Part::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let body = match span {
        Some(span) if end > from => {
            let mut body = FileBody::new(Rc::clone(landing), span, from, end);
            if get && body.begin().await.is_err() {
                return html(StatusCode::INTERNAL_SERVER_ERROR, page::unreadable(), headers::CLOSED);
            }
            Body::File(body)
        }
        _ => Body::whole(Bytes::new()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let lines = response.headers_mut();
    headers::guard(lines, headers::CLOSED);
    let mut say = |name, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            lines.insert(name, value);
        }
    };
    say(header::ETAG, &tag);
    say(header::ACCEPT_RANGES, "bytes");
    match part {
        Part::Range(first, last) => say(header::CONTENT_RANGE, &format!("bytes {first}-{last}/{length}")),
        Part::Beyond => say(header::CONTENT_RANGE, &format!("bytes */{length}")),
        Part::Whole | Part::Unchanged | Part::Changed => {}
    }
    if matches!(part, Part::Whole | Part::Range(..)) {
        say(header::CONTENT_TYPE, "application/octet-stream");
        say(header::CONTENT_DISPOSITION, &headers::attachment(name(landing, path)));
    }
    response
}

/// Name under which a browser keeps a file.
fn name<'l>(landing: &'l Landing, path: &'l str) -> &'l str {
    if landing.content.is_single_file() {
        landing.content.name()
    } else {
        path.rsplit('/').next().unwrap_or(path)
    }
}

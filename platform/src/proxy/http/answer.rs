//! What the gateway says itself.

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::body::Cut;
use super::caller::Stranger;
use super::target::BadTarget;
use crate::exit::ReachError;
use crate::http::HttpError;

/// An answer of the gateway or of a target.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Cut>>;

/// Said before there is a request that could be answered.
pub(super) const MALFORMED: &str = concat!(
    "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
    r#"{"error":"that is no plain HTTP/1.1 request; send one whose length and host are said once"}"#
);

/// See [`MALFORMED`].
pub(super) const TOO_LONG: &str = concat!(
    "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
    r#"{"error":"the head of the request is over 16 KiB or 100 lines; send the rest as a body"}"#
);

/// See [`MALFORMED`].
pub(super) const TOO_SLOW: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n";

/// See [`MALFORMED`].
pub(super) const TOO_MANY: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\n\r\n",
    r#"{"error":"too many connections; try again soon, or allow more with proxy.http.max_connections"}"#
);

/// Why a request is not done.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// For statistics.
    pub(super) word: &'static str,
    /// For the caller. Names no target.
    pub(super) text: String,
}

pub(super) const fn refusal(status: StatusCode, word: &'static str) -> Refusal {
    Refusal { status, word, text: String::new() }
}

/// 404.
pub(super) const NO_SUCH_PATH: Refusal = refusal(StatusCode::NOT_FOUND, "no_such_path");

/// 405.
pub(super) const READ_ONLY: Refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, "method");

/// 405: answers with what was sent, headers and all.
pub(super) const TRACE: Refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, "method");

/// 413.
pub(super) const LONG: Refusal = refusal(StatusCode::PAYLOAD_TOO_LARGE, "too_long");

impl Refusal {
    pub(super) fn new(status: StatusCode, word: &'static str, text: impl Into<String>) -> Self {
        Self { status, word, text: text.into() }
    }

    pub(super) fn into_answer(self) -> Answer {
        let text = match self.word {
            _ if !self.text.is_empty() => self.text.as_str(),
            "no_such_path" => "there are /health, /ip, /verify-tor and /proxy?url=",
            "method" => "that method does nothing here",
            "too_long" => "the body is over proxy.http.request_limit; send less, or allow more",
            _ => "not done",
        };
        let mut answer = json(self.status.as_u16(), &json!({ "error": text }));
        if self.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let scheme = HeaderValue::from_static("Basic realm=\"bulbil\", charset=\"UTF-8\"");
            answer.headers_mut().insert(header::PROXY_AUTHENTICATE, scheme);
        }
        answer
    }
}

impl From<Stranger> for Refusal {
    fn from(Stranger(status, text): Stranger) -> Self {
        let word = match status {
            StatusCode::FORBIDDEN => "foreign_page",
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => "password",
            _ => "foreign_host",
        };
        Self::new(status, word, text)
    }
}

impl From<BadTarget> for Refusal {
    fn from(why: BadTarget) -> Self {
        let (status, word) = match why {
            BadTarget::Private | BadTarget::Port => (StatusCode::FORBIDDEN, "bad_target"),
            _ => (StatusCode::BAD_REQUEST, "bad_target"),
        };
        Self::new(status, word, why.to_string())
    }
}

impl From<HttpError> for Refusal {
    fn from(error: HttpError) -> Self {
        let (status, word) = match &error {
            HttpError::Unreached(why) => (of_reach(*why), why.word()),
            HttpError::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
            HttpError::Request(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            HttpError::Tls(_) => (StatusCode::BAD_GATEWAY, "tls"),
            HttpError::Content(_) => (StatusCode::BAD_GATEWAY, "content"),
            _ => (StatusCode::BAD_GATEWAY, "broken"),
        };
        Self::new(status, word, error.to_string())
    }
}

const fn of_reach(why: ReachError) -> StatusCode {
    match why {
        ReachError::NotReady | ReachError::Shutdown => StatusCode::SERVICE_UNAVAILABLE,
        ReachError::Timeout | ReachError::OnionTimeout => StatusCode::GATEWAY_TIMEOUT,
        ReachError::Private | ReachError::Forbidden => StatusCode::FORBIDDEN,
        ReachError::BadName | ReachError::OnionAddress => StatusCode::BAD_REQUEST,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// A JSON document.
pub(super) fn json(status: u16, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Leave for a page on the list to call as it said it would.
pub(super) fn leave(asked: &HeaderMap) -> Answer {
    const PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    for (question, reply) in [
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
        (PRIVATE, HeaderName::from_static("access-control-allow-private-network")),
    ] {
        if let Some(value) = asked.get(question) {
            headers.insert(reply, value.clone());
        }
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer
}

/// Lets the page that called read the answer, and no other.
pub(super) fn for_page(answer: &mut Answer, origin: HeaderValue) {
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

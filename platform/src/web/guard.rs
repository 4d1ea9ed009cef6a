//! What stands before every page: whose name we were called by, and what a browser may do with the answer.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses names that are not ours (a foreign page may have its name point here) and anything but reading.
pub(super) async fn check(State(port): State<u16>, request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut response = if !named.is_some_and(|host| is_ours(host, port)) {
        (StatusCode::MISDIRECTED_REQUEST, "open this page by its own address, such as http://127.0.0.1")
            .into_response()
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        (StatusCode::METHOD_NOT_ALLOWED, "this page can only be read").into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn is_ours(host: &str, port: u16) -> bool {
    let (name, given) = match host.rsplit_once(':') {
        Some((name, digits)) if !digits.ends_with(']') => (name, digits.parse().ok()),
        _ => (host, Some(80)),
    };
    given == Some(port) && (name.eq_ignore_ascii_case("localhost") || matches!(name, "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_names_of_this_machine_are_ours() {
        for host in ["127.0.0.1:3090", "localhost:3090", "LocalHost:3090", "[::1]:3090"] {
            assert!(is_ours(host, 3090), "{host}");
        }
        for host in
            ["", "127.0.0.1", "127.0.0.1:3091", "evil.example:3090", "localhost.evil.example:3090", "[::1]"]
        {
            assert!(!is_ours(host, 3090), "{host}");
        }
        assert!(is_ours("localhost", 80) && is_ours("[::1]", 80));
    }
}

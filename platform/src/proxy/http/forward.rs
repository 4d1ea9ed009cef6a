//! `/proxy?url=…`, and requests with a whole URL: one request on, one answer back, bodies as they come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header;
use hyper::{Method, Request, Response, StatusCode, Uri};
use url::Url;

use super::answer::{self, Answer, Refusal};
use super::body::{LEAST_RATE, Metered};
use super::caller::{Caller, Manner};
use super::{Gateway, headers, target};
use crate::http::engine::Failure;
use crate::http::{HttpError, pool};
use crate::proxy::Meter;

impl Gateway {
    pub(super) async fn forward(
        &self,
        request: Request<Incoming>,
        caller: &Caller,
        manner: Manner,
    ) -> Result<Answer, Refusal> {
        if *request.method() == Method::TRACE {
            return Err(answer::TRACE);
        }
        let url = match manner {
            Manner::Itself => target::of_url(&wanted(request.uri())?, self.config.allow_private)?,
            Manner::Proxy => target::of_url(&request.uri().to_string(), self.config.allow_private)?,
        };
        let length =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > self.config.request_limit.0) {
            return Err(answer::LONG);
        }
        let begun = Instant::now();
        let mut response = self.send(&url, caller, manner, request).await?;
        if response.status().is_informational() {
            return Err(Refusal::from(HttpError::Broken(None)));
        }
        self.meter.answered(begun.elapsed());
        match manner {
            Manner::Itself => headers::defuse(response.headers_mut(), &url),
            Manner::Proxy => headers::trim(response.headers_mut()),
        }
        let (limit, idle) = (self.config.response_limit.0, self.idle());
        let long = response.body().size_hint().lower() > limit;
        if long {
            return Err(Refusal::new(
                StatusCode::BAD_GATEWAY,
                "answer_too_long",
                "the answer is over proxy.http.response_limit; allow more, or use CONNECT",
            ));
        }
        Ok(response
            .map(|body| Metered::new(body, limit, idle, Arc::clone(&self.meter), Meter::down).boxed_unsync()))
    }

    /// Sends the request and waits for the head of the answer, for as long as the request itself moves on.
    async fn send(
        &self,
        url: &Url,
        caller: &Caller,
        manner: Manner,
        request: Request<Incoming>,
    ) -> Result<Response<pool::Answer>, Refusal> {
        let (head, body) = request.into_parts();
        let body =
            Metered::new(body, self.config.request_limit.0, self.idle(), Arc::clone(&self.meter), Meter::up)
                .at_least(LEAST_RATE);
        let progress = body.progress();
        let mut request = Request::from_parts(head, body.map_err(Into::into).boxed_unsync());
        match manner {
            Manner::Itself => headers::anonymize(request.headers_mut(), &self.config.user_agent),
            Manner::Proxy => headers::trim(request.headers_mut()),
        }
        let patience = Duration::from_secs(self.config.timeout.0);
        let exchange = self.client.engine().exchange(url, caller.isolation, request);
        let waited = tokio::select! {
            answer = exchange => Some(answer),
            () = progress.silence(patience) => None,
        };
        match waited {
            _ if progress.was_long() => Err(answer::LONG),
            None => Err(HttpError::Timeout.into()),
            Some(Ok(response)) => Ok(response),
            Some(Err(Failure { error, .. })) => Err(error.into()),
        }
    }

    pub(super) fn idle(&self) -> Duration {
        Duration::from_secs(self.config.idle.0)
    }
}

/// The `url` of `/proxy?url=…`. What follows it unencoded would be lost in silence, so that is an error.
fn wanted(uri: &Uri) -> Result<String, Refusal> {
    let query = uri.query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    match (pairs.next(), pairs.next()) {
        (Some((name, value)), None) if name == "url" && !value.contains('\u{fffd}') => Ok(value.into_owned()),
        _ => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "bad_target",
            "say /proxy?url= and then the whole URL, encoded (encodeURIComponent), and nothing else",
        )),
    }
}

//! One request over one connection, new or from the pool.

use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use super::place::{self, Place};
use super::pool::{Answer, Key, Pool};
use super::way::Way;
use super::{Config, HttpError, tls};
use crate::exit::Isolation;

/// Bytes of an answer's head at most.
const HEAD_BYTES: usize = 64 * 1024;

/// Header lines of an answer at most.
const HEADERS: usize = 128;

/// A body on its way out.
pub(crate) type Outgoing = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Why there is no answer, and whether the other side may have seen the request.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: HttpError,
    pub(crate) begun: bool,
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self { error, begun: false }
    }
}

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Engine {
    way: Way,
    tls: TlsConnector,
    pool: Pool,
    connect_timeout: Duration,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("way", &self.way).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(way: Way, config: &Config) -> Result<Self, HttpError> {
        let pool = Pool::new(config.pool, config.pool_idle);
        Ok(Self { way, tls: tls::connector(config)?, pool, connect_timeout: config.connect_timeout })
    }

    /// A stream to `host:port`, without TLS.
    pub(crate) async fn open(
        &self,
        host: &str,
        port: u16,
        isolation: Isolation,
    ) -> Result<super::Tunnel, HttpError> {
        let opened = timeout(self.connect_timeout, self.way.open(host, port, &isolation));
        opened.await.unwrap_or(Err(HttpError::Timeout))
    }

    /// Sends `request` to where `url` points and returns once the answer's head is there. The caller sets the limit.
    ///
    /// Method, headers and body are the request's; its URI and `Host` are made from `url`.
    pub(crate) async fn exchange(
        &self,
        url: &Url,
        isolation: Isolation,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Answer>, Failure> {
        let place = Place::of(url)?;
        *request.uri_mut() = Uri::try_from(place::target(url))
            .map_err(|_| HttpError::Request("the URL's path cannot be sent; check it"))?;
        request.headers_mut().insert(header::HOST, place.authority()?);
        let key = Key { place, isolation };
        if let Some(mut sender) = self.pool.take(&key) {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answer(response, key, sender)),
                // The server had hung up meanwhile, and nothing was sent.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failure { error: broken(error.into_error()), begun: true }),
                },
            }
        }
        let mut sender = self.connect(&key).await?;
        match sender.send_request(request).await {
            Ok(response) => Ok(self.answer(response, key, sender)),
            Err(error) => Err(Failure { error: broken(error), begun: true }),
        }
    }

    fn answer(
        &self,
        response: Response<hyper::body::Incoming>,
        key: Key,
        sender: SendRequest<Outgoing>,
    ) -> Response<Answer> {
        response.map(|body| Answer::new(body, &self.pool, key, sender))
    }

    async fn connect(&self, key: &Key) -> Result<SendRequest<Outgoing>, HttpError> {
        let connected = async {
            let Place { tls, host, port } = &key.place;
            let tunnel = self.way.open(host, *port, &key.isolation).await?;
            let tunnel = if *tls { tls::wrap(&self.tls, host, tunnel).await? } else { tunnel };
            let mut http = http1::Builder::new();
            http.max_buf_size(HEAD_BYTES).max_headers(HEADERS);
            let (sender, connection) = http.handshake(TokioIo::new(tunnel)).await.map_err(broken)?;
            tokio::spawn(connection); // ends with its sender
            Ok(sender)
        };
        timeout(self.connect_timeout, connected).await.unwrap_or(Err(HttpError::Timeout))
    }
}

fn broken(error: hyper::Error) -> HttpError {
    HttpError::Broken(Some(error.into()))
}

/// A header value of our own making.
pub(super) fn value(text: &str) -> Result<HeaderValue, HttpError> {
    HeaderValue::from_str(text)
        .map_err(|_| HttpError::Config("user_agent has letters that no header can have"))
}

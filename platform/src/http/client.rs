//! HTTP through Tor.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::engine::{Engine, Failure, value};
use super::redirect::{self, Next};
use super::way::{Way, fresh};
use super::{Config, HttpError, Response, check};
use crate::exit::{Exit, Isolation};

/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// An HTTP client whose every connection crosses Tor. Cheap to clone; clones share circuits and connections.
///
/// Two clients made apart share no circuit; [`isolated`](Self::isolated) makes another such from one at hand.
/// Names are never resolved here.
///
/// ```no_run
/// # async fn ask() -> Result<(), bulbil::http::HttpError> {
/// use bulbil::{Config, TorHttpClient};
///
/// let client = TorHttpClient::new(Config::default())?;
/// assert!(client.verify_tor_connection().await?);
/// let page = client.get("https://www.torproject.org/").await?.text().await?;
/// # drop(page); Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TorHttpClient {
    config: Arc<Config>,
    engine: Engine,
    isolation: Isolation,
}

/// A request as it is sent, perhaps several times.
#[derive(Clone)]
struct Draft {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl TorHttpClient {
    /// A client over the SOCKS5 proxy that `config` names. Nothing is connected yet.
    pub fn new(config: Config) -> Result<Self, HttpError> {
        let way = Way::Proxy(config.socks_addr.clone());
        Self::by(way, config)
    }

    /// A client over the network of this process; `socks_addr` plays no part. Needs a tokio runtime, like all of this.
    ///
    /// ```
    /// use bulbil::exit::Exit;
    /// use bulbil::net::{Network, memory::Memory};
    /// use bulbil::{Config, TorHttpClient};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Tor would be `Network::start(&bulbil::config::Config::default(), "/run/me".as_ref()).await?`.
    /// let memory = Memory::new();
    /// let mut server = memory.listen_outside("www.example.org".parse()?, 80);
    /// tokio::spawn(async move {
    ///     let mut stream = server.accept().await.expect("a caller");
    ///     let _request = stream.read(&mut [0; 1024]).await?;
    ///     stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await
    /// });
    ///
    /// let client = TorHttpClient::over(Exit::new(Network::Memory(memory)), Config::default())?;
    /// assert_eq!(client.get("http://www.example.org/").await?.text().await?, "hello");
    /// # Ok(()) }
    /// ```
    pub fn over(exit: Exit, config: Config) -> Result<Self, HttpError> {
        Self::by(Way::Exit(exit), config)
    }

    fn by(way: Way, config: Config) -> Result<Self, HttpError> {
        value(&config.user_agent)?;
        let engine = Engine::new(way, &config)?;
        Ok(Self { config: Arc::new(config), engine, isolation: fresh() })
    }

    /// The same settings, but nothing in common with this one that a service could see.
    #[must_use]
    pub fn isolated(&self) -> Self {
        Self { isolation: fresh(), ..self.clone() }
    }

    /// GET.
    pub async fn get(&self, url: &str) -> Result<Response, HttpError> {
        self.send(draft(Method::GET, url, Bytes::new())?).await
    }

    /// GET, read as JSON. An answer that is no success is an error.
    pub async fn get_json<T: DeserializeOwned>(&self, url: &str) -> Result<T, HttpError> {
        let mut draft = draft(Method::GET, url, Bytes::new())?;
        draft.headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
        let response = self.send(draft).await?;
        if !response.status().is_success() {
            return Err(HttpError::Content("the service answered with an error"));
        }
        response.json().await
    }

    /// POST of any bytes, without a `Content-Type`. Never sent twice.
    pub async fn post(&self, url: &str, body: impl Into<Bytes>) -> Result<Response, HttpError> {
        self.send(draft(Method::POST, url, body.into())?).await
    }

    /// POST of a value as JSON. Never sent twice.
    pub async fn post_json(&self, url: &str, value: &impl Serialize) -> Result<Response, HttpError> {
        let body = serde_json::to_vec(value).map_err(|_| {
            HttpError::Request("the value cannot be written as JSON; its maps need text as keys")
        })?;
        let mut draft = draft(Method::POST, url, body.into())?;
        draft.headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        self.send(draft).await
    }

    /// Any request. Its URI must be absolute.
    pub async fn request(&self, request: Request<impl Into<Bytes>>) -> Result<Response, HttpError> {
        let (head, body) = request.into_parts();
        let mut draft = draft(head.method, &head.uri.to_string(), body.into())?;
        draft.headers = head.headers;
        self.send(draft).await
    }

    /// The address that the world sees.
    pub async fn exit_ip(&self) -> Result<String, HttpError> {
        Ok(check::ask(self, |seen| seen.ip).await?.to_string())
    }

    /// [`exit_ip`](Self::exit_ip) under its older name.
    pub async fn get_exit_ip(&self) -> Result<String, HttpError> {
        self.exit_ip().await
    }

    /// Whether a check service sees a Tor exit. An error means that none of them could be asked.
    pub async fn verify_tor_connection(&self) -> Result<bool, HttpError> {
        check::ask(self, |seen| seen.is_tor).await
    }

    /// The same client on the circuits of somebody else.
    pub(crate) fn with_isolation(&self, isolation: Isolation) -> Self {
        Self { isolation, ..self.clone() }
    }

    /// Whether a check service sees a Tor exit, and at which address.
    pub(crate) async fn seen(&self) -> Result<(bool, String), HttpError> {
        check::ask(self, |seen| seen.is_tor.zip(seen.ip.map(|ip| ip.to_string()))).await
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Sends until there is an answer, a failure that stays, or no try left.
    async fn send(&self, mut draft: Draft) -> Result<Response, HttpError> {
        if !self.config.user_agent.is_empty() && !draft.headers.contains_key(header::USER_AGENT) {
            draft.headers.insert(header::USER_AGENT, value(&self.config.user_agent)?);
        }
        let may_repeat = draft.method.is_idempotent();
        let mut pause = self.config.retry_pause;
        for left in (0..=self.config.retries).rev() {
            let answer = self.follow(draft.clone()).await;
            match answer {
                Ok(response) if left == 0 || !may_repeat || !is_passing(response.status()) => {
                    return Ok(response);
                }
                Err(failure)
                    if left == 0 || !failure.error.is_passing() || (failure.begun && !may_repeat) =>
                {
                    return Err(failure.error);
                }
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
        }
        Err(HttpError::Timeout)
    }

    /// One try, redirects included.
    async fn follow(&self, mut draft: Draft) -> Result<Response, Failure> {
        let deadline = Instant::now() + self.config.timeout;
        for _ in 0..=self.config.redirects {
            let body = Full::new(draft.body.clone()).map_err(|never| match never {}).boxed_unsync();
            let mut request = Request::new(body);
            *request.method_mut() = draft.method.clone();
            *request.headers_mut() = draft.headers.clone();
            let exchange = self.engine.exchange(&draft.url, self.isolation, request);
            let response = match tokio::time::timeout_at(deadline, exchange).await {
                Ok(answer) => answer?,
                Err(_) => return Err(Failure { error: HttpError::Timeout, begun: true }),
            };
            let next = match self.config.redirects {
                0 => None,
                _ => redirect::next(&draft.method, &draft.url, response.status(), response.headers())?,
            };
            let Some(Next { url, method, far }) = next else {
                return Ok(Response::new(response, deadline, self.config.max_body));
            };
            if far {
                redirect::forget_secrets(&mut draft.headers);
            }
            if method != draft.method {
                redirect::forget_body(&mut draft.headers);
                draft.body = Bytes::new();
            }
            (draft.url, draft.method) = (url, method);
        }
        Err(HttpError::Redirect.into())
    }
}

fn draft(method: Method, url: &str, body: Bytes) -> Result<Draft, HttpError> {
    let url = Url::parse(url).map_err(|_| HttpError::Request("this is no URL; write it whole, https://…"))?;
    Ok(Draft { method, url, headers: HeaderMap::new(), body })
}

/// What somebody between us and the service says when the service is not there now.
const fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Give or take a quarter, so that many do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [128];
    let _ = getrandom::fill(&mut byte); // without, all come at once
    let [byte] = byte;
    pause.saturating_mul(3).saturating_add(pause.saturating_mul(2).saturating_mul(u32::from(byte)) / 255) / 4
}

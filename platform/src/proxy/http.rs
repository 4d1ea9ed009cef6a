//! The HTTP gateway: a proxy for programs that speak HTTP only (CONNECT, absolute URLs), and `/proxy?url=` for pages in
//! a browser and whoever can do no more than ask for a URL.
//!
//! | Request | Answer |
//! |---|---|
//! | `GET /health` | 200 once Tor works, 503 until then: `{"status","tor":{"ready","percent","doing"}}` |
//! | `GET /ip` | `{"ip":"…"}`: the address that the world sees |
//! | `GET /verify-tor` | `{"isTor":true,"exitIp":"…"}`, as a check service tells |
//! | any method, `/proxy?url=…` | what the URL answers, body streamed both ways; redirects come back as paths of this gateway |
//! | `CONNECT host:port` | a tunnel |
//! | any method, `http://…` | the same as `/proxy`, without a change to what is meant for the target |
//!
//! It is no open proxy: it answers to its own names only, to pages on a list only, and leads to public targets only. It
//! says `{"error"}` with 400 (the request), 403 (not that target, not that page), 404, 405, 407 (password), 413, 421 (not
//! our name), 431, 502 (the target), 503 (too many, or Tor is not ready) or 504 (too slow).

mod answer;
mod body;
mod caller;
mod forward;
mod head;
mod headers;
mod progress;
mod target;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Conn, End, Gate, Meter, carry_within};
use crate::config;
use crate::exit::Exit;
use crate::http::{Config, HttpError, TorHttpClient, Tunnel};
use answer::{Answer, Refusal};
use caller::{Caller, Manner};
use head::{Flaw, Unread};

/// Longest that a client may take to say what it wants.
const HEAD: Duration = Duration::from_secs(10);

/// Longest that a client may take to accept a refusal.
const FAREWELL: Duration = Duration::from_secs(5);

/// The gateway's rules.
#[derive(Debug)]
pub(super) struct Gateway {
    config: config::Gateway,
    exit: Exit,
    client: TorHttpClient,
    meter: Arc<Meter>,
}

/// What is left to do once the answer to a CONNECT is out.
type Handover = Mutex<Option<(OnUpgrade, Tunnel)>>;

impl Gateway {
    /// Fails only on settings that the configuration's own check lets through.
    pub(super) fn new(exit: Exit, config: &config::Gateway, meter: Arc<Meter>) -> Result<Self, HttpError> {
        let client = Config {
            check_urls: config.check_urls.clone(),
            timeout: Duration::from_secs(config.timeout.0),
            retries: 1,
            ..Config::default()
        };
        let client = TorHttpClient::over(exit.clone(), client)?;
        Ok(Self { config: config.clone(), exit, client, meter })
    }

    /// Serves until `stop` turns true.
    pub(super) async fn run(self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let gate = Gate::new(self.config.max_connections, Arc::clone(&self.meter));
        let me = Arc::new(self);
        gate.run(listener, stop, |conn| Arc::clone(&me).serve(conn)).await;
    }

    /// One connection, one request.
    async fn serve(self: Arc<Self>, mut conn: Conn) {
        let client = conn.client.ip();
        let head = match timeout(HEAD, head::read(&mut conn.stream)).await {
            Ok(Ok(Some(head))) => head,
            Ok(Ok(None) | Err(_)) => return, // it went away
            Err(_) => {
                self.meter.error("head_timeout");
                return farewell(&mut conn.stream, answer::TOO_SLOW).await;
            }
        };
        self.meter.request();
        let (mut stream, slot) = conn.settle();
        let (bytes, _slot) = match (head, slot) {
            (Ok(bytes), Some(slot)) => (bytes, slot),
            (Ok(_), None) => {
                self.meter.error("too_many");
                return farewell(&mut stream, answer::TOO_MANY).await;
            }
            (Err(flaw), _) => {
                self.meter.error("malformed");
                let text = if flaw == Flaw::TooLong { answer::TOO_LONG } else { answer::MALFORMED };
                return farewell(&mut stream, text).await;
            }
        };
        let handover = Handover::default();
        self.converse(Unread::new(bytes, stream), client, &handover).await;
        let handed = handover.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((upgrade, mut tunnel)) = handed
            && let Ok(Ok(client)) = timeout(FAREWELL, upgrade).await
        {
            let (mut client, idle) =
                (TokioIo::new(client), Some(Duration::from_secs(self.config.tunnel_idle.0)));
            match carry_within(&mut client, &mut tunnel, Vec::new(), &self.meter, idle).await {
                End::Broken(_) => self.meter.error("broken"),
                End::Quiet => self.meter.error("tunnel_idle"),
                End::Whole | End::ClientGone => {}
            }
        }
    }

    /// Lets hyper read the request and write the answer.
    async fn converse(&self, stream: Unread<TcpStream>, client: IpAddr, handover: &Handover) {
        let service =
            service_fn(
                |request| async move { Ok::<_, Infallible>(self.answer(request, client, handover).await) },
            );
        let mut http = http1::Builder::new();
        // One request a connection: what comes after it is nobody's business.
        http.keep_alive(false).half_close(true).max_buf_size(head::MAX_HEAD * 2);
        http.timer(TokioTimer::new()).header_read_timeout(HEAD);
        let progress = stream.progress();
        // A client that takes nothing more holds up the answer, and with it a place. The answer's head has its own limit.
        let patience = self.idle().max(Duration::from_secs(self.config.timeout.0).saturating_mul(2));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        // What went wrong is the client's business: it sees its connection end.
        tokio::select! {
            _ = connection.with_upgrades() => {}
            () = progress.silence(patience) => self.meter.error("client_silent"),
        }
    }

    async fn answer(&self, request: Request<Incoming>, client: IpAddr, handover: &Handover) -> Answer {
        let connect = *request.method() == Method::CONNECT;
        let proxied = connect || request.uri().authority().is_some();
        let manner = if proxied { Manner::Proxy } else { Manner::Itself };
        let caller = Caller::admit(&self.config, client, manner, request.method(), request.headers());
        let caller = match caller {
            Ok(caller) => caller,
            Err(stranger) => return self.refuse(stranger.into()),
        };
        let known = match (manner, request.uri().path()) {
            // Health is no secret, and people look at it with a browser.
            (Manner::Proxy, _) | (_, "/health") => Ok(()),
            _ => caller::is_asked_by_somebody(&self.config, request.headers()),
        };
        if let Err(stranger) = known {
            return self.refuse(stranger.into());
        }
        let answer = match manner {
            Manner::Proxy if connect => self.tunnel(request, &caller, handover).await,
            Manner::Proxy => self.forward(request, &caller, manner).await,
            Manner::Itself
                if caller.origin.is_some() && caller::is_preflight(request.method(), request.headers()) =>
            {
                Ok(answer::leave(request.headers()))
            }
            Manner::Itself => match request.uri().path() {
                "/proxy" => self.forward(request, &caller, manner).await,
                "/health" => reading(&request).map(|()| self.health()),
                "/ip" => match reading(&request) {
                    Ok(()) => self.ip(&caller).await,
                    Err(refusal) => Err(refusal),
                },
                "/verify-tor" => match reading(&request) {
                    Ok(()) => self.verify(&caller).await,
                    Err(refusal) => Err(refusal),
                },
                _ => Err(answer::NO_SUCH_PATH),
            },
        };
        let mut answer = answer.unwrap_or_else(|refusal| self.refuse(refusal));
        if let Some(origin) = caller.origin {
            answer::for_page(&mut answer, origin);
        }
        answer
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        self.meter.error(refusal.word);
        refusal.into_answer()
    }

    /// Whether Tor works, as far as it knows itself.
    fn health(&self) -> Answer {
        let status = self.exit.network().status();
        let net = status.borrow();
        let code = if net.ready { 200 } else { 503 };
        let word = if net.ready { "ok" } else { "starting" };
        let tor = serde_json::json!({ "ready": net.ready, "percent": net.percent, "doing": net.doing });
        answer::json(code, &serde_json::json!({ "status": word, "tor": tor }))
    }

    async fn ip(&self, caller: &Caller) -> Result<Answer, Refusal> {
        let begun = Instant::now();
        let ip = self.client.with_isolation(caller.isolation).exit_ip().await?;
        self.meter.answered(begun.elapsed());
        Ok(answer::json(200, &serde_json::json!({ "ip": ip })))
    }

    async fn verify(&self, caller: &Caller) -> Result<Answer, Refusal> {
        let begun = Instant::now();
        let client = self.client.with_isolation(caller.isolation);
        let (is_tor, ip) = client.seen().await?;
        self.meter.answered(begun.elapsed());
        Ok(answer::json(200, &serde_json::json!({ "isTor": is_tor, "exitIp": ip })))
    }

    /// CONNECT. The tunnel is open before the answer says so.
    async fn tunnel(
        &self,
        mut request: Request<Incoming>,
        caller: &Caller,
        handover: &Handover,
    ) -> Result<Answer, Refusal> {
        let authority = request.uri().authority().map_or("", |authority| authority.as_str());
        let (host, port) = target::of_authority(authority, self.config.allow_private)?;
        let begun = Instant::now();
        let tunnel = self.client.engine().open(&host, port, caller.isolation).await?;
        self.meter.answered(begun.elapsed());
        let upgrade = hyper::upgrade::on(&mut request);
        *handover.lock().unwrap_or_else(PoisonError::into_inner) = Some((upgrade, tunnel));
        Ok(Answer::default())
    }
}

/// For what can only be read.
fn reading(request: &Request<Incoming>) -> Result<(), Refusal> {
    if matches!(*request.method(), Method::GET | Method::HEAD) { Ok(()) } else { Err(answer::READ_ONLY) }
}

/// Says why not, and hangs up.
async fn farewell(stream: &mut TcpStream, text: &str) {
    let said = async {
        if stream.write_all(text.as_bytes()).await.is_ok() {
            let _ = stream.shutdown().await;
        }
    };
    let _ = timeout(FAREWELL, said).await;
}

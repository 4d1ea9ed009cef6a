//! Serving HTTP/1.1 with limits: on connections, on heads, on silence, on lifetimes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::time::timeout;

use super::seats::{Origin, Seat, Seats};

/// Longest wait for a request's head; also the longest an idle connection is kept.
const HEAD: Duration = Duration::from_secs(10);

/// Longest that answers under way may take once the node stops.
const GRACE: Duration = Duration::from_secs(2);

/// Bytes of a request's head at most (hyper's least is 8 KiB).
const HEAD_BYTES: usize = 16 * 1024;

/// What one listener may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once; more wait to be accepted, or have idle ones give way: see [`seats`](super::seats).
    pub connections: usize,
    /// Connections of one address; without it nobody gives way.
    pub each: Option<usize>,
    /// After this a connection is closed whatever it does.
    pub lifetime: Option<Duration>,
}

/// Who is on the other end of a connection; every request carries it as an extension.
#[derive(Debug)]
pub struct Caller<A>(pub Arc<A>);

impl<A> Clone for Caller<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Answers connections until `stop` turns true, then gives those under way [`GRACE`].
pub async fn run<L: Listener>(
    mut listener: L,
    router: Router,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
) where
    L::Addr: Origin + Sync + 'static,
{
    let seats = Seats::new(bounds.connections, bounds.each);
    loop {
        let next = async {
            let (io, caller) = listener.accept().await;
            seats.take(caller.origin()).await.map(|taken| (taken, io, caller))
        };
        let next = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            next = next => next,
        };
        let Some((taken, io, caller)) = next else { continue };
        let (router, stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            one((io, Caller(Arc::new(caller))), router, &taken.seat, bounds.lifetime, stop).await;
            drop(taken);
        });
    }
    // All seats free means that nothing is under way.
    let _ = timeout(GRACE, seats.empty()).await;
}

/// Serves one connection to its end.
async fn one<I, A>(
    (io, caller): (I, Caller<A>),
    router: Router,
    seat: &Arc<Seat>,
    lifetime: Option<Duration>,
    mut stop: watch::Receiver<bool>,
) where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    A: Send + Sync + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(caller.clone());
        request.extensions_mut().insert(Arc::clone(seat));
        let answer = router.call(request);
        async move {
            let answer = answer.await;
            seat.rest();
            answer
        }
    });
    let expired = async {
        match lifetime {
            Some(lifetime) => tokio::time::sleep(lifetime).await,
            None => std::future::pending().await,
        }
    };
    let connection = http.serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    // What went wrong is the client's business: it sees its connection end. A request under way is answered first.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = seat.leave() => return,
        _ = stop.wait_for(|stop| *stop) => {}
        () = expired => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}

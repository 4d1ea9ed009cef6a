//! A real node with a real listener, and a browser made of little more than a cookie jar.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::config::{Config, Page};
use crate::net::memory::Memory;
use crate::net::{AccessKey, Address, Circuit, Network};
use crate::node::{self, Handle};
use crate::state::StateDir;
use crate::sys::scratch::Scratch;
use crate::web::Web;

/// A test that waits longer than this has hung.
const DEADLINE: Duration = Duration::from_mins(4);

/// What the tests choose.
pub(super) const PASSWORD: &str = "a few words in a row";

/// A node with its page.
pub(super) struct Live {
    pub(super) node: Handle,
    pub(super) address: SocketAddr,
    pub(super) scratch: Scratch,
    pub(super) network: Network,
    stop: watch::Sender<bool>,
}

/// What a browser was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: hyper::HeaderMap,
    pub(super) body: String,
}

/// A browser that keeps cookies and the token of the last form.
pub(super) struct Browser {
    address: SocketAddr,
    /// The address it calls from, if that matters.
    from: Option<IpAddr>,
    /// The onion service by which it comes, if it does.
    pub(super) door: Option<Door>,
    pub(super) jar: Vec<(String, String)>,
    pub(super) token: String,
    /// Headers sent with everything.
    pub(super) always: Vec<(&'static str, String)>,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// A way in through the network.
pub(super) struct Door {
    pub(super) network: Network,
    pub(super) address: Address,
    pub(super) access: AccessKey,
}

/// Runs a test within reach of a node.
pub(super) async fn with_node<F: Future<Output = ()>>(page: Page, test: impl FnOnce(Live) -> F) {
    with_config(Config { page, ..Config::default() }, test).await;
}

/// The same with more settings.
pub(super) async fn with_config<F: Future<Output = ()>>(config: Config, test: impl FnOnce(Live) -> F) {
    let tasks = LocalSet::new();
    let run = tasks.run_until(async {
        let live = start(config, Scratch::new("web")).await;
        let (node, stop) = (live.node.clone(), live.stop.clone());
        test(live).await;
        stop.send_replace(true);
        drop(node.stop().await); // a test may have stopped it
    });
    tokio::time::timeout(DEADLINE, run).await.unwrap();
}

/// Starts a node on the state in `scratch`.
async fn start(mut config: Config, scratch: Scratch) -> Live {
    config.page.listen = ([127, 0, 0, 1], 0).into();
    config.state_dir = Some(scratch.path().join("state"));
    let web = Web::bind(&config).await.unwrap();
    let address = web.address();
    let (node, inbox) = Handle::new();
    let network = Memory::new();
    let (stop, stopped) = watch::channel(false);
    let (_, arrived) = watch::channel(Some(Network::Memory(network.clone())));
    tokio::task::spawn_local(web.run(node.clone(), arrived, stopped));
    let state = StateDir::open(&scratch.path().join("state"), true).unwrap();
    let network = Network::Memory(network.clone());
    let shown = network.clone();
    let proxies = crate::proxy::Proxies::new(network.clone(), &config);
    let running = node::run(config, state, network, proxies, inbox);
    tokio::task::spawn_local(async move { running.await.unwrap() });
    Live { node, address, scratch, network: shown, stop }
}

impl Live {
    pub(super) fn browser(&self) -> Browser {
        Browser {
            address: self.address,
            from: None,
            door: None,
            jar: Vec::new(),
            token: String::new(),
            always: Vec::new(),
            open: None,
        }
    }

    /// A browser at another address, which calls another listener.
    pub(super) fn browser_at(&self, address: SocketAddr, from: IpAddr) -> Browser {
        Browser { address, from: Some(from), ..self.browser() }
    }

    /// A browser whose owner went through the first run, with the folder `files` allowed.
    pub(super) async fn owner(&self, audience: &str) -> Browser {
        let mut browser = self.browser();
        let files = self.scratch.path().join("files");
        std::fs::create_dir_all(&files).unwrap();
        browser.get("/first").await;
        let folders = files.display().to_string();
        let fields =
            [("password", PASSWORD), ("again", PASSWORD), ("audience", audience), ("folders", &folders)];
        let begun = browser.post("/first", &fields).await;
        assert_eq!(begun.location(), "/?said=welcome", "{}", begun.body);
        browser.get("/").await;
        browser
    }

    pub(super) fn write(&self, path: &str, text: &str) -> std::path::PathBuf {
        let path = self.scratch.path().join(Path::new(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Answer {
    pub(super) fn location(&self) -> &str {
        self.header("location")
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Browser {
    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, String::new(), &[]).await
    }

    /// Sends a form with the token of the last page.
    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token.clone();
        let fields = fields.iter().copied().chain([("token", token.as_str())]);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::POST, path, body, &[]).await
    }

    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let form = method == Method::POST;
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            let far = self.door.as_ref().map(|door| door.address.host());
            request = request.header("host", far.unwrap_or_else(|| self.address.to_string()));
        }
        if form && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let cookies: Vec<_> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in &self.always {
            request = request.header(*name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.exchange(request.body(Full::new(body.into())).unwrap()).await;
        self.learn(&answer);
        answer
    }

    /// As a browser does: a kept connection that the server ends as the request is sent is opened again.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Answer {
        let kept = self.connect().await;
        let sent = self.open.as_mut().unwrap().send_request(request.clone()).await;
        let answer = match sent {
            Err(ended) if kept && (ended.is_incomplete_message() || ended.is_canceled()) => {
                self.open = None;
                self.connect().await;
                self.open.as_mut().unwrap().send_request(request).await
            }
            other => other,
        };
        let (parts, body) = answer.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Whether the connection is one that was used before.
    async fn connect(&mut self) -> bool {
        let kept = match &mut self.open {
            Some(open) => open.ready().await.is_ok(),
            None => false,
        };
        if !kept {
            self.open = Some(if let Some(Door { network, address, access }) = &self.door {
                let circuit = Circuit { swarm: 1, lane: 0 };
                begin(network.connect(*address, Some(access), circuit).await.unwrap()).await
            } else {
                let socket = TcpSocket::new_v4().unwrap();
                self.from.iter().for_each(|from| socket.bind((*from, 0).into()).unwrap());
                begin(socket.connect(self.address).await.unwrap()).await
            });
        }
        kept
    }

    fn learn(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.jar.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.jar.push((name.to_owned(), value.to_owned()));
            }
        }
        let token = answer.body.split("name=\"token\" value=\"").nth(1);
        if let Some(token) = token {
            self.token = token.split('"').next().unwrap().to_owned();
        }
    }
}

async fn begin(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> SendRequest<Full<Bytes>> {
    let (open, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    open
}

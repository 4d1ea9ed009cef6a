//! HTTP and bare streams through Tor, for other programs: [`TorHttpClient`] and [`SocksClient`].
//!
//! Both work over any external SOCKS5 proxy (C tor, Arti, a running Bulbil), or over the Tor of this process
//! ([`TorHttpClient::over`]). With a proxy, the only socket they open is the one to it. Either way names are resolved
//! at the far end of Tor, never here.
//!
//! Requests and answers are those of crate `http`, as hyper has them.

mod check;
mod client;
mod config;
pub(crate) mod engine;
mod error;
mod place;
pub(crate) mod pool;
mod proxy_address;
mod raw;
mod redirect;
mod response;
mod socks;
#[cfg(test)]
mod tests;
mod tls;
mod tunnel;
mod way;

pub use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use hyper::{Method, Request, StatusCode};

pub use client::TorHttpClient;
pub use config::{CHECK_URL, Config, PROXY_VARIABLE, USER_AGENT};
pub use error::HttpError;
pub use proxy_address::ProxyAddress;
pub use raw::SocksClient;
pub use response::Response;
pub use socks::Refusal;
pub use tunnel::Tunnel;

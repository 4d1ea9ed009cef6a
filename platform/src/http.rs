//! HTTP and bare streams through Tor, for other programs: [`TorHttpClient`] and [`SocksClient`].
//!
//! Both work over any external SOCKS5 proxy (C tor, Arti, a running Bulbil). The only socket they open then is the one to that proxy, and names are resolved at the far end of Tor, never here.
//! Requests and answers are those of crate `http`, as hyper has them.

mod check;
mod client;
mod config;
mod engine;
mod error;
mod isolation;
mod place;
mod pool;
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
pub use isolation::Isolation;
pub use proxy_address::ProxyAddress;
pub use raw::SocksClient;
pub use response::Response;
pub use socks::Refusal;
pub use tunnel::Tunnel;

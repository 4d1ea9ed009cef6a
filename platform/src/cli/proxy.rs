//! `bulbil new-identity`, and what `status` says of the proxies.

use super::client::Client;
use super::list::Args;
use super::{Failure, print, print_json};
use crate::status::{ListenerState, NewIdentity, Proxy};

pub(super) async fn new_identity(client: &Client, args: &Args) -> Result<(), Failure> {
    let answer = client.post("/new-identity", &()).await?;
    let done: NewIdentity = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    if args.json {
        return print_json(&done);
    }
    print(format_args!(
        "{} streams closed, {} answers forgotten; new streams share no circuit with the old ones",
        done.streams_closed, done.answers_forgotten
    ))
}

pub(super) fn status(proxy: &Proxy) -> Result<(), Failure> {
    for listener in &proxy.listeners {
        let errors: u64 = listener.errors.values().sum();
        match &listener.state {
            ListenerState::Listening => print(format_args!(
                "{:<7} {}  {} open, {} requests, {errors} errors",
                listener.kind, listener.address, listener.open, listener.requests
            ))?,
            ListenerState::Failed(why) => print(format_args!("{:<7} {why}", listener.kind))?,
        }
    }
    Ok(())
}

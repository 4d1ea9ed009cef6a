//! `bulbil page`.

use super::client::Client;
use super::{Failure, print};

/// What to do with the page.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Action {
    /// Forget the password and who may look, and sign everyone out; the page starts with its first run again
    Reset,
}

pub(super) async fn run(client: &Client, action: &Action) -> Result<(), Failure> {
    match action {
        Action::Reset => {
            client.delete("/page").await?;
            print("the page has no password now; open it on this machine to set one")
        }
    }
}

//! `bulbil send`, `inbox` and `outbox`.

use clap::Subcommand;

use super::client::Client;
use super::{Failure, fetch, list, print, print_json};
use crate::node::{InLetter, OutLetter, SendRequest, Sent};
use crate::words::{plain, span};

/// What to send, and to whom.
#[derive(Debug, clap::Args)]
pub(super) struct SendArgs {
    /// Name of a trusted node, or a node's onion address
    #[arg(value_name = "NAME-OR-ADDRESS")]
    to: String,
    /// Up to 4096 bytes; a link in it can be fetched with one command
    text: String,
    /// Do not wait for the first try
    #[arg(long)]
    no_wait: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What to do with the inbox: list it, if nothing is said.
#[derive(Debug, clap::Args)]
pub(super) struct InboxArgs {
    #[command(subcommand)]
    what: Option<InboxCommand>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum InboxCommand {
    /// Fetch what the first link in a message offers
    Fetch {
        /// Number of the message, as `bulbil inbox` shows it
        number: u64,
        #[command(flatten)]
        how: fetch::How,
    },
    /// Throw a message away
    Discard {
        /// Number of the message, as `bulbil inbox` shows it
        number: u64,
    },
}

pub(super) async fn send(client: &Client, args: &SendArgs) -> Result<(), Failure> {
    let request = SendRequest { to: args.to.clone(), text: args.text.clone(), wait: !args.no_wait };
    let answer = client.post("/mail", &request).await?;
    let sent: Sent = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    if args.json {
        return print_json(&sent);
    }
    print(if sent.delivered {
        "delivered"
    } else {
        "waiting: it is tried again for a day; `bulbil outbox` shows it, and `bulbil inbox` says if it could not be \
         delivered"
    })
}

pub(super) async fn inbox(client: &Client, args: &InboxArgs) -> Result<(), Failure> {
    if let Some(InboxCommand::Discard { number }) = &args.what {
        return client.delete(&format!("/mail/inbox/{number}")).await;
    }
    let letters: Vec<InLetter> = client.get("/mail/inbox").await?;
    if let Some(InboxCommand::Fetch { number, how }) = &args.what {
        let missing =
            || Failure::Failed(format!("no message has the number {number}; `bulbil inbox` shows them"));
        let letter = letters.iter().find(|letter| letter.number == *number).ok_or_else(missing)?;
        let none = || Failure::Failed(format!("there is no link in message {number}"));
        return fetch::fetch(client, letter.link.as_deref().ok_or_else(none)?, how).await;
    }
    if args.json {
        return print_json(&letters);
    }
    if letters.is_empty() {
        return print("no messages");
    }
    for letter in &letters {
        let who = letter.name.as_deref().unwrap_or(&letter.peer);
        let what = if letter.undelivered { "not delivered to" } else { "from" };
        print(format_args!("{}  {what} {}", letter.number, plain(who)))?;
        letter.text.lines().try_for_each(|line| print(format_args!("    {}", plain(line))))?;
        if letter.link.is_some() && !letter.undelivered {
            print(format_args!(
                "    (`bulbil inbox fetch {} --out DIR` fetches what is linked)",
                letter.number
            ))?;
        }
    }
    Ok(())
}

pub(super) async fn outbox(client: &Client, args: &list::Args) -> Result<(), Failure> {
    let letters: Vec<OutLetter> = client.get("/mail/outbox").await?;
    if args.json {
        return print_json(&letters);
    }
    if letters.is_empty() {
        return print("nothing waits to be sent");
    }
    for letter in &letters {
        let who = letter.name.as_deref().unwrap_or(&letter.peer);
        let next =
            letter.next_s.map_or("being sent".to_owned(), |next| format!("next try in {}", span(next)));
        let (age, failures) = (span(letter.age_s), letter.failures);
        print(format_args!("to {}  written {age} ago, tried {failures} times in vain, {next}", plain(who)))?;
        letter.text.lines().try_for_each(|line| print(format_args!("    {}", plain(line))))?;
    }
    Ok(())
}

//! `bulbil invite` and `bulbil accept`: two nodes get to know each other by eight words.

use serde_json::json;

use super::client::{Client, Lines};
use super::{Failure, print, print_json};
use crate::friend::Code;
use crate::node::{AcceptRequest, InviteRequest};
use crate::status::{Event, Meeting, MeetingState};
use crate::words::span;

/// A code to give out.
#[derive(Debug, clap::Args)]
pub(super) struct Invite {
    /// What to call the friend
    #[arg(long)]
    name: Option<String>,
    /// Print JSON: one document with the words, and one at the end
    #[arg(long)]
    json: bool,
}

/// A code that was given.
#[derive(clap::Args)]
pub(super) struct Accept {
    /// The eight words
    #[arg(required = true)]
    words: Vec<String>,
    /// What to call the friend
    #[arg(long)]
    name: Option<String>,
    /// How long to try [default: 180]
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Print one JSON document at the end
    #[arg(long)]
    json: bool,
}

impl Accept {
    /// These words, and else what is usual.
    pub(super) fn of(words: &[String], name: Option<String>) -> Self {
        Self { words: words.to_vec(), name, wait: None, json: false }
    }
}

impl std::fmt::Debug for Accept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accept(hidden)")
    }
}

pub(super) async fn invite(client: &Client, args: &Invite) -> Result<(), Failure> {
    let events = client.events().await?;
    let answer = client.post("/friends/invite", &InviteRequest { name: args.name.clone() }).await?;
    let meeting: Meeting = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    let words = meeting.words.clone().unwrap_or_default();
    if args.json {
        print_json(&json!({ "words": words, "left_s": meeting.left_s }))?;
    } else {
        print(words)?;
        eprintln!(
            "Read these words to your friend, who types: bulbil accept, and the words. They work once, for {}; waiting…",
            span(meeting.left_s)
        );
    }
    follow(client, events, &meeting, args.json).await
}

pub(super) async fn accept(client: &Client, args: &Accept) -> Result<(), Failure> {
    let words = args.words.join(" ");
    words.parse::<Code>().map_err(|why| Failure::Usage(why.to_string()))?;
    let events = client.events().await?;
    let request = AcceptRequest { words, name: args.name.clone(), wait_s: args.wait };
    let answer = client.post("/friends/accept", &request).await?;
    let meeting: Meeting = serde_json::from_slice(&answer).map_err(Failure::failed)?;
    eprintln!("calling…");
    follow(client, events, &meeting, args.json).await
}

/// Waits until the meeting is over; Ctrl-C ends it.
async fn follow(client: &Client, mut events: Lines, meeting: &Meeting, json: bool) -> Result<(), Failure> {
    let mut wrong = 0;
    let mut state = MeetingState::default();
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            _ = tokio::signal::ctrl_c() => {
                client.delete(&format!("/friends/{}", meeting.id)).await?;
                return Err(Failure::Failed("given up; the words work no more".to_owned()));
            }
        };
        let now = match event {
            Some(Event::Meeting(now)) if now.id == meeting.id => now,
            Some(_) => continue,
            None => {
                return Err(Failure::Failed(
                    "the node stopped, and the words work no more; start it with `bulbil run`, and begin anew".to_owned(),
                ));
            }
        };
        if now.wrong_guesses > wrong {
            wrong = now.wrong_guesses;
            eprintln!("somebody called with wrong words ({wrong} so far)");
        }
        match &now.state {
            MeetingState::Met(address) => return done(meeting, address, wrong, json),
            MeetingState::Failed(why) => return Err(Failure::Failed(why.clone())),
            MeetingState::Waiting if state != now.state => eprintln!("your friend can call now"),
            MeetingState::Calling(why) if state != now.state && !why.is_empty() => eprintln!("{why}"),
            _ => {}
        }
        state = now.state;
    }
}

fn done(meeting: &Meeting, address: &str, wrong: u32, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&json!({ "address": address, "name": meeting.name, "wrong_guesses": wrong }));
    }
    print(format_args!("met {address}"))
}

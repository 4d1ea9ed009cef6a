//! What the owner may ask of the post, and what is answered.

use std::rc::Rc;
use std::time::Duration;

use bulbil_core::id::NodeKey;
use bulbil_core::mail::Letter;
use bulbil_core::pump::Clock;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::super::{Command, Handle, NodeError, PORT};
use super::{Post, host_of, node_of};
use crate::link::Link;
use crate::net::Address;
use crate::state::InEntry;

/// Longest that [`Handle::send`] waits for the first try: connecting, sending, and the turn of a few others.
const FIRST_TRY: Duration = Duration::from_secs(60);

pub(super) const TOO_LONG: &str = "a message has 4096 bytes at most; share a file and send its link instead";

pub(super) const FULL: &str =
    "64 messages wait to be sent, and that is all there is room for; wait until some are delivered or expire";

/// A message to another node.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// The name given to a trusted node, or a node's address.
    pub to: String,
    /// Up to 4096 bytes. A link in it can be fetched.
    pub text: String,
    /// Answer only when the first try is over.
    #[serde(default)]
    pub wait: bool,
}

/// What became of a message so far.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sent {
    /// Its number in the outbox.
    pub id: u64,
    /// It lies in the receiver's inbox. If not, it waits and is tried again for a day.
    pub delivered: bool,
}

/// A letter of the inbox.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct InLetter {
    /// By which the owner names it.
    pub number: u64,
    /// Address of the node it is from, or could not be delivered to.
    pub peer: String,
    /// What the owner calls that node, if it has a name.
    pub name: Option<String>,
    /// When it came by this node's clock, in seconds since 1970.
    pub at_s: u64,
    /// What it says.
    pub text: String,
    /// The first link in it, if there is one.
    pub link: Option<String>,
    /// Our own letter, which could not be delivered within a day.
    pub undelivered: bool,
}

/// A letter of the outbox.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct OutLetter {
    /// Its number.
    pub id: u64,
    /// Address of the node it is for.
    pub peer: String,
    /// What the owner calls that node, if it has a name.
    pub name: Option<String>,
    /// What it says.
    pub text: String,
    /// Seconds since it was written, while this node ran.
    pub age_s: u64,
    /// Tries in a row that failed.
    pub failures: u32,
    /// Seconds until the next try; none while it is being sent.
    pub next_s: Option<u64>,
}

/// A question, with where the answer goes.
#[derive(Debug)]
pub(crate) enum Ask {
    Send(SendRequest, oneshot::Sender<Result<Sent, NodeError>>),
    Inbox(oneshot::Sender<Vec<InLetter>>),
    Outbox(oneshot::Sender<Vec<OutLetter>>),
    Discard(u64, oneshot::Sender<Result<(), NodeError>>),
}

impl Ask {
    /// Answers where there is no post.
    pub(crate) fn refuse(self) {
        let none = || {
            NodeError::Failed(
                "this node has no address of its own, so it has no mail; set enabled = true under [tracker]"
                    .into(),
            )
        };
        match self {
            Self::Send(_, reply) => _ = reply.send(Err(none())),
            Self::Inbox(reply) => _ = reply.send(Vec::new()),
            Self::Outbox(reply) => _ = reply.send(Vec::new()),
            Self::Discard(_, reply) => _ = reply.send(Err(none())),
        }
    }
}

impl Handle {
    /// Sends a message. Without [`wait`](SendRequest::wait) it is only in the outbox when this returns.
    pub async fn send(&self, request: SendRequest) -> Result<Sent, NodeError> {
        self.ask(|reply| Command::Mail(Ask::Send(request, reply))).await?
    }

    /// What came, and what could not be delivered, oldest first.
    pub async fn inbox(&self) -> Result<Vec<InLetter>, NodeError> {
        self.ask(|reply| Command::Mail(Ask::Inbox(reply))).await
    }

    /// What waits to be sent, oldest first.
    pub async fn outbox(&self) -> Result<Vec<OutLetter>, NodeError> {
        self.ask(|reply| Command::Mail(Ask::Outbox(reply))).await
    }

    /// Throws a letter of the inbox away.
    pub async fn discard(&self, number: u64) -> Result<(), NodeError> {
        self.ask(|reply| Command::Mail(Ask::Discard(number, reply))).await?
    }
}

impl<C: Clock + 'static> Post<C> {
    /// Answers a question of the owner's, who may be gone by then.
    pub(crate) async fn obey(self: Rc<Self>, ask: Ask) {
        match ask {
            Ask::Send(request, reply) => _ = reply.send(self.send(&request).await),
            Ask::Inbox(reply) => {
                let all = self.letters.borrow().all().iter().map(|entry| self.incoming(entry)).collect();
                _ = reply.send(all);
            }
            Ask::Outbox(reply) => {
                let all = self.outbox.borrow().letters().map(|letter| self.outgoing(letter)).collect();
                _ = reply.send(all);
            }
            Ask::Discard(number, reply) => {
                let there = self.letters.borrow_mut().remove(number);
                let missing =
                    || NodeError::Missing("no message has this number; `bulbil inbox` shows them".into());
                let done = there.then_some(()).ok_or_else(missing);
                _ = reply.send(done.and_then(|()| self.save()));
                self.parts.news.notify_one();
            }
        }
    }

    async fn send(&self, request: &SendRequest) -> Result<Sent, NodeError> {
        let to = self.resolve(&request.to)?;
        if to == self.parts.me {
            return Err(NodeError::Bad("this is this node's own address; name another node".into()));
        }
        if request.text.trim().is_empty() {
            return Err(NodeError::Bad("a message needs some text".into()));
        }
        let (id, told) = self.post(to, &request.text)?;
        self.parts.news.notify_one();
        let delivered = request.wait && matches!(tokio::time::timeout(FIRST_TRY, told).await, Ok(Ok(true)));
        Ok(Sent { id, delivered })
    }

    /// The node of this name or address.
    fn resolve(&self, to: &str) -> Result<NodeKey, NodeError> {
        if let Some(node) = self.parts.contacts.node(to) {
            return Ok(node);
        }
        if !to.contains(".onion") {
            return Err(NodeError::Missing(
                "no trusted node has this name; name one as `bulbil trust list` shows it, or give a node's address \
                 (56 letters and digits, then .onion)"
                    .into(),
            ));
        }
        let address = Address::of_node(to).map_err(|why| NodeError::Bad(why.to_string()))?;
        if address.port == PORT {
            Ok(NodeKey(address.key))
        } else {
            Err(NodeError::Bad(format!("nodes take messages at port {PORT}; leave the port out")))
        }
    }

    fn incoming(&self, entry: &InEntry) -> InLetter {
        InLetter {
            number: entry.number,
            peer: entry.peer.clone(),
            name: node_of(&entry.peer).and_then(|node| self.parts.contacts.name(&node)),
            at_s: entry.at_s,
            link: first_link(&entry.text),
            text: entry.text.clone(),
            undelivered: entry.undelivered,
        }
    }

    fn outgoing(&self, letter: &Letter) -> OutLetter {
        let now = self.now();
        let waiting = self.outbox.borrow().waiting(&letter.to);
        OutLetter {
            id: letter.id,
            peer: host_of(&letter.to),
            name: self.parts.contacts.name(&letter.to),
            text: letter.text.as_str().to_owned(),
            age_s: now.since(letter.written) / 1000,
            failures: waiting.map_or(0, |waiting| waiting.failures),
            next_s: waiting.and_then(|waiting| waiting.next).map(|next| next.since(now) / 1000),
        }
    }
}

/// The first link in a text, as it can be fetched. Signs around it do not belong to it.
fn first_link(text: &str) -> Option<String> {
    let words = text.split(|letter: char| letter.is_whitespace() || "<>\"'()[]".contains(letter));
    let mut links =
        words.filter_map(|word| word.trim_end_matches(['.', ',', ';', '!', '?', ':']).parse().ok());
    links.next().map(|link: Link| link.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_among_words() {
        let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
        let link = format!("http://{onion}:80/private/abcdefghijklmnopqrstuvwxy4");
        let short = link.replace(":80", "");
        for text in [short.clone(), format!("See <{short}>, it is good."), format!("here:\n{short}!\nbye")] {
            assert_eq!(first_link(&text), Some(link.clone()), "{text}");
        }
        assert_eq!(first_link("http://example.com/private/x and nothing else"), None);
    }
}

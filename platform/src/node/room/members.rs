//! What a room does for its members: how each is called, by which token and with which key, and what is ready for it.

use std::time::Duration;

use bulbil_core::hello::Secrets;
use bulbil_core::peer::Name;
use bulbil_core::pump::Clock as _;

use super::{Room, Swarm};
use crate::link::Token;
use crate::net::AccessKey;
use crate::node::tracker::Source;

/// Members with another token than ours that are remembered; a swarm remembers as many names.
const MAX_TOKENS: usize = 64;

impl Room {
    /// Whether the last one called was there and had no place for us.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// How long it is until the machine has something to do by itself, such as the next call.
    pub(crate) fn until_due(&self) -> Duration {
        let now = self.ground.clock.now();
        Duration::from_millis(self.look(Swarm::poll_timeout).unwrap_or(now).since(now))
    }

    /// Has a piece hashed on another thread, if that must be done before a block of it can be served. What goes wrong is seen
    /// when the block is read.
    pub(crate) async fn warm(&self, piece: u32) {
        if self.store(|shelf| shelf.warming(piece)).is_none() {
            return;
        }
        let Ok(_turn) = self.warming.acquire().await else { return };
        // Another lane may have had it done meanwhile.
        let Some(warming) = self.store(|shelf| shelf.warming(piece)) else { return };
        if let Ok(Ok(warm)) = tokio::task::spawn_blocking(move || warming.run()).await {
            self.store(|shelf| shelf.warmed(warm));
        }
    }

    /// Somebody said that this one serves the share.
    pub(crate) fn hear_of(&self, source: &Source) {
        if source.token != self.pass.token {
            let mut tokens = self.tokens.borrow_mut();
            if tokens.len() >= MAX_TOKENS && !tokens.contains_key(&source.name) {
                return;
            }
            tokens.insert(source.name.clone(), source.token.clone());
        }
        let now = self.ground.clock.now();
        self.change(|swarm| swarm.hear_name(now, &source.name));
    }

    /// What opens a conversation with this member.
    pub(crate) fn secrets(&self, name: &[u8]) -> Secrets {
        let other = self.token(name);
        Secrets::new(*other.as_ref().unwrap_or(&self.pass.token).as_bytes(), &self.pass.seed.0)
    }

    /// What lets us call this member. In a public share only those who came by a private link want any; it does no harm
    /// where none is wanted.
    pub(crate) fn access(&self, name: &[u8]) -> Option<AccessKey> {
        let origin = self.origin.borrow().as_deref() == Some(name);
        match &self.pass.access {
            Some(access) => Some(access.clone()),
            None if origin => None,
            None => {
                let token = self.token(name);
                Some(AccessKey::derive(token.as_ref().unwrap_or(&self.pass.token).as_bytes()))
            }
        }
    }

    fn token(&self, name: &[u8]) -> Option<Token> {
        let name: Name = name.try_into().ok()?;
        self.tokens.borrow().get(&name).cloned()
    }
}

//! Learning what a link stands for: from the link's own node, and if that is slow or gone, from others who serve the share.

use std::time::Duration;

use bulbil_core::id::{InfoHash, NodeKey};
use bulbil_core::peer::Name;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Fetch, Lane, REFUSED, Trouble};
use crate::net::{AccessKey, Circuit, NetError, TURNS};
use crate::node::halves::halves;
use crate::node::lesson::{self, NotLearned};
use crate::node::open::{self, NotOpened, address_of, name_of};
use crate::status::FetchState;
use crate::store::Content;

/// So long the link's own node has before another one is asked beside it, and each of those before the next.
const PATIENCE: Duration = Duration::from_secs(5);

/// After the link's own node failed, so long the others have in all. Then everyone is asked anew: one of them that is there
/// and tells nothing keeps nobody waiting.
const OTHERS: Duration = Duration::from_secs(120);

/// Others that are asked at most.
const MAX_OTHERS: u32 = 8;

/// Longest wait for a connection, all paths to it together. A call to a node that was killed may hang for minutes at what it
/// left behind; the next try, on other circuits, asks anew where the node is. A path that is only slow goes on being made,
/// and is there when its number has its next turn.
const CONNECT: Duration = Duration::from_secs(45);

impl Fetch {
    /// Reads the metadata from whoever gives it first. What the link's own node says against it holds.
    pub(super) async fn learn(&self) -> Result<(Content, Lane), Trouble> {
        self.set_state(FetchState::Connecting);
        if !self.ground.network.status().borrow().ready {
            self.ground.network.ready().await.map_err(|why| Trouble::Final(why.to_string()))?;
            self.note_heard(); // nobody could be, until now
        }
        let turn = self.tries.get();
        self.tries.set(turn.wrapping_add(1));
        let lost = Notify::new();
        let mut tries = FuturesUnordered::new();
        for (at, (name, info_hash)) in (0..).zip(self.teachers()) {
            let lost = &lost;
            tries.push(async move {
                if at > 0 {
                    _ = tokio::time::timeout(PATIENCE.saturating_mul(at), lost.notified()).await; // either will do
                }
                (at, self.learn_from(&name, info_hash, lane(turn, at)).await)
            });
        }
        let mut trouble = Trouble::Passing("nobody answered".into());
        let mut until = None;
        loop {
            let next = match until {
                None => tries.next().await,
                Some(until) => tokio::time::timeout_at(until, tries.next()).await.unwrap_or(None),
            };
            let Some((at, outcome)) = next else { return Err(trouble) };
            match outcome {
                Ok(learned) => return Ok(learned),
                Err(why @ Trouble::Final(_)) if at == 0 => return Err(why),
                Err(why) if at == 0 => {
                    trouble = why;
                    until = Some(Instant::now() + OTHERS);
                    lost.notify_waiters();
                }
                Err(_) => {}
            }
        }
    }

    /// Whom to ask, the link's own node first. Of others only what that node has signed is believed: that the share is
    /// this one.
    fn teachers(&self) -> Vec<(Name, Option<InfoHash>)> {
        let link = &self.parts.link;
        let origin = name_of(link.address).as_slice().try_into().ok().map(|name: Name| (name, None));
        let signed = self.ground.sources.shares_of(&NodeKey(link.address.key));
        let others = self
            .ground
            .sources
            .find(|source| link.public && source.token == link.token && signed.contains(&source.info_hash));
        let others = others.into_iter().map(|source| (source.name, Some(source.info_hash)));
        let others = others.filter(|(name, _)| origin.as_ref().is_none_or(|(origin, _)| origin != name));
        origin.clone().into_iter().chain(others.take(MAX_OTHERS as usize)).collect()
    }

    async fn learn_from(
        &self,
        name: &[u8],
        info_hash: Option<InfoHash>,
        lane: u32,
    ) -> Result<(Content, Lane), Trouble> {
        let pass = &self.parts.pass;
        let address = address_of(name).ok_or_else(|| Trouble::Passing("the name is no address".into()))?;
        let other = info_hash.map(|_| AccessKey::derive(pass.token.as_bytes()));
        let access = pass.access.as_ref().or(other.as_ref());
        let circuit = Circuit { swarm: self.number, lane };
        let connecting = self.ground.network.connect(address, access, circuit);
        let stream = tokio::time::timeout(CONNECT, connecting).await.unwrap_or(Err(NetError::Timeout));
        let mut halves = halves(stream.map_err(net_trouble)?);
        let key = open::dialed(pass.secrets(), name, &mut halves).await.map_err(|why| match why {
            NotOpened::Refused => Trouble::Final(REFUSED.into()),
            NotOpened::Broken => Trouble::Passing("the connection broke while it was opened".into()),
            NotOpened::Foul => {
                Trouble::Final("what answers at this link is no Bulbil node of this version".into())
            }
        })?;
        self.set_state(FetchState::Learning);
        match lesson::learn(info_hash, &mut halves, self.ground.clock).await {
            Ok(learned) => {
                let metadata = Content::new(learned.info, learned.layers);
                let name = name_of(address);
                Ok((metadata.map_err(|why| Trouble::Final(why.to_string()))?, Lane { name, key, halves }))
            }
            Err(NotLearned::Busy) => Err(Trouble::Busy),
            Err(why @ NotLearned::Broken) => Err(Trouble::Passing(why.to_string())),
            Err(why) => Err(Trouble::Final(format!("{why}; ask its owner for a new link"))),
        }
    }
}

/// The circuit on which number `at` of those who are asked is called. The lanes of the fetch count from below.
const fn lane(turn: u32, at: u32) -> u32 {
    u32::MAX - (turn % TURNS) * (MAX_OTHERS + 1) - at
}

fn net_trouble(why: NetError) -> Trouble {
    match why {
        NetError::Unauthorized => Trouble::Final(why.to_string()),
        other => Trouble::Passing(other.to_string()),
    }
}

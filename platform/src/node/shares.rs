//! Offering shares: under an onion of their own, in the public catalogue, and from one to the other.
//!
//! Publishing keeps the token, so that whoever fetched by the private link serves those who find the share in public. So
//! everyone may know the token of a share that was public once, and unpublishing gives the share a new onion, token and key: the
//! links of before are dead, all of them, at once.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bulbil_core::id::InfoHash;
use log::warn;

use super::about::About;
use super::offer::{Offer, OfferParts};
use super::room::Pass;
use super::run::{Node, random};
use super::tracker::LinkRecords;
use super::{NodeError, ShareRequest};
use crate::hash;
use crate::link::{Link, Token};
use crate::net::{AccessKey, ServiceKey};
use crate::state::ShareEntry;
use crate::status::Share;
use crate::store::Content;

/// Shares of one node. Each private one is an onion service; Tor clients slow down beyond some fifty.
pub const MAX_SHARES: usize = 256;

/// For so long a published share can still be reached at its private address: those who are there hear of the new one.
const MOVING: Duration = Duration::from_secs(30);

impl Node {
    pub(super) async fn share(self: &Rc<Self>, request: ShareRequest) -> Result<Share, NodeError> {
        if self.offers.borrow().len() >= MAX_SHARES {
            return Err(NodeError::Failed(format!(
                "{MAX_SHARES} shares are the limit; withdraw one with `bulbil unshare`"
            )));
        }
        let _turn = self.hashing.acquire().await.map_err(|_| NodeError::Stopping)?;
        let (paths, name, piece) = (request.paths, request.name, request.piece_length);
        let hashing =
            tokio::task::spawn_blocking(move || hash::run(&paths, name.as_deref(), piece, |_, _| ()));
        let hashed =
            hashing.await.map_err(|_| NodeError::Stopping)?.map_err(|why| NodeError::Bad(why.to_string()))?;
        let sources: Vec<_> = hashed.files.iter().map(|file| file.source.clone()).collect();
        let metadata =
            Content::new(hashed.info, hashed.layers).map_err(|why| NodeError::Bad(why.to_string()))?;
        let info_hash = metadata.info_hash().to_string();
        let known = self.offers.borrow().iter().find(|offer| offer.info_hash == info_hash).cloned();
        if let Some(offer) = known {
            return self.share_again(&offer, sources).await;
        }
        let record = ShareEntry {
            info_hash,
            sources,
            public: request.public,
            browser: request.browser,
            token: random()?,
            onion: random()?,
            peer: random()?,
            tags: String::new(),
            text: String::new(),
        };
        let kept = self.keep(&metadata).and_then(|()| self.amend(|state| state.shares.push(record.clone())));
        kept.inspect_err(|_| self.drop_torrent(&record.info_hash))?;
        let offer = self.offer(record, Arc::new(metadata), None);
        Ok(offer.view())
    }

    /// Serves a share from where its files are now, under the link it has. While they are where they were, nothing is to be done.
    async fn share_again(&self, offer: &Rc<Offer>, sources: Vec<PathBuf>) -> Result<Share, NodeError> {
        let files = offer.files();
        let is_there = tokio::task::spawn_blocking(move || files.is_there());
        if is_there.await.map_err(|_| NodeError::Stopping)? && !offer.has_failed() {
            return Err(NodeError::Bad("this is shared already; `bulbil list` shows its link".into()));
        }
        self.edit_entry(&offer.info_hash, |entry| entry.sources.clone_from(&sources))?;
        offer.relocate(sources);
        Ok(offer.view())
    }

    /// Offers a share. `links` are its records from before, if it only moves.
    pub(super) fn offer(
        self: &Rc<Self>,
        record: ShareEntry,
        metadata: Arc<Content>,
        links: Option<Rc<LinkRecords>>,
    ) -> Rc<Offer> {
        let public = record.public;
        let key = if public { self.primary.key().clone() } else { ServiceKey::from_seed(record.onion.0) };
        let token = Token::from_bytes(record.token.0);
        let link = Link { address: key.address(super::PORT), public, token: token.clone() };
        let access = (!public).then(|| AccessKey::derive(token.as_bytes()));
        let pass = Pass { token, seed: record.peer, access };
        let links = links.or_else(|| {
            let tracker = self.tracker.as_ref()?;
            let clock = self.ground.clock;
            Some(LinkRecords::new(pass.clone(), metadata.info_hash(), clock, tracker.link_callers()))
        });
        let parts = OfferParts {
            name: metadata.name().to_owned(),
            size: metadata.layout().total(),
            files: metadata.paths().len() as u64,
            metadata,
            pass,
            key,
            link,
            public,
            browser: record.browser,
            links,
        };
        let about = (record.tags, record.text);
        let offer = Offer::open(parts, record.sources, about, self.ground.clone(), self.number());
        if public {
            self.primary.add(Rc::clone(&offer));
        }
        offer.declare(self.tracker.as_ref());
        self.offers.borrow_mut().push(Rc::clone(&offer));
        offer
    }

    /// Says again what this node serves, where that is due.
    pub(super) fn declare(&self) {
        self.offers.borrow().iter().for_each(|offer| offer.declare(self.tracker.as_ref()));
        self.fetches.borrow().iter().for_each(|fetch| fetch.declare());
    }

    pub(super) fn unshare(self: &Rc<Self>, info_hash: &str) -> Result<(), NodeError> {
        let offer = self.find_offer(info_hash)?;
        self.take(&offer);
        self.withdraw(&offer);
        self.state.borrow_mut().shares.retain(|record| record.info_hash != offer.info_hash);
        self.drop_torrent(&offer.info_hash);
        self.note(|_| ()).map_err(|why| {
            NodeError::Failed(format!(
                "the share is withdrawn, but that could not be saved: {why}; the node goes on trying, and until then a restart would bring the share back"
            ))
        })
    }

    /// Moves a share into the public catalogue. If it is there already, what is said about it may still change.
    pub(super) fn publish(self: &Rc<Self>, info_hash: &str, about: About) -> Result<Share, NodeError> {
        let about = about.checked()?;
        let offer = self.find_offer(info_hash)?;
        if offer.parts.public {
            if !about.is_empty() {
                let entry = self.edit_entry(&offer.info_hash, |entry| describe(entry, about))?;
                offer.set_about(entry.tags, entry.text);
                offer.declare(self.tracker.as_ref());
            }
            return Ok(offer.view());
        }
        let entry = self.edit_entry(&offer.info_hash, |entry| {
            entry.public = true;
            describe(entry, about);
        })?;
        self.take(&offer);
        let moved = self.offer(entry, Arc::clone(&offer.parts.metadata), offer.parts.links.clone());
        moved.succeed(&offer);
        self.moving.borrow_mut().push(Rc::clone(&offer));
        let node = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(MOVING).await;
            offer.close();
            if let Some(node) = node.upgrade() {
                node.moving.borrow_mut().retain(|other| !Rc::ptr_eq(other, &offer));
            }
        });
        Ok(moved.view())
    }

    /// Takes a share out of the public catalogue.
    pub(super) fn unpublish(self: &Rc<Self>, info_hash: &str) -> Result<Share, NodeError> {
        let (onion, token, peer) = (random()?, random()?, random()?);
        let offer = self.find_offer(info_hash)?;
        if !offer.parts.public {
            return Ok(offer.view());
        }
        let entry = self.edit_entry(&offer.info_hash, |entry| {
            entry.public = false;
            (entry.onion, entry.token, entry.peer) = (onion, token, peer);
        })?;
        self.take(&offer);
        self.withdraw(&offer);
        if let Err(why) = self.note(|_| ()) {
            warn!("that a share was taken back in public could not be saved yet: {why}");
        }
        let moved = self.offer(entry, Arc::clone(&offer.parts.metadata), None);
        moved.succeed(&offer);
        Ok(moved.view())
    }

    /// Takes an offer off the network, at once, and says so.
    fn withdraw(&self, offer: &Offer) {
        if let Some(links) = &offer.parts.links {
            links.retract();
        }
        self.primary.remove(&offer.info_hash);
        offer.close();
        let moving = self.moving.borrow();
        moving.iter().filter(|before| before.info_hash == offer.info_hash).for_each(|before| before.close());
        if let Some(tracker) = self.tracker.as_ref().filter(|_| offer.parts.public) {
            let info_hash: InfoHash = offer.parts.metadata.info_hash();
            tracker.unlist(info_hash, &offer.parts.pass.seed);
            self.state.borrow_mut().tombstones = tracker.taken_back();
        }
    }

    fn find_offer(&self, info_hash: &str) -> Result<Rc<Offer>, NodeError> {
        let wanted = info_hash.to_ascii_lowercase();
        let found = self.offers.borrow().iter().find(|offer| offer.info_hash == wanted).cloned();
        found
            .ok_or_else(|| NodeError::Missing("no share has this info-hash; `bulbil list` shows them".into()))
    }

    fn take(&self, offer: &Rc<Offer>) {
        self.offers.borrow_mut().retain(|other| !Rc::ptr_eq(other, offer));
    }

    fn edit_entry(
        &self,
        info_hash: &str,
        edit: impl FnOnce(&mut ShareEntry),
    ) -> Result<ShareEntry, NodeError> {
        let edited = self.amend(|state| {
            let entry = state.shares.iter_mut().find(|entry| entry.info_hash == info_hash)?;
            edit(entry);
            Some(entry.clone())
        })?;
        edited.ok_or_else(|| NodeError::Failed("the share is not remembered; share it again".into()))
    }
}

/// Changes what is said about a share, where anything new is.
fn describe(entry: &mut ShareEntry, about: About) {
    entry.tags = about.tags.unwrap_or_else(|| std::mem::take(&mut entry.tags));
    entry.text = about.text.unwrap_or_else(|| std::mem::take(&mut entry.text));
}

//! Finding shares by words: in what is here, then in what each trusted node has now.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bulbil_core::id::{InfoHash, NodeKey};
use bulbil_core::tracker::{Body, Record, Visibility};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::neighbour::{Bond, Neighbour};
use super::records::{Records, today};
use super::{Source, Tracker};
use crate::link::Link;
use crate::node::open::address_of;
use crate::status::{Hit, SearchEvent};

/// What a node said so lately is not asked again.
const FRESH: Duration = Duration::from_secs(20);

/// Between two looks for hits while answers come.
const LOOK: Duration = Duration::from_millis(500);

/// Longest wait for one node.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hits of one search at most.
const MAX_HITS: usize = 512;

/// Hits of one author at most: nobody fills the page alone.
const MAX_HITS_OF_ONE: usize = 64;

/// Sources counted for one share at most.
const MAX_SOURCES: usize = 256;

impl Tracker {
    /// Tells what is found, as it is found. Ends early when nobody listens any more.
    pub(crate) async fn search(self: Rc<Self>, words: String, out: mpsc::Sender<SearchEvent>) {
        let words: Vec<String> = words.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let mut told = HashMap::new();
        let mut last = Instant::now();
        if self.tell(&words, &mut told, &out).await.is_none() {
            return;
        }
        let (mut asked, mut failed) = (0_u64, 0_u64);
        let mut known: Vec<NodeKey> = Vec::new();
        let mut calls = FuturesUnordered::new();
        loop {
            // An answer may bring more nodes to ask.
            for neighbour in self.neighbours.borrow().iter().filter(|one| !known.contains(&one.node())) {
                calls.push(self.ask(Rc::clone(neighbour)));
            }
            known = self.neighbours.borrow().iter().map(|one| one.node()).chain(known).collect();
            known.sort_unstable();
            known.dedup();
            let Some((node, outcome)) = calls.next().await else { break };
            if outcome.is_none() {
                asked = asked.saturating_add(1);
            } else {
                failed = failed.saturating_add(1);
            }
            let event = SearchEvent::Asked { node: self.label(&node), failed: outcome };
            if out.send(event).await.is_err() {
                return;
            }
            // Looking through everything takes its time, so answers that come together are looked at together.
            if calls.is_empty() || last.elapsed() >= LOOK {
                if self.tell(&words, &mut told, &out).await.is_none() {
                    return;
                }
                last = Instant::now();
            }
            // Trust that just came is taken into account before the next look at the neighbours.
            tokio::task::yield_now().await;
        }
        _ = out.send(SearchEvent::Done { asked, failed }).await; // the listener may be gone
    }

    /// Brings the copy of one node up to date; says why if that failed.
    async fn ask(&self, neighbour: Rc<Neighbour>) -> (NodeKey, Option<String>) {
        let age = if neighbour.bond == Bond::Once { Duration::MAX } else { FRESH };
        let answer = tokio::time::timeout(PATIENCE, self.visit(&neighbour, age)).await;
        let failed = answer.map_or_else(|_| Some("it did not answer in a minute".to_owned()), Result::err);
        (neighbour.node(), failed)
    }

    /// Tells hits that are new, or have more sources than before. `None` when nobody listens.
    async fn tell(
        &self,
        words: &[String],
        told: &mut HashMap<String, u64>,
        out: &mpsc::Sender<SearchEvent>,
    ) -> Option<()> {
        for hit in self.hits(words) {
            if told.get(&hit.info_hash).is_none_or(|sources| *sources < hit.sources) {
                told.insert(hit.info_hash.clone(), hit.sources);
                out.send(SearchEvent::Hit(hit)).await.ok()?;
            }
        }
        Some(())
    }

    /// Everything here that fits: our own first, then by how near the author is, then the newest.
    pub(crate) fn hits(&self, words: &[String]) -> Vec<Hit> {
        let mut found: HashMap<InfoHash, (Hit, NodeKey)> = HashMap::new();
        let mut by_author: HashMap<NodeKey, usize> = HashMap::new();
        let own = |record: &Record<'_>| record.author == self.us;
        self.gather(&self.served, words, &mut found, &mut by_author, &|record| own(record).then(Vec::new));
        for neighbour in self.neighbours.borrow().iter() {
            let mut through = self.chain(&neighbour.node());
            through.push(self.label(&neighbour.node()));
            let others = |record: &Record<'_>| (!own(record)).then(|| through.clone());
            self.gather(&neighbour.records, words, &mut found, &mut by_author, &others);
        }
        self.count_sources(&mut found);
        let mut hits: Vec<Hit> = found.into_values().map(|(hit, _)| hit).collect();
        hits.sort_by(|one, other| {
            let order = |hit: &Hit| (hit.degree.map_or(u16::MAX, u16::from), hit.age_s);
            order(one).cmp(&order(other)).then_with(|| one.info_hash.cmp(&other.info_hash))
        });
        hits
    }

    /// Adds what fits of one store. `through` says through whom a record came, or that it does not count.
    fn gather(
        &self,
        records: &Records,
        words: &[String],
        found: &mut HashMap<InfoHash, (Hit, NodeKey)>,
        by_author: &mut HashMap<NodeKey, usize>,
        through: &dyn Fn(&Record<'_>) -> Option<Vec<String>>,
    ) {
        records.each(|record| {
            let Body::Share { info_hash, name, size, tags, text, visibility: Visibility::Public } =
                record.body
            else {
                return;
            };
            if !fits(words, [name, tags, text]) || self.is_blocked(&record.author) || self.is_outdated(record)
            {
                return;
            }
            let degree = if record.author == self.us {
                Some(0)
            } else {
                self.reach.borrow().find(&record.author).map(|reached| reached.degree)
            };
            let nearness = |degree: Option<u8>| degree.map_or(u16::MAX, u16::from);
            let known = found.get(&info_hash).map(|(known, _)| nearness(known.degree));
            if known.is_some_and(|known| known <= nearness(degree)) {
                return;
            }
            let Some(through) = through(record) else { return };
            let count = by_author.entry(record.author).or_default();
            if *count >= MAX_HITS_OF_ONE || found.len() >= MAX_HITS {
                return;
            }
            *count = count.saturating_add(1);
            let hit = Hit {
                info_hash: info_hash.to_string(),
                name: name.to_owned(),
                size,
                tags: tags.to_owned(),
                text: text.to_owned(),
                age_s: today().since(record.made),
                sources: 0,
                link: None,
                degree,
                through,
            };
            found.insert(info_hash, (hit, record.author));
        });
    }

    /// Whether its author says otherwise by now, as far as is known here: each copy is as old as the last call.
    fn is_outdated(&self, record: &Record<'_>) -> bool {
        let id = record.id();
        let later =
            |records: &Records| records.edition(&id).is_some_and(|edition| edition.version > record.version);
        later(&self.served) || self.neighbours.borrow().iter().any(|neighbour| later(&neighbour.records))
    }

    /// Counts who serves each, and makes the link: the author's own if it serves the share itself.
    fn count_sources(&self, found: &mut HashMap<InfoHash, (Hit, NodeKey)>) {
        let mut seen: HashMap<InfoHash, Vec<Source>> = HashMap::new();
        let mut count = |records: &Records| {
            records.each(|record| {
                let Some(source) = Source::of(record) else { return };
                if !found.contains_key(&source.info_hash) || self.is_outdated(record) {
                    return;
                }
                let known = seen.entry(source.info_hash).or_default();
                if known.len() < MAX_SOURCES && !known.contains(&source) {
                    known.push(source);
                }
            });
        };
        count(&self.served);
        self.neighbours.borrow().iter().for_each(|neighbour| count(&neighbour.records));
        for (info_hash, (hit, author)) in found.iter_mut() {
            let Some(sources) = seen.get(info_hash) else { continue };
            hit.sources = u64::try_from(sources.len()).unwrap_or(u64::MAX);
            let own = sources.iter().find(|source| source.name.starts_with(&author.0));
            hit.link = own.or(sources.first()).and_then(|source| {
                let address = address_of(&source.name)?;
                // At a fetcher's own address the key of the link may be asked for.
                let link = Link { address, public: own.is_some(), token: source.token.clone() };
                Some(link.to_string())
            });
        }
    }
}

/// Whether every word is in one of the texts.
fn fits(words: &[String], texts: [&str; 3]) -> bool {
    let texts = texts.map(str::to_lowercase);
    words.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
}

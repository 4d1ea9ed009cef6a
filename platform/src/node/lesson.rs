//! Learning a share's metadata from one peer, over the lane that will carry its blocks.

use std::cell::RefCell;
use std::collections::VecDeque;

use bulbil_core::content::metainfo::Info;
use bulbil_core::content::{Hash, Layout, layer};
use bulbil_core::id::InfoHash;
use bulbil_core::learn::{Event, Learn};
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::pump::{self, Clock as _, Ended, Line};
use bulbil_core::swarm::Reject;
use bulbil_core::time::Millis;
use tokio::sync::Notify;

use super::halves::Halves;
use crate::clock::TokioClock;

/// What a share is, checked: nothing in it has to be believed.
pub(crate) struct Learned {
    pub(crate) info: Vec<u8>,
    /// Of each file longer than a piece, in order.
    pub(crate) layers: Vec<(Hash, Vec<u8>)>,
}

/// Why nothing was learned.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotLearned {
    /// The connection broke.
    #[error("the connection broke while the metadata was read")]
    Broken,
    /// All places at the peer are taken.
    #[error("the node is busy")]
    Busy,
    /// The peer did not keep to the protocol.
    #[error("the peer {0}")]
    Foul(Reject),
    /// The info dictionary is not what its hash says, or a layer is not what its root says.
    #[error("the peer sent metadata that does not match its hash")]
    Forged,
    /// The metadata is sound but cannot be used.
    #[error("the share cannot be fetched: {0}")]
    Unusable(String),
}

/// One file whose layer is to be asked for.
struct Wanted {
    file: u32,
    pieces: u32,
    root: Hash,
}

struct Lesson {
    learn: Learn,
    info: Vec<u8>,
    piece_height: u32,
    /// Files not yet complete; the first ones may have been asked for.
    plan: VecDeque<Wanted>,
    asked: usize,
    layers: Vec<(Hash, Vec<u8>)>,
    current: Vec<u8>,
    parsed: bool,
}

/// The lane while it learns.
struct LessonLine {
    lesson: RefCell<Lesson>,
    stirred: Notify,
    clock: TokioClock,
}

/// Reads everything about a share. The conversation is left as it was opened, ready for the swarm.
pub(crate) async fn learn(
    known: Option<InfoHash>,
    halves: &mut Halves,
    clock: TokioClock,
) -> Result<Learned, NotLearned> {
    let lesson = Lesson {
        learn: Learn::new(clock.now(), known),
        info: Vec::new(),
        piece_height: 0,
        plan: VecDeque::new(),
        asked: 0,
        layers: Vec::new(),
        current: Vec::new(),
        parsed: false,
    };
    let line = LessonLine { lesson: RefCell::new(lesson), stirred: Notify::new(), clock };
    let mut buf = vec![0; MAX_FRAME];
    let end = tokio::select! {
        end = pump::run(&line, (&mut halves.tx, halves.rx.as_mut()), &clock, &mut buf) => end,
        () = line.stall() => return Err(NotLearned::Broken),
    };
    match end {
        Ended::Line(Ok(())) => {}
        Ended::Line(Err(why)) => return Err(why),
        Ended::Hangup | Ended::Stalled => return Err(NotLearned::Broken),
    }
    let lesson = line.lesson.into_inner();
    Ok(Learned { layers: lesson.layers, info: lesson.info })
}

impl LessonLine {
    /// Returns when the peer has owed an answer for too long.
    async fn stall(&self) {
        loop {
            let due = self.lesson.borrow().learn.poll_timeout();
            let now = self.clock.now();
            match due {
                Some(due) if due <= now => return,
                Some(due) => self.clock.until(due).await,
                // Nothing is owed: the first question goes out at once, so this is between two of them.
                None => self.clock.until(now.plus(1_000)).await,
            }
        }
    }
}

impl Line for LessonLine {
    type End = Result<(), NotLearned>;

    fn hear(&self, now: Millis, frame: &[u8]) -> Result<(), Self::End> {
        let mut lesson = self.lesson.borrow_mut();
        lesson.take(now, frame).map_err(Err)?;
        self.stirred.notify_one();
        if lesson.is_over() { Err(Ok(())) } else { Ok(()) }
    }

    fn say(&self, _: Millis, tx: &mut [u8]) -> Result<usize, Self::End> {
        let mut lesson = self.lesson.borrow_mut();
        lesson.ask_more();
        let frame = lesson.learn.poll_transmit(tx).map_err(|_| Err(NotLearned::Broken))?;
        Ok(frame.map_or(0, <[u8]>::len))
    }

    async fn stirred(&self) {
        self.stirred.notified().await;
    }
}

impl Lesson {
    fn is_over(&self) -> bool {
        self.parsed && self.plan.is_empty() && self.learn.is_idle()
    }

    fn take(&mut self, now: Millis, frame: &[u8]) -> Result<(), NotLearned> {
        match self.learn.handle_frame(now, frame).map_err(NotLearned::Foul)? {
            Event::Quiet => Ok(()),
            Event::Closed => Err(NotLearned::Broken),
            Event::Busy => Err(NotLearned::Busy),
            Event::Info { info_hash, total, bytes, .. } => {
                self.info.extend_from_slice(bytes); // parts come in order, and total is bounded
                if self.info.len() == usize::try_from(total).unwrap_or(usize::MAX) {
                    self.read_info(info_hash)?;
                }
                Ok(())
            }
            Event::Hashes { file, index, hashes, uncles } => self.take_hashes(file, index, hashes, uncles),
        }
    }

    fn read_info(&mut self, info_hash: InfoHash) -> Result<(), NotLearned> {
        use sha2::Digest;
        if <[u8; 32]>::from(sha2::Sha256::digest(&self.info)) != info_hash.0 {
            return Err(NotLearned::Forged);
        }
        let info = Info::parse(&self.info).map_err(|why| NotLearned::Unusable(why.to_string()))?;
        let spans: Box<[_]> = info.spans().collect();
        let layout =
            Layout::new(info.piece_len(), spans).map_err(|why| NotLearned::Unusable(why.to_string()))?;
        self.piece_height = layout.piece_height();
        let long = layout.spans().iter().filter(|span| layout.has_layer(span));
        self.plan = long
            .map(|span| Wanted { file: span.file, pieces: layout.pieces_in(span), root: span.root })
            .collect();
        self.parsed = true;
        Ok(())
    }

    fn take_hashes(&mut self, file: u32, index: u32, hashes: &[u8], uncles: &[u8]) -> Result<(), NotLearned> {
        let wanted = self.plan.front().filter(|wanted| wanted.file == file).ok_or(NotLearned::Forged)?;
        if !layer::verify_run(&wanted.root, wanted.pieces, self.piece_height, index, hashes, uncles) {
            return Err(NotLearned::Forged);
        }
        self.current.extend_from_slice(hashes);
        if self.current.len() / 32 == usize::try_from(wanted.pieces).unwrap_or(usize::MAX) {
            self.layers.push((wanted.root, std::mem::take(&mut self.current)));
            self.plan.pop_front();
            self.asked = self.asked.saturating_sub(1);
        }
        Ok(())
    }

    /// Keeps the conversation busy: the next file is asked for while answers about the last are on their way.
    fn ask_more(&mut self) {
        if self.learn.is_ready()
            && let Some(wanted) = self.plan.get(self.asked)
        {
            self.learn.want(wanted.file, wanted.pieces);
            self.asked += 1;
        }
    }
}

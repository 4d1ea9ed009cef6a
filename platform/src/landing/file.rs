//! A part of a file on its way to a browser, one checked block at a time.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bulbil_core::content::Span;
use bulbil_core::id::BlockId;
use bulbil_core::limits::BLOCK_LEN;
use bulbil_core::pump::Clock as _;
use bulbil_core::store::{Store, StoreError};
use hyper::body::Bytes;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use super::Landing;
use crate::store::{Served, Warm};

/// The file ends here: it changed, or the share was withdrawn. The browser sees a broken download and may resume it.
#[derive(Debug, thiserror::Error)]
#[error("the file ends here")]
pub(super) struct Broken;

/// Bytes `at` to `end` of one file.
pub(super) struct FileBody {
    landing: Rc<Landing>,
    served: Rc<RefCell<Served>>,
    span: Span,
    at: u64,
    end: u64,
    /// Read already, before the head of the answer left.
    first: Option<Bytes>,
    /// Until the upload limit lets the next block through.
    wait: Option<Pin<Box<Sleep>>>,
    /// A piece that is being hashed.
    warming: Option<JoinHandle<Result<Warm, StoreError>>>,
}

impl FileBody {
    /// `end` is the first byte that is not sent any more. Reads nothing yet.
    pub(super) fn new(landing: Rc<Landing>, span: Span, at: u64, end: u64) -> Self {
        let served = landing.served();
        Self { landing, served, span, at, end: end.min(span.length), first: None, wait: None, warming: None }
    }

    /// Reads the first block, so that a file that cannot be read gets an answer that says so.
    pub(super) async fn begin(&mut self) -> Result<(), Broken> {
        poll_fn(|cx| self.poll_warm(cx)).await;
        self.first = Some(self.read()?);
        Ok(())
    }

    /// Bytes still to come.
    pub(super) fn left(&self) -> u64 {
        let first = self.first.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.end.saturating_sub(self.at).saturating_add(first)
    }

    /// The next block, or the part of it that was asked for.
    pub(super) fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if self.left() == 0 {
            return Poll::Ready(None);
        }
        ready!(self.poll_limit(cx));
        if self.first.is_none() {
            ready!(self.poll_warm(cx));
        }
        if self.landing.closed.get() {
            return Poll::Ready(Some(Err(Broken)));
        }
        let first = self.first.take();
        Poll::Ready(Some(first.map_or_else(|| self.read(), Ok)))
    }

    /// Holds back while the upload limit is used up.
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &self.landing.house.0;
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            let now = shared.clock.now();
            let next = self.left().min(BLOCK_LEN as u64);
            let Err(millis) = shared.upload.take(now, next) else { return Poll::Ready(()) };
            self.wait = Some(Box::pin(tokio::time::sleep(Duration::from_millis(millis))));
        }
    }

    /// Waits until another thread has hashed the piece in which the next byte lies. What goes wrong is seen when it is read.
    fn poll_warm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.warming.is_none() {
            let piece = self.place().map(|(id, _)| id.piece);
            let Some(job) = piece.and_then(|piece| self.served.borrow().warming(piece)) else {
                return Poll::Ready(());
            };
            self.warming = Some(tokio::task::spawn_blocking(move || job.run()));
        }
        let Some(warming) = &mut self.warming else { return Poll::Ready(()) };
        let done = ready!(Pin::new(warming).poll(cx));
        self.warming = None;
        if let Ok(Ok(warm)) = done {
            self.served.borrow_mut().warmed(warm);
        }
        Poll::Ready(())
    }

    fn read(&mut self) -> Result<Bytes, Broken> {
        self.read_block().map_err(|fault| {
            self.landing.fault.set(Some(fault));
            Broken
        })
    }

    fn read_block(&mut self) -> Result<Bytes, StoreError> {
        let (id, skip) = self.place().ok_or(StoreError::Missing)?;
        let layout = self.landing.content.layout();
        let length = layout.block_len(id).ok_or(StoreError::Missing)?;
        let levels = layout.proof_len(id.piece).ok_or(StoreError::Missing)?;
        let (mut proof, mut block) = (vec![0; levels.saturating_mul(32)], vec![0; length]);
        self.served.borrow_mut().read(id, &mut proof, &mut block)?;
        let wanted = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let take = wanted.min(length.saturating_sub(skip));
        let bytes = Bytes::from(block).slice(skip..skip.saturating_add(take));
        if bytes.is_empty() {
            return Err(StoreError::Missing);
        }
        self.at = self.at.saturating_add(bytes.len() as u64);
        let uploaded = &self.landing.uploaded;
        uploaded.set(uploaded.get().saturating_add(bytes.len() as u64));
        Ok(bytes)
    }

    /// The block in which the next byte lies, and how far into it.
    fn place(&self) -> Option<(BlockId, usize)> {
        let (piece_len, block_len) = (u64::from(self.landing.content.layout().piece_len()), BLOCK_LEN as u64);
        let piece = u32::try_from(self.at.checked_div(piece_len)?).ok()?;
        let within = self.at.checked_rem(piece_len)?;
        let id = BlockId {
            piece: self.span.first_piece.checked_add(piece)?,
            block: u16::try_from(within / block_len).ok()?,
        };
        Some((id, usize::try_from(within % block_len).ok()?))
    }
}

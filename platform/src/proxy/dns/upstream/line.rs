//! One connection to a resolver, with many questions under way on it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::{Ask, Lost};
use crate::exit::ExitStream;

/// A connection on which nothing came for so long, while something should have, is given up.
pub(super) const SILENCE: Duration = Duration::from_secs(8);

/// A connection that nobody asked anything on for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Questions under way on a connection at most; more wait in [`QUEUE`](super::QUEUE).
pub(super) const UNDER_WAY: usize = 512;

/// How often those are looked for that nobody waits for any more.
pub(super) const TIDY: Duration = Duration::from_millis(250);

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// A connection.
pub(super) struct Line {
    pub(super) waiting: HashMap<u16, Ask>,
    last: u16,
    /// When it last said something, or was asked after a time in which it owed nothing.
    heard: Instant,
    /// It was asked, and said nothing since: also where nobody waits for the answer any more.
    owing: bool,
    /// When those that nobody waits for were last looked for.
    tidied: Instant,
    pub(super) asked: bool,
    pub(super) answered: bool,
    /// Nobody asks here any more.
    left: bool,
}

impl Line {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            waiting: HashMap::new(),
            last: 0,
            heard: now,
            owing: false,
            tidied: now,
            asked: false,
            answered: false,
            left: false,
        }
    }

    /// Until it breaks, or nobody asks here any more and all who did have their answers.
    pub(super) async fn run(&mut self, stream: ExitStream, asks: &mut mpsc::Receiver<Ask>) -> Lost {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut heard = Vec::with_capacity(READ);
        let mut batch = Vec::new();
        while !self.left || !self.waiting.is_empty() {
            let limit = if self.owing { SILENCE } else { IDLE };
            let mut alarm = self.heard + limit;
            if !self.waiting.is_empty() {
                alarm = alarm.min(self.tidied + TIDY);
            }
            let room = UNDER_WAY.saturating_sub(self.waiting.len());
            tokio::select! {
                got = asks.recv_many(&mut batch, room), if room > 0 && !self.left => {
                    self.left = got == 0;
                    let mut bytes = Vec::new();
                    batch.drain(..).for_each(|ask| self.put(ask, &mut bytes));
                    if !bytes.is_empty() && !self.owing {
                        (self.heard, self.owing) = (Instant::now(), true);
                    }
                    let sending = async {
                        writer.write_all(&bytes).await?;
                        writer.flush().await
                    };
                    if !matches!(timeout(SILENCE, sending).await, Ok(Ok(()))) {
                        return Lost::Broken;
                    }
                }
                got = reader.read_buf(&mut heard) => {
                    if !matches!(got, Ok(1..)) {
                        return Lost::Broken;
                    }
                    self.heard = Instant::now();
                    self.take(&mut heard);
                    self.owing = !self.waiting.is_empty();
                }
                () = tokio::time::sleep_until(alarm) => {
                    if self.heard + limit <= Instant::now() {
                        return if self.owing { Lost::Silent } else { Lost::Broken };
                    }
                    self.tidy();
                }
            }
        }
        Lost::Broken
    }

    /// Makes room: those whose clients gave up would hold their places for as long as others are answered.
    fn tidy(&mut self) {
        self.waiting.retain(|_, ask| !ask.answer.is_closed());
        self.tidied = Instant::now();
    }

    /// Numbers a question and writes it down.
    fn put(&mut self, ask: Ask, bytes: &mut Vec<u8>) {
        if ask.answer.is_closed() {
            return;
        }
        self.asked = true;
        let mut message = ask.query.forward();
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.waiting.contains_key(&self.last) {
                break;
            }
        }
        if let Some(id) = message.first_chunk_mut() {
            *id = self.last.to_be_bytes();
        }
        bytes.extend(u16::try_from(message.len()).unwrap_or(0).to_be_bytes());
        bytes.extend(message);
        self.waiting.insert(self.last, ask);
    }

    /// Hands over what came whole.
    fn take(&mut self, heard: &mut Vec<u8>) {
        let mut at = 0_usize;
        while let Some((length, rest)) = heard.get(at..).and_then(<[u8]>::split_first_chunk) {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(message) = rest.get(..length) else { break };
            at = at.saturating_add(2).saturating_add(length);
            let Some(id) = message.first_chunk().map(|id| u16::from_be_bytes(*id)) else { continue };
            if self.waiting.get(&id).is_none_or(|ask| !ask.query.answered_by(message)) {
                continue; // late, or the answer to something else
            }
            self.answered = true;
            if let Some(ask) = self.waiting.remove(&id) {
                drop(ask.answer.send(Ok(message.to_vec()))); // whoever asked may be gone
            }
        }
        heard.drain(..at.min(heard.len()));
    }
}

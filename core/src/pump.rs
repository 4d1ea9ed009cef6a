//! Runs one lane: frames in, frames out, both at once. The only async logic of the core.

use embassy_futures::select::{Either, select};

use crate::limits::SEND_MS;
use crate::time::Millis;
use crate::transport::{Hangup, RecvFrame, SendFrame};

/// The owner's clock.
#[allow(async_fn_in_trait, reason = "see Transport")]
pub trait Clock {
    /// The moment it is.
    fn now(&self) -> Millis;

    /// Waits for that moment.
    async fn until(&self, at: Millis);
}

/// What stands behind a lane: a machine, shared with the lanes beside it.
#[allow(async_fn_in_trait, reason = "see Transport")]
pub trait Line {
    /// Why the line ends it.
    type End;

    /// Takes in one frame.
    fn hear(&self, now: Millis, frame: &[u8]) -> Result<(), Self::End>;

    /// Writes the next frame at the start of `tx` and returns its length, or 0 when there is none to send.
    fn say(&self, now: Millis, tx: &mut [u8]) -> Result<usize, Self::End>;

    /// Returns when [`say`](Self::say) may have something again. Cancel-safe.
    async fn stirred(&self);
}

/// Why a lane ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended<E> {
    /// The connection broke, or the other side hung up.
    Hangup,
    /// A frame was not taken off our hands within [`SEND_MS`].
    Stalled,
    /// The line wanted it.
    Line(E),
}

impl<E> From<Hangup> for Ended<E> {
    fn from(_: Hangup) -> Self {
        Self::Hangup
    }
}

/// Carries frames between `line` and the connection until one of them ends it. `buf` holds one frame
/// ([`MAX_FRAME`](crate::limits::MAX_FRAME) bytes are always enough).
///
/// When the line ends while it hears, nothing of ours is half-sent unless a send was waiting; the connection can then be
/// given to another pump if the caller knows that nothing was to be sent.
pub async fn run<L: Line>(
    line: &L,
    (tx, rx): (&mut impl SendFrame, &mut impl RecvFrame),
    clock: &impl Clock,
    buf: &mut [u8],
) -> Ended<L::End> {
    let hear = async {
        loop {
            match rx.recv().await {
                Ok(frame) => {
                    if let Err(end) = line.hear(clock.now(), frame) {
                        return Ended::Line(end);
                    }
                }
                Err(Hangup) => return Ended::Hangup,
            }
        }
    };
    let speak = async {
        loop {
            if let Err(end) = speak(line, tx, clock, buf).await {
                return end;
            }
            line.stirred().await;
        }
    };
    match select(hear, speak).await {
        Either::First(end) | Either::Second(end) => end,
    }
}

/// Sends everything there is to send, then flushes.
async fn speak<L: Line>(
    line: &L,
    tx: &mut impl SendFrame,
    clock: &impl Clock,
    buf: &mut [u8],
) -> Result<(), Ended<L::End>> {
    let mut held_back = false;
    loop {
        let now = clock.now();
        let said = line.say(now, buf);
        let deadline = clock.until(now.plus(SEND_MS));
        let frame = said.as_ref().ok().and_then(|len| buf.get(..*len)).filter(|frame| !frame.is_empty());
        if let Some(frame) = frame {
            within(deadline, tx.send(frame)).await?;
            held_back = true;
            continue;
        }
        if held_back {
            within(deadline, tx.flush()).await?; // also before an end: the last frames still count
        }
        return said.map(|_| ()).map_err(Ended::Line);
    }
}

/// Waits for `sending`, but not longer than for `deadline`.
async fn within<E>(
    deadline: impl Future<Output = ()>,
    sending: impl Future<Output = Result<(), Hangup>>,
) -> Result<(), Ended<E>> {
    match select(sending, deadline).await {
        Either::First(sent) => Ok(sent?),
        Either::Second(()) => Err(Ended::Stalled),
    }
}

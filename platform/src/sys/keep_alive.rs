//! Finding out that the other end of a connection went away without a word.

use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval};

/// Seconds of silence before the other end is asked whether it is there. A telephone need not wake up for it often.
const IDLE: u32 = 600;

/// Seconds between two such questions, and how many stay without an answer: a suspended machine has a quarter of an hour.
const INTERVAL: u32 = 60;
const COUNT: u32 = 5;

/// Has the kernel close a TCP connection whose other end no longer answers, [`IDLE`] and [`COUNT`] times [`INTERVAL`] after the last
/// sign of it (tcp(7)).
pub fn set(connection: &impl AsFd) -> io::Result<()> {
    setsockopt(connection, TcpKeepIdle, &IDLE)?;
    setsockopt(connection, TcpKeepInterval, &INTERVAL)?;
    setsockopt(connection, TcpKeepCount, &COUNT)?;
    // Last: on without the rest means two hours.
    Ok(setsockopt(connection, KeepAlive, &true)?)
}

/// Whether that was done.
#[cfg(test)]
pub(crate) fn is_set(connection: &impl AsFd) -> bool {
    use nix::sys::socket::getsockopt;
    getsockopt(connection, KeepAlive).is_ok_and(|on| on)
        && getsockopt(connection, TcpKeepIdle).is_ok_and(|idle| idle == IDLE)
        && getsockopt(connection, TcpKeepInterval).is_ok_and(|interval| interval == INTERVAL)
        && getsockopt(connection, TcpKeepCount).is_ok_and(|count| count == COUNT)
}

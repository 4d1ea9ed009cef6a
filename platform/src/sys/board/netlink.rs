//! A socket to the kernel's generic netlink (netlink(7), linux/genetlink.h). What is said on it is its user's business.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One socket. Needs a runtime.
#[derive(Debug)]
pub struct Netlink(AsyncFd<OwnedFd>);

impl Netlink {
    /// Opens one.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkGeneric)?;
        Self::watch(socket)
    }

    /// Two that hear one another, one of which plays the kernel.
    #[cfg(test)]
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        use nix::sys::socket::socketpair;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok((Self::watch(ours)?, Self::watch(theirs)?))
    }

    fn watch(socket: OwnedFd) -> io::Result<Self> {
        // SAFETY: the socket is ours alone and stays open for as long as it is watched.
        let watched = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        watched.map(Self).map_err(|error| error.into_parts().1)
    }

    /// Hears what the kernel says to this group.
    pub fn join(&self, group: u32) -> io::Result<()> {
        let length = libc::socklen_t::try_from(size_of::<u32>()).map_err(io::Error::other)?;
        // SAFETY: an open socket, and a number that outlives the call, with its length.
        let done = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_ADD_MEMBERSHIP,
                (&raw const group).cast(),
                length,
            )
        };
        Ok(Errno::result(done).map(drop)?)
    }

    /// Says something to the kernel.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        Ok(send(self.0.as_raw_fd(), bytes, MsgFlags::empty()).map(drop)?)
    }

    /// What the kernel says next: its length.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let hear = |socket: &OwnedFd| Ok(recv(socket.as_raw_fd(), buffer, MsgFlags::empty())?);
        self.0.async_io(Interest::READABLE, hear).await
    }
}

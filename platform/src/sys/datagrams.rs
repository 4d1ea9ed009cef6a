//! Datagrams that are answered from the address they were sent to.
//!
//! A socket that is bound to all addresses of a machine would answer from whichever the kernel prefers, and clients take no answer from
//! another address than the one they asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg,
    sendmsg, setsockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A socket that knows where datagrams came to.
#[derive(Debug)]
pub struct Datagrams(UdpSocket);

/// Who sent a datagram, and to which of our addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Route {
    /// The sender.
    pub client: SocketAddr,
    /// Where it came to, and on which interface. None where the kernel does not say.
    here: Option<(IpAddr, u32)>,
}

impl Datagrams {
    /// Takes a bound socket.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        if socket.local_addr()?.is_ipv4() {
            setsockopt(&socket, Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        }
        Ok(Self(socket))
    }

    /// The next datagram: its bytes, of which those past the end of `bytes` are lost, and its way. An error belongs to a datagram
    /// that was sent before.
    pub async fn receive(&self, bytes: &mut [u8]) -> io::Result<(usize, Route)> {
        self.0.async_io(Interest::READABLE, || self.receive_now(bytes)).await
    }

    fn receive_now(&self, bytes: &mut [u8]) -> io::Result<(usize, Route)> {
        let mut space = cmsg_space!(libc::in6_pktinfo);
        let mut into = [IoSliceMut::new(bytes)];
        let got =
            recvmsg::<SockaddrStorage>(self.0.as_raw_fd(), &mut into, Some(&mut space), MsgFlags::empty())?;
        let client = got.address.as_ref().and_then(plain).ok_or(io::ErrorKind::InvalidData)?;
        let here = got.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                // Of a broadcast, this is the address of the interface that it came by.
                let address = IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
                Some((address, info.ipi_ifindex.unsigned_abs()))
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some((IpAddr::from(info.ipi6_addr.s6_addr), info.ipi6_ifindex))
            }
            _ => None,
        });
        Ok((got.bytes, Route { client, here }))
    }

    /// Answers a datagram that came by this way.
    pub async fn answer(&self, bytes: &[u8], route: Route) -> io::Result<()> {
        self.0.async_io(Interest::WRITABLE, || self.answer_now(bytes, route)).await
    }

    fn answer_now(&self, bytes: &[u8], route: Route) -> io::Result<()> {
        let from = [IoSlice::new(bytes)];
        let fd = self.0.as_raw_fd();
        let to = SockaddrStorage::from(route.client);
        let send = |messages: &[ControlMessage<'_>]| {
            sendmsg(fd, &from, messages, MsgFlags::empty(), Some(&to)).map(drop).map_err(io::Error::from)
        };
        match route.here {
            None => send(&[]),
            Some((IpAddr::V4(here), _)) => {
                let here = libc::in_addr { s_addr: u32::from_ne_bytes(here.octets()) };
                // Which interface it leaves by is for the table of routes to say: of two lines, one may be down by now.
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: here,
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                send(&[ControlMessage::Ipv4PacketInfo(&info)])
            }
            Some((IpAddr::V6(here), interface)) => {
                // An address of one link means nothing without it.
                let interface = if here.is_unicast_link_local() { interface } else { 0 };
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source(here).octets() },
                    ipi6_ifindex: interface,
                };
                send(&[ControlMessage::Ipv6PacketInfo(&info)])
            }
        }
    }
}

/// What to answer from. Nobody answers from the address of a group: the kernel chooses.
const fn source(here: Ipv6Addr) -> Ipv6Addr {
    if here.is_multicast() { Ipv6Addr::UNSPECIFIED } else { here }
}

fn plain(address: &SockaddrStorage) -> Option<SocketAddr> {
    let four = address.as_sockaddr_in().map(|four: &SockaddrIn| SocketAddrV4::from(*four).into());
    four.or_else(|| address.as_sockaddr_in6().map(|six: &SockaddrIn6| SocketAddrV6::from(*six).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connected socket takes datagrams from the one address that it asked, and from no other.
    async fn asks(bound: &str, asked: &str) {
        let socket = UdpSocket::bind(bound).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let here = Datagrams::new(socket).unwrap();
        let asked: IpAddr = asked.parse().unwrap();
        let own: IpAddr = if asked.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let client = UdpSocket::bind((own, 0)).await.unwrap();
        client.connect((asked, port)).await.unwrap();
        client.send(b"question").await.unwrap();
        let mut bytes = [0; 100];
        let (length, route) = here.receive(&mut bytes).await.unwrap();
        assert_eq!(&bytes[..length], b"question");
        assert_eq!(route.client.port(), client.local_addr().unwrap().port());
        here.answer(b"answer", route).await.unwrap();
        let limit = std::time::Duration::from_secs(20);
        let got = tokio::time::timeout(limit, client.recv(&mut bytes)).await;
        assert_eq!(got.expect("an answer from where it was asked").unwrap(), 6, "{bound} {asked}");
    }

    #[tokio::test]
    async fn answers_come_from_the_address_that_was_asked() {
        for asked in ["127.0.0.1", "127.0.0.2", "127.9.9.9"] {
            asks("0.0.0.0:0", asked).await;
        }
        asks("127.0.0.3:0", "127.0.0.3").await;
    }

    #[tokio::test]
    async fn the_same_over_ipv6() {
        // A machine without IPv6 has nothing to answer.
        if UdpSocket::bind("[::1]:0").await.is_ok() {
            asks("[::]:0", "::1").await;
            asks("[::1]:0", "::1").await;
            if std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|only| only.trim() == "0") {
                asks("[::]:0", "127.0.0.2").await;
            }
        }
    }
}

//! The sockets of this process, as the kernel lists them (proc(5): `/proc/self/fd`, `/proc/net/tcp`).

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

/// Between two looks. A connection that lives for less is not seen; a packet counter outside would (tests have one).
const LOOK: Duration = Duration::from_millis(50);

/// Addresses that are remembered; more are as bad as that.
const MAX_SEEN: usize = 4096;

/// A socket in the state LISTEN, in the kernel's numbers.
const LISTEN: &str = "0A";

/// Looks at the sockets again and again until dropped.
#[derive(Debug)]
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

/// What there was at any time.
#[derive(Debug, Default)]
struct Seen {
    /// Other ends of TCP connections.
    remotes: BTreeSet<SocketAddr>,
    /// Sockets of other protocols that can leave this machine.
    others: bool,
    /// `/proc` could not be read.
    blind: bool,
}

impl Watch {
    /// Sockets that are open already are none of ours to judge: a program may use this as a library.
    pub(super) fn start() -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let (shared, before) = (Arc::clone(&seen), own_inodes().unwrap_or_default());
        let task = tokio::spawn(async move {
            loop {
                look(&before, &mut shared.lock().unwrap_or_else(PoisonError::into_inner));
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { seen, task: task.abort_handle() }
    }

    /// Whether all connections went to where they may.
    pub(super) fn verdict(&self, may: impl Fn(SocketAddr) -> bool) -> Result<(), String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.blind {
            return Err("/proc cannot be read, so nobody can tell; mount it".to_owned());
        }
        if seen.others {
            return Err(
                "a socket that is not TCP was open; nothing here needs one, so do not use this build"
                    .to_owned(),
            );
        }
        let strangers = seen.remotes.iter().filter(|address| !may(**address)).count();
        if strangers > 0 || seen.remotes.len() >= MAX_SEEN {
            return Err(format!(
                "{strangers} connections went to addresses that are no relays of the network; do not use this build"
            ));
        }
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn look(before: &BTreeSet<u64>, seen: &mut Seen) {
    let Some(own) = own_inodes() else {
        seen.blind = true;
        return;
    };
    let fresh = |line: &Line| own.contains(&line.inode) && !before.contains(&line.inode);
    for (table, tcp) in
        [("tcp", true), ("tcp6", true), ("udp", false), ("udp6", false), ("raw", false), ("raw6", false)]
    {
        // A kernel without IPv6 has no such table.
        let Ok(text) = fs::read_to_string(format!("/proc/self/net/{table}")) else { continue };
        for line in text.lines().skip(1).filter_map(Line::read).filter(fresh) {
            if !tcp {
                seen.others = true;
            } else if !line.listens && seen.remotes.len() < MAX_SEEN {
                seen.remotes.insert(line.remote);
            }
        }
    }
}

/// The numbers of this process's sockets.
fn own_inodes() -> Option<BTreeSet<u64>> {
    let entries = fs::read_dir("/proc/self/fd").ok()?;
    let inode = |entry: fs::DirEntry| {
        let link = fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    Some(entries.filter_map(Result::ok).filter_map(inode).collect())
}

/// One line of such a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Line {
    remote: SocketAddr,
    listens: bool,
    inode: u64,
}

impl Line {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let remote = address(words.nth(2)?)?;
        let listens = words.next()? == LISTEN;
        let inode = words.nth(5)?.parse().ok()?;
        Some(Self { remote, listens, inode })
    }
}

/// `0100007F:1F90`: words of four bytes in the machine's order, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let bytes = data_encoding::HEXUPPER.decode(host.as_bytes()).ok()?;
    let bytes: Vec<u8> = bytes
        .chunks_exact(4)
        .filter_map(|word| Some(u32::from_be_bytes(word.try_into().ok()?).to_ne_bytes()))
        .flatten()
        .collect();
    let ip: IpAddr = match *bytes.as_slice() {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        ref bytes => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernel_s_lines_are_read() {
        let line = "   0: 0100007F:0CD4 0A00A8C0:01BB 01 00000000:00000000 00:00000000 00000000 1000 0 31337 1 0 20 4 30 10 -1";
        let expected = Line { remote: "192.168.0.10:443".parse().unwrap(), listens: false, inode: 31337 };
        assert_eq!(Line::read(line), Some(expected));
        assert_eq!(address("B80D0120000000000000000001000000:0050"), "[2001:db8::1]:80".parse().ok());
        assert_eq!(address("0000000000000000FFFF00000100007F:0050"), "127.0.0.1:80".parse().ok());
        assert_eq!(address("xyz"), None);
    }

    #[tokio::test]
    async fn a_connection_elsewhere_is_a_leak() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let watch = Watch::start();
        let stream = TcpStream::connect(there).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), async {
            while watch.verdict(|address| address != there).is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        watch.verdict(|address| address == there || address == stream.local_addr().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_datagram_socket_is_a_leak() {
        let watch = Watch::start();
        let _socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), async {
            while watch.verdict(|_| true).is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}

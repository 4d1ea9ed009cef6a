//! The sockets of this process, as the kernel lists them (proc(5): `/proc/self/fd`, `/proc/net/tcp`).

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::publish::is_local;

/// Between two looks. A connection that lives for less is not seen; a packet counter outside would (tests have one). A node has
/// thousands of sockets, and other things to do.
const LOOK: Duration = Duration::from_millis(50);
const LOOK_AT_NODE: Duration = Duration::from_millis(250);

/// Addresses that are remembered; more are as bad as that.
const MAX_SEEN: usize = 4096;

/// A socket in the state LISTEN, in the kernel's numbers.
const LISTEN: &str = "0A";

/// Whose sockets are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Process {
    /// That of the check: there is nothing but Tor in it.
    Own,
    /// A node's: others call it. With `backends` it calls programs of the local network itself, and asks the resolver there for
    /// their names.
    Node { backends: bool },
}

/// Looks at the sockets again and again until dropped.
#[derive(Debug)]
pub(super) struct Watch {
    process: Process,
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

/// What there was at any time.
#[derive(Debug, Default)]
struct Seen {
    /// Other ends of TCP connections.
    remotes: BTreeSet<SocketAddr>,
    /// The same of sockets of other protocols that can leave this machine.
    others: BTreeSet<SocketAddr>,
    /// `/proc` could not be read.
    blind: bool,
}

impl Watch {
    /// Sockets that are open already are none of ours to judge: a program may use this as a library.
    pub(super) fn start(process: Process) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let (shared, before) = (Arc::clone(&seen), own_inodes().unwrap_or_default());
        let pause = if process == Process::Own { LOOK } else { LOOK_AT_NODE };
        let task = tokio::spawn(async move {
            loop {
                look(process, &before, &mut shared.lock().unwrap_or_else(PoisonError::into_inner));
                tokio::time::sleep(pause).await;
            }
        });
        Self { process, seen, task: task.abort_handle() }
    }

    /// Whether all connections went to where they may.
    pub(super) fn verdict(&self, may: impl Fn(SocketAddr) -> bool) -> Result<(), String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.blind {
            return Err("/proc cannot be read, so nobody can tell; mount it".to_owned());
        }
        let house = self.process == Process::Node { backends: true };
        // A resolver of the system may leave it open whom it asks.
        let near = |address: &SocketAddr| house && (is_local(address.ip()) || address.ip().is_unspecified());
        if !seen.others.iter().all(near) {
            return Err(
                "a socket that is not TCP was open; nothing here needs one, so do not use this build"
                    .to_owned(),
            );
        }
        let near = |address: &SocketAddr| house && is_local(address.ip());
        let strangers = seen.remotes.iter().filter(|address| !near(address) && !may(**address)).count();
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

fn look(process: Process, before: &BTreeSet<u64>, seen: &mut Seen) {
    let Some(own) = own_inodes() else {
        seen.blind = true;
        return;
    };
    let is_fresh = |line: &Line| !line.listens && !before.contains(&line.inode);
    let tcp = lines(&["tcp", "tcp6"], &own);
    let listeners: BTreeSet<u16> = tcp.iter().filter(|line| line.listens).map(|line| line.port).collect();
    // Whoever called us came to the port of a listener.
    let is_call = |line: &Line| process != Process::Own && listeners.contains(&line.port);
    let calls = tcp.iter().filter(|line| is_fresh(line) && !is_call(line));
    let others = lines(&["udp", "udp6", "raw", "raw6"], &own);
    for (found, into) in [
        (calls.map(|line| line.remote).collect::<Vec<_>>(), &mut seen.remotes),
        (others.iter().filter(|line| is_fresh(line)).map(|line| line.remote).collect(), &mut seen.others),
    ] {
        let room = MAX_SEEN.saturating_sub(into.len());
        into.extend(found.into_iter().take(room));
    }
}

/// The sockets of ours in these tables.
fn lines(tables: &[&str], own: &BTreeSet<u64>) -> Vec<Line> {
    // A kernel without IPv6 has half of them.
    let texts = tables.iter().filter_map(|table| fs::read_to_string(format!("/proc/self/net/{table}")).ok());
    let ours = |text: String| -> Vec<Line> {
        text.lines().skip(1).filter_map(Line::read).filter(|line| own.contains(&line.inode)).collect()
    };
    texts.flat_map(ours).collect()
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
    /// Ours.
    port: u16,
    remote: SocketAddr,
    listens: bool,
    inode: u64,
}

impl Line {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let port = address(words.nth(1)?)?.port();
        let remote = address(words.next()?)?;
        let listens = words.next()? == LISTEN;
        let inode = words.nth(5)?.parse().ok()?;
        Some(Self { port, remote, listens, inode })
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
        let remote = "192.168.0.10:443".parse().unwrap();
        let expected = Line { port: 3284, remote, listens: false, inode: 31337 };
        assert_eq!(Line::read(line), Some(expected));
        assert_eq!(address("B80D0120000000000000000001000000:0050"), "[2001:db8::1]:80".parse().ok());
        assert_eq!(address("0000000000000000FFFF00000100007F:0050"), "127.0.0.1:80".parse().ok());
        assert_eq!(address("xyz"), None);
    }

    #[tokio::test]
    async fn a_connection_elsewhere_is_a_leak() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let watch = Watch::start(Process::Own);
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
        let watch = Watch::start(Process::Own);
        let _socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), async {
            while watch.verdict(|_| true).is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }

    /// Looks once, as that process.
    fn seen(process: Process, before: &BTreeSet<u64>) -> Seen {
        let mut seen = Seen::default();
        look(process, before, &mut seen);
        seen
    }

    #[tokio::test]
    async fn who_calls_a_node_is_no_leak_and_whom_it_calls_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        // Other tests of this process have sockets, too: these two are looked for.
        let caller = TcpStream::connect(there).await.unwrap();
        let (_called, client) = listener.accept().await.unwrap();
        assert_eq!(client, caller.local_addr().unwrap());
        let none = BTreeSet::new();
        let node = seen(Process::Node { backends: false }, &none);
        assert!(node.remotes.contains(&there) && !node.remotes.contains(&client), "{node:?}");
        assert!(seen(Process::Own, &none).remotes.contains(&client));
    }

    #[tokio::test]
    async fn only_who_publishes_may_call_the_local_network() {
        let judge = |backends, remotes: &[&str], others: &[&str]| {
            let set = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
            let seen = Seen { remotes: set(remotes), others: set(others), blind: false };
            let watch = Watch::start(Process::Node { backends });
            watch.task.abort();
            *watch.seen.lock().unwrap() = seen;
            watch.verdict(|_| false).is_ok()
        };
        for near in ["127.0.0.1:80", "192.168.1.2:8000", "[fd00::1]:80"] {
            assert!(judge(true, &[near], &[]) && !judge(false, &[near], &[]), "{near}");
            assert!(judge(true, &[], &[near]) && !judge(false, &[], &[near]), "{near}");
        }
        for far in ["192.0.2.1:80", "[2001:db8::1]:443"] {
            assert!(!judge(true, &[far], &[]) && !judge(true, &[], &[far]), "{far}");
        }
        assert!(judge(true, &[], &["0.0.0.0:0"]) && !judge(false, &[], &["0.0.0.0:0"]));
        assert!(judge(false, &[], &[]));
    }
}

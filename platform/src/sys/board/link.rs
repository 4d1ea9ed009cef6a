//! Network interfaces: their flags, address and routes, by the calls of netdevice(7), and a socket that hears before there is one.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

/// Room for a name, the zero at its end included.
const NAME: usize = libc::IFNAMSIZ;

/// A handle for asking the kernel about IPv4 and its interfaces.
#[derive(Debug)]
pub struct Links(OwnedFd);

impl Links {
    /// Opens the handle; nothing is sent on it.
    pub fn open() -> io::Result<Self> {
        Ok(Self(socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?))
    }

    /// Switches an interface on.
    pub fn up(&self, name: &str) -> io::Result<()> {
        let mut request = request(name)?;
        self.call(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: the call above filled in the flags.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        let up = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
        request.ifr_ifru.ifru_flags = flags | up;
        self.call(libc::SIOCSIFFLAGS, &mut request)
    }

    /// Gives an interface its one address. `prefix` is the length of its network, 0 to 32.
    pub fn set_address(&self, name: &str, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let mut request = request(name)?;
        request.ifr_ifru.ifru_addr = sockaddr(address);
        self.call(libc::SIOCSIFADDR, &mut request)?;
        if address.is_unspecified() {
            return Ok(());
        }
        request.ifr_ifru.ifru_netmask = sockaddr(mask(prefix));
        self.call(libc::SIOCSIFNETMASK, &mut request)
    }

    /// Sends what has no other way through `router`. The old way there goes with the interface's old address.
    pub fn set_router(&self, name: &str, router: Ipv4Addr) -> io::Result<()> {
        let mut device = [0; NAME];
        copy_name(name, &mut device)?;
        let mut route = Route {
            to: sockaddr(Ipv4Addr::UNSPECIFIED),
            through: sockaddr(router),
            mask: sockaddr(Ipv4Addr::UNSPECIFIED),
            flags: libc::RTF_UP | libc::RTF_GATEWAY,
            device: device.as_mut_ptr(),
            ..Route::default()
        };
        // SAFETY: a whole `struct rtentry` (its layout is checked below) whose name outlives the call.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCADDRT as _, &raw mut route) };
        match Errno::result(done) {
            Ok(_) | Err(Errno::EEXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn call(&self, number: impl TryInto<u64>, request: &mut libc::ifreq) -> io::Result<()> {
        let number = number.try_into().map_err(|_| Errno::EINVAL)?;
        // SAFETY: a whole `struct ifreq`, which is what each of these calls reads and writes.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), number as _, std::ptr::from_mut(request)) };
        Ok(Errno::result(done).map(drop)?)
    }
}

/// A UDP socket on one interface, which may have no address yet: it can send to and hear from everyone on that network.
/// Others may have the same port.
pub fn on_device(name: &str, place: SocketAddrV4) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    setsockopt(&fd, sockopt::BindToDevice, &name.into())?;
    setsockopt(&fd, sockopt::Broadcast, &true)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    let [high, low] = place.port().to_be_bytes().map(letter);
    let mut place = sockaddr(*place.ip());
    place.sa_data[..2].copy_from_slice(&[high, low]);
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr>()).map_err(io::Error::other)?;
    // SAFETY: a whole address of the family that the socket has, with its length.
    let done = unsafe { libc::bind(fd.as_raw_fd(), &raw const place, length) };
    Errno::result(done)?;
    Ok(fd.into())
}

/// The mask of a network whose addresses share their first `prefix` bits.
pub fn mask(prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0))
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: plain numbers, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    copy_name(name, &mut request.ifr_name)?;
    Ok(request)
}

fn copy_name(name: &str, to: &mut [libc::c_char; NAME]) -> io::Result<()> {
    if name.is_empty() || name.len() >= NAME || name.contains('\0') {
        return Err(Errno::EINVAL.into());
    }
    for (to, from) in to.iter_mut().zip(name.bytes()) {
        *to = letter(from);
    }
    Ok(())
}

/// A byte as C has it: with a sign on some machines.
const fn letter(byte: u8) -> libc::c_char {
    libc::c_char::from_ne_bytes([byte])
}

fn sockaddr(address: Ipv4Addr) -> libc::sockaddr {
    let [a, b, c, d] = address.octets().map(letter);
    let family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default();
    // Two bytes of port, then the address.
    libc::sockaddr { sa_family: family, sa_data: [0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0] }
}

/// `struct rtentry` (linux/route.h) of a 64-bit kernel.
#[repr(C)]
struct Route {
    pad1: libc::c_ulong,
    to: libc::sockaddr,
    through: libc::sockaddr,
    mask: libc::sockaddr,
    flags: u16,
    pad2: i16,
    pad3: libc::c_ulong,
    pad4: *mut libc::c_void,
    metric: i16,
    device: *mut libc::c_char,
    mtu: libc::c_ulong,
    window: libc::c_ulong,
    irtt: u16,
}

impl Default for Route {
    fn default() -> Self {
        // SAFETY: plain numbers and pointers that may be null.
        unsafe { std::mem::zeroed() }
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Route>() == 120 && std::mem::offset_of!(Route, device) == 88);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_as_long_as_told() {
        assert_eq!(mask(24), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(mask(0), Ipv4Addr::UNSPECIFIED);
        assert_eq!(mask(32), Ipv4Addr::BROADCAST);
        assert_eq!(mask(77), Ipv4Addr::BROADCAST);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let links = Links::open().unwrap();
        assert!(links.up("").is_err());
        assert!(links.up("a-name-that-is-far-too-long").is_err());
        assert!(links.up("nothing0").is_err());
    }
}

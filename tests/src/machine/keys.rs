//! The keys of a machine's console.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::wait;

/// The name of the console for QEMU's `-serial`.
pub(super) const DEVICE: &str = "chardev:console";

/// What makes the kernel listen to the next letter (Documentation/admin-guide/sysrq.rst).
pub(super) const BREAK: &str = "{\"execute\":\"chardev-send-break\",\"arguments\":{\"id\":\"console\"}}";

/// For QEMU to take us.
const LIMIT: Duration = Duration::from_secs(10);

/// One who types.
#[derive(Debug)]
pub(super) struct Keys(UnixStream);

impl Keys {
    /// QEMU's console behind the socket `typed`; all that is shown goes to the file `shown`.
    pub(super) fn device(typed: &Path, shown: &Path) -> String {
        let (typed, shown) = (typed.display(), shown.display());
        format!("socket,id=console,path={typed},server=on,wait=off,logfile={shown}")
    }

    pub(super) fn open(typed: &Path) -> io::Result<Self> {
        wait::found(LIMIT, "the console's keys", || Ok(UnixStream::connect(typed).ok())).map(Self)
    }

    pub(super) fn press(&mut self, key: u8) -> io::Result<()> {
        self.0.write_all(&[key])
    }
}

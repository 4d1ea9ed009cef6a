//! Switching a board off from within the node: the node stops in order and tells the first process by its exit code.

use std::sync::atomic::{AtomicI32, Ordering};

pub use crate::sys::board::system::Power;

/// Exit codes that mean something to the first process; no other failure of ours has these.
const CODES: [(Power, i32); 2] = [(Power::Off, 90), (Power::Reboot, 91)];

/// What was asked for; 0 for nothing.
static ASKED: AtomicI32 = AtomicI32::new(0);

/// Whether this process runs on a board whose power it may ask for: it was started by [`crate::init`].
pub fn is_offered() -> bool {
    // Our parent is the first process, and that one is an image's.
    std::os::unix::process::parent_id() == 1 && std::path::Path::new("/image.toml").is_file()
}

/// Notes what the machine should do when the node has stopped; stop it next, with [`node::Handle::stop`](crate::node::Handle::stop).
pub fn ask(power: Power) {
    let code = CODES.iter().find(|(known, _)| *known == power).map_or(0, |(_, code)| *code);
    ASKED.store(code, Ordering::Relaxed);
}

/// The exit code that passes the request on; `None` when there was none.
pub fn asked_code() -> Option<u8> {
    u8::try_from(ASKED.load(Ordering::Relaxed)).ok().filter(|code| *code != 0)
}

/// What a node that ended with this code wants.
pub(crate) fn of_code(code: i32) -> Option<Power> {
    CODES.iter().find(|(_, known)| *known == code).map(|(power, _)| *power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_arrives() {
        assert_eq!(of_code(1), None);
        ask(Power::Reboot);
        assert_eq!(asked_code().and_then(|code| of_code(code.into())), Some(Power::Reboot));
        ask(Power::Off);
        assert_eq!(asked_code().and_then(|code| of_code(code.into())), Some(Power::Off));
    }
}

//! What all stories about machines do at a board's page.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use crate::machine::{Machine, Start};
use crate::net::Network;
use crate::owner::Owner;
use crate::wait;

/// Where the private network listens: an address that a guest does not take for its own.
pub(super) const ADDRESS: Ipv4Addr = crate::alias::BESIDE;

/// What a guest's first address is in QEMU's network of one.
pub(super) const GUEST: &str = "10.0.2.15";

/// An owner's choice.
const PASSWORD: &str = "a few words in a row";

/// For a page on an emulated machine, while others use this one.
pub(super) const PAGE_LIMIT: Duration = Duration::from_mins(5);

/// Waits until the board's page answers.
pub(super) fn knock(machine: &mut Machine, owner: &Owner) -> io::Result<u16> {
    wait::found(PAGE_LIMIT, "the board's page", || {
        machine.fail_if_off()?;
        Ok(owner.knock())
    })
}

/// Signs in with the password of the first run. A board whose clock or disks are not there yet may refuse at first.
pub(super) fn sign_in(owner: &mut Owner) -> io::Result<()> {
    owner.get("/login")?;
    owner.post("/login", &[("password", PASSWORD)]).map(drop)
}

/// The first run: a password, and the folder to share from, once the board has mounted it.
pub(super) fn begin(owner: &mut Owner, start: Start) -> io::Result<()> {
    begin_with(owner, start.data_folder())
}

/// The same, with this folder.
pub(super) fn begin_with(owner: &mut Owner, folder: &str) -> io::Result<()> {
    let fields = [("password", PASSWORD), ("again", PASSWORD), ("audience", "password"), ("folders", folder)];
    let mut last = None;
    wait::found(PAGE_LIMIT, "the first run", || {
        owner.get("/first")?;
        match owner.post("/first", &fields) {
            Ok(_) => Ok(Some(())),
            Err(error) => {
                last = Some(error.to_string());
                Ok(None)
            }
        }
    })
    .map_err(|error| io::Error::other(format!("{error}; {}", last.unwrap_or_default())))
}

/// Looks at the board's status until `look` finds what it wants.
pub(super) fn until<T>(
    machine: &mut Machine,
    owner: &Owner,
    limit: Duration,
    what: &str,
    look: impl Fn(&Value) -> Option<T>,
) -> io::Result<T> {
    let mut last = Value::Null;
    let found = wait::found(limit, what, || {
        machine.fail_if_off()?;
        let Ok(status) = owner.status() else { return Ok(None) };
        let found = look(&status);
        last = status;
        Ok(found)
    });
    found.map_err(|error| {
        let net = last.pointer("/net/doing").and_then(Value::as_str).unwrap_or_default();
        io::Error::other(format!("{error}; the board says: {net}"))
    })
}

/// MiB that the machine or its node uses.
pub(super) fn memory(status: &Value, what: &str) -> Option<f64> {
    let number = |pointer: &str| status.pointer(pointer)?.as_f64();
    let bytes = match what {
        "used" => number("/board/memory")? - number("/board/available")?,
        _ => number("/memory/rss")?,
    };
    Some(bytes / f64::from(1 << 20))
}

/// A board's settings: the private network in place of the public one.
pub(super) fn settings(network: &Network) -> String {
    let arti = network.arti_toml().replace("\n[", "\n[net.tor.arti.");
    let arti = arti.strip_prefix('[').map_or_else(|| arti.clone(), |rest| format!("[net.tor.arti.{rest}"));
    format!("[board]\nname = \"attic\"\n\n{arti}")
}

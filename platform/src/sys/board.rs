//! What only the first process of a machine does: mount, load drivers, set the clock and network, collect the dead, switch off.

pub mod link;
pub mod netlink;
pub mod process;
pub mod system;

//! Which streams may share a circuit: those of one swarm and lane.

use tor_circmgr::isolation::IsolationHelper;

use crate::net::Circuit;

/// The isolation of one [`Circuit`] value.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByCircuit(pub(super) Circuit);

impl IsolationHelper for ByCircuit {
    fn compatible_same_type(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn join_same_type(&self, other: &Self) -> Option<Self> {
        self.compatible_same_type(other).then_some(*self)
    }
}

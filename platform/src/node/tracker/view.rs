//! What the owner may see of trust, mirrors and records.

use bulbil_core::id::NodeKey;

use super::Tracker;
use super::neighbour::{Bond, Neighbour};
use crate::net::Address;
use crate::status::{Mirror, Records, Status, Trust, Trusted};

impl Tracker {
    /// Fills in its part of the status.
    pub(crate) fn show(&self, status: &mut Status) {
        let many = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let neighbours = self.neighbours.borrow();
        let seen =
            neighbours.iter().filter(|one| one.bond == Bond::Trusted).map(|one| one.records.len()).sum();
        status.records =
            Records { served: many(self.served.len()), seen: many(seen), limit: many(self.served.places()) };
        let plan = self.plan.borrow();
        let reach = self.reach.borrow();
        status.trust = Trust {
            degree: plan.degree,
            budget: many(self.budget),
            capped: reach.is_capped(),
            nodes: reach.nodes().map(|reached| self.trusted(&reached.node, reached.degree)).collect(),
            blocked: plan.blocked.clone(),
        };
        let mirrored = neighbours.iter().filter(|one| one.bond != Bond::Trusted);
        status.mirrors = mirrored.map(|one| mirror(one)).collect();
    }

    fn trusted(&self, node: &NodeKey, degree: u8) -> Trusted {
        let address = Address { key: node.0, port: crate::node::PORT };
        let neighbours = self.neighbours.borrow();
        let neighbour = neighbours.iter().find(|one| one.node() == *node);
        let plan = self.plan.borrow();
        let entry = plan.trust.iter().find(|entry| Address::of_node(&entry.address) == Ok(address));
        Trusted {
            address: address.host(),
            name: entry.and_then(|entry| entry.name.clone()),
            degree,
            through: self.chain(node),
            told: entry.is_some_and(|entry| entry.told),
            records: neighbour.map_or(0, |one| u64::try_from(one.records.len()).unwrap_or(u64::MAX)),
            state: neighbour.map(|one| one.state()).unwrap_or_default(),
            age_s: neighbour.and_then(|one| one.age()),
        }
    }
}

fn mirror(neighbour: &Neighbour) -> Mirror {
    Mirror {
        address: neighbour.address.host(),
        follow: neighbour.bond == Bond::Follow,
        progress: neighbour.progress(),
        state: neighbour.state(),
        age_s: neighbour.age(),
    }
}

//! Whom we trust, and through whom.

use std::collections::HashMap;

use bulbil_core::id::NodeKey;
use bulbil_core::tracker::Body;
use bulbil_core::trust::Trust;

use super::records::PLACE_BYTES;
use super::{Reach, TRUSTED_PLACES, Tracker, addresses};
use crate::net::Address;
use crate::status::TrustCost;

/// Statements and blocks: a chain of fifty nodes that trust twenty others each fits.
pub(super) type Web = Trust<1024, 128>;

impl Tracker {
    /// Everyone's statements, as far as `degree` takes them into account. Nobody beyond is listened to.
    pub(super) fn web(&self, degree: u8) -> Box<Web> {
        let mut web = Box::new(Web::new(self.us));
        let plan = self.plan.borrow();
        for blocked in addresses(&plan.blocked) {
            _ = web.block(NodeKey(blocked.key)); // as many as the owner may block
        }
        for entry in &plan.trust {
            if let Ok(address) = Address::of_node(&entry.address) {
                _ = web.trusts(self.us, NodeKey(address.key)); // as many as the owner may trust
            }
        }
        let statements = self.statements();
        for step in 1..degree {
            let reach: Reach = web.horizon(step, self.budget);
            let last: Vec<NodeKey> =
                reach.nodes().filter(|reached| reached.degree == step).map(|reached| reached.node).collect();
            if last.is_empty() {
                break;
            }
            for by in last {
                for of in statements.get(&by).into_iter().flatten() {
                    if web.trusts(by, *of).is_err() {
                        break; // it says more than is listened to
                    }
                }
            }
        }
        web
    }

    /// Who says that he trusts whom, in an order that does not depend on how we heard of it.
    fn statements(&self) -> HashMap<NodeKey, Vec<NodeKey>> {
        let mut statements: HashMap<NodeKey, Vec<NodeKey>> = HashMap::new();
        for neighbour in self.neighbours.borrow().iter() {
            neighbour.records.each(|record| {
                if let Body::Trust { node, .. } = record.body {
                    statements.entry(record.author).or_default().push(node);
                }
            });
        }
        for said in statements.values_mut() {
            said.sort_unstable();
            said.dedup();
        }
        statements
    }

    /// What a degree would cost.
    pub(crate) fn cost(&self, degree: u8) -> TrustCost {
        let now = self.plan.borrow().degree;
        let places = u64::try_from(TRUSTED_PLACES).unwrap_or(u64::MAX);
        let per_node = places.saturating_mul(PLACE_BYTES);
        let cost = self.web(degree.max(now)).cost::<256>(now, degree, self.budget, per_node);
        let many = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        TrustCost {
            degree,
            nodes: many(cost.nodes),
            added: many(cost.added),
            bytes: cost.bytes,
            unknown: many(cost.unknown),
            capped: cost.capped,
            applied: false,
        }
    }

    /// What the owner calls a node: by its name, else by its address.
    pub(super) fn label(&self, node: &NodeKey) -> String {
        let address = Address { key: node.0, port: crate::node::PORT };
        let plan = self.plan.borrow();
        let named = plan.trust.iter().find(|entry| Address::of_node(&entry.address) == Ok(address));
        named.and_then(|entry| entry.name.clone()).unwrap_or_else(|| address.host())
    }

    /// Through whom we trust a node, from the one whom the owner trusts on, itself not included.
    pub(super) fn chain(&self, node: &NodeKey) -> Vec<String> {
        let reach = self.reach.borrow();
        let mut chain: Vec<String> = reach.chain(node).skip(1).map(|node| self.label(node)).collect();
        chain.reverse();
        chain
    }
}

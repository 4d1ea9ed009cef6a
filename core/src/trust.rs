//! Whom the owner trusts, whom they trust, and through whom we know them.
//!
//! Trust is what its owner stated and nothing else: no score, no vote. The horizon of degree N holds every node that a
//! chain of at most N statements leads to, nearest first, up to a budget. A block beats any degree and ends every chain
//! through the node blocked. Everything is worked out anew from the statements, so removing one takes effect at once.

use heapless::Vec;

use crate::id::NodeKey;
use crate::limits::{MAX_DEGREE, MAX_STATEMENTS};

/// Statements and blocks: up to `STATEMENTS` and `BLOCKS`.
#[derive(Clone, Debug)]
pub struct Trust<const STATEMENTS: usize, const BLOCKS: usize> {
    us: NodeKey,
    statements: Vec<Statement, STATEMENTS>,
    blocked: Vec<NodeKey, BLOCKS>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Statement {
    by: NodeKey,
    of: NodeKey,
}

/// Why a statement or a block was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotTaken {
    /// One node's word is taken for [`MAX_STATEMENTS`] others at most; it must take one back first.
    TooMany,
    /// All places are taken: remove a node, or lower the degree.
    Full,
}

/// A node of the horizon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reached {
    /// Which.
    pub node: NodeKey,
    /// Statements in the shortest chain to it: 1 for whom we trust ourselves.
    pub degree: u8,
    /// Place of the node that vouches for it, in the same horizon; `None` if we do.
    via: Option<u16>,
}

/// The nodes that a degree reaches, nearest first; up to `NODES` (at most 65 535).
#[derive(Clone, Debug, Default)]
pub struct Horizon<const NODES: usize> {
    reached: Vec<Reached, NODES>,
    beyond: bool,
}

/// What a degree would cost, before it takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cost {
    /// Nodes that would be trusted.
    pub nodes: usize,
    /// How many of them are not trusted yet.
    pub added: usize,
    /// Bytes of memory for their records, if each took all it may.
    pub bytes: u64,
    /// Nodes nearer than the degree of whose own statements none are known: behind them there may be more.
    pub unknown: usize,
    /// The budget ends the horizon before the degree does.
    pub capped: bool,
}

impl<const STATEMENTS: usize, const BLOCKS: usize> Trust<STATEMENTS, BLOCKS> {
    /// We trust nobody yet.
    #[must_use]
    pub const fn new(us: NodeKey) -> Self {
        Self { us, statements: Vec::new(), blocked: Vec::new() }
    }

    /// `by` (we, or the author of a checked record) trusts `of`. The last places are left to our own statements.
    pub fn trusts(&mut self, by: NodeKey, of: NodeKey) -> Result<(), NotTaken> {
        let statement = Statement { by, of };
        if by == of || self.statements.contains(&statement) {
            return Ok(());
        }
        if self.stated_by(&by).count() >= MAX_STATEMENTS {
            return Err(NotTaken::TooMany);
        }
        let kept =
            if by == self.us { 0 } else { MAX_STATEMENTS.saturating_sub(self.stated_by(&self.us).count()) };
        if self.statements.len().saturating_add(kept.min(STATEMENTS / 2)) >= STATEMENTS {
            return Err(NotTaken::Full);
        }
        self.statements.push(statement).map_err(|_| NotTaken::Full)
    }

    /// `by` does not trust `of` any more: a tombstone came, or the record expired.
    pub fn untrusts(&mut self, by: &NodeKey, of: &NodeKey) {
        self.statements.retain(|statement| statement.by != *by || statement.of != *of);
    }

    /// Forgets statements of nodes that the horizon of `degree` does not reach: nobody asks for them any more.
    pub fn tidy<const NODES: usize>(&mut self, degree: u8) {
        let horizon: Horizon<NODES> = self.horizon(degree, NODES);
        let us = self.us;
        self.statements.retain(|statement| statement.by == us || horizon.find(&statement.by).is_some());
    }

    /// Blocks a node, whoever vouches for it.
    pub fn block(&mut self, node: NodeKey) -> Result<(), NotTaken> {
        if self.is_blocked(&node) {
            return Ok(());
        }
        self.blocked.push(node).map_err(|_| NotTaken::Full)
    }

    /// Takes a block back.
    pub fn unblock(&mut self, node: &NodeKey) {
        self.blocked.retain(|blocked| blocked != node);
    }

    /// Whether the owner blocked this node.
    pub fn is_blocked(&self, node: &NodeKey) -> bool {
        self.blocked.contains(node)
    }

    /// Everyone reached by at most `degree` statements, at most `budget` nodes: nearer ones first, then in the order in
    /// which the statements came.
    pub fn horizon<const NODES: usize>(&self, degree: u8, budget: usize) -> Horizon<NODES> {
        let mut horizon = Horizon { reached: Vec::new(), beyond: false };
        let budget = budget.min(NODES).min(usize::from(u16::MAX));
        self.extend(&mut horizon, None, 1, budget);
        let mut at: usize = 0;
        while let Some(reached) = horizon.reached.get(at).copied() {
            if reached.degree >= degree.min(MAX_DEGREE) || horizon.beyond {
                break;
            }
            let via = u16::try_from(at).ok();
            self.extend(
                &mut horizon,
                via.map(|via| (via, reached.node)),
                reached.degree.saturating_add(1),
                budget,
            );
            at = at.saturating_add(1);
        }
        if degree == 0 {
            horizon.reached.clear();
        }
        horizon
    }

    /// What `degree` would cost compared to `now`, at `per_node` bytes for each node's records.
    pub fn cost<const NODES: usize>(&self, now: u8, degree: u8, budget: usize, per_node: u64) -> Cost {
        let current: Horizon<NODES> = self.horizon(now, budget);
        let horizon: Horizon<NODES> = self.horizon(degree, budget);
        let nodes = horizon.reached.len();
        let added = horizon.nodes().filter(|reached| current.find(&reached.node).is_none()).count();
        let silent =
            |reached: &&Reached| reached.degree < degree && self.stated_by(&reached.node).next().is_none();
        let unknown = horizon.nodes().filter(silent).count();
        let bytes = u64::try_from(nodes).unwrap_or(u64::MAX).saturating_mul(per_node);
        Cost { nodes, added, bytes, unknown, capped: horizon.beyond }
    }

    fn stated_by<'a>(&'a self, by: &'a NodeKey) -> impl Iterator<Item = &'a Statement> {
        self.statements.iter().filter(move |statement| statement.by == *by)
    }

    fn extend<const NODES: usize>(
        &self,
        horizon: &mut Horizon<NODES>,
        via: Option<(u16, NodeKey)>,
        degree: u8,
        budget: usize,
    ) {
        let by = via.map_or(self.us, |(_, node)| node);
        for Statement { of, .. } in self.stated_by(&by) {
            if *of == self.us || self.is_blocked(of) || horizon.find(of).is_some() {
                continue;
            }
            let reached = Reached { node: *of, degree, via: via.map(|(at, _)| at) };
            if horizon.reached.len() >= budget || horizon.reached.push(reached).is_err() {
                horizon.beyond = true;
                return;
            }
        }
    }
}

impl<const NODES: usize> Horizon<NODES> {
    /// Everyone, nearest first.
    pub fn nodes(&self) -> impl Iterator<Item = &Reached> {
        self.reached.iter()
    }

    /// How we know this node; `None` if we do not.
    pub fn find(&self, node: &NodeKey) -> Option<&Reached> {
        self.reached.iter().find(|reached| reached.node == *node)
    }

    /// Whether the budget left nodes out.
    pub const fn is_capped(&self) -> bool {
        self.beyond
    }

    /// Why this node is trusted: itself, then who vouches for it, and so on to one we trust ourselves. Empty if it is not.
    pub fn chain(&self, node: &NodeKey) -> impl Iterator<Item = &NodeKey> {
        let next = |reached: &&Reached| self.reached.get(usize::from(reached.via?));
        core::iter::successors(self.find(node), next).map(|reached| &reached.node)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn node(number: u8) -> NodeKey {
        NodeKey([number; 32])
    }

    fn trust(statements: &[(u8, u8)]) -> Trust<512, 8> {
        let mut trust = Trust::new(node(0));
        for (by, of) in statements {
            trust.trusts(node(*by), node(*of)).unwrap();
        }
        trust
    }

    fn numbers(trust: &Trust<512, 8>, degree: u8, budget: usize) -> Vec<u8> {
        let horizon: Horizon<64> = trust.horizon(degree, budget);
        horizon.nodes().map(|reached| reached.node.0[0]).collect()
    }

    /// We trust 1, who trusts 2 and 3, who each trust two.
    const TREE: [(u8, u8); 7] = [(0, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 6), (3, 7)];

    #[test]
    fn one_three_seven() {
        let trust = trust(&TREE);
        assert_eq!([0, 1, 2, 3, 4].map(|degree| numbers(&trust, degree, 64).len()), [0, 1, 3, 7, 7]);
        let chain = |of: u8| {
            let horizon: Horizon<64> = trust.horizon(3, 64);
            horizon.chain(&node(of)).map(|node| node.0[0]).collect::<Vec<_>>()
        };
        assert_eq!((chain(7), chain(1), chain(9)), ([7, 3, 1].to_vec(), [1].to_vec(), Vec::new()));
    }

    #[test]
    fn the_cost_is_known_before_it_is_paid() {
        let trust = trust(&TREE);
        let cost = trust.cost::<64>(1, 3, 64, 1000);
        assert_eq!(cost, Cost { nodes: 7, added: 6, bytes: 7000, unknown: 0, capped: false });
        assert_eq!(trust.cost::<64>(1, 4, 64, 1000).unknown, 4, "4 to 7 said nothing yet");
        let capped = trust.cost::<64>(1, 3, 5, 1000);
        assert_eq!((capped.nodes, capped.capped), (5, true));
        assert_eq!(numbers(&trust, 3, 5), [1, 2, 3, 4, 5], "the nearest stay");
        assert!(trust.cost::<4>(1, 3, 64, 1).capped, "memory is a budget too");
    }

    #[test]
    fn a_block_beats_any_degree_and_ends_the_chain() {
        let mut trust = trust(&TREE);
        trust.block(node(3)).unwrap();
        assert_eq!(numbers(&trust, 3, 64), [1, 2, 4, 5]);
        trust.trusts(node(0), node(3)).unwrap();
        assert_eq!(numbers(&trust, 3, 64), [1, 2, 4, 5], "even if we trust it ourselves");
        trust.unblock(&node(3));
        assert_eq!(numbers(&trust, 2, 64), [1, 3, 2, 6, 7]);
    }

    #[test]
    fn removal_takes_effect_down_the_chain() {
        let mut trust = trust(&TREE);
        trust.trusts(node(6), node(4)).unwrap();
        trust.untrusts(&node(1), &node(2));
        assert_eq!(numbers(&trust, 9, 64), [1, 3, 6, 7, 4], "4 is still reached, another way; 5 is not");
        trust.tidy::<64>(9);
        assert!(trust.stated_by(&node(2)).next().is_none());
        trust.untrusts(&node(0), &node(1));
        assert!(numbers(&trust, 9, 64).is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "half a minute of looking things up")]
    fn loops_end_and_chains_of_fifty_are_followed() {
        let mut trust: Trust<512, 8> = trust(&[(0, 1), (1, 0), (1, 1)]);
        for number in 1..50 {
            trust.trusts(node(number), node(number + 1)).unwrap();
            trust.trusts(node(number + 1), node(number)).unwrap();
        }
        trust.trusts(node(50), node(1)).unwrap();
        assert_eq!(numbers(&trust, 255, 64).len(), 50);
        let horizon: Horizon<64> = trust.horizon(50, 64);
        assert_eq!(horizon.find(&node(50)).map(|reached| reached.degree), Some(50));
        assert_eq!(horizon.chain(&node(50)).count(), 50);
        assert_eq!(numbers(&trust, 49, 64).len(), 49);
    }

    #[test]
    fn nobody_fills_the_table_alone() {
        let mut trust: Trust<100, 1> = Trust::new(node(0));
        trust.trusts(node(0), node(1)).unwrap();
        let refused = (2..=255).find_map(|number| trust.trusts(node(1), node(number)).err());
        assert!(matches!(refused, Some(NotTaken::TooMany | NotTaken::Full)));
        for number in 2..20 {
            trust.trusts(node(0), node(number)).unwrap();
        }
        assert_eq!((trust.block(node(1)), trust.block(node(1))), (Ok(()), Ok(())));
        assert_eq!(trust.block(node(2)), Err(NotTaken::Full));
    }
}

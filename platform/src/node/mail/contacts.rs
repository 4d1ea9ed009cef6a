//! Names that the owner gave to other nodes.

use bulbil_core::id::NodeKey;

/// Whom the owner knows, and whom the owner does not want to hear from.
pub(crate) trait Contacts {
    /// The node of this name.
    fn node(&self, name: &str) -> Option<NodeKey>;

    /// What the owner calls this node.
    fn name(&self, node: &NodeKey) -> Option<String>;

    /// Whether nothing is taken from this node.
    fn blocks(&self, node: &NodeKey) -> bool;
}

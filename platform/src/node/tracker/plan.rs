//! Changes to what the owner wants: whom to trust, to block, to mirror. Checked, and not yet done.

use super::command::{MirrorRequest, TrustRequest};
use crate::net::Address;
use crate::node::NodeError;
use crate::state::tracker::{MirrorEntry, Tracker as Plan, TrustEntry};

/// Nodes that the owner trusts himself at most: as many statements are taken from one node.
const MAX_TRUST: usize = bulbil_core::limits::MAX_STATEMENTS;

/// Nodes blocked at most.
const MAX_BLOCKED: usize = 128;

/// Nodes mirrored at most: each is a conversation that is kept, and room for as many records as we serve.
const MAX_MIRRORS: usize = 16;

/// Bytes of a name given to a node.
const MAX_NAME: usize = 64;

fn parse(text: &str) -> Result<Address, NodeError> {
    Address::of_node(text)
        .map_err(|why| NodeError::Bad(format!("{why}; `bulbil address` prints a node's own")))
}

/// A node by the name that the owner gave it, or by its address.
fn find(plan: &Plan, node: &str) -> Result<Address, NodeError> {
    let named = plan.trust.iter().find(|entry| entry.name.as_deref() == Some(node));
    match named {
        Some(entry) => parse(&entry.address),
        None => parse(node).map_err(|_| {
            NodeError::Missing(
                "no trusted node has this name or address; `bulbil trust list` shows them".into(),
            )
        }),
    }
}

fn same(text: &str, address: Address) -> bool {
    Address::of_node(text) == Ok(address)
}

pub(super) fn trust(plan: &mut Plan, request: &TrustRequest, own: &str) -> Result<(), NodeError> {
    let address = parse(&request.address)?;
    if address.host() == own {
        return Err(NodeError::Bad("that is this node's own address; give the one of the other node".into()));
    }
    if let Some(name) = &request.name {
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(NodeError::Bad(format!(
                "a name has 1 to {MAX_NAME} bytes and no control characters"
            )));
        }
        let taken = plan
            .trust
            .iter()
            .any(|entry| entry.name.as_ref() == Some(name) && !same(&entry.address, address));
        if taken {
            return Err(NodeError::Bad("another node has this name; choose a different one".into()));
        }
    }
    if plan.blocked.iter().any(|blocked| same(blocked, address)) {
        return Err(NodeError::Bad(
            "this node is blocked; take that back first with `bulbil trust unblock`".into(),
        ));
    }
    let told = !request.untold;
    if let Some(entry) = plan.trust.iter_mut().find(|entry| same(&entry.address, address)) {
        entry.told = told;
        entry.name = request.name.clone().or_else(|| entry.name.take());
        return Ok(());
    }
    if plan.trust.len() >= MAX_TRUST {
        return Err(NodeError::Failed(format!("{MAX_TRUST} nodes are the limit; remove one first")));
    }
    plan.trust.push(TrustEntry { address: address.to_string(), name: request.name.clone(), told });
    Ok(())
}

pub(super) fn distrust(plan: &mut Plan, node: &str) -> Result<(), NodeError> {
    let address = find(plan, node)?;
    let before = plan.trust.len();
    plan.trust.retain(|entry| !same(&entry.address, address));
    if plan.trust.len() == before {
        return Err(NodeError::Missing(
            "this node is not trusted by you; `bulbil trust list` shows who is".into(),
        ));
    }
    Ok(())
}

pub(super) fn block(plan: &mut Plan, node: &str) -> Result<(), NodeError> {
    let address = find(plan, node)?;
    plan.trust.retain(|entry| !same(&entry.address, address));
    plan.mirrors.retain(|entry| !same(&entry.address, address));
    if plan.blocked.iter().any(|blocked| same(blocked, address)) {
        return Ok(());
    }
    if plan.blocked.len() >= MAX_BLOCKED {
        return Err(NodeError::Failed(format!("{MAX_BLOCKED} blocks are the limit; take one back first")));
    }
    plan.blocked.push(address.to_string());
    Ok(())
}

pub(super) fn unblock(plan: &mut Plan, node: &str) -> Result<(), NodeError> {
    let address = parse(node)?;
    let before = plan.blocked.len();
    plan.blocked.retain(|blocked| !same(blocked, address));
    if plan.blocked.len() == before {
        return Err(NodeError::Missing("this node is not blocked; `bulbil trust list` shows who is".into()));
    }
    Ok(())
}

pub(super) fn mirror(plan: &mut Plan, request: &MirrorRequest, own: &str) -> Result<(), NodeError> {
    let address = parse(&request.address)?;
    if address.host() == own {
        return Err(NodeError::Bad("that is this node's own address; give the one of the other node".into()));
    }
    if plan.blocked.iter().any(|blocked| same(blocked, address)) {
        return Err(NodeError::Bad(
            "this node is blocked; take that back first with `bulbil trust unblock`".into(),
        ));
    }
    if let Some(entry) = plan.mirrors.iter_mut().find(|entry| same(&entry.address, address)) {
        entry.follow = request.follow;
        return Ok(());
    }
    if plan.mirrors.len() >= MAX_MIRRORS {
        return Err(NodeError::Failed(format!("{MAX_MIRRORS} mirrors are the limit; remove one first")));
    }
    plan.mirrors.push(MirrorEntry { address: address.to_string(), follow: request.follow });
    Ok(())
}

pub(super) fn unmirror(plan: &mut Plan, node: &str) -> Result<(), NodeError> {
    let address = find(plan, node)?;
    let before = plan.mirrors.len();
    plan.mirrors.retain(|entry| !same(&entry.address, address));
    if plan.mirrors.len() == before {
        return Err(NodeError::Missing(
            "this node is not mirrored; `bulbil mirror list` shows who is".into(),
        ));
    }
    Ok(())
}

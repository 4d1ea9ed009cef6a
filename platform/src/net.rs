//! The networks a node can live in, behind one face. Which one runs is decided by the configuration alone.
//!
//! A network gives two things: services (a name of ours at which others open streams to us) and streams to others'
//! names. Everything above speaks [`Network`], [`Service`] and [`Stream`] and never learns which network it is.

pub mod memory;
pub mod tor;

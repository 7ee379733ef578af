//! The hub: one process, one home, rooms on threads of their own.
//!
//! Invariant: a hub says `ready` when it can serve, and stops with everything on disk; a panic in any room ends the
//! process, which recovers from disk.

mod board;
mod door;
mod frames;
mod links;
mod office;
mod room;
mod run;
mod settings;
mod work;

pub use run::{HubError, run};
pub use settings::manifest;

//! The second runtime of the sync engine: the same hubs in virtual time.

pub mod chance;
pub mod invariants;
pub mod plan;
pub mod recording;
pub mod run;
pub mod story;
pub mod swarm;
pub mod watch;
pub mod world;
#[cfg(feature = "zoo")]
pub mod zoo;

//! The second runtime of the sync engine: the same hubs in virtual time.

pub mod draw;
pub mod recording;

//! The client's side of a home: a replica on a device, which works without any hub and forgets no edit.
//!
//! Invariant: an edit that was reported as done is on this device's disk, and stays pending until a hub has said that
//! it is on the hub's disk too. What a hub refuses is kept aside and shown.
//!
//! | part | job |
//! | --- | --- |
//! | [`Frame`] | one step of a replica's life, as it stands in the log |
//! | [`Replica`] | the state that frames add up to; no file, no socket, no clock |
//! | [`Store`] | a folder: a lock, the log of frames, the replica |
//! | [`Draft`] | what an edit wants, before it is a record |
//! | [`sync`] | exchanges with a hub until neither side lacks anything |

mod draft;
mod exchange;
mod frame;
mod held;
mod history;
mod house;
mod log;
mod replica;
mod round;
mod store;
mod views;

#[cfg(test)]
mod tests;

pub use draft::{Draft, DraftError};
pub use exchange::{Keeper, Options, Summary, SyncError, sync};
pub use frame::{Edited, Frame, LocalRecord, Opened, Refused, RefusedRow, Synced};
pub use history::{Stamped, VersionLine};
pub use house::house;
pub use log::LogError;
pub use replica::{FrameError, PendingSet, Replica, Step};
pub use store::{Store, StoreError, wall_clock};
pub use views::{Edge, NotFound};

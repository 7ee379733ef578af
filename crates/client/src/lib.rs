//! The client's side of a home: a replica on a device, which works without any hub and forgets no edit.
//!
//! Invariant: an edit that was reported as done is on this device's disk, and stays pending until a hub has said that
//! it is on the hub's disk too. What a hub refuses is kept aside and shown.
//!
//! No socket, no runtime, no database: the command line drives it over HTTP and the simulator in virtual time. Only
//! [`Store`] and its log touch files, clock and chance; all else is a function of what it is given
//! (`tests/layers.rs` holds both).
//!
//! | part | job |
//! | --- | --- |
//! | [`Frame`] | one step of a replica's life, as it stands in the log |
//! | [`Replica`] | the state that frames add up to: records with their stamps, what is pending, what was refused |
//! | its views | what this client shows of an id ([`Replica::view`]), lists, names, [`Replica::history`] |
//! | its past | the same at an instant ([`Replica::view_at`]), what changed between two, why a view is as it is |
//! | [`Restore`] | what it takes to put a thing, a room or the home back as it was |
//! | its digest | what it holds in one hash ([`Replica::state_digest`]), to be held against a hub's |
//! | [`Draft`] | what an edit wants, before [`Replica::stamp`] makes records of it |
//! | [`Session`] | one sync with one hub as a state machine: what to ask, what an answer means, when to wait |
//! | [`wire`] | the request as it is written, the answers as they are read, what can go wrong on the way |
//! | [`Store`] | a folder: a lock, the log of frames, the replica |
//! | [`house`] | the rules a replica goes by until it has heard its home's own |

mod digest;
mod draft;
mod frame;
mod held;
mod history;
mod house;
mod log;
mod past;
mod replica;
mod restore;
mod round;
mod session;
mod store;
mod views;

pub mod wire;

#[cfg(test)]
mod tests;

pub use draft::{Draft, DraftError};
pub use frame::{Edited, Frame, LocalRecord, Opened, RecordRow, Refused, RefusedRow, SetRow, Synced};
pub use held::Held;
pub use history::{Stamped, VersionLine};
pub use house::house;
pub use log::LogError;
pub use past::HubName;
pub use replica::{FrameError, PendingSet, Replica, Step};
pub use restore::{Restore, RestoreError, Scope};
pub use session::{Next, Options, Session, SessionError, Summary};
pub use store::{Store, StoreError, wall_clock};
pub use views::{Edge, NotFound};

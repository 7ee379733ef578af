//! What travels: sync exchanges with clients, messages between hubs, and the frames that carry those.
//!
//! Invariant: what was decoded is within its limits; nothing is allocated because a sender claims a size.

mod blob;
mod frame;
mod message;
mod problem;
mod request;
mod response;
mod tree;

pub use blob::*;
pub use frame::{Assembler, Frame, FrameError, encode_frames, seal_frame};
pub use message::*;
pub use problem::Problem;
pub use request::{Filters, RequestedSet, SyncRequest, SyncType, clock_from_wire};
pub use response::*;
pub use tree::*;

/// The protocol's name, in every sync exchange and every hello.
pub const PROTOCOL: &str = "inbetweenies-v2";

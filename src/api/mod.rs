//! A hub as its clients see it: every HTTP call that a command makes, typed, bounded and with a way to go on in each error.
//!
//! Invariant: all calls may be repeated. Reads change nothing, and pushing a record twice is pushing it once.

mod address;
mod error;
mod exchange;
mod fields;
mod http;
mod read;
mod reply;
mod status;

pub use address::{AddressError, HubUrl};
pub use error::{ApiError, Refusal};
pub use exchange::Exchange;
pub use http::Hub;
pub use read::{Accepted, Page, Shown, VersionRow};
pub use reply::{Acknowledged, ConflictRow, Outcome, Received, ReceivedSet, Reply};
pub use status::{PeerRow, Status};

/// What all bodies are written in.
pub const MSGPACK: &str = "application/msgpack";

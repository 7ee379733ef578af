//! A client's end of the wire: the request that it writes, and what a hub's answers say once they are decoded.
//!
//! Invariant: what is read here fits together, part by part, or is an error that names the part; a later hub's new
//! fields and words are passed over. Who carries the bytes, and how long that may take, is the caller's business.

mod exchange;
mod failure;
mod fields;
mod read;
mod reply;
mod status;

pub use exchange::Exchange;
pub use failure::{Failure, Malformed, Refusal};
pub use read::{Accepted, Page, Shown, VersionRow};
pub use reply::{ANSWER_ELEMENTS_MAX, Acknowledged, ConflictRow, Outcome, Received, ReceivedSet, Reply};
pub use status::{PeerRow, Status};

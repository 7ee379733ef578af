//! The way to a hub: every HTTP call that a command makes, bounded and with a way to go on in each error.
//!
//! What is said and read there is `inbetweenies_client`'s; here are the sockets, the waiting and the words for people.
//!
//! Invariant: all calls may be repeated. Reads change nothing, and pushing a record twice is pushing it once.

mod address;
mod blobs;
mod error;
mod http;
mod sync;

pub use address::{AddressError, HubUrl};
pub use blobs::{BlobHere, Download, UploadState};
pub use error::ApiError;
pub use http::Hub;
pub use sync::{Keeper, SyncError, sync};

/// What all bodies are written in.
pub const MSGPACK: &str = "application/msgpack";

//! Inbetweenies: a home's knowledge on several hubs at once. One binary: hub, client, importer.
//!
//! What is decided is decided in `inbetweenies_core`; this package carries mail between its rooms, keeps their store
//! on disk and opens doors to peers and people.
//!
//! | room | job |
//! | --- | --- |
//! | [`config`] | what may be set, where each value came from |
//! | [`store`] | RocksDB behind the core's storage port |
//! | [`hub`] | actix actors around the core's machines, links to peers, the HTTP doors |
//! | [`api`] | the way to a hub over HTTP, for `inbetweenies_client`: the replica on a device |
//! | `dial` | connections that send at once, for the hub and for the way to it |
//! | [`import`] | what a home knows elsewhere, as a wished-for graph |
//! | [`tree`] | the versions of one id, drawn for a terminal and as a picture |
//! | [`commands`] | the command line |

pub mod api;
pub mod commands;
pub mod config;
mod dial;
pub mod hub;
pub mod import;
pub mod store;
pub mod tree;

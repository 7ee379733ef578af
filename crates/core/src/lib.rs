//! The sync engine of Inbetweenies, sans-IO: what a home knows, how it spreads, and who wins.
//!
//! Nothing here reads a clock, a file or a socket, starts a thread or draws chance: time, randomness and a snapshot of
//! the store come in as arguments, and what is to be done comes out as data. Two runtimes run it: the hub and the
//! simulator.
//!
//! The rooms, in layers; a room may use those above it, never one of its own layer (`tests/layers.rs` holds the line):
//!
//! | layer | rooms |
//! | --- | --- |
//! | names and numbers | [`id`] · [`hash`] · [`rng`] · [`time`] · [`limits`] · [`zoo`] |
//! | values | [`value`]: free-form content and the canonical form |
//! | the data | [`record`]: one version · [`clock`]: vector clocks with checks · [`leaf`]: what is compared |
//! | sets and rules | [`entry`]: the log entry, the change set · [`domain`]: the rules · [`blob`]: binaries and their chunks |
//! | meaning and carriage | [`view`]: heads and merges · [`wire`]: messages · [`store`]: the port |
//! | the promise of a room | [`machine`]: a synchronous step |
//! | one machine each | [`storage`] · [`reconcile`] · [`conflict`] · [`merkle`] · [`transfer`] · [`peers`] |
//! | the hub as a whole | [`node`]: mail, effects, routing: the only place that knows all rooms |

pub mod hash;
pub mod id;
pub mod limits;
pub mod rng;
pub mod time;
pub mod zoo;

pub mod value;

pub mod clock;
pub mod leaf;
pub mod record;

pub mod blob;
pub mod domain;
pub mod entry;

pub mod store;
pub mod view;
pub mod wire;

pub mod conflict;
pub mod machine;
pub mod merkle;
pub mod peers;
pub mod reconcile;
pub mod storage;
pub mod transfer;

pub mod node;

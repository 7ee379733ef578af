//! What the person who runs a hub may set: every key, where its value came from, and what is wrong with it.
//!
//! Invariant: a config that was loaded is good. Every value in it is typed and within its bound, and nothing
//! that was written down is ignored: an unknown key, section or variable is an error with its place.
//!
//! Precedence: defaults < file < environment (`INBETWEENIES__SECTION__KEY`) < flags. [`KEYS`] is the one
//! table of what there is to set: the typed structs, defaults, `config show` and messages all come from it.

mod bounds;
mod check;
mod errors;
mod file;
mod input;
mod keys;
mod load;
mod nearest;
mod origin;
mod show;
mod table;
mod units;
mod values;

#[cfg(test)]
mod tests;

pub use errors::{ConfigError, ConfigErrors, ERRORS_MAX, ValueError};
pub use file::FILE_BYTES_MAX;
pub use keys::{
    Blobs, Config, Conflict, Gossip, Hub, KEYS, Limits, Listen, Log, Mesh, Metrics, Storage, Sync,
};
pub use load::{ENVIRONMENT_PREFIX, Resolved, check_file, environment};
pub use origin::{Origin, Origins};
pub use table::Key;
pub use units::{Duration, Size, UnitError};
pub use values::{BlobPolicy, HostPort, LogFilter, LogFormat};

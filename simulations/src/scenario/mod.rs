//! Scenario files: a plan as the owner of a home would write it down, in TOML. The grammar, key by key, stands in
//! `simulations/scenarios/README.md`.
//!
//! What is read is a plan that can run: unknown keys and names, wrong types and values out of bounds are refused with
//! their line and column. What is written reads as the same plan.

mod bounds;
mod domain;
mod events;
mod length;
mod parts;
mod read;
mod table;
mod verbs;
mod write;

#[cfg(test)]
mod tests;

pub use bounds::FILE_BYTES_MAX;
pub use read::read;
pub use write::write;

/// What is wrong with a scenario file, and where: `path:line:column: what`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}:{column}: {what}")]
pub struct ScenarioError {
    /// The file, as it was named.
    pub path: String,
    /// Its line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub what: String,
}

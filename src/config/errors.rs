//! What can be wrong with a config, in words that say where and what to do.
//!
//! Every one of these means that nothing was started or changed: mend the config and start again.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::origin::Origin;
use super::units::UnitError;

/// How many errors are reported at once: what is wrong further down often follows from these.
pub const ERRORS_MAX: usize = 20;

/// One thing that is wrong with a config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is no text of a reasonable size.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{}: not valid TOML: {reason}", at.place())]
    Syntax {
        /// Where in the file.
        at: Origin,
        /// What the parser says.
        reason: String,
    },
    /// Nothing has this name.
    #[error("{}: unknown {kind} `{name}`: {hint}", at.place())]
    Unknown {
        /// Where it stands.
        at: Origin,
        /// "key" or "section".
        kind: &'static str,
        /// The name as it is written, with its section.
        name: String,
        /// The nearest known name, or all that could have been meant.
        hint: String,
    },
    /// A section's name is given a value.
    #[error("{}: `{section}` is a section: write [{section}] on its own line, its keys below it", at.place())]
    NotASection {
        /// Where it stands.
        at: Origin,
        /// The section.
        section: &'static str,
    },
    /// A key's value cannot be used.
    #[error("{}: {key}: {error}", at.place())]
    Value {
        /// Where it stands.
        at: Origin,
        /// The key, with its section.
        key: String,
        /// What is wrong with it.
        #[source]
        error: ValueError,
    },
    /// The address can be reached from other machines, which nobody asked for.
    #[error(
        "{}: listen.address: {address} can be reached from other machines, and a hub without keys lets \
         anyone in: listen on 127.0.0.1, or set listen.open = true if everyone on that network may read and \
         write this home",
        at.place()
    )]
    NotLoopback {
        /// Where the address stands.
        at: Origin,
        /// The address.
        address: SocketAddr,
    },
    /// Blobs of pinned types are to be fetched, and no type is pinned.
    #[error(
        "{}: blobs.policy: \"pinned\" fetches blobs of the types in blobs.pin_types, which names none: name some, or \
         write \"on_demand\"",
        at.place()
    )]
    PinsNothing {
        /// Where the policy stands.
        at: Origin,
    },
    /// One key's value is above that of another that bounds it.
    #[error("{}: {key}: {value} is more than {above_key}, which is {above}: {reason}", at.place())]
    Order {
        /// Where the value stands.
        at: Origin,
        /// The key that is too large.
        key: &'static str,
        /// Its value.
        value: String,
        /// The key that bounds it.
        above_key: &'static str,
        /// The bound's value.
        above: String,
        /// Why it is bounded.
        reason: &'static str,
    },
}

/// What is wrong with one value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Another type of value is needed here.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What is needed, with an example.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// Not a duration or size.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// Not of the form that this key needs.
    #[error("{text:?} is not {expected}")]
    Malformed {
        /// What was written.
        text: String,
        /// What is needed, with an example.
        expected: &'static str,
    },
    /// None of the words there are; perhaps one of them was meant.
    #[error("{text:?} is none of {choices}")]
    Choice {
        /// What was written.
        text: String,
        /// The words there are.
        choices: &'static str,
    },
    /// A name or path with a character that is no text.
    #[error("{text:?} holds a control character or is not UTF-8")]
    NotText {
        /// What was written.
        text: String,
    },
    /// Below the least that makes sense.
    #[error("{value} is too small: the least is {least}")]
    TooSmall {
        /// What was written.
        value: String,
        /// The bound.
        least: String,
    },
    /// Above the most that makes sense.
    #[error("{value} is too large: the most is {most}")]
    TooLarge {
        /// What was written.
        value: String,
        /// The bound.
        most: String,
    },
    /// Above a limit that every hub of a home relies on.
    #[error("{value} is above the protocol's limit of {most}: it may be lowered, not raised")]
    AboveProtocol {
        /// What was written.
        value: String,
        /// The protocol's limit.
        most: String,
    },
    /// Too long or too short.
    #[error("has {count} {unit}: it must have {least} to {most}")]
    Length {
        /// How many there are.
        count: usize,
        /// Of what.
        unit: &'static str,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
}

/// All that is wrong with a config, up to [`ERRORS_MAX`]: one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    more: bool,
}

impl ConfigErrors {
    /// None so far.
    pub(super) fn none() -> Self {
        Self {
            errors: Vec::new(),
            more: false,
        }
    }

    /// Adds one, or notes that there are more than are kept.
    pub(super) fn push(&mut self, error: ConfigError) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        } else {
            self.more = true;
        }
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Whether there are more than are kept, so that looking for others is in vain.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// The errors, in the order of the file, then of the variables' names, then of the flags.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        if self.more {
            write!(f, "\nand more: only the first {ERRORS_MAX} are shown")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self {
            errors: vec![error],
            more: false,
        }
    }
}

/// What was written, short enough for a message.
pub(super) fn clip(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

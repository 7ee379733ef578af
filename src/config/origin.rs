//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

use super::keys::KEYS;

/// Where a value, or what is wrong with one, stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A place in the file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// A variable of the environment, by its name.
    Environment(String),
    /// A flag of the command line.
    Flag,
}

/// The origin of every key's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// In the order of [`KEYS`], one each.
    by_key: Vec<Origin>,
}

impl Origin {
    /// One word for scripts: `default`, `file`, `environment` or `flag`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Environment(_) => "environment",
            Self::Flag => "flag",
        }
    }

    /// How a message begins: a place in a file as editors and terminals recognise it.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Default => "defaults".to_owned(),
            Self::File { path, line, column } => format!("{}:{line}:{column}", path.display()),
            Self::Environment(name) => format!("environment variable {name}"),
            Self::Flag => "command line".to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default | Self::Flag => f.write_str(self.kind()),
            Self::File { path, line, .. } => write!(f, "file {}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

impl Origins {
    /// Every key at its default.
    pub(super) fn defaults() -> Self {
        Self {
            by_key: vec![Origin::Default; KEYS.len()],
        }
    }

    /// Notes where the value of the key at `index` of [`KEYS`] came from.
    pub(super) fn set(&mut self, index: usize, origin: Origin) {
        self.by_key[index] = origin;
    }

    /// Where the value of a key, written `section.name`, came from; `None` when there is no such key.
    pub fn of(&self, path: &str) -> Option<&Origin> {
        let index = KEYS.iter().position(|key| key.is(path))?;
        self.by_key.get(index)
    }

    /// One for each key, in the order of [`KEYS`].
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.by_key.iter()
    }
}

//! The file: read with a bound, parsed, and taken apart into values with their places.

use std::io::Read;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::errors::ConfigError;
use super::origin::Origin;

/// The largest file that is read, in bytes: what is larger was named by mistake.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// A config file's text, and where it is.
pub(super) struct File {
    path: PathBuf,
    text: String,
}

/// What stands in a file, in its order.
pub(super) enum Item<'a> {
    /// A key's value, and the offset of the key.
    Value {
        section: &'a str,
        name: &'a str,
        at: usize,
        value: &'a Spanned<DeValue<'a>>,
    },
    /// A section, known or not, which may be empty.
    Section { section: &'a str, at: usize },
    /// What has a section's place but is none.
    NotASection { section: &'a str, at: usize },
}

impl File {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, Box<ConfigError>> {
        let unreadable = |reason: String| {
            Box::new(ConfigError::Unreadable {
                path: path.to_owned(),
                reason,
            })
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(unreadable(format!(
                "is larger than {FILE_BYTES_MAX} bytes: it is no config file"
            )));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            unreadable(format!(
                "is not UTF-8 from byte {} on",
                error.utf8_error().valid_up_to()
            ))
        })?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    /// Parses it. Only the first error is told: what follows a slip of the syntax is mostly its echo.
    pub(super) fn parse(&self) -> Result<DeTable<'_>, Box<ConfigError>> {
        DeTable::parse(&self.text)
            .map(Spanned::into_inner)
            .map_err(|error| {
                Box::new(ConfigError::Syntax {
                    at: self.place(error.span().map_or(0, |span| span.start)),
                    reason: error.message().lines().collect::<Vec<_>>().join(", "),
                })
            })
    }

    /// The place of an offset in bytes.
    pub(super) fn place(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Origin::File {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// All that stands in a parsed file, in its order.
pub(super) fn items<'a>(table: &'a DeTable<'a>) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    for (section, value) in table {
        let at = section.span().start;
        let section = section.get_ref().as_ref();
        let DeValue::Table(keys) = value.get_ref() else {
            items.push(Item::NotASection { section, at });
            continue;
        };
        items.push(Item::Section { section, at });
        items.extend(keys.iter().map(|(name, value)| Item::Value {
            section,
            name: name.get_ref().as_ref(),
            at: name.span().start,
            value,
        }));
    }
    items.sort_by_key(Item::at);
    items
}

impl Item<'_> {
    fn at(&self) -> usize {
        match self {
            Self::Value { at, .. } | Self::Section { at, .. } | Self::NotASection { at, .. } => *at,
        }
    }
}

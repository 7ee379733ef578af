//! The four layers, one over the other: defaults, file, environment, flags.
//!
//! Invariant: a layer is read whole before the next, so that a good flag does not hide a bad variable.

use std::collections::BTreeMap;
use std::path::Path;

use super::check::check;
use super::errors::{ConfigError, ConfigErrors, clip};
use super::file::{File, Item, items};
use super::input::{Input, Refusal};
use super::keys::{Config, KEYS};
use super::nearest::{key_hint, section_hint, sections, variable_hint};
use super::origin::{Origin, Origins};

/// How the variables that set keys begin; the rest is `SECTION__KEY` in capitals.
pub const ENVIRONMENT_PREFIX: &str = "INBETWEENIES__";

/// A config, and where each of its values came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The values.
    pub config: Config,
    /// Their origins.
    pub origins: Origins,
}

impl Config {
    /// Lays the layers over each other: the defaults, the file if there is one, of the environment those
    /// variables that begin with [`ENVIRONMENT_PREFIX`], and the flags, each named by its key
    /// (`listen.address`). In variables and flags a list is written with commas between its items.
    ///
    /// # Errors
    ///
    /// All that is wrong with any of the layers, in their order. What must hold between keys is only looked
    /// at when each is good by itself.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Resolved, ConfigErrors> {
        let mut layers = Layers {
            config: Self::default(),
            origins: Origins::defaults(),
            errors: ConfigErrors::none(),
        };
        if let Some(path) = file {
            layers.file(path);
        }
        layers.environment(env);
        layers.flags(flags);
        let Layers {
            config,
            origins,
            mut errors,
        } = layers;
        if errors.is_empty() {
            check(&config, &origins, &mut errors);
        }
        if errors.is_empty() {
            Ok(Resolved { config, origins })
        } else {
            Err(errors)
        }
    }
}

/// Checks a file by itself, over the defaults and without regard to the environment.
///
/// # Errors
///
/// All that is wrong with it.
pub fn check_file(path: &Path) -> Result<(), ConfigErrors> {
    Config::load(Some(path), std::iter::empty(), &[]).map(|_| ())
}

/// The variables of this process that set keys. One that is not UTF-8 keeps a replacement character, which no
/// key takes.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
}

/// What is resolved so far.
struct Layers {
    config: Config,
    origins: Origins,
    errors: ConfigErrors,
}

impl Layers {
    fn file(&mut self, path: &Path) {
        let file = match File::read(path) {
            Ok(file) => file,
            Err(error) => return self.errors.push(*error),
        };
        let table = match file.parse() {
            Ok(table) => table,
            Err(error) => return self.errors.push(*error),
        };
        for item in items(&table) {
            self.item(&file, &item);
            if self.errors.has_more() {
                break;
            }
        }
    }

    fn item(&mut self, file: &File, item: &Item<'_>) {
        let known = |name: &str| sections().into_iter().find(|section| *section == name);
        match *item {
            Item::Value {
                section,
                name,
                at,
                value,
            } => {
                let is_key = |key: &super::table::Key| key.section == section && key.name == name;
                match KEYS.iter().position(is_key) {
                    Some(index) => {
                        let offset = value.span().start;
                        self.assign(index, &Input::Toml(value), |at| file.place(at.unwrap_or(offset)));
                    }
                    None if known(section).is_some() => self.errors.push(ConfigError::Unknown {
                        at: file.place(at),
                        kind: "key",
                        name: clip(&format!("{section}.{name}")),
                        hint: key_hint(section, name),
                    }),
                    // The section itself was told.
                    None => {}
                }
            }
            Item::Section { section, at } | Item::NotASection { section, at } if known(section).is_none() => {
                self.errors.push(ConfigError::Unknown {
                    at: file.place(at),
                    kind: "section",
                    name: clip(section),
                    hint: section_hint(section),
                });
            }
            Item::Section { .. } => {}
            Item::NotASection { section, at } => {
                if let Some(section) = known(section) {
                    self.errors.push(ConfigError::NotASection {
                        at: file.place(at),
                        section,
                    });
                }
            }
        }
    }

    fn environment(&mut self, env: impl Iterator<Item = (String, String)>) {
        // By name, so that what is told does not depend on the order in which the system lists them.
        let variables: BTreeMap<String, String> = env
            .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
            .collect();
        for (name, value) in variables {
            match KEYS.iter().position(|key| key.variable() == name) {
                Some(index) => {
                    self.assign(index, &Input::Text(&value), |_| Origin::Environment(name.clone()));
                }
                None => self.errors.push(ConfigError::Unknown {
                    at: Origin::Environment(clip(&name)),
                    kind: "key",
                    hint: variable_hint(&name),
                    name: clip(
                        &name[ENVIRONMENT_PREFIX.len()..]
                            .replace("__", ".")
                            .to_ascii_lowercase(),
                    ),
                }),
            }
        }
    }

    fn flags(&mut self, flags: &[(&str, String)]) {
        for (path, value) in flags {
            match KEYS.iter().position(|key| key.is(path)) {
                Some(index) => self.assign(index, &Input::Text(value), |_| Origin::Flag),
                None => {
                    let (section, name) = path.split_once('.').unwrap_or((path, ""));
                    let known = sections().contains(&section);
                    self.errors.push(ConfigError::Unknown {
                        at: Origin::Flag,
                        kind: "key",
                        name: clip(path),
                        hint: if known {
                            key_hint(section, name)
                        } else {
                            section_hint(section)
                        },
                    });
                }
            }
        }
    }

    /// Sets the key at `index` of the table; `place` tells where a value stands, or an offset within it.
    fn assign(&mut self, index: usize, input: &Input<'_>, place: impl Fn(Option<usize>) -> Origin) {
        let key = &KEYS[index];
        match (key.assign)(&mut self.config, input) {
            Ok(()) => self.origins.set(index, place(None)),
            Err(Refusal { error, at }) => {
                self.errors.push(ConfigError::Value {
                    at: place(at),
                    key: key.path(),
                    error,
                });
            }
        }
    }
}

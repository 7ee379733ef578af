//! How the table of keys becomes structs, defaults and a list that can be walked.

use serde_json::Value;

use super::input::{Input, Refusal};
use super::keys::Config;
use super::load::ENVIRONMENT_PREFIX;

/// One row of the table: a key that may be set.
#[derive(Debug)]
pub struct Key {
    /// The section it stands in.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    pub(super) bound: fn() -> Option<String>,
    pub(super) value: fn(&Config) -> Value,
    pub(super) assign: fn(&mut Config, &Input<'_>) -> Result<(), Refusal>,
}

impl Key {
    /// `section.name`: what flags and messages call it.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// Whether `path` names it.
    pub fn is(&self, path: &str) -> bool {
        path.split_once('.') == Some((self.section, self.name))
    }

    /// The variable of the environment that sets it.
    pub fn variable(&self) -> String {
        format!(
            "{ENVIRONMENT_PREFIX}{}__{}",
            self.section.to_ascii_uppercase(),
            self.name.to_ascii_uppercase()
        )
    }

    /// The values it takes, for people; `None` when every value of its type will do.
    pub fn bound(&self) -> Option<String> {
        (self.bound)()
    }

    /// Its value in a config. As JSON, which is TOML as well for what occurs here.
    pub fn value(&self, config: &Config) -> Value {
        (self.value)(config)
    }
}

/// Makes, of rows `name: Type = default, bound, "meaning"` under `section: Struct`, the structs, their
/// defaults and `KEYS`.
macro_rules! table {
    ($(
        #[doc = $about:literal]
        $section:ident: $Section:ident {
            $( $name:ident: $Type:ty = $default:expr, $bound:expr, $meaning:literal; )*
        }
    )*) => {
        /// All that can be set. Every value is within its bound; the fields say what they mean.
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct Config {
            $( #[doc = $about] pub $section: $Section, )*
        }

        $(
            #[doc = $about]
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $Section {
                $( #[doc = $meaning] pub $name: $Type, )*
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $( $name: $default, )* }
                }
            }
        )*

        /// Every key there is, section by section.
        pub static KEYS: &[Key] = &[$($(
            Key {
                section: stringify!($section),
                name: stringify!($name),
                meaning: $meaning,
                bound: || bounds::Bound::<$Type>::describe(&$bound),
                value: |config| input::Setting::show(&config.$section.$name),
                assign: |config, input| {
                    config.$section.$name = bounds::read(input, &$bound)?;
                    Ok(())
                },
            },
        )*)*];
    };
}

pub(super) use table;

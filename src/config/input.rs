//! One value as somebody wrote it, in a file or as plain text, and the types it can be read as.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use super::errors::{ValueError, clip};
use super::units::{Duration, Size, UnitError};

/// A value that was written down.
pub(super) enum Input<'a> {
    /// In the environment or as a flag, where all is text.
    Text(&'a str),
    /// In a file.
    Toml(&'a Spanned<DeValue<'a>>),
}

/// Why an input is not a value. Whether a number is too small or too large is for the key's bound to say.
#[derive(Debug)]
pub(super) enum Fault {
    /// Less than the type can hold.
    Below(String),
    /// More than the type can hold.
    Above(String),
    /// Not such a value.
    Refused(Refusal),
}

/// What is wrong with an input, and where.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What is wrong.
    pub(super) error: ValueError,
    /// The offset in the file, when it is not where the value begins.
    pub(super) at: Option<usize>,
}

/// A type that the value of a key can have.
pub(super) trait Setting: Sized {
    /// Reads it, without regard to the key's bound.
    fn read(input: &Input<'_>) -> Result<Self, Fault>;

    /// As JSON, whose notation for what occurs here is TOML's as well.
    fn show(&self) -> Value;
}

impl From<ValueError> for Refusal {
    fn from(error: ValueError) -> Self {
        Self { error, at: None }
    }
}

impl From<ValueError> for Fault {
    fn from(error: ValueError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<UnitError> for Fault {
    fn from(error: UnitError) -> Self {
        match error {
            UnitError::Negative { text } => Self::Below(text),
            UnitError::Overflow { text } => Self::Above(text),
            UnitError::Malformed { .. } | UnitError::Fraction { .. } => ValueError::Unit(error).into(),
        }
    }
}

impl Input<'_> {
    /// The text, for types that are written as such; a plain number is none.
    pub(super) fn text(&self, expected: &'static str) -> Result<&str, Fault> {
        let text = match self {
            Self::Text(text) => text,
            Self::Toml(value) => value
                .get_ref()
                .as_str()
                .ok_or_else(|| self.wrong_type(expected))?,
        };
        // Of the environment, what is not UTF-8 arrives with the replacement character.
        if text
            .chars()
            .any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER)
        {
            return Err(ValueError::NotText { text: clip(text) }.into());
        }
        Ok(text)
    }

    /// The items of a list; in plain text they are separated by commas.
    pub(super) fn items(&self, expected: &'static str) -> Result<Vec<Input<'_>>, Fault> {
        match self {
            Self::Text(text) if text.trim().is_empty() => Ok(Vec::new()),
            Self::Text(text) => Ok(text.split(',').map(|item| Input::Text(item.trim())).collect()),
            Self::Toml(value) => match value.get_ref() {
                DeValue::Array(items) => Ok(items.iter().map(Input::Toml).collect()),
                _ => Err(self.wrong_type(expected)),
            },
        }
    }

    /// Where in the file it begins.
    fn offset(&self) -> Option<usize> {
        match self {
            Self::Text(_) => None,
            Self::Toml(value) => Some(value.span().start),
        }
    }

    fn wrong_type(&self, expected: &'static str) -> Fault {
        let found = match self {
            Self::Text(text) => format!("{:?}", clip(text)),
            Self::Toml(value) => match value.get_ref() {
                DeValue::String(text) => format!("the string {:?}", clip(text)),
                DeValue::Integer(number) => format!("the integer {}", clip(number.as_str())),
                DeValue::Float(number) => format!("the number {}", clip(number.as_str())),
                DeValue::Boolean(truth) => format!("the boolean {truth}"),
                DeValue::Datetime(_) => "a date or time".to_owned(),
                DeValue::Array(_) => "a list".to_owned(),
                DeValue::Table(_) => "a table".to_owned(),
            },
        };
        ValueError::WrongType { expected, found }.into()
    }
}

impl Setting for bool {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        let truth = match input {
            Input::Text("true") => Some(true),
            Input::Text("false") => Some(false),
            Input::Text(_) => None,
            Input::Toml(value) => value.get_ref().as_bool(),
        };
        truth.ok_or_else(|| input.wrong_type("true or false"))
    }

    fn show(&self) -> Value {
        Value::from(*self)
    }
}

impl Setting for usize {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        let (digits, radix) = match input {
            Input::Text(text) => (*text, 10),
            Input::Toml(value) => match value.get_ref() {
                DeValue::Integer(number) => digits(number),
                _ => return Err(input.wrong_type("a whole number")),
            },
        };
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        if unsigned.is_empty() || !unsigned.chars().all(|c| c.is_digit(radix)) {
            return Err(input.wrong_type("a whole number"));
        }
        // What is left is digits only: that it cannot be read means that it does not fit.
        match usize::from_str_radix(unsigned, radix) {
            Ok(0) => Ok(0),
            _ if digits.starts_with('-') => Err(Fault::Below(clip(digits))),
            Ok(count) => Ok(count),
            Err(_) => Err(Fault::Above(clip(digits))),
        }
    }

    fn show(&self) -> Value {
        Value::from(*self)
    }
}

impl Setting for Duration {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        Ok(input.text("a duration such as \"30s\"")?.parse()?)
    }

    fn show(&self) -> Value {
        Value::from(self.to_string())
    }
}

impl Setting for Size {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        Ok(input.text("a size such as \"64MiB\"")?.parse()?)
    }

    fn show(&self) -> Value {
        Value::from(self.to_string())
    }
}

impl Setting for String {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        Ok(input.text("a string")?.to_owned())
    }

    fn show(&self) -> Value {
        Value::from(self.as_str())
    }
}

impl Setting for PathBuf {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        const EXPECTED: &str = "a path such as \"./data\"";
        let text = input.text(EXPECTED)?;
        if text.is_empty() {
            return Err(ValueError::Malformed {
                text: String::new(),
                expected: EXPECTED,
            }
            .into());
        }
        Ok(Self::from(text))
    }

    fn show(&self) -> Value {
        Value::from(self.to_string_lossy())
    }
}

impl Setting for SocketAddr {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        const EXPECTED: &str = "an address and port such as \"127.0.0.1:7420\" or \"[::1]:7420\"";
        let text = input.text(EXPECTED)?;
        text.parse().map_err(|_| {
            ValueError::Malformed {
                text: clip(text),
                expected: EXPECTED,
            }
            .into()
        })
    }

    fn show(&self) -> Value {
        Value::from(self.to_string())
    }
}

/// Written as the empty string when there is none.
impl<T: Setting> Setting for Option<T> {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        let empty = match input {
            Input::Text(text) => text.is_empty(),
            Input::Toml(value) => value.get_ref().as_str() == Some(""),
        };
        if empty { Ok(None) } else { T::read(input).map(Some) }
    }

    fn show(&self) -> Value {
        self.as_ref().map_or_else(|| Value::from(""), T::show)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        let items = input.items("a list such as [\"127.0.0.1:7421\"]")?;
        let read = |item: &Input<'_>| {
            T::read(item).map_err(|fault| match fault {
                Fault::Refused(Refusal { error, at }) => Refusal {
                    error,
                    at: at.or(item.offset()),
                }
                .into(),
                Fault::Below(_) | Fault::Above(_) => fault,
            })
        };
        items.iter().map(read).collect()
    }

    fn show(&self) -> Value {
        Value::Array(self.iter().map(T::show).collect())
    }
}

fn digits<'a>(number: &'a DeInteger<'a>) -> (&'a str, u32) {
    let text = number.as_str();
    (text.strip_prefix('+').unwrap_or(text), number.radix())
}

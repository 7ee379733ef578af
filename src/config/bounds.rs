//! How small and how large a value may be, and how a key says so.
//!
//! Invariant: a message about a bound names the bound.

use std::fmt;
use std::net::SocketAddr;

use super::errors::ValueError;
use super::input::{Fault, Input, Refusal, Setting};

/// What holds for the values of one key.
pub(super) trait Bound<T> {
    /// Whether the value is within.
    fn check(&self, value: &T) -> Result<(), ValueError>;

    /// For people; `None` when every value of the type will do.
    fn describe(&self) -> Option<String>;

    /// The error for a value below the least, which its type perhaps cannot even hold.
    fn below(&self, value: String) -> ValueError {
        ValueError::TooSmall {
            value,
            least: self.describe().unwrap_or_default(),
        }
    }

    /// The error for a value above the most, which its type perhaps cannot even hold.
    fn above(&self, value: String) -> ValueError {
        ValueError::TooLarge {
            value,
            most: self.describe().unwrap_or_default(),
        }
    }
}

/// Every value of the type.
pub(super) struct Any;

/// An address that others can dial, or none.
pub(super) struct Dialable;

/// From `least` to `most`, both included.
pub(super) struct Range<T> {
    least: T,
    most: T,
    /// Whether `most` is a limit of the protocol: this hub may take less than others, never more.
    of_protocol: bool,
}

/// A text of so many bytes or a list of so many items.
pub(super) struct Length {
    least: usize,
    most: usize,
    unit: &'static str,
}

/// What has a length.
pub(super) trait Counted {
    /// How many bytes or items it has.
    fn count(&self) -> usize;
}

/// From `least` to `most`, both included.
pub(super) const fn within<T: Copy>(least: T, most: T) -> Range<T> {
    Range {
        least,
        most,
        of_protocol: false,
    }
}

/// From `least` to a limit of the protocol.
pub(super) const fn protocol<T: Copy>(least: T, most: T) -> Range<T> {
    Range {
        least,
        most,
        of_protocol: true,
    }
}

/// A text of `least` to `most` bytes.
pub(super) const fn bytes(least: usize, most: usize) -> Length {
    Length {
        least,
        most,
        unit: "bytes",
    }
}

/// A list of `least` to `most` items.
pub(super) const fn items(least: usize, most: usize) -> Length {
    Length {
        least,
        most,
        unit: "items",
    }
}

/// Reads a value and holds it against its key's bound.
pub(super) fn read<T: Setting>(input: &Input<'_>, bound: &impl Bound<T>) -> Result<T, Refusal> {
    let value = T::read(input).map_err(|fault| match fault {
        Fault::Below(value) => Refusal::from(bound.below(value)),
        Fault::Above(value) => bound.above(value).into(),
        Fault::Refused(refusal) => refusal,
    })?;
    bound.check(&value)?;
    Ok(value)
}

impl<T> Bound<T> for Any {
    fn check(&self, _: &T) -> Result<(), ValueError> {
        Ok(())
    }

    fn describe(&self) -> Option<String> {
        None
    }
}

impl Bound<Option<SocketAddr>> for Dialable {
    fn check(&self, value: &Option<SocketAddr>) -> Result<(), ValueError> {
        match value {
            Some(address) if address.ip().is_unspecified() || address.port() == 0 => {
                let expected =
                    "an address that can be dialled: name one of this machine's and a port other than 0";
                Err(ValueError::Malformed {
                    text: address.to_string(),
                    expected,
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn describe(&self) -> Option<String> {
        None
    }
}

impl<T: PartialOrd + fmt::Display> Bound<T> for Range<T> {
    fn check(&self, value: &T) -> Result<(), ValueError> {
        if *value < self.least {
            Err(self.below(value.to_string()))
        } else if *value > self.most {
            Err(self.above(value.to_string()))
        } else {
            Ok(())
        }
    }

    fn describe(&self) -> Option<String> {
        let note = if self.of_protocol {
            ", the protocol's limit"
        } else {
            ""
        };
        Some(format!("{} to {}{note}", self.least, self.most))
    }

    fn below(&self, value: String) -> ValueError {
        ValueError::TooSmall {
            value,
            least: self.least.to_string(),
        }
    }

    fn above(&self, value: String) -> ValueError {
        let most = self.most.to_string();
        if self.of_protocol {
            ValueError::AboveProtocol { value, most }
        } else {
            ValueError::TooLarge { value, most }
        }
    }
}

impl<T: Counted> Bound<T> for Length {
    fn check(&self, value: &T) -> Result<(), ValueError> {
        let count = value.count();
        if (self.least..=self.most).contains(&count) {
            return Ok(());
        }
        Err(ValueError::Length {
            count,
            unit: self.unit,
            least: self.least,
            most: self.most,
        })
    }

    fn describe(&self) -> Option<String> {
        Some(format!("{} to {} {}", self.least, self.most, self.unit))
    }
}

impl Counted for String {
    fn count(&self) -> usize {
        self.len()
    }
}

impl<T> Counted for Vec<T> {
    fn count(&self) -> usize {
        self.len()
    }
}

//! Names: what entities, records, hubs, homes and replicas are called.
//!
//! Invariant: a value of these types is within its bounds; whoever holds one need not check again.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The UUIDv5 namespace of every id that is derived rather than drawn (single relationships, imports).
pub const DERIVED_NAMESPACE: Uuid = Uuid::from_u128(0xb7a2c3f0_6c1e_5d0b_9a54_1f8e2d7c4a90);

/// Longest id, in bytes.
pub const ID_BYTES_MAX: usize = 64;
/// Longest version string, in bytes.
pub const VERSION_BYTES_MAX: usize = 255;

/// Why a name was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty where something must be named.
    #[error("{what} is empty; give it 1 to {max} bytes")]
    Empty {
        /// Which name.
        what: &'static str,
        /// Its bound in bytes.
        max: usize,
    },
    /// Longer than the bound.
    #[error("{what} has {len} bytes; at most {max} are allowed")]
    TooLong {
        /// Which name.
        what: &'static str,
        /// What it had.
        len: usize,
        /// Its bound in bytes.
        max: usize,
    },
    /// Not in the form the name is written in.
    #[error("{what} is not written as {form}")]
    Malformed {
        /// Which name.
        what: &'static str,
        /// The form expected.
        form: &'static str,
    },
}

macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the bound and keeps the text verbatim.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if text.is_empty() {
                    Err(NameError::Empty { what: $what, max: $max })
                } else if text.len() > $max {
                    Err(NameError::TooLong { what: $what, len: text.len(), max: $max })
                } else {
                    Ok(Self(text.into()))
                }
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

bounded_text! {
    /// Names an entity or a relationship for ever: any UTF-8 of 1 to 64 bytes; ours are UUIDs, other writers' need not be.
    Id, "id", ID_BYTES_MAX
}
bounded_text! {
    /// A record's name on the wire, kept verbatim: 1 to 255 bytes. A name, not the identity: that is the digest.
    Version, "version", VERSION_BYTES_MAX
}

impl Id {
    /// The id of a relationship of which there is one per (from, type): two phones that place one lamp make a
    /// conflict and not two rooms.
    pub fn single(from: &Id, relationship_type: &str) -> Id {
        Id::derived(&["single", from.as_str(), relationship_type])
    }

    /// UUIDv5 of the parts joined by NUL in [`DERIVED_NAMESPACE`].
    pub fn derived(parts: &[&str]) -> Id {
        let text = Uuid::new_v5(&DERIVED_NAMESPACE, parts.join("\0").as_bytes()).to_string();
        Id(text.into())
    }
}

macro_rules! uuid_name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Uuid::try_parse(text)
                    .map($name)
                    .map_err(|_| NameError::Malformed { what: $what, form: "a UUID" })
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.to_string()
            }
        }
    };
}

uuid_name! {
    /// One running node with a store of its own.
    HubId, "hub_id"
}
uuid_name! {
    /// The home that a mesh of hubs keeps; drawn once by the hub that founds it.
    HomeId, "home_id"
}

/// One life of one hub's store: a random 128-bit id drawn when that life begins.
///
/// Text form: lower-case base32 without padding (RFC 4648), 26 characters. In the frames between hubs: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub [u8; 16]);

fn base32_lower() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    // The specification is a constant of the program, so a failure here is a broken invariant.
    specification.encoding().unwrap_or(BASE32_NOPAD)
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for ReplicaId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let malformed = NameError::Malformed {
            what: "replica",
            form: "26 characters of lower-case base32",
        };
        if text.len() != 26 {
            return Err(malformed);
        }
        let bytes = base32_lower()
            .decode(text.as_bytes())
            .map_err(|_| malformed.clone())?;
        bytes.try_into().map(ReplicaId).map_err(|_| malformed)
    }
}

impl Serialize for ReplicaId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        serde_bytes::Bytes::new(&self.0).serialize(s)
    }
}

impl<'de> Deserialize<'de> for ReplicaId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteArray::<16>::deserialize(d)?;
        Ok(ReplicaId(bytes.into_array()))
    }
}

/// The place of one change set in the log of the hub that accepted it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Dot {
    /// Whose log.
    pub replica: ReplicaId,
    /// Where in it; starts at 1, may leave gaps, is never used twice.
    pub sequence: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_refused_with_the_bound_in_the_message() {
        assert!(Id::new("").unwrap_err().to_string().contains("1 to 64"));
        assert!(
            Id::new(&"x".repeat(65))
                .unwrap_err()
                .to_string()
                .contains("at most 64")
        );
        assert!(Id::new(&"x".repeat(64)).is_ok());
        assert!(Version::new(&"v".repeat(256)).is_err());
    }

    #[test]
    fn a_replica_reads_back_what_it_writes() {
        let replica = ReplicaId([7; 16]);
        let text = replica.to_string();
        assert_eq!(text.len(), 26);
        assert_eq!(text.parse::<ReplicaId>().unwrap(), replica);
        assert!(
            "A".repeat(26).parse::<ReplicaId>().is_err(),
            "upper case is another name"
        );
    }

    #[test]
    fn a_single_relationship_has_one_id_per_thing_and_type() {
        let lamp = Id::new("lamp").unwrap();
        assert_eq!(
            Id::single(&lamp, "located_in").as_str(),
            "7dde8d25-8bc8-5777-892b-492f50cb938b"
        );
        assert_ne!(Id::single(&lamp, "located_in"), Id::single(&lamp, "part_of"));
    }
}

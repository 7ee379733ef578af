//! SHA-256 digests: the identity of records and of log entries.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// SHA-256 over a canonical form (FIPS 180-4). Text form: 64 lower-case hex digits; in rows and frames: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hashes the bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The first eight bytes: what stands beside a vector clock's component.
    pub fn check(&self) -> Check {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        Check(first)
    }

    /// The first eight hex digits: what people and computed versions use.
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..4])
    }

    /// Reads 64 lower-case hex digits; None for anything else.
    pub fn parse(text: &str) -> Option<Digest> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        serde_bytes::Bytes::new(&self.0).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Digest(serde_bytes::ByteArray::<32>::deserialize(d)?.into_array()))
    }
}

/// The first 8 bytes of an entry's hash. Text form: 16 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Check(pub [u8; 8]);

impl Check {
    /// Reads 16 lower-case hex digits; None for anything else.
    pub fn parse(text: &str) -> Option<Check> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Check)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        serde_bytes::Bytes::new(&self.0).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Check(serde_bytes::ByteArray::<8>::deserialize(d)?.into_array()))
    }
}

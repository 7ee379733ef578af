//! Reading values within a budget: of depth, for small stacks; of elements, for memory follows those and not bytes.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Map, Value, WHOLE_MAX};

impl<'de> Deserialize<'de> for Value {
    /// With the protocol's default budget; doors use [`decode`] to learn which bound was met.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        let limits = crate::limits::Limits::default();
        Budget::new(limits.depth_max, limits.elements_max)
            .seed()
            .deserialize(deserializer)
    }
}

/// Why a body was refused: a stable code and a sentence. Nothing was kept of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// One of `malformed`, `limit_depth`, `limit_elements`, `duplicate_key`, `unsupported_value`.
    pub code: &'static str,
    /// What was wrong.
    pub detail: String,
}

/// How much one body may hold.
pub struct Budget {
    depth_max: usize,
    elements_left: Cell<usize>,
    elements_max: usize,
    refusal: RefCell<Option<Refusal>>,
}

impl Budget {
    /// At most `depth_max` levels and `elements_max` values.
    pub fn new(depth_max: usize, elements_max: usize) -> Budget {
        Budget {
            depth_max,
            elements_left: Cell::new(elements_max),
            elements_max,
            refusal: RefCell::new(None),
        }
    }

    fn seed(&self) -> Seed<'_> {
        Seed {
            budget: self,
            depth: 0,
        }
    }

    fn refuse<E: serde::de::Error>(&self, code: &'static str, detail: String) -> E {
        let error = E::custom(&detail);
        *self.refusal.borrow_mut() = Some(Refusal { code, detail });
        error
    }

    fn take<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.elements_left.get().checked_sub(1) {
            Some(left) => {
                self.elements_left.set(left);
                Ok(())
            }
            None => Err(self.refuse(
                "limit_elements",
                format!("more than {} values in one body", self.elements_max),
            )),
        }
    }
}

/// Decodes one value from any serde format within a budget. Trailing bytes are the caller's to check.
pub fn decode<'de, D: Deserializer<'de>>(deserializer: D, budget: &Budget) -> Result<Value, Refusal> {
    budget.seed().deserialize(deserializer).map_err(|error| {
        let named = budget.refusal.borrow_mut().take();
        named.unwrap_or_else(|| Refusal {
            code: "malformed",
            detail: error.to_string(),
        })
    })
}

/// Decodes one MessagePack value that fills `bytes`, within a budget.
pub fn decode_msgpack(bytes: &[u8], budget: &Budget) -> Result<Value, Refusal> {
    let mut cursor = std::io::Cursor::new(bytes);
    let mut deserializer = rmp_serde::Deserializer::new(&mut cursor);
    deserializer.set_max_depth(budget.depth_max + 8);
    let value = decode(&mut deserializer, budget)?;
    let used = cursor.position() as usize;
    if used != bytes.len() {
        let detail = format!("{} bytes follow the end of the message", bytes.len() - used);
        return Err(Refusal {
            code: "malformed",
            detail,
        });
    }
    Ok(value)
}

struct Seed<'b> {
    budget: &'b Budget,
    depth: usize,
}

impl Seed<'_> {
    fn number<E: serde::de::Error>(&self, number: f64) -> Result<Value, E> {
        Value::number(number).ok_or_else(|| {
            let detail =
                format!("the number {number} is not finite, or whole and beyond ±2^53: write it as a string");
            self.budget.refuse("unsupported_value", detail)
        })
    }

    fn whole<E: serde::de::Error>(&self, number: Option<i64>) -> Result<Value, E> {
        match number {
            Some(number) if (-WHOLE_MAX..=WHOLE_MAX).contains(&number) => Ok(Value::Int(number)),
            _ => Err(self.budget.refuse(
                "unsupported_value",
                "a whole number beyond ±2^53: write it as a string".to_owned(),
            )),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a number, UTF-8 text, a list or a map with text keys")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.budget.take()?;
        Ok(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Value, E> {
        self.budget.take()?;
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value, E> {
        self.budget.take()?;
        self.whole(Some(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        self.budget.take()?;
        self.whole(i64::try_from(number).ok())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        self.budget.take()?;
        self.number(number)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.budget.take()?;
        Ok(Value::Text(text))
    }

    fn visit_bytes<E: serde::de::Error>(self, _bytes: &[u8]) -> Result<Value, E> {
        let detail =
            "binary, or text that is not UTF-8: binaries go through /api/v2/blobs, text must be UTF-8";
        Err(self.budget.refuse("unsupported_value", detail.to_owned()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _ext: D) -> Result<Value, D::Error> {
        Err(self.budget.refuse(
            "unsupported_value",
            "MessagePack extension types are not understood".to_owned(),
        ))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new(); // never sized by what the sender declares
        while let Some(value) = seq.next_element_seed(Seed {
            budget: self.budget,
            depth,
        })? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<Key>()? {
            if map.contains_key(&key.0) {
                let detail = format!("the key {:?} stands twice in one map", key.0);
                return Err(self.budget.refuse("duplicate_key", detail));
            }
            let value = entries.next_value_seed(Seed {
                budget: self.budget,
                depth,
            })?;
            map.insert(key.0, value);
        }
        Ok(Value::Map(map))
    }
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.budget.take()?;
        if self.depth >= self.budget.depth_max {
            let detail = format!("nested deeper than {} levels", self.budget.depth_max);
            return Err(self.budget.refuse("limit_depth", detail));
        }
        Ok(self.depth + 1)
    }
}

struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text key")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Key, E> {
                Ok(Key(text.to_owned()))
            }
            fn visit_bytes<E: serde::de::Error>(self, _bytes: &[u8]) -> Result<Key, E> {
                Err(E::custom("a key that is not UTF-8 text"))
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Value, Refusal> {
        decode(
            &mut serde_json::Deserializer::from_str(text),
            &Budget::new(32, 1_000),
        )
    }

    fn code(text: &str) -> &'static str {
        json(text).unwrap_err().code
    }

    #[test]
    fn numbers_have_one_form_however_they_were_written() {
        let mut a = Vec::new();
        let mut b = Vec::new();
        json(r#"{"b":1.0,"a":[-0.0,2.5]}"#).unwrap().encode(&mut a);
        json(r#"{"a":[0,2.5],"b":1}"#).unwrap().encode(&mut b);
        assert_eq!(a, b);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&a),
            "82a1619200cb4004000000000000a16201"
        );
    }

    #[test]
    fn what_the_canonical_form_cannot_say_is_refused_by_name() {
        assert_eq!(code("9007199254740993"), "unsupported_value");
        assert_eq!(code("1e300"), "unsupported_value");
        assert_eq!(code(r#"{"a":1,"a":2}"#), "duplicate_key");
        assert_eq!(code(&("[".repeat(40) + &"]".repeat(40))), "limit_depth");
        assert_eq!(code(&format!("[{}1]", "1,".repeat(2_000))), "limit_elements");
        assert_eq!(code("{"), "malformed");
    }

    #[test]
    fn hostile_messagepack_is_refused_without_following_its_claims() {
        let budget = || Budget::new(32, 1_000);
        let cases: [(&[u8], &str); 7] = [
            (&[0xdd, 0xff, 0xff, 0xff, 0xff], "malformed"),
            (&[0xdf, 0xff, 0xff, 0xff, 0xff], "malformed"),
            (&[0xdb, 0xff, 0xff, 0xff, 0xff], "malformed"),
            (&[0xc6, 0xff, 0xff, 0xff, 0xff], "malformed"),
            (&[0xc4, 1, 0], "unsupported_value"),
            (&[0xa1, 0xff], "unsupported_value"),
            (&[0x01, 0x01], "malformed"),
        ];
        for (bytes, code) in cases {
            assert_eq!(
                decode_msgpack(bytes, &budget()).unwrap_err().code,
                code,
                "{bytes:02x?}"
            );
        }
        assert_eq!(
            decode_msgpack(&[0x91; 1_000], &budget()).unwrap_err().code,
            "limit_depth"
        );
        assert!(
            decode_msgpack(&[0x81, 0x01, 0x01], &budget()).is_err(),
            "a key that is no text"
        );
        assert!(
            decode_msgpack(&[0xd4, 1, 0], &budget()).is_err(),
            "an extension type"
        );
        assert!(
            decode_msgpack(&[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], &budget()).is_err(),
            "NaN"
        );
    }
}

//! Free-form content: a tree of plain values, decoded with a budget and written in one canonical form.
//!
//! Invariant: a [`Value`] holds nothing that the canonical form cannot say (no NaN, no whole number beyond ±2^53, no
//! double key), so encoding never fails and equal values have equal bytes.

mod decode;

pub use decode::{Budget, Refusal, decode, decode_msgpack};

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// A map with its keys in the order of their UTF-8 bytes.
pub type Map = BTreeMap<String, Value>;

/// The largest whole number that every JSON reader keeps exactly: 2^53.
pub const WHOLE_MAX: i64 = 1 << 53;

/// One free-form value.
#[derive(Debug, Clone)]
pub enum Value {
    /// No value; inside content this is a value like any other.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number within ±2^53, however it was written.
    Int(i64),
    /// A finite number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// A list; one leaf for merging.
    List(Vec<Value>),
    /// A map.
    Map(Map),
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl Value {
    /// A number in its one form: whole values as integers (−0 is 0); NaN, infinities and whole numbers beyond ±2^53
    /// are refused.
    pub fn number(number: f64) -> Option<Value> {
        if !number.is_finite() {
            None
        } else if number.fract() == 0.0 {
            (number.abs() <= WHOLE_MAX as f64).then_some(Value::Int(number as i64))
        } else {
            Some(Value::Float(number))
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// What it is, in one word, for error messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Appends the canonical form: MessagePack, maps sorted by key, shortest encodings.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => infallible(rmp::encode::write_nil(out)),
            Value::Bool(flag) => infallible(rmp::encode::write_bool(out, *flag)),
            Value::Int(number) => encode_int(out, *number),
            Value::Float(number) => infallible(rmp::encode::write_f64(out, *number)),
            Value::Text(text) => encode_text(out, text),
            Value::List(list) => {
                encode_list_len(out, list.len());
                for value in list {
                    value.encode(out);
                }
            }
            Value::Map(map) => encode_map(out, map),
        }
    }
}

fn infallible<T, E: fmt::Debug>(written: Result<T, E>) {
    // Writing to a Vec cannot fail; if it does, memory is gone and nothing sensible can follow.
    if let Err(error) = written {
        panic!("writing to memory failed: {error:?}");
    }
}

/// Appends a whole number in its shortest form.
pub fn encode_int(out: &mut Vec<u8>, number: i64) {
    infallible(rmp::encode::write_sint(out, number));
}

/// Appends text.
pub fn encode_text(out: &mut Vec<u8>, text: &str) {
    infallible(rmp::encode::write_str(out, text));
}

/// Appends the head of a list.
pub fn encode_list_len(out: &mut Vec<u8>, len: usize) {
    infallible(rmp::encode::write_array_len(out, len as u32));
}

/// Appends the head of a map.
pub fn encode_map_len(out: &mut Vec<u8>, len: usize) {
    infallible(rmp::encode::write_map_len(out, len as u32));
}

/// Appends a map; its keys are in order already.
pub fn encode_map(out: &mut Vec<u8>, map: &Map) {
    encode_map_len(out, map.len());
    for (key, value) in map {
        encode_text(out, key);
        value.encode(out);
    }
}

/// The canonical bytes of a map.
pub fn canonical(map: &Map) -> Vec<u8> {
    let mut out = Vec::new();
    encode_map(&mut out, map);
    out
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(list) => list.serialize(serializer),
            Value::Map(map) => map.serialize(serializer),
        }
    }
}

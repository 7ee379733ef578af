//! Taking a hub's answer apart: each field is what it should be, or an error names it.

use inbetweenies_core::value::{Map, Value};

use super::failure::Malformed;

/// A map whose fields are taken out one by one.
pub(super) struct Fields {
    map: Map,
    what: &'static str,
}

impl Fields {
    /// Of a value that should be a map; `what` it is, for errors.
    pub(super) fn of(value: Value, what: &'static str) -> Result<Fields, Malformed> {
        match value {
            Value::Map(map) => Ok(Fields { map, what }),
            other => malformed(format!("{what} is {}, not a map", other.kind())),
        }
    }

    fn odd<T>(&self, key: &str, value: Option<&Value>, expected: &str) -> Result<T, Malformed> {
        let found = value.map_or("missing", Value::kind);
        malformed(format!("{}: {key} is {found}, not {expected}", self.what))
    }

    /// A field that may be absent or null.
    pub(super) fn any(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| *value != Value::Null)
    }

    /// Text that may be absent or null.
    pub(super) fn text_if(&mut self, key: &str) -> Result<Option<String>, Malformed> {
        match self.any(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => self.odd(key, Some(&other), "text"),
        }
    }

    /// Text.
    pub(super) fn text(&mut self, key: &str) -> Result<String, Malformed> {
        match self.text_if(key)? {
            Some(text) => Ok(text),
            None => self.odd(key, None, "text"),
        }
    }

    /// A whole number of 0 or more that may be absent or null.
    pub(super) fn whole_if(&mut self, key: &str) -> Result<Option<u64>, Malformed> {
        match self.any(key) {
            None => Ok(None),
            Some(value) => match whole(&value) {
                Some(number) => Ok(Some(number)),
                None => self.odd(key, Some(&value), "a whole number of 0 or more"),
            },
        }
    }

    /// A whole number of 0 or more.
    pub(super) fn whole(&mut self, key: &str) -> Result<u64, Malformed> {
        match self.whole_if(key)? {
            Some(number) => Ok(number),
            None => self.odd(key, None, "a whole number"),
        }
    }

    /// True only where it is said.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.any(key) == Some(Value::Bool(true))
    }

    /// A list; absent and null are empty.
    pub(super) fn list(&mut self, key: &str) -> Result<Vec<Value>, Malformed> {
        match self.any(key) {
            None => Ok(Vec::new()),
            Some(Value::List(list)) => Ok(list),
            Some(other) => self.odd(key, Some(&other), "a list"),
        }
    }

    /// A list of texts; absent and null are empty.
    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, Malformed> {
        let list = self.list(key)?;
        list.into_iter()
            .map(|item| match item {
                Value::Text(text) => Ok(text),
                other => self.odd(key, Some(&other), "a list of texts"),
            })
            .collect()
    }

    /// Something that reads from text.
    pub(super) fn parsed<T: std::str::FromStr>(&mut self, key: &str, expected: &str) -> Result<T, Malformed> {
        let text = self.text(key)?;
        text.parse()
            .or_else(|_| self.odd(key, Some(&Value::Text(text)), expected))
    }
}

/// What was wrong, as the error that it is.
pub(super) fn malformed<T>(what: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(what.into()))
}

/// A whole number of 0 or more.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_int().and_then(|number| u64::try_from(number).ok())
}

//! Declared rules for fields: what decides between several last writers of one field, instead of the newest.

use std::collections::BTreeMap;

use super::{ManifestError, bad};
use crate::limits::{PREFERRED_MAX, RULES_MAX};
use crate::value::{Map, Value};

/// Where a field stands: a list of keys, never a dotted string. The first is a field of the envelope, `content` (of
/// relationships too), or `extra`.
pub type Path = Vec<String>;

/// The free-form part has one name in paths, whether the wire calls it `content` or `properties`.
pub const CONTENT: &str = "content";
/// What stands in paths before the name of an unknown field of the envelope: the first key is never a writer's own.
pub const EXTRA: &str = "extra";
/// The fields of the envelope that merge one by one.
pub const ENVELOPE: [&str; 5] = [
    "name",
    "source_type",
    "from_entity_id",
    "to_entity_id",
    "relationship_type",
];

/// What decides between several last writers of a field. A rule that does not fit the values gives way to
/// [`Rule::Newest`], and provenance says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The writer with the largest (order time, version, digest): what holds where no rule is declared.
    Newest,
    /// The largest value; for numbers, or for texts in the order of their bytes.
    Max,
    /// The smallest value; for the same.
    Min,
    /// Each element is a field of its own, there or not there; for lists.
    Union,
    /// The value that stands first in this list; for values in it.
    Prefer(Vec<Value>),
}

impl Rule {
    /// Its name in policies and in provenance.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::Newest => "newest",
            Rule::Max => "max",
            Rule::Min => "min",
            Rule::Union => "union",
            Rule::Prefer(_) => "prefer",
        }
    }
}

/// The rules of one type, by field.
pub type Rules = BTreeMap<Path, Rule>;

/// Reads `rules`: a list of tables with `field`, `rule` and, for `prefer`, `values`.
pub(super) fn read(value: &Value, whose: &str) -> Result<Rules, ManifestError> {
    let Some(list) = value.as_list() else {
        return bad(format!(
            "{whose}: rules is a list of tables: [[entity.NAME.rules]]"
        ));
    };
    if list.len() > RULES_MAX {
        return bad(format!("{whose}: {} rules; at most {RULES_MAX}", list.len()));
    }
    let mut rules = Rules::new();
    for entry in list {
        let Some(table) = entry.as_map() else {
            return bad(format!("{whose}: a rule is {}, not a table", entry.kind()));
        };
        let field = field(table.get("field"), whose)?;
        let rule = rule(table, whose, &field)?;
        if rules.insert(field.clone(), rule).is_some() {
            return bad(format!("{whose}: two rules for the field {field:?}"));
        }
    }
    Ok(rules)
}

fn field(value: Option<&Value>, whose: &str) -> Result<Path, ManifestError> {
    let keys: Option<Path> = match value {
        Some(Value::Text(key)) => Some(vec![key.clone()]),
        Some(Value::List(keys)) => keys.iter().map(|key| key.as_text().map(str::to_owned)).collect(),
        _ => None,
    };
    let Some(mut path) = keys else {
        return bad(format!(
            "{whose}: a rule's field is a list of keys, as [\"content\", \"brightness\"]"
        ));
    };
    if path.first().is_some_and(|first| first == "properties") {
        path[0] = CONTENT.to_owned();
    }
    match &path[..] {
        [first] if ENVELOPE.contains(&first.as_str()) => Ok(path),
        [first, _, ..] if first == CONTENT => Ok(path),
        [first, _] if first == EXTRA => Ok(path),
        _ => bad(format!(
            "{whose}: the field {path:?} is none: it begins with \"content\" and goes on with a key, or is \"name\" \
             or \"source_type\""
        )),
    }
}

fn rule(table: &Map, whose: &str, field: &Path) -> Result<Rule, ManifestError> {
    let strange = |key: &&String| !["field", "rule", "values"].contains(&key.as_str());
    if let Some(key) = table.keys().find(strange) {
        return bad(format!("{whose}, {field:?}: {key:?} is nothing that a rule has"));
    }
    let (name, values) = (table.get("rule").and_then(Value::as_text), table.get("values"));
    let rule = match name {
        Some("newest") => Rule::Newest,
        Some("max") => Rule::Max,
        Some("min") => Rule::Min,
        Some("union") => Rule::Union,
        Some("prefer") => {
            return match values.and_then(Value::as_list) {
                Some(values) if (1..=PREFERRED_MAX).contains(&values.len()) => {
                    Ok(Rule::Prefer(values.to_vec()))
                }
                _ => bad(format!(
                    "{whose}, {field:?}: prefer needs values, a list of 1 to {PREFERRED_MAX}, best first"
                )),
            };
        }
        _ => {
            return bad(format!(
                "{whose}, {field:?}: a rule is newest, max, min, union or prefer"
            ));
        }
    };
    match values {
        None => Ok(rule),
        Some(_) => bad(format!(
            "{whose}, {field:?}: values are for the rule prefer alone"
        )),
    }
}

//! What a simulated home is founded with: its types, and how conflicts of each are decided.
//!
//! A record of the policy is made of it where a home is founded. A home whose policy changes would be told another one
//! in the midst of a run: [`Domain::manifest`] is what such a record says.

use std::collections::BTreeMap;

use inbetweenies_core::domain::{Decision, Manifest, ManifestError, Path, Rule, Rules, Strategy};
use inbetweenies_core::value::{Map, Value};

/// The types that there are: of things, and of what is between them.
pub const TYPES: [&str; 5] = ["device", "room", "note", "located_in", "connects_to"];
/// Those that things have come first.
const OF_THINGS: usize = 3;

/// How conflicts are decided, by type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(BTreeMap<&'static str, Decision>);

impl Default for Domain {
    /// Devices merge, rooms wait for a person, notes are last writes; what is between them merges.
    fn default() -> Domain {
        let usual = |name: &str| match name {
            "room" => Strategy::Manual,
            "note" => Strategy::LastWriteWins,
            _ => Strategy::Merge,
        };
        let decision = |name: &str| Decision {
            strategy: usual(name),
            rules: Rules::new(),
        };
        Domain(TYPES.into_iter().map(|name| (name, decision(name))).collect())
    }
}

impl Domain {
    /// How conflicts of a type are decided; None if there is no such type.
    pub fn of(&self, name: &str) -> Option<&Decision> {
        self.0.get(name)
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, name: &str) -> Option<&mut Decision> {
        self.0.get_mut(name)
    }

    /// The rule of a field of things of this type, if it has one.
    pub fn rule(&self, name: &str, field: &Path) -> Option<&Rule> {
        self.of(name)?.rules.get(field)
    }

    /// What a record of the policy says; a thing stands in one room.
    pub fn manifest(&self) -> Map {
        let (mut entities, mut relationships) = (Map::new(), Map::new());
        for (at, name) in TYPES.into_iter().enumerate() {
            let mut table = self.of(name).map_or_else(Map::new, decision);
            if name == "located_in" {
                table.insert("from".to_owned(), Value::List(vec![Value::from("device")]));
                table.insert("to".to_owned(), Value::List(vec![Value::from("room")]));
                table.insert("single".to_owned(), Value::Bool(true));
            }
            let tables = if at < OF_THINGS {
                &mut entities
            } else {
                &mut relationships
            };
            tables.insert(name.to_owned(), Value::Map(table));
        }
        map([
            ("domain", Value::Map(map([("name", Value::from("house"))]))),
            ("entity", Value::Map(entities)),
            ("relationship", Value::Map(relationships)),
        ])
    }

    /// Whether a hub would take it.
    pub fn check(&self) -> Result<(), ManifestError> {
        Manifest::from_content(&self.manifest()).map(drop)
    }
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

fn decision(decision: &Decision) -> Map {
    let mut table = map([("strategy", Value::from(decision.strategy.name()))]);
    let rules = decision.rules.iter().map(|(field, rule)| {
        let keys = field.iter().map(|key| Value::from(key.as_str()));
        let mut row = map([
            ("field", Value::List(keys.collect())),
            ("rule", Value::from(rule.name())),
        ]);
        if let Rule::Prefer(values) = rule {
            row.insert("values".to_owned(), Value::List(values.clone()));
        }
        Value::Map(row)
    });
    let rules: Vec<Value> = rules.collect();
    if !rules.is_empty() {
        table.insert("rules".to_owned(), Value::List(rules));
    }
    table
}

/// The type of a thing, by its name: what a home owner would have called it.
pub fn type_of(thing: &str) -> &'static str {
    if thing.starts_with("room") || thing.ends_with("room") || thing == "kitchen" || thing == "garage" {
        "room"
    } else if thing.starts_with("note") {
        "note"
    } else {
        "device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubs_take_the_usual_domain() {
        assert_eq!(Domain::default().check(), Ok(()));
    }
}

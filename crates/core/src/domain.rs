//! The domain manifest: which types there are, which ends an edge may have, and how conflicts are decided.
//!
//! Invariant: the engine knows no house; a manifest is checked at the door and never between hubs.

mod rules;

use std::collections::{BTreeMap, BTreeSet};

pub use rules::{CONTENT, ENVELOPE, EXTRA, Path, Rule, Rules};

use crate::id::Id;
use crate::limits::{NAME_BYTES_MAX, WORD_BYTES_MAX};
use crate::record::{Kind, Record, RecordError};
use crate::value::{Map, Value};

/// The version of the conflict rules' semantics that this software knows.
pub const SEMANTICS: i64 = 1;
/// Reserved type of the records that say which hubs belong to a home.
pub const MEMBER: &str = "_member";
/// Reserved type of the one record that holds the policy.
pub const POLICY: &str = "_policy";
/// Reserved type of horizons (forgetting).
pub const HORIZON: &str = "_horizon";
/// The id of the policy entity.
pub const POLICY_ID: &str = "_policy";

/// Types that no client may write.
pub fn is_reserved(entity_type: &str) -> bool {
    entity_type.starts_with('_')
}

/// How the heads of an id become one view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Field by field, by last writers.
    #[default]
    Merge,
    /// The newest record whole.
    LastWriteWins,
    /// The newest record, marked provisional until a person answers.
    Manual,
    /// Field by field, with declared rules for some of them.
    Custom,
}

impl Strategy {
    /// Its name in policies and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Merge => "merge",
            Strategy::LastWriteWins => "last_write_wins",
            Strategy::Manual => "manual",
            Strategy::Custom => "custom",
        }
    }

    /// The strategy of a name.
    pub fn parse(name: &str) -> Option<Strategy> {
        [
            Strategy::Merge,
            Strategy::LastWriteWins,
            Strategy::Manual,
            Strategy::Custom,
        ]
        .into_iter()
        .find(|s| s.name() == name)
    }
}

/// How conflicts of one type are decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// The strategy.
    pub strategy: Strategy,
    /// Under [`Strategy::Custom`]: the rules, by field.
    pub rules: Rules,
}

/// The ends that a relationship type allows; None for any type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EdgeRule {
    /// Types it may start from.
    pub from: Option<BTreeSet<String>>,
    /// Types it may end at.
    pub to: Option<BTreeSet<String>>,
    /// Whether a thing has at most one (its id is derived).
    pub single: bool,
    /// Whether what it starts from is *in* what it ends at: what is put back with a room.
    pub containment: bool,
}

/// A checked manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What it describes, as `house`.
    pub name: String,
    /// The version of the rules' semantics; a hub that does not know it serves marked last-write views.
    pub semantics: i64,
    entities: BTreeMap<String, Decision>,
    relationships: BTreeMap<String, (EdgeRule, Decision)>,
    sources: BTreeSet<String>,
    default: Decision,
}

impl Default for Manifest {
    /// What holds before a home is founded: no types, field merges.
    fn default() -> Manifest {
        Manifest {
            name: String::new(),
            semantics: SEMANTICS,
            entities: BTreeMap::new(),
            relationships: BTreeMap::new(),
            sources: BTreeSet::new(),
            default: Decision::default(),
        }
    }
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("domain manifest: {0}")]
pub struct ManifestError(pub String);

fn bad<T>(what: impl Into<String>) -> Result<T, ManifestError> {
    Err(ManifestError(what.into()))
}

impl Manifest {
    /// What holds where the policy cannot be read: every view is the last write, marked.
    pub fn unreadable() -> Manifest {
        Manifest {
            semantics: 0,
            ..Manifest::default()
        }
    }

    /// Reads a manifest from the content of a policy record, which has the shape of `config/domains/*.toml`.
    pub fn from_content(content: &Map) -> Result<Manifest, ManifestError> {
        let section = |key: &str| content.get(key).and_then(Value::as_map);
        let Some(domain) = section("domain") else {
            return bad("the section [domain] is missing");
        };
        let Some(name) = domain.get("name").and_then(Value::as_text) else {
            return bad("domain.name is missing");
        };
        // It becomes the name of the policy entity: a longer one could be written, and never be read again.
        if name.len() > NAME_BYTES_MAX {
            return bad(format!("domain.name has more than {NAME_BYTES_MAX} bytes"));
        }
        let semantics = domain
            .get("semantics")
            .and_then(Value::as_int)
            .unwrap_or(SEMANTICS);
        let sources = match domain.get("source_types") {
            None => BTreeSet::new(),
            Some(value) => words(value, "domain.source_types")?,
        };
        let default = match section("conflict").and_then(|map| map.get("default")) {
            None => Decision::default(),
            Some(value) => Decision {
                strategy: strategy(value, "conflict.default")?,
                rules: Rules::new(),
            },
        };
        let mut entities = BTreeMap::new();
        for (entity_type, rule) in section("entity").into_iter().flatten() {
            if is_reserved(entity_type) || entity_type.len() > WORD_BYTES_MAX {
                return bad(format!("the entity type {entity_type:?} is reserved or too long"));
            }
            let Some(rule) = rule.as_map() else {
                return bad(format!("entity.{entity_type} is no table"));
            };
            let decision = decision(rule, &format!("entity.{entity_type}"), &default)?;
            entities.insert(entity_type.clone(), decision);
        }
        let mut relationships = BTreeMap::new();
        for (relationship_type, rule) in section("relationship").into_iter().flatten() {
            let Some(rule) = rule.as_map() else {
                return bad(format!("relationship.{relationship_type} is no table"));
            };
            let decision = decision(rule, &format!("relationship.{relationship_type}"), &default)?;
            let rule = EdgeRule {
                from: ends(rule.get("from"), relationship_type)?,
                to: ends(rule.get("to"), relationship_type)?,
                single: matches!(rule.get("single"), Some(Value::Bool(true))),
                containment: matches!(rule.get("containment"), Some(Value::Bool(true))),
            };
            relationships.insert(relationship_type.clone(), (rule, decision));
        }
        if entities.is_empty() {
            return bad("it names no entity types: add [entity.NAME] tables");
        }
        Ok(Manifest {
            name: name.to_owned(),
            semantics,
            entities,
            relationships,
            sources,
            default,
        })
    }

    /// How conflicts of this record's type are decided; unknown types take the default. O(log types).
    pub fn decision(&self, kind: &Kind) -> &Decision {
        static LAST_WRITE_WINS: Decision = Decision {
            strategy: Strategy::LastWriteWins,
            rules: Rules::new(),
        };
        static MANUAL: Decision = Decision {
            strategy: Strategy::Manual,
            rules: Rules::new(),
        };
        static MERGE: Decision = Decision {
            strategy: Strategy::Merge,
            rules: Rules::new(),
        };
        let known = match kind {
            Kind::Entity { entity_type, .. } if entity_type == POLICY => {
                return &LAST_WRITE_WINS; // built in: what it says cannot decide about itself
            }
            // Who belongs to the home is no matter of taste: what two hubs say of one is put together.
            Kind::Entity { entity_type, .. } if is_reserved(entity_type) => return &MERGE,
            Kind::Entity { entity_type, .. } => self.entities.get(entity_type),
            Kind::Relationship {
                relationship_type, ..
            } => self
                .relationships
                .get(relationship_type)
                .map(|(_, decision)| decision),
        };
        if self.semantics != SEMANTICS {
            return &MANUAL; // last write, marked: we do not know what the rules mean
        }
        known.unwrap_or(&self.default)
    }

    /// Whether what a relationship of this type starts from is in what it ends at.
    pub fn is_containment(&self, relationship_type: &str) -> bool {
        self.relationships
            .get(relationship_type)
            .is_some_and(|(rule, _)| rule.containment)
    }

    /// What the door checks of a client's record by itself: a pure function of record and manifest.
    pub fn check(&self, record: &Record) -> Result<(), RecordError> {
        let refuse = |code, detail| Err(RecordError { code, detail });
        match &record.kind {
            _ if is_reserved(record.id.as_str()) => {
                refuse("reserved_type", format!("the id {} is reserved", record.id))
            }
            Kind::Entity { entity_type, .. } if is_reserved(entity_type) => refuse(
                "reserved_type",
                format!("entities of type {entity_type} are written by hubs only"),
            ),
            Kind::Entity { entity_type, .. } if !self.entities.contains_key(entity_type) => {
                let known: Vec<&str> = self.entities.keys().map(String::as_str).collect();
                let detail = format!(
                    "unknown entity type {entity_type:?}; this home knows {}",
                    known.join(", ")
                );
                refuse("unknown_entity_type", detail)
            }
            Kind::Entity {
                source_type: Some(source),
                ..
            } if !self.sources.is_empty() && !self.sources.contains(source) => {
                let known: Vec<&str> = self.sources.iter().map(String::as_str).collect();
                refuse(
                    "unknown_source_type",
                    format!("unknown source type {source:?}; known are {}", known.join(", ")),
                )
            }
            Kind::Entity { .. } => Ok(()),
            Kind::Relationship {
                from,
                relationship_type,
                ..
            } => match self.relationships.get(relationship_type) {
                None => {
                    let known: Vec<&str> = self.relationships.keys().map(String::as_str).collect();
                    let detail = format!(
                        "unknown relationship type {relationship_type:?}; this home knows {}",
                        known.join(", ")
                    );
                    refuse("unknown_relationship_type", detail)
                }
                Some((rule, _)) if rule.single && record.id != Id::single(from, relationship_type) => {
                    let detail = format!(
                        "a thing has one {relationship_type}, whose id is {}",
                        Id::single(from, relationship_type)
                    );
                    refuse("single_id", detail)
                }
                Some(_) => Ok(()),
            },
        }
    }

    /// Whether the ends fit, where their types are known.
    pub fn check_ends(
        &self,
        relationship_type: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), RecordError> {
        let Some((rule, _)) = self.relationships.get(relationship_type) else {
            return Ok(());
        };
        for (end, actual, allowed) in [("start from", from, &rule.from), ("end at", to, &rule.to)] {
            if let (Some(actual), Some(allowed)) = (actual, allowed)
                && !allowed.contains(actual)
            {
                let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
                let detail = format!(
                    "{relationship_type} cannot {end} a {actual}, only {}",
                    allowed.join(", ")
                );
                return Err(RecordError {
                    code: "endpoint_type",
                    detail,
                });
            }
        }
        Ok(())
    }

    /// Whether a thing has at most one relationship of this type.
    pub fn is_single(&self, relationship_type: &str) -> bool {
        self.relationships
            .get(relationship_type)
            .is_some_and(|(rule, _)| rule.single)
    }
}

fn decision(table: &Map, whose: &str, default: &Decision) -> Result<Decision, ManifestError> {
    let chosen = match table.get("strategy") {
        None => default.strategy,
        Some(value) => strategy(value, whose)?,
    };
    let rules = match table.get("rules") {
        None => Rules::new(),
        Some(_) if chosen != Strategy::Custom => {
            return bad(format!("{whose}: rules are for strategy = \"custom\" alone"));
        }
        Some(value) => rules::read(value, whose)?,
    };
    Ok(Decision {
        strategy: chosen,
        rules,
    })
}

fn strategy(value: &Value, whose: &str) -> Result<Strategy, ManifestError> {
    match value.as_text().and_then(Strategy::parse) {
        Some(strategy) => Ok(strategy),
        None => bad(format!(
            "{whose}: a strategy is merge, last_write_wins, manual or custom"
        )),
    }
}

fn words(value: &Value, whose: &str) -> Result<BTreeSet<String>, ManifestError> {
    let list = value.as_list().unwrap_or_default();
    let words: BTreeSet<String> = list
        .iter()
        .filter_map(Value::as_text)
        .map(str::to_owned)
        .collect();
    if words.is_empty() {
        bad(format!("{whose} must be a list of names"))
    } else {
        Ok(words)
    }
}

fn ends(value: Option<&Value>, whose: &str) -> Result<Option<BTreeSet<String>>, ManifestError> {
    match value {
        None => Ok(None),
        Some(value) => {
            let words = words(value, whose)?;
            Ok(if words.contains("*") { None } else { Some(words) })
        }
    }
}

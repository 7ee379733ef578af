//! A person's answer to a conflict: a record on top of the heads that the person saw. An answer is an ordinary edit, so
//! two different answers given on two hubs are themselves a conflict.

use std::collections::BTreeSet;

use crate::domain::Strategy;
use crate::id::{Id, Version};
use crate::record::{Kind, Parent, RESTORE_ID, Record};
use crate::value::{Map, Value};
use crate::view::{Graph, Node, Policy, View, view, view_by};
use crate::wire::Problem;

/// What a person chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// A version of this id, by its name, its digest or the first eight or more digits of it: it holds again as it is.
    Keep(String),
    /// New content, in the envelope that is shown.
    Content(Map),
    /// It is gone.
    Deleted,
    /// What this strategy makes of the heads.
    Strategy(Strategy),
}

/// An answer, checked in form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The heads that the person saw, by version or digest.
    pub heads: BTreeSet<String>,
    /// What was chosen.
    pub choice: Choice,
    /// Who answers.
    pub user_id: Option<String>,
}

/// What an answer wants written: a record without version and writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Thing or edge.
    pub kind: Kind,
    /// `content` or `properties`.
    pub content: Map,
    /// Unknown fields of the envelope.
    pub extra: Map,
    /// Whether it says "deleted".
    pub deleted: bool,
    /// The heads that it settles.
    pub parents: Vec<Parent>,
}

/// Why an answer was not taken. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Nothing is known of the id.
    #[error("nothing is known of {0}")]
    Unknown(Id),
    /// The heads are others by now.
    #[error("the heads of {id} are others by now ({now}): look again and answer that")]
    Changed {
        /// The id.
        id: Id,
        /// The present heads.
        now: String,
    },
    /// There is one head: nothing to settle.
    #[error("{0} is not in conflict: it has one head")]
    Settled(Id),
    /// No version of the id goes by that name, or several do.
    #[error("{name:?} names {found} versions of {id}: give a version or digest from its history")]
    NoVersion {
        /// The id.
        id: Id,
        /// As given.
        name: String,
        /// How many it names.
        found: usize,
    },
    /// What was to be kept was let go.
    #[error("the content of {0:?} was forgotten: only that it was is known")]
    Forgotten(Version),
}

impl From<AnswerError> for Problem {
    fn from(error: AnswerError) -> Problem {
        let detail = error.to_string();
        match error {
            AnswerError::Unknown(_) => Problem::not_found(detail),
            AnswerError::Changed { .. } => Problem::new(409, "Conflict changed", "conflict_changed", detail),
            AnswerError::Settled(_) => Problem::new(409, "No conflict", "no_conflict", detail),
            AnswerError::NoVersion { .. } => Problem::bad_request("unknown_version", detail),
            AnswerError::Forgotten(_) => Problem::new(410, "Forgotten", "forgotten", detail),
        }
    }
}

impl Answer {
    /// Reads `{"heads":[…]}` with one of `keep`, `content`, `deleted: true`, `strategy`; and `user_id`.
    pub fn read(body: Value) -> Result<Answer, Problem> {
        let bad = |detail: &str| Err(Problem::bad_request("malformed", detail));
        let Value::Map(mut map) = body else {
            return bad("an answer is a map");
        };
        let heads = match map.remove("heads") {
            Some(Value::List(heads))
                if !heads.is_empty() && heads.iter().all(|head| head.as_text().is_some()) =>
            {
                heads
                    .iter()
                    .filter_map(Value::as_text)
                    .map(str::to_owned)
                    .collect()
            }
            _ => {
                return bad(
                    "heads is missing: the list of versions that you saw, as GET /api/v2/conflicts gives it",
                );
            }
        };
        let user_id = match map.remove("user_id") {
            None | Some(Value::Null) => None,
            Some(Value::Text(user)) => Some(user),
            Some(_) => return bad("user_id is not a string"),
        };
        let mut choices = Vec::new();
        for (key, value) in map {
            choices.push(match (key.as_str(), value) {
                (_, Value::Null) | ("deleted", Value::Bool(false)) => continue,
                ("keep", Value::Text(version)) => Choice::Keep(version),
                ("content" | "properties", Value::Map(content)) => Choice::Content(content),
                ("deleted", Value::Bool(true)) => Choice::Deleted,
                ("strategy", Value::Text(name)) => match Strategy::parse(&name) {
                    Some(Strategy::Manual) | None => {
                        return bad("strategy is not merge, last_write_wins or custom");
                    }
                    Some(strategy) => Choice::Strategy(strategy),
                },
                ("keep" | "content" | "properties" | "deleted" | "strategy", other) => {
                    return bad(&format!("{key} is {}", other.kind()));
                }
                _ => return bad(&format!("{key:?} is nothing that an answer has")),
            });
        }
        match <[Choice; 1]>::try_from(choices) {
            Ok([choice]) => Ok(Answer {
                heads,
                choice,
                user_id,
            }),
            Err(_) => bad(
                "an answer has one of: keep (a version), content, deleted: true, strategy (merge, last_write_wins, custom)",
            ),
        }
    }

    /// What this answer writes, on top of what is held. O(versions).
    pub fn on(&self, id: &Id, graph: &Graph, policy: &Policy) -> Result<Answered, AnswerError> {
        let Some(shown) = view(graph, policy) else {
            return Err(AnswerError::Unknown(id.clone()));
        };
        let named = |head: &&Node| {
            let sealed = &head.sealed;
            self.heads.contains(sealed.record.version.as_str())
                || self.heads.contains(&sealed.digest.to_string())
        };
        let heads = graph.heads();
        let seen = heads.iter().copied().filter(|head| named(head)).count();
        if seen != heads.len() || self.heads.len() != heads.len() {
            let now: Vec<&str> = heads
                .iter()
                .map(|head| head.sealed.record.version.as_str())
                .collect();
            return Err(AnswerError::Changed {
                id: id.clone(),
                now: now.join(", "),
            });
        }
        if heads.len() < 2 {
            return Err(AnswerError::Settled(id.clone()));
        }
        let record = match &self.choice {
            Choice::Keep(name) => kept(id, graph, name)?,
            Choice::Content(content) => Record {
                content: content.clone(),
                deleted: false,
                ..shown.record.clone()
            },
            Choice::Deleted => Record {
                content: Map::new(),
                deleted: true,
                ..shown.record.clone()
            },
            Choice::Strategy(strategy) => view_by(graph, policy, Some(*strategy))
                .map_or_else(|| shown.record.clone(), |view| view.record),
        };
        Ok(answered(record, &shown))
    }
}

fn answered(mut record: Record, shown: &View) -> Answered {
    record.extra.remove(RESTORE_ID);
    // The type of an id never changes, whatever an older version said.
    if let (
        Kind::Entity { entity_type, .. },
        Kind::Entity {
            entity_type: first, ..
        },
    ) = (&mut record.kind, &shown.record.kind)
    {
        entity_type.clone_from(first);
    }
    Answered {
        kind: record.kind,
        content: record.content,
        extra: record.extra,
        deleted: record.deleted,
        parents: shown.heads.clone(),
    }
}

/// The fewest digits of a digest that may stand for it.
const DIGITS_MIN: usize = 8;

fn kept(id: &Id, graph: &Graph, name: &str) -> Result<Record, AnswerError> {
    let bears = |node: &&Node| {
        let by_digest = name.len() >= DIGITS_MIN && node.sealed.digest.to_string().starts_with(name);
        by_digest || node.sealed.record.version.as_str() == name
    };
    let found: Vec<&Node> = graph.nodes().filter(bears).collect();
    match &found[..] {
        [only] if only.forgotten => Err(AnswerError::Forgotten(only.sealed.record.version.clone())),
        [only] => Ok(only.sealed.record.clone()),
        other => Err(AnswerError::NoVersion {
            id: id.clone(),
            name: name.to_owned(),
            found: other.len(),
        }),
    }
}

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::entry::Sealed;
    use crate::time::Micros;

    fn lamp() -> Id {
        Id::new("lamp").unwrap()
    }

    fn record(version: &str, parents: &[&Node], watts: i64) -> Record {
        let parent = |node: &&Node| Parent {
            version: node.sealed.record.version.clone(),
            digest: Some(node.sealed.digest),
        };
        Record {
            id: lamp(),
            version: Version::new(version).unwrap(),
            kind: Kind::Entity {
                entity_type: "device".into(),
                name: Some("Lamp".into()),
                source_type: None,
            },
            user_id: None,
            parents: parents.iter().map(parent).collect(),
            deleted: false,
            content: Map::from([("watts".to_owned(), Value::Int(watts))]),
            extra: Map::from([(RESTORE_ID.to_owned(), Value::from("an earlier restore"))]),
        }
    }

    fn node(order_time: u64, record: Record) -> Node {
        Node {
            edges: record.parents.iter().filter_map(|parent| parent.digest).collect(),
            sealed: Arc::new(Sealed::new(record)),
            order_time: Micros(order_time),
            late: Vec::new(),
            below: Vec::new(),
            forgotten: false,
        }
    }

    /// A base, two edits on top of it, and what was written before the base and is forgotten.
    fn fork() -> [Node; 4] {
        let mut old = node(1, record("v0", &[], 0));
        old.forgotten = true;
        let base = node(2, record("v1", &[&old], 1));
        let one = node(3, record("v2", &[&base], 2));
        let other = node(4, record("v3", &[&base], 3));
        [old, base, one, other]
    }

    fn answer(heads: &[&str], choice: Choice) -> Answer {
        Answer {
            heads: heads.iter().map(|head| (*head).to_owned()).collect(),
            choice,
            user_id: None,
        }
    }

    fn on(nodes: &[Node], heads: &[&str], choice: Choice) -> Result<Answered, AnswerError> {
        answer(heads, choice).on(&lamp(), &Graph::build(nodes.to_vec()), &Policy::default())
    }

    fn keep(name: &str) -> Choice {
        Choice::Keep(name.to_owned())
    }

    #[test]
    fn an_answer_stands_on_the_heads_that_were_seen_by_version_or_digest() {
        let nodes = fork();
        let digest = nodes[3].sealed.digest.to_string();
        for heads in [["v2", "v3"], ["v2", &digest]] {
            let kept = on(&nodes, &heads, keep("v2")).unwrap();
            assert_eq!(kept.content, nodes[2].sealed.record.content);
            let parents: BTreeSet<_> = kept
                .parents
                .iter()
                .map(|parent| parent.version.as_str())
                .collect();
            assert_eq!(parents, BTreeSet::from(["v2", "v3"]));
            assert!(kept.extra.is_empty(), "an answer is no restore");
        }
        // What was replaced long ago can be kept as well, by the beginning of its digest.
        let digest = nodes[1].sealed.digest.to_string();
        let kept = on(&nodes, &["v2", "v3"], keep(&digest[..8])).unwrap();
        assert_eq!(kept.content, nodes[1].sealed.record.content);
        let gone = on(&nodes, &["v2", "v3"], Choice::Deleted).unwrap();
        assert!(gone.deleted && gone.content.is_empty());
        let last = on(&nodes, &["v2", "v3"], Choice::Strategy(Strategy::LastWriteWins)).unwrap();
        assert_eq!(last.content, nodes[3].sealed.record.content);
    }

    #[test]
    fn an_answer_to_other_heads_than_there_are_changes_nothing() {
        let nodes = fork();
        for seen in [&["v1"][..], &["v2"], &["v2", "v3", "v1"], &["v2", "v4"]] {
            let refused = on(&nodes, seen, Choice::Deleted).unwrap_err();
            assert!(
                matches!(refused, AnswerError::Changed { .. }),
                "{seen:?}: {refused}"
            );
            assert_eq!(Problem::from(refused).code, "conflict_changed");
        }
        let settled = on(&nodes[..3], &["v2"], Choice::Deleted).unwrap_err();
        assert_eq!(settled, AnswerError::Settled(lamp()));
        let other = on(&nodes[..3], &["v1"], Choice::Deleted).unwrap_err();
        assert!(matches!(other, AnswerError::Changed { .. }), "{other}");
        assert_eq!(
            on(&[], &["v1"], Choice::Deleted),
            Err(AnswerError::Unknown(lamp()))
        );
    }

    #[test]
    fn what_is_to_be_kept_must_be_one_version_whose_content_is_there() {
        let nodes = fork();
        let digest = nodes[2].sealed.digest.to_string();
        for (name, found) in [("v9", 0), (&digest[..7], 0), ("", 0)] {
            let refused = on(&nodes, &["v2", "v3"], keep(name)).unwrap_err();
            assert!(
                matches!(&refused, AnswerError::NoVersion { found: told, .. } if *told == found),
                "{name:?}: {refused}"
            );
            assert_eq!(Problem::from(refused).code, "unknown_version");
        }
        // Two records under one version: only a digest tells them apart.
        let mut doubled = nodes.to_vec();
        doubled.push(node(5, record("v2", &[&nodes[1]], 9)));
        let heads = ["v2", "v3"];
        let by_version = on(&doubled, &heads, keep("v2"));
        assert!(
            matches!(by_version, Err(AnswerError::Changed { .. })),
            "three heads under two names"
        );
        let digests: Vec<String> = doubled[2..]
            .iter()
            .map(|node| node.sealed.digest.to_string())
            .collect();
        let heads: Vec<&str> = digests.iter().map(String::as_str).collect();
        let refused = on(&doubled, &heads, keep("v2")).unwrap_err();
        assert!(
            matches!(refused, AnswerError::NoVersion { found: 2, .. }),
            "{refused}"
        );
        let kept = on(&doubled, &heads, keep(&digest)).unwrap();
        assert_eq!(kept.content, nodes[2].sealed.record.content);

        let refused = on(&nodes, &["v2", "v3"], keep("v0")).unwrap_err();
        assert!(matches!(refused, AnswerError::Forgotten(_)), "{refused}");
        assert_eq!(Problem::from(refused).status, 410);
    }

    #[test]
    fn a_type_stays_whatever_an_older_version_says() {
        let mut nodes = fork();
        let mut strange = record("v2", &[&nodes[1]], 2);
        strange.kind = Kind::Entity {
            entity_type: "toaster".into(),
            name: None,
            source_type: None,
        };
        nodes[2] = node(3, strange);
        let kept = on(&nodes, &["v2", "v3"], keep("v2")).unwrap();
        let Kind::Entity {
            entity_type, name, ..
        } = kept.kind
        else {
            panic!("a thing")
        };
        assert_eq!((entity_type.as_str(), name), ("device", None));
    }
}

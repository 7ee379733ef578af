//! Provenance: for each field of a view who wrote it, where and when it was accepted, what it beat and by which rule.

use std::collections::BTreeMap;

use serde::Serialize;

use super::accepted::{AcceptedRow, Hubs, accepted};
use super::history::graph_of;
use crate::hash::Digest;
use crate::id::Id;
use crate::record::Kind;
use crate::store::{Snapshot, StoreError};
use crate::time::Micros;
use crate::value::Value;
use crate::view::{Graph, Policy, Ruling, Why, value_at, why as reasons};
use crate::wire::ClockMap;

/// Why a view is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyRows {
    /// The id.
    pub id: String,
    /// What readers see: a version, or a computed one.
    pub version: String,
    /// How several heads became one.
    pub strategy: &'static str,
    /// First eight hex digits of the policy that decided.
    pub policy: String,
    /// That policy's version; null before a home is founded.
    pub policy_version: Option<String>,
    /// One row for each field, by path.
    pub fields: Vec<FieldRow>,
    /// What this answer is computed from.
    #[serde(skip_serializing_if = "ClockMap::is_empty")]
    pub complete_to: ClockMap,
}

/// One version, as the reason for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BeatenRow {
    /// What it says there; null also where it says nothing: see `present`.
    pub value: Value,
    /// Whether it says anything there.
    pub present: bool,
    /// The version.
    pub version: String,
    /// Its identity.
    pub digest: String,
    /// Who wrote it.
    pub user_id: Option<String>,
    /// The order time by which it counts.
    pub order_time: String,
    /// Where and when it was accepted.
    pub accepted: Vec<AcceptedRow>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldRow {
    /// Where it stands: a list of keys.
    pub field: Vec<String>,
    /// What is shown; null also where nothing is: see `present`.
    pub value: Value,
    /// Whether anything is shown.
    pub present: bool,
    /// Who wrote it last.
    pub written: BeatenRow,
    /// `agreed`, `newest`, `max`, `min`, `union`, `prefer`, `shape`, `last_write` or `deletion`.
    pub rule: &'static str,
    /// A declared rule that does not fit the values, so that the newest was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfit: Option<&'static str>,
    /// The other last writers, the newest first.
    pub beaten: Vec<BeatenRow>,
}

/// Why an id is shown as it is, now or at an instant; None if nothing is known of it. O(fields · versions).
pub fn why(
    store: &dyn Snapshot,
    policy: &Policy,
    id: &Id,
    entity: bool,
    at: Option<Micros>,
) -> Result<Option<WhyRows>, StoreError> {
    let Some(graph) = graph_of(store, id, entity, at)? else {
        return Ok(None);
    };
    let policy = at.map_or(policy, |at| policy.at(at));
    let Some(why) = reasons(&graph, policy) else {
        return Ok(None);
    };
    let mut hubs = Hubs::new();
    let mut places: BTreeMap<Digest, Vec<AcceptedRow>> = BTreeMap::new();
    for digest in why
        .fields
        .values()
        .flat_map(|field| field.others.iter().chain([&field.writer]))
    {
        if !places.contains_key(digest) {
            places.insert(*digest, accepted(store, &mut hubs, id, digest)?);
        }
    }
    let mut rows = why_rows(&graph, policy, &why, &|digest| {
        places.get(digest).cloned().unwrap_or_default()
    });
    rows.complete_to = crate::wire::clock_to_wire(&super::clock(store)?).0;
    Ok(Some(rows))
}

/// The reasons as they are told; `accepted` says where a version was accepted.
pub fn why_rows(
    graph: &Graph,
    policy: &Policy,
    why: &Why,
    accepted: &dyn Fn(&Digest) -> Vec<AcceptedRow>,
) -> WhyRows {
    let row = |digest: &Digest, path: &Vec<String>| {
        let node = graph.node(digest)?;
        let record = &node.sealed.record;
        let value = value_at(record, path);
        Some(BeatenRow {
            present: value.is_some(),
            value: value.unwrap_or(Value::Null),
            version: record.version.to_string(),
            digest: digest.to_string(),
            user_id: record.user_id.clone(),
            order_time: node.order_time.to_string(),
            accepted: accepted(digest),
        })
    };
    let relationship = matches!(why.view.record.kind, Kind::Relationship { .. });
    let fields = why.fields.iter().filter_map(|(path, field)| {
        let (rule, unfit) = match field.ruling {
            Ruling::Agreed => ("agreed", None),
            Ruling::Newest => ("newest", None),
            Ruling::Declared(rule) => (rule, None),
            Ruling::Unfit(rule) => ("newest", Some(rule)),
            Ruling::Shape => ("shape", None),
            Ruling::LastWrite => ("last_write", None),
            Ruling::Deletion => ("deletion", None),
        };
        let mut told = path.clone();
        if relationship && told.first().is_some_and(|first| first == crate::domain::CONTENT) {
            told[0] = "properties".to_owned();
        }
        Some(FieldRow {
            field: told,
            present: field.value.is_some(),
            value: field.value.clone().unwrap_or(Value::Null),
            written: row(&field.writer, path)?,
            rule,
            unfit,
            beaten: field
                .others
                .iter()
                .filter_map(|digest| row(digest, path))
                .collect(),
        })
    });
    WhyRows {
        id: why.view.record.id.to_string(),
        version: why.view.record.version.to_string(),
        strategy: why.view.strategy.name(),
        policy: policy.short.clone(),
        policy_version: policy.version.as_ref().map(ToString::to_string),
        fields: fields.collect(),
        complete_to: ClockMap::new(),
    }
}

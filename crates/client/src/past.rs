//! Reading a replica as it was at an instant, and what changed between two: as hubs do, with this device's own edits.
//!
//! `at` is an instant by order time, None all that is held. An edit that no hub has stamped yet counts by this device's
//! own stamp.

use std::collections::BTreeMap;

use inbetweenies_core::conflict::read::{AcceptedRow, DiffRow, WhyRows, change_of, why_rows};
use inbetweenies_core::domain::{MEMBER, is_reserved};
use inbetweenies_core::id::{Id, ReplicaId};
use inbetweenies_core::record::Kind;
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::Value;
use inbetweenies_core::view::{Graph, Policy, View, view, why};
use inbetweenies_core::wire::clock_to_wire;

use crate::replica::Replica;
use crate::views::{Edge, NotFound};

/// A hub as its home's own records tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubName {
    /// Its hub id.
    pub hub_id: Id,
    /// What people call it; its id where it has no name.
    pub name: String,
}

impl Replica {
    /// The versions of one id, of that instant and before.
    fn graph_at(&self, id: &Id, at: Option<Micros>) -> Graph {
        let graph = self.graph(id);
        match at {
            None => graph,
            Some(at) => graph.until(at),
        }
    }

    /// What was shown of one id; None if nothing of it is from then or before. O(versions).
    pub fn view_at(&self, id: &Id, policy: &Policy, at: Option<Micros>) -> Option<View> {
        view(&self.graph_at(id, at), then(policy, at))
    }

    /// Every id's view, in the order of the ids, but for what is the home's own business.
    pub fn views_at(&self, policy: &Policy, at: Option<Micros>) -> impl Iterator<Item = View> {
        let reserved = |view: &View| view.record.entity_type().is_some_and(is_reserved);
        self.ids()
            .filter_map(move |id| self.view_at(id, policy, at))
            .filter(move |view| !reserved(view))
    }

    /// Entities that were shown, of one type or of all, by (type, id).
    pub fn entities_at(&self, policy: &Policy, entity_type: Option<&str>, at: Option<Micros>) -> Vec<View> {
        let wanted = |view: &View| {
            let own = view.record.entity_type();
            !view.record.deleted && own.is_some_and(|own| entity_type.is_none_or(|wanted| wanted == own))
        };
        let mut entities: Vec<View> = self.views_at(policy, at).filter(wanted).collect();
        entities.sort_by(|a, b| {
            (a.record.entity_type(), &a.record.id).cmp(&(b.record.entity_type(), &b.record.id))
        });
        entities
    }

    /// Relationships that were shown, by id.
    pub fn edges_at(&self, policy: &Policy, at: Option<Micros>) -> Vec<Edge> {
        self.views_at(policy, at)
            .filter(|view| !view.record.deleted)
            .filter_map(Edge::of)
            .collect()
    }

    /// The id that a person means by a word: as now, else the one entity that bore the name then.
    pub fn find_at(&self, word: &str, policy: &Policy, at: Option<Micros>) -> Result<Id, NotFound> {
        let nothing = match self.find(word, policy) {
            Err(nothing @ NotFound::Nothing(_)) if at.is_some() => nothing,
            found => return found,
        };
        let bore = |view: &View| match &view.record.kind {
            Kind::Entity { name: Some(name), .. } => name.to_lowercase() == word.to_lowercase(),
            Kind::Entity { .. } | Kind::Relationship { .. } => false,
        };
        let mut found = self.entities_at(policy, None, at);
        found.retain(bore);
        match &found[..] {
            [] => Err(nothing),
            [only] => Ok(only.record.id.clone()),
            several => Err(NotFound::several(word, several.iter().map(|view| &view.record))),
        }
    }

    /// The conflicts that wait for a person, in the order of their ids.
    pub fn queue(&self, policy: &Policy) -> Vec<View> {
        let views = self.ids().filter_map(|id| self.view(id, policy));
        views.filter(|view| view.queued).collect()
    }

    /// What differs between two instants, in the order of the ids. O(records).
    pub fn diff(&self, policy: &Policy, from: Micros, to: Micros) -> Vec<DiffRow> {
        let rules_differ = policy.at(from).short != policy.at(to).short;
        let (earlier, later) = (from.min(to), from.max(to));
        let mut changes = Vec::new();
        for id in self.ids() {
            let graph = self.graph(id);
            let reserved = |graph: &Graph| {
                let eldest = graph.eldest();
                eldest.is_some_and(|node| node.sealed.record.entity_type().is_some_and(is_reserved))
            };
            // The same ids as on hubs. Either nothing was written about it between the two, or nothing is known of it
            // from before the later; then only another policy may show several heads otherwise.
            let times = || graph.nodes().map(|node| node.order_time);
            let still = times().all(|time| time <= earlier) || times().all(|time| time > later);
            if reserved(&graph) || (still && !(rules_differ && graph.nodes().count() > 1)) {
                continue;
            }
            let shown = |at: Micros| view(&graph.until(at), policy.at(at));
            changes.extend(change_of(shown(from).as_ref(), shown(to).as_ref()));
        }
        changes
    }

    /// Why an id is, or was, shown so; None if nothing of it is from then or before. O(fields · versions).
    pub fn why(&self, id: &Id, policy: &Policy, at: Option<Micros>) -> Option<WhyRows> {
        let (graph, policy) = (self.graph_at(id, at), then(policy, at));
        let reasons = why(&graph, policy)?;
        let hubs = self.hubs();
        let mut rows = why_rows(&graph, policy, &reasons, &|digest| {
            let stamped = self.accepted(id, digest).into_iter();
            let rows = stamped.filter_map(|stamped| {
                Some(AcceptedRow {
                    order_time: stamped.order_time.to_string(),
                    hub_id: hubs.get(&stamped.dot.replica)?.hub_id.to_string(),
                })
            });
            let mut rows: Vec<AcceptedRow> = rows.collect();
            rows.sort();
            rows
        });
        rows.complete_to = clock_to_wire(self.clock()).0;
        Some(rows)
    }

    /// Whose lives the replicas are that logs are named after, as far as hubs have told. O(ids).
    pub fn hubs(&self) -> BTreeMap<ReplicaId, HubName> {
        let mut hubs = BTreeMap::new();
        for id in self.ids() {
            let mut versions: Vec<_> = self.versions(id).collect();
            // What a hub is called in its last word.
            versions.sort_by_key(|held| held.order_time());
            versions.retain(|held| held.sealed.record.entity_type() == Some(MEMBER));
            let name = versions.last().and_then(|held| match &held.sealed.record.kind {
                Kind::Entity { name, .. } => name.clone().filter(|name| !name.is_empty()),
                Kind::Relationship { .. } => None,
            });
            for held in &versions {
                let replica = held.sealed.record.content.get("replica").and_then(Value::as_text);
                if let Some(replica) = replica.and_then(|text| text.parse().ok()) {
                    let hub = HubName {
                        hub_id: id.clone(),
                        name: name.clone().unwrap_or_else(|| id.to_string()),
                    };
                    hubs.insert(replica, hub);
                }
            }
        }
        hubs
    }
}

/// The policy that held at an instant.
fn then(policy: &Policy, at: Option<Micros>) -> &Policy {
    at.map_or(policy, |at| policy.at(at))
}

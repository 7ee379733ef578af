//! What is seen of a run: every answer to a push, and in the end what each hub holds and shows.
//!
//! What differs between any two runs is given one name, or left out:
//!
//! - hub ids, replicas and the home's id are drawn: hubs are called by their places;
//! - the policy record and those of members are hubs' own, with such ids and the hour of founding in them: of the
//!   policy its content is compared, of members nothing, and neither is counted;
//! - the policy's digest stands in computed versions: it is `POLICY` there;
//! - sequences: how often a hub has written about itself, and where its lease began after a kill, is its own business.
//!   Of a log the sets are compared, in their order;
//! - clocks (`complete_to`, where a page ended) name replicas and sequences;
//! - the order of arrival: what a hub hears from others comes as it comes. Logs are compared one by one.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_client::wire::{Outcome, Reply};
use inbetweenies_core::domain::{POLICY_ID, is_reserved};
use inbetweenies_core::id::{Id, ReplicaId};
use serde_json::{Value as Json, json};

use crate::workload::Step;

/// By their places.
pub const HUBS: [&str; 3] = ["kitchen", "attic", "shed"];

/// What was seen, by where it was seen.
pub type Held = BTreeMap<String, Json>;

/// What a reader asks.
#[derive(Debug, Clone)]
pub enum Question {
    /// What is shown under an id, as an entity or as a relationship.
    One(Id, bool),
    /// Every version of it.
    History(Id, bool),
    /// Everything shown.
    Entities,
    /// Everything shown.
    Relationships,
    /// What waits for a person.
    Conflicts,
}

/// As many as a list gives at once.
pub const LIST: usize = 1_000;

impl Question {
    pub fn path(&self) -> String {
        let family = |entity: &bool| if *entity { "entities" } else { "relationships" };
        let rest = match self {
            Question::One(id, entity) => format!("{}/{id}", family(entity)),
            Question::History(id, entity) => format!("{}/{id}/history", family(entity)),
            Question::Entities => format!("entities?limit={LIST}"),
            Question::Relationships => format!("relationships?limit={LIST}"),
            Question::Conflicts => "conflicts".to_owned(),
        };
        format!("/api/v2/{rest}")
    }
}

/// One run, as far as it can be asked.
pub trait Home {
    /// Status and body of an answer; null for a body that says only that there is nothing.
    fn ask(&self, hub: usize, question: &Question) -> (u16, Json);
    /// The first page of what a hub holds.
    fn page(&mut self, hub: usize) -> Reply;
    /// Who the hub is.
    fn who(&self, hub: usize) -> Who;
}

/// A hub's own names and figures.
pub struct Who {
    pub hub_id: String,
    pub replica: ReplicaId,
    pub life: u64,
    pub records: u64,
    pub entities: u64,
    pub relationships: u64,
    pub conflicts: u64,
}

/// What became of the `number`th push.
pub fn answered(held: &mut Held, number: usize, hub: usize, reply: &Reply) {
    let outcome = |outcome| match outcome {
        Outcome::Durable => "durable",
        Outcome::Known => "known",
        Outcome::Lost => "lost",
    };
    let applied: Vec<Json> = reply
        .applied
        .iter()
        .map(|row| json!([row.id, row.version, outcome(row.outcome)]))
        .collect();
    let conflicts: Vec<Json> = reply
        .conflicts
        .iter()
        .map(|row| {
            json!([
                row.id,
                row.local_version,
                row.remote_version,
                row.strategy,
                row.resolved_version
            ])
        })
        .collect();
    let told = json!({"applied": applied, "rejected": reply.rejected, "conflicts": conflicts});
    held.insert(format!("answer {number:03}, of {}", HUBS[hub]), told);
}

/// Asks everything of every hub, and gives what was seen the names that all runs share.
pub fn ask_all(home: &mut impl Home, steps: &[Step], mut held: Held) -> Held {
    let policy = Question::One(Id::new(POLICY_ID).expect("an id"), true);
    let (_, policy) = home.ask(0, &policy);
    let digest = policy["head_digests"][0].as_str().unwrap_or_default();
    let short = digest.get(..8).expect("the policy's digest").to_owned();
    held.insert("policy".to_owned(), policy["entity"]["content"].clone());
    let whose: Vec<Who> = (0..HUBS.len()).map(|hub| home.who(hub)).collect();
    for (hub, name) in HUBS.iter().enumerate() {
        for question in questions(steps) {
            let (status, body) = home.ask(hub, &question);
            let seen = json!({"status": status, "body": told(body, &whose)});
            held.insert(format!("{name}: GET {}", question.path()), seen);
        }
        let page = home.page(hub);
        assert!(!page.more, "the workload has more records than a page");
        let own = logs(&mut held, name, &page, &whose);
        let who = &whose[hub];
        let counts = json!({
            "life": who.life, "records": who.records - own, "entities": who.entities,
            "relationships": who.relationships, "conflicts": who.conflicts,
        });
        held.insert(format!("{name}: counts"), counts);
    }
    let (before, after) = (format!("-000000-merge.{short}."), "-000000-merge.POLICY.");
    let text = serde_json::to_string(&held).expect("text");
    serde_json::from_str(&text.replace(&before, after)).expect("what was seen")
}

fn questions(steps: &[Step]) -> Vec<Question> {
    let sets = steps.iter().filter_map(|step| match step {
        Step::Push(_, sets) => Some(sets),
        _ => None,
    });
    let ids: BTreeSet<&Id> = sets.flatten().flatten().map(|sealed| &sealed.record.id).collect();
    let of = |id: &Id| {
        [true, false].map(|entity| {
            [
                Question::One(id.clone(), entity),
                Question::History(id.clone(), entity),
            ]
        })
    };
    let lists = [Question::Entities, Question::Relationships, Question::Conflicts];
    ids.into_iter().flat_map(of).flatten().chain(lists).collect()
}

/// An answer with hubs called by their places.
fn told(mut body: Json, whose: &[Who]) -> Json {
    if let Some(body) = body.as_object_mut() {
        body.remove("complete_to");
    }
    let mut text = body.to_string();
    for (who, name) in whose.iter().zip(HUBS) {
        text = text.replace(&who.hub_id, name);
    }
    let mut body: Json = serde_json::from_str(&text).expect("what was seen");
    // Rows of one order time are sorted by the hubs' drawn ids.
    let versions = body.get_mut("versions").and_then(Json::as_array_mut);
    for version in versions.into_iter().flatten() {
        if let Some(rows) = version["accepted"].as_array_mut() {
            rows.sort_by_key(Json::to_string);
        }
    }
    body
}

/// Each hub's log as it is held at another; gives back how many of all records are hubs' own.
fn logs(held: &mut Held, at: &str, page: &Reply, whose: &[Who]) -> u64 {
    let mut logs: BTreeMap<&str, BTreeMap<u64, Vec<Json>>> = BTreeMap::new();
    let mut own = BTreeSet::new();
    for set in &page.sets {
        let place = whose.iter().position(|who| who.replica == set.dot.replica);
        let name = HUBS[place.expect("a log of a hub that was never killed into another life")];
        for received in &set.records {
            if received.sealed.record.entity_type().is_some_and(is_reserved) {
                own.insert(received.sealed.digest);
                continue;
            }
            let stamp = &received.stamp;
            let resolved: Vec<Vec<String>> = stamp
                .resolved
                .iter()
                .map(|digests| digests.iter().map(ToString::to_string).collect())
                .collect();
            let row = json!([
                received.sealed.record.id,
                received.sealed.digest.to_string(),
                stamp.order_time.to_string(),
                resolved
            ]);
            let log = logs.entry(name).or_default();
            log.entry(set.dot.sequence).or_default().push(row);
        }
    }
    for (whose, sets) in logs {
        let sets: Vec<Vec<Json>> = sets.into_values().collect();
        held.insert(format!("{at}: log of {whose}"), json!(sets));
    }
    own.len() as u64
}

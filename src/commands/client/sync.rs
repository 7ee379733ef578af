//! `client sync`, and the push that follows an edit.

use std::process::ExitCode;

use inbetweenies_client::{Options, Replica, Store, Summary};
use inbetweenies_core::wire::clock_to_wire;
use serde_json::json;

use super::blobs::{Brought, Shelf, bring};
use crate::api::{Hub, HubUrl, SyncError, sync};
use crate::commands::say::{self, Failure, count};

/// Pushes and fetches, and tells of it.
pub async fn run(store: &mut Store, hub: &Hub, options: Options, json: bool) -> Result<ExitCode, Failure> {
    let bar = indicatif::ProgressBar::new_spinner();
    let mut progress = |summary: &Summary| bar.set_message(count(summary.records_received, "record"));
    let synced = sync(store, hub, options, &mut progress).await;
    bar.finish_and_clear();
    let summary = match synced {
        Ok(summary) => summary,
        Err(SyncError::NotYet { done, url }) if done.sets_landed > 0 || !done.refused.is_empty() => {
            let document = document(&done, store.replica());
            say::answer(json, &document, &words(&done, hub.url()));
            return Err(SyncError::NotYet { done, url }.into());
        }
        Err(error) => return Err(error.into()),
    };
    let mut document = document(&summary, store.replica());
    let mut words = words(&summary, hub.url());
    if !Shelf::of(store.dir()).all().is_empty() {
        let brought = bring(store, hub).await?;
        words += &attachments(&brought);
        let waiting = brought
            .waiting
            .iter()
            .map(|(id, why)| json!({"blob_id": id.to_string(), "why": why}));
        document["attachments"] = json!({
            "safe": brought.safe, "bytes_sent": brought.sent, "bytes_resumed": brought.resumed,
            "kept_here": waiting.collect::<Vec<_>>(),
        });
    }
    say::answer(json, &document, &words);
    Ok(code(&summary))
}

/// What became of attachments, in words.
fn attachments(brought: &Brought) -> String {
    let mut words = String::new();
    if brought.safe > 0 {
        words += &format!("\n{} safe on the hub", count(brought.safe, "attachment"));
    }
    for (id, why) in &brought.waiting {
        words += &format!("\nattachment {id} is kept here: {}", say::clean(why));
    }
    words
}

/// Something was refused: the person has to do something.
pub fn code(summary: &Summary) -> ExitCode {
    if summary.refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What became of an edit after it was on this device's disk.
pub enum Pushed {
    /// No hub was named, or --offline was.
    NotAsked,
    /// A hub has it, or has refused it.
    Done(Box<Summary>),
    /// No hub has it yet, and why.
    Waiting(String),
}

/// Sends an edit to the hub, if one is named. That none answers is no failure: the edit is pending.
pub async fn push(store: &mut Store, url: Option<&HubUrl>) -> Result<Pushed, Failure> {
    let Some(url) = url else {
        return Ok(Pushed::NotAsked);
    };
    // The person waits and the edit is safe: no second try.
    let options = Options {
        retries: 0,
        ..Options::default()
    };
    match sync(store, &Hub::new(url.clone()), options, &mut |_| {}).await {
        Ok(summary) => Ok(Pushed::Done(Box::new(summary))),
        // It took the changes; that it is behind concerns only what would have come back.
        Err(SyncError::NotYet { done, .. }) => Ok(Pushed::Done(done)),
        Err(error @ (SyncError::Store(_) | SyncError::OtherHome { .. } | SyncError::Unkept { .. })) => {
            Err(error.into())
        }
        Err(error @ (SyncError::Api(_) | SyncError::NoHome { .. } | SyncError::Stalled { .. })) => {
            Ok(Pushed::Waiting(error.to_string()))
        }
    }
}

/// A sync in words.
pub fn words(summary: &Summary, url: &HubUrl) -> String {
    let mut words = format!(
        "synced with {} ({}): sent {}, received {}",
        say::clean(&summary.hub),
        url.host_and_port(),
        count(summary.records_sent, "record"),
        count(summary.records_received, "record"),
    );
    if !summary.behind.is_empty() {
        words += "\nit lacked some of what this store had seen: went on from what it has";
    }
    if summary.requeued > 0 {
        let again = count(summary.requeued, "record");
        words += &format!("\n{again} that no hub held any more were sent again");
    }
    words + &troubles(summary)
}

/// What a person should know of a push, a line each.
pub fn troubles(summary: &Summary) -> String {
    let mut words = String::new();
    for id in summary.lost_ids() {
        words += &format!(
            "\nlost a conflict: what was written to {0} is kept and is not what readers see; `history {0}` shows it",
            say::clean(id)
        );
    }
    for row in &summary.refused {
        let (id, detail, code) = (
            say::clean(&row.id),
            say::clean(&row.detail),
            say::clean(&row.code),
        );
        words += &format!("\nrefused: {id}: {detail} ({code}); kept aside, `status` shows it");
    }
    words
}

/// A sync as JSON.
pub fn document(summary: &Summary, replica: &Replica) -> serde_json::Value {
    let refused = summary
        .refused
        .iter()
        .map(|row| json!({"id": row.id, "code": row.code, "detail": row.detail}));
    let conflicts = summary.conflicts.iter().map(|row| {
        json!({
            "entity_id": row.id, "local_version": row.local_version, "remote_version": row.remote_version,
            "resolution_strategy": row.strategy, "resolved_version": row.resolved_version,
        })
    });
    let (clock, checks) = clock_to_wire(replica.clock());
    json!({
        "hub": summary.hub,
        "sets_sent": summary.sets_landed,
        "records_sent": summary.records_sent,
        "records_received": summary.records_received,
        "records_sent_again": summary.requeued,
        "behind": clock_to_wire(&summary.behind).0,
        "requests": summary.rounds,
        "bytes_received": summary.bytes_received,
        "refused": refused.collect::<Vec<_>>(),
        "lost": summary.lost_ids(),
        "conflicts": conflicts.collect::<Vec<_>>(),
        "pending": replica.pending().count(),
        "vector_clock": clock,
        "clock_checks": checks,
    })
}

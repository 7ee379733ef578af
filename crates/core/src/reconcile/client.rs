//! A client's sync exchange: where it stands, what it brought, what it lacks.

use std::collections::{BTreeMap, BTreeSet};

use super::page::{Filter, page};
use super::{Output, Pending, Reconcile};
use crate::clock::Clock;
use crate::hash::{Check, Digest};
use crate::id::{Dot, HubId, ReplicaId};
use crate::machine::stored_entry;
use crate::machine::{Landed, SetResult, Ticket, load_members, load_policy};
use crate::record::Record;
use crate::store::{
    Family, LogRow, ReplicaRow, Snapshot, StoreError, decode_row, evidence_key, log_key, read_log, read_meta,
    read_replica, scan_prefix,
};
use crate::time::Now;
use crate::value::Value;
use crate::wire::{
    Applied, Change, ConflictRow, EntryRow, Outcome, Problem, Rejected, SyncRequest, SyncResponse,
    clock_to_wire,
};
use crate::zoo::{self, Bug};

/// Where a client's clock stands to this hub.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Start {
    /// The place to read on from.
    pub clock: Clock,
    /// Components that counted as less than the client said: their branch was given up.
    pub reset: Vec<ReplicaId>,
    /// Components ahead of this hub.
    pub missing: BTreeMap<ReplicaId, u64>,
}

/// Holds a client's clock against the chains held here. O(components), and where one does not fit O(its fallen
/// branch + replicas).
pub fn client_start(store: &dyn Snapshot, clock: &Clock) -> Result<Start, StoreError> {
    let mut start = Start::default();
    let own = read_meta(store)?.and_then(|meta| meta.replica);
    let mut ended_here = None;
    let mut ended = |replica: &ReplicaId| -> Result<bool, StoreError> {
        if ended_here.is_none() {
            ended_here = Some(gone(store)?);
        }
        Ok(ended_here.as_ref().is_some_and(|gone| gone.contains(replica)))
    };
    for (replica, point) in clock.iter() {
        let dot = Dot {
            replica: *replica,
            sequence: point.sequence,
        };
        let unchecked = zoo::planted(Bug::CursorUnchecked);
        let fits = |row: &LogRow| unchecked || point.check.is_none_or(|check| check == row.hash.check());
        if let Some(row) = read_log(store, dot)?.filter(fits) {
            start.clock.set(*replica, point.sequence, Some(row.hash.check()));
        } else if let Some(fallen) = fallen(store, dot, point.check)? {
            // On a branch that gave way here: back to the last entry before it.
            start.reset.push(*replica);
            if let Some((sequence, hash)) = below(store, *replica, fallen)? {
                start.clock.set(*replica, sequence, Some(hash.check()));
            }
        } else if own == Some(*replica)
            || read_replica(store, replica)?.is_some_and(|tip| tip.sequence >= point.sequence)
            || ended(replica)?
        {
            // On a branch that was never here, or beyond what is left of a life, our own, one that ended, or a fenced
            // hub's: from the beginning.
            start.reset.push(*replica);
        } else {
            start.missing.insert(*replica, point.sequence);
        }
    }
    Ok(start)
}

/// The first row under a prefix that is accepted.
fn first_row(
    store: &dyn Snapshot,
    family: Family,
    prefix: &[u8],
    accept: &dyn Fn(&LogRow) -> bool,
) -> Result<Option<LogRow>, StoreError> {
    let mut first = None;
    scan_prefix(store, family, prefix, &mut |_, value| {
        match decode_row::<LogRow>(family, value) {
            Ok(row) if !accept(&row) => {}
            read => first = Some(read),
        }
        first.is_none()
    })?;
    first.transpose()
}

/// The entry at this dot, if it was set aside here.
fn fallen(store: &dyn Snapshot, dot: Dot, check: Option<Check>) -> Result<Option<LogRow>, StoreError> {
    first_row(store, Family::Evidence, &log_key(dot), &|row| {
        check.is_none_or(|check| check == row.hash.check())
    })
}

/// The last entry before the branch of a fallen one that stands in the log; None if none does.
fn below(
    store: &dyn Snapshot,
    replica: ReplicaId,
    mut fallen: LogRow,
) -> Result<Option<(u64, Digest)>, StoreError> {
    while let Some((sequence, hash)) = stored_entry(&fallen)?.prev {
        let dot = Dot { replica, sequence };
        if read_log(store, dot)?.is_some_and(|row| row.hash == hash) {
            return Ok(Some((sequence, hash)));
        }
        match first_row(store, Family::Evidence, &evidence_key(dot, &hash), &|_| true)? {
            Some(before) => fallen = before,
            None => break,
        }
    }
    Ok(None)
}

/// Replicas whose hub goes on under one that follows them, or was fenced: what is not known of them is not waited for.
fn gone(store: &dyn Snapshot) -> Result<BTreeSet<ReplicaId>, StoreError> {
    let (mut hubs, mut failed) = (BTreeMap::new(), None);
    store.scan(Family::Replicas, &[], None, &mut |key, value| {
        match (
            key.try_into().map(ReplicaId),
            decode_row::<ReplicaRow>(Family::Replicas, value),
        ) {
            (Ok(replica), Ok(row)) => drop(hubs.insert(replica, row.hub_id)),
            (_, Err(error)) => failed = Some(error),
            (Err(_), Ok(_)) => {}
        }
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let mut gone = BTreeSet::new();
    for (replica, hub_id) in &hubs {
        let first = first_row(store, Family::Log, &replica.0, &|_| true)?;
        let genesis = first
            .map(|row| stored_entry(&row))
            .transpose()?
            .and_then(|entry| entry.genesis);
        if let Some((earlier, _, _)) = genesis.and_then(|genesis| genesis.earlier)
            && hubs.get(&earlier) == Some(hub_id)
        {
            gone.insert(earlier);
        }
    }
    // Nobody waits for a hub that was fenced; what it has comes when it does.
    let members = load_members(store)?;
    let fenced: Vec<_> = members.iter().filter(|member| member.fenced).collect();
    gone.extend(fenced.iter().filter_map(|member| member.replica));
    let of_fenced = |hub_id: &HubId| fenced.iter().any(|member| member.hub_id == *hub_id);
    gone.extend(
        hubs.iter()
            .filter(|(_, hub)| of_fenced(hub))
            .map(|(replica, _)| *replica),
    );
    Ok(gone)
}

impl Reconcile {
    pub(super) fn sync(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        ticket: Ticket,
        mut request: Box<SyncRequest>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        // What would be refused for want of a policy is not bad; it has come too early.
        self.has_policy = self.has_policy || load_policy(store)?.is_held();
        if !self.has_home || !self.has_policy {
            let mut problem = Problem::new(
                503,
                "No home yet",
                "no_home",
                "this hub has no home yet, or not its rules: it waits for one of its seeds, or start it with mesh.found",
            );
            problem.retry_after = Some(1);
            out.push(Output::Reply {
                ticket,
                answer: Err(problem),
            });
            return Ok(());
        }
        let mut refused = Vec::with_capacity(request.sets.len());
        let mut sets = Vec::new();
        for requested in std::mem::take(&mut request.sets) {
            match requested.set {
                Ok(set) => {
                    refused.push(None);
                    sets.push(set);
                }
                Err(rows) => refused.push(Some(rows)),
            }
        }
        let pushed = !refused.is_empty();
        let pending = Pending {
            request,
            started: now.mono,
            refused,
            landed: Vec::new(),
            rejected: Vec::new(),
        };
        if !sets.is_empty() {
            self.pending.insert(ticket, pending);
            out.push(Output::Accept { ticket, sets });
            return Ok(());
        }
        let Pending { refused, .. } = &pending;
        let rejected: Vec<Rejected> = refused.iter().flatten().flatten().cloned().collect();
        self.respond(
            now,
            store,
            ticket,
            Pending { rejected, ..pending },
            (Vec::new(), &[]),
            pushed,
            out,
        )
    }

    pub(super) fn accepted(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        ticket: Ticket,
        results: Vec<SetResult>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(mut pending) = self.pending.remove(&ticket) else {
            return Ok(());
        };
        let mut results = results.into_iter();
        for refused in std::mem::take(&mut pending.refused) {
            match refused {
                Some(rows) => pending.rejected.extend(rows),
                None => match results.next() {
                    Some(SetResult::Landed(rows)) => pending.landed.extend(rows),
                    Some(SetResult::Refused(rows)) => pending.rejected.extend(rows),
                    None => panic!("storage answered fewer sets than it was given"),
                },
            }
        }
        let contested: Vec<Landed> = pending
            .landed
            .iter()
            .filter(|row| row.contested)
            .cloned()
            .collect();
        if contested.is_empty() {
            return self.respond(now, store, ticket, pending, (Vec::new(), &[]), true, out);
        }
        self.pending.insert(ticket, pending);
        out.push(Output::Judge {
            ticket,
            landed: contested,
        });
        Ok(())
    }

    pub(super) fn judged(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        ticket: Ticket,
        conflicts: Vec<ConflictRow>,
        lost: &[Digest],
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(pending) = self.pending.remove(&ticket) else {
            return Ok(());
        };
        self.respond(now, store, ticket, pending, (conflicts, lost), true, out)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one answer, each used once"
    )]
    fn respond(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        ticket: Ticket,
        pending: Pending,
        (conflicts, lost): (Vec<ConflictRow>, &[Digest]),
        pushed: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let request = &pending.request;
        let start = client_start(store, &request.clock)?;
        let mut response = SyncResponse::new(request.sync_type, now.wall);
        if !start.missing.is_empty() && !zoo::planted(Bug::NotYetIgnored) {
            let missing = start
                .missing
                .iter()
                .map(|(replica, sequence)| (replica.to_string(), *sequence))
                .collect();
            if !pushed {
                let detail = "this hub does not yet hold everything that your vector_clock names; try again shortly, \
                              or ask the hub that gave it to you";
                let mut problem = Problem::new(409, "Not yet", "not_yet", detail);
                problem.missing = Some(missing);
                problem.retry_after = Some(1);
                out.push(Output::Reply {
                    ticket,
                    answer: Err(problem),
                });
                return Ok(());
            }
            response.not_yet = true;
            response.missing = missing;
            (response.vector_clock, response.clock_checks) = clock_to_wire(&request.clock);
        } else {
            let filter = Filter {
                sync_type: Some(request.sync_type),
                filters: request.filters.clone(),
                heads_only: request.heads_only,
            };
            let bytes_max = self.settings.limits.page_bytes_max;
            let page = page(store, &start.clock, &filter, request.limit, bytes_max)?;
            fill(&mut response, &page.emitted)?;
            self.found_holes(&page.holes, out);
            (response.vector_clock, response.clock_checks) = clock_to_wire(&page.next);
            response.reset = start.reset.iter().map(ReplicaId::to_string).collect();
            response.cursor = page.more.then(|| "more".to_owned());
        }
        let lost: BTreeSet<&Digest> = lost.iter().collect();
        for row in &pending.landed {
            if zoo::planted(Bug::LoserUnacked) && lost.contains(&row.digest) {
                continue;
            }
            let outcome = match (lost.contains(&row.digest), row.known) {
                (true, _) => Outcome::Lost,
                (false, true) => Outcome::Known,
                (false, false) => Outcome::Durable,
            };
            let applied = Applied {
                id: row.id.to_string(),
                version: row.version.to_string(),
                outcome,
            };
            if row.entity {
                &mut response.applied
            } else {
                &mut response.applied_relationships
            }
            .push(applied);
        }
        response.sync_stats.conflicts_resolved = conflicts.len();
        response.sync_stats.duration_ms = now.mono.saturating_sub(pending.started).as_millis() as u64;
        response.conflicts = conflicts;
        response.rejected = pending.rejected;
        out.push(Output::Reply {
            ticket,
            answer: Ok(Box::new(response)),
        });
        Ok(())
    }
}

fn fill(response: &mut SyncResponse, emitted: &[super::Emitted]) -> Result<(), StoreError> {
    for (set, emitted) in emitted.iter().enumerate() {
        let entry = stored_entry(&emitted.row)?;
        let mut row = EntryRow {
            replica: emitted.dot.replica.to_string(),
            sequence: emitted.dot.sequence,
            order_times: Vec::with_capacity(emitted.records.len()),
            parents: Vec::new(),
        };
        let mut open = false;
        for picked in &emitted.records {
            let bytes = &picked.bytes;
            let record = Record::from_stored(bytes).map_err(|error| StoreError::Corrupt {
                family: Family::Records.name(),
                detail: error.detail,
            })?;
            let stamp = &entry.stamps[picked.at];
            response.sync_stats.bytes += bytes.len();
            row.order_times.push(stamp.order_time.0);
            row.parents.push(
                stamp
                    .resolved
                    .iter()
                    .map(|name| name.iter().map(Digest::to_string).collect())
                    .collect(),
            );
            let change_type = match (record.deleted, record.parents.is_empty()) {
                (true, _) => "delete",
                (false, true) => "create",
                (false, false) => "update",
            };
            let mut map = record.to_wire();
            if picked.forgotten {
                // Its bytes do not give its name any more.
                map.remove("checksum");
                map.insert("forgotten".to_owned(), Value::Bool(true));
                map.insert("digest".to_owned(), Value::Text(stamp.digest.to_string()));
            }
            if record.is_entity() {
                response.sync_stats.entities_synced += 1;
                let entity = Some(map);
                response.changes.push(Change {
                    change_type,
                    set,
                    entity,
                    relationships: Vec::new(),
                });
                open = true;
            } else {
                response.sync_stats.relationships_synced += 1;
                if !open {
                    // A set's edges that follow no entity share one change; each says by itself whether it is deleted.
                    let change_type = "update";
                    response.changes.push(Change {
                        change_type,
                        set,
                        entity: None,
                        relationships: Vec::new(),
                    });
                    open = true;
                }
                if let Some(change) = response.changes.last_mut() {
                    change.relationships.push(map);
                }
            }
        }
        if row.parents.iter().all(Vec::is_empty) {
            row.parents.clear();
        }
        response.entries.push(row);
    }
    Ok(())
}

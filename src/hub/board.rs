//! What people are shown: status, events, figures. Rooms pin notices here; doors read them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inbetweenies_core::clock::Clock;
use inbetweenies_core::id::HubId;
use inbetweenies_core::machine::{
    BlobsTold, Check, ClockDoubt, Comparison, Horizon, Identity, Link, RootTold, Totals,
};
use inbetweenies_core::node::Notice;
use inbetweenies_core::peers::PeerStatus;
use inbetweenies_core::storage::Event;
use inbetweenies_core::time::{Micros, Now};
use inbetweenies_core::view::Policy;
use inbetweenies_core::wire::{ClockMap, PROTOCOL, clock_to_wire};
use serde::Serialize;
use tokio::sync::watch;

use super::links::Links;
use super::office::Office;

/// Events that the status page remembers.
const EVENTS_MAX: usize = 32;

/// What is known now.
pub struct Known {
    /// Who this hub is.
    pub identity: Identity,
    /// What is durable here.
    pub clock: Clock,
    /// How much that is.
    pub totals: Totals,
    /// The policy in force.
    pub policy: Arc<Policy>,
    peers: Vec<PeerStatus>,
    clocks: BTreeMap<Link, Clock>,
    events: VecDeque<EventRow>,
    own_policy: Option<String>,
    horizon: Horizon,
    clock_doubt: Option<ClockDoubt>,
    /// What this hub holds, as anti-entropy tells it.
    pub root: Option<RootTold>,
    compared: BTreeMap<HubId, Compared>,
    checked: Option<(Micros, Check)>,
    checks: u64,
    /// What is held of blobs.
    blobs: BlobsTold,
}

/// What comparing with one hub came to, so far.
#[derive(Debug, Clone, Default)]
struct Compared {
    /// When both were last found equal, and at which clock.
    proof: Option<(Micros, Clock)>,
    /// The last comparison.
    equal: bool,
    comparisons: u64,
    found: u64,
    mended_here: u64,
    mended_there: u64,
    bytes: u64,
    took_ms: f64,
    checks: u64,
}

impl Known {
    fn remember(&mut self, row: EventRow) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(row);
    }

    fn warn(&mut self, code: &'static str, detail: String, now: Now) {
        tracing::warn!(code, "{detail}");
        metrics::counter!("inbetweenies_events_total", "code" => code).increment(1);
        self.remember(EventRow {
            at: now.wall.to_string(),
            code,
            detail,
        });
    }

    fn compared(&mut self, comparison: Comparison, now: Now) {
        let outcome = if comparison.equal { "equal" } else { "different" };
        metrics::counter!("inbetweenies_comparisons_total", "outcome" => outcome).increment(1);
        metrics::counter!("inbetweenies_differences_found_total").increment(comparison.found);
        metrics::counter!("inbetweenies_rows_mended_total").increment(comparison.mended_here);
        if comparison.found > 0 {
            let detail = format!(
                "comparing with {} found {} differences: {} rows mended here, {} there{}",
                comparison.hub_id,
                comparison.found,
                comparison.mended_here,
                comparison.mended_there,
                if comparison.equal {
                    "; both hold the same now"
                } else {
                    "; more is left for the next time"
                }
            );
            self.warn("COMPARED", detail, now);
        }
        let row = self.compared.entry(comparison.hub_id).or_default();
        row.equal = comparison.equal;
        row.checks = comparison.checks;
        row.comparisons += 1;
        row.found += comparison.found;
        row.mended_here += comparison.mended_here;
        row.mended_there += comparison.mended_there;
        if comparison.found > 0 {
            row.bytes = comparison.bytes;
            row.took_ms = comparison.took.as_secs_f64() * 1e3;
        }
        if comparison.equal {
            row.proof = Some((now.wall, comparison.clock));
        }
    }

    /// Whether this hub has a home and its rules: before that it can serve nobody.
    pub fn has_home(&self) -> bool {
        self.identity.home_id.is_some() && self.policy.is_held()
    }
}

/// The board.
pub struct Board {
    known: Mutex<Known>,
    stopped: watch::Sender<bool>,
    /// Counts what happened to blobs: whoever waits for one looks again.
    blobs: watch::Sender<u64>,
    home: watch::Sender<bool>,
}

/// An event, for the status page.
#[derive(Debug, Clone, Serialize)]
pub struct EventRow {
    /// When, by this hub's clock.
    pub at: String,
    /// Stable, in capitals.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

/// `GET /api/v2/status`.
#[derive(Debug, Serialize)]
pub struct Status {
    hub_id: String,
    name: String,
    home_id: Option<String>,
    software: &'static str,
    protocol_version: &'static str,
    replica: Option<String>,
    life: u64,
    uptime_s: f64,
    records: u64,
    entities: u64,
    relationships: u64,
    conflicts: u64,
    blobs: u64,
    blob_bytes: u64,
    blobs_wanted: u64,
    blob_transfer: BlobRow,
    vector_clock: ClockMap,
    clock_checks: BTreeMap<String, String>,
    merkle_root: Option<String>,
    merkle_clock: Option<ClockMap>,
    state_digest: Option<String>,
    merkle_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<CheckedRow>,
    horizon: ClockMap,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_suspect: Option<ClockRow>,
    policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_differs: Option<String>,
    peers: Vec<PeerRow>,
    events: Vec<EventRow>,
}

/// What came of blobs since the start.
#[derive(Debug, Serialize)]
struct BlobRow {
    taken_chunks: u64,
    taken_bytes: u64,
    /// Chunks that had come before the start and were found.
    found_chunks: u64,
    /// Chunks asked of two hubs.
    hedged_chunks: u64,
    bad_chunks: u64,
    /// Of those, the ones that this hub's own disk had lost.
    damaged_chunks: u64,
    /// Chunks that were read and verified unasked.
    checked_chunks: u64,
    evicted: u64,
}

impl BlobRow {
    fn of(told: &BlobsTold) -> BlobRow {
        BlobRow {
            taken_chunks: told.taken_chunks,
            taken_bytes: told.taken_bytes,
            found_chunks: told.found_chunks,
            hedged_chunks: told.hedged_chunks,
            bad_chunks: told.bad_chunks,
            damaged_chunks: told.damaged_chunks,
            checked_chunks: told.checked_chunks,
            evicted: told.evicted,
        }
    }
}

fn count_blobs(before: &BlobsTold, now: &BlobsTold) {
    metrics::gauge!("inbetweenies_blobs").set(now.held as f64);
    metrics::gauge!("inbetweenies_blob_bytes").set(now.bytes as f64);
    metrics::gauge!("inbetweenies_blobs_wanted").set(now.wanted as f64);
    for (name, before, now) in [
        (
            "inbetweenies_blob_chunks_taken_total",
            before.taken_chunks,
            now.taken_chunks,
        ),
        (
            "inbetweenies_blob_bytes_taken_total",
            before.taken_bytes,
            now.taken_bytes,
        ),
        (
            "inbetweenies_blob_chunks_bad_total",
            before.bad_chunks,
            now.bad_chunks,
        ),
        (
            "inbetweenies_blob_chunks_damaged_total",
            before.damaged_chunks,
            now.damaged_chunks,
        ),
        (
            "inbetweenies_blob_chunks_checked_total",
            before.checked_chunks,
            now.checked_chunks,
        ),
        (
            "inbetweenies_blob_chunks_hedged_total",
            before.hedged_chunks,
            now.hedged_chunks,
        ),
    ] {
        metrics::counter!(name).increment(now.saturating_sub(before));
    }
}

/// Why this hub's clock cannot be right.
#[derive(Debug, Serialize)]
struct ClockRow {
    /// `ahead` or `behind`.
    is: &'static str,
    /// Of the newest time that was heard, in seconds, when it was noticed.
    by_s: u64,
}

impl Compared {
    fn row(&self) -> ComparedRow {
        ComparedRow {
            equal: self.equal,
            proven_at: self.proof.as_ref().map(|(at, _)| at.to_string()),
            proven_clock: self.proof.as_ref().map(|(_, clock)| clock_to_wire(clock).0),
            comparisons: self.comparisons,
            found: self.found,
            mended_here: self.mended_here,
            mended_there: self.mended_there,
            bytes: self.bytes,
            took_ms: self.took_ms,
            checks: self.checks,
        }
    }
}

impl ClockRow {
    fn of(doubt: ClockDoubt) -> ClockRow {
        let (is, by) = match doubt {
            ClockDoubt::Ahead(by) => ("ahead", by),
            ClockDoubt::Behind(by) => ("behind", by),
        };
        ClockRow {
            is,
            by_s: by.as_secs(),
        }
    }
}

/// What comparing stores with a peer came to.
#[derive(Debug, Serialize)]
struct ComparedRow {
    /// Whether the last comparison ended equal.
    equal: bool,
    /// When both were last found equal.
    proven_at: Option<String>,
    /// At which clock.
    proven_clock: Option<ClockMap>,
    comparisons: u64,
    /// Differences found, and rows mended here and there, since the start.
    found: u64,
    mended_here: u64,
    mended_there: u64,
    /// Of the last comparison that found something: bytes of all messages but the entries.
    bytes: u64,
    took_ms: f64,
    /// Checks of all records that had ended when the last comparison began.
    checks: u64,
}

/// What the last check of all records came to.
#[derive(Debug, Serialize)]
struct CheckedRow {
    at: String,
    records: u64,
    /// Rows whose bytes were damaged, entries missing in a log, and ranges where the tree said otherwise.
    damaged: u64,
    rebuilt: bool,
    /// Checks since the start.
    checks: u64,
}

#[derive(Debug, Serialize)]
struct PeerRow {
    hub_id: String,
    name: String,
    address: Option<String>,
    state: &'static str,
    linked: bool,
    last_seen_ms: Option<u64>,
    behind: Option<u64>,
    ahead: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<ComparedRow>,
}

/// Entries that `ours` holds and `theirs` does not, by their sequences (a lease's gap counts too).
fn lag(ours: &Clock, theirs: &Clock) -> u64 {
    ours.iter()
        .map(|(replica, point)| point.sequence.saturating_sub(theirs.sequence(replica)))
        .sum()
}

impl Board {
    /// A board with what the store held.
    pub fn new(
        identity: Identity,
        clock: Clock,
        totals: Totals,
        policy: Arc<Policy>,
        horizon: Horizon,
    ) -> Board {
        let known = Known {
            identity,
            clock,
            totals,
            policy,
            peers: Vec::new(),
            clocks: BTreeMap::new(),
            events: VecDeque::new(),
            own_policy: None,
            horizon,
            clock_doubt: None,
            root: None,
            compared: BTreeMap::new(),
            checked: None,
            checks: 0,
            blobs: BlobsTold::default(),
        };
        Board {
            known: Mutex::new(known),
            home: watch::channel(false).0,
            stopped: watch::channel(false).0,
            blobs: watch::channel(0).0,
        }
    }

    /// Reads it; hold the guard briefly.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told when this hub has a home and its rules, durably.
    pub fn has_home(&self) -> watch::Receiver<bool> {
        self.home.subscribe()
    }

    /// Told when something has happened to a blob.
    pub fn blobs_changed(&self) -> watch::Receiver<u64> {
        self.blobs.subscribe()
    }

    /// What was held of blobs at the start.
    pub fn blobs(&self, told: BlobsTold) {
        self.known().blobs = told;
    }

    /// Told when everything is on disk.
    pub fn stopped(&self) -> watch::Receiver<bool> {
        self.stopped.subscribe()
    }

    /// Remembers how this hub's own TOML differs from the policy of its home: reported, not obeyed.
    pub fn policy_differs(&self, how: String) {
        self.known().own_policy = Some(how);
    }

    /// The hubs that links stand with, with their names.
    pub fn linked(&self) -> Vec<(HubId, String)> {
        let known = self.known();
        let linked = known.peers.iter().filter(|peer| peer.link.is_some());
        linked.map(|peer| (peer.hub_id, peer.name.clone())).collect()
    }

    /// Checks of all records that have ended since the start.
    pub fn checks(&self) -> u64 {
        self.known().checks
    }

    /// Pins a notice.
    pub fn notice(&self, office: &Office, notice: Notice) {
        let mut known = self.known();
        match notice {
            Notice::Identity(identity) => {
                tracing::info!(hub = %identity.hub_id, home = ?identity.home_id, life = identity.life, "identity");
                known.identity = identity;
                self.home.send_replace(known.has_home());
            }
            Notice::Progress {
                clock,
                totals,
                entries,
            } => {
                metrics::counter!("inbetweenies_entries_total").increment(entries as u64);
                metrics::gauge!("inbetweenies_records").set(totals.records as f64);
                metrics::gauge!("inbetweenies_entities").set(totals.entities as f64);
                metrics::gauge!("inbetweenies_relationships").set(totals.relationships as f64);
                metrics::gauge!("inbetweenies_conflicts").set(totals.conflicts as f64);
                known.clock = clock;
                known.totals = totals;
            }
            Notice::Policy(policy) => {
                known.policy = policy;
                self.home.send_replace(known.has_home());
            }
            Notice::Root(told) => {
                metrics::gauge!("inbetweenies_merkle_bytes").set(told.bytes as f64);
                known.root = Some(told);
            }
            Notice::Compared(comparison) => known.compared(comparison, office.now()),
            Notice::Checked(check) => {
                metrics::counter!("inbetweenies_checked_records_total").increment(check.records);
                metrics::counter!("inbetweenies_damaged_rows_total").increment(check.damaged);
                if check.damaged > 0 {
                    let detail = format!(
                        "a check of {} records met {} damaged places; what other hubs hold of them is taken again",
                        check.records, check.damaged
                    );
                    known.warn("DAMAGE", detail, office.now());
                }
                known.checks += 1;
                known.checked = Some((office.now().wall, check));
            }
            Notice::Blobs(told) => {
                count_blobs(&known.blobs, &told);
                if told.damaged_chunks > known.blobs.damaged_chunks
                    && let Some((id, index)) = told.damaged
                {
                    let detail = format!(
                        "chunk {index} of {id} is damaged here; it is fetched again from other hubs, if one has it"
                    );
                    known.warn("DAMAGE", detail, office.now());
                }
                known.blobs = told;
                self.blobs.send_modify(|count| *count += 1);
            }
            Notice::Horizon(horizon) => known.horizon = horizon,
            Notice::ClockDoubt(doubt) => {
                if let Some(doubt) = doubt {
                    let row = doubted(doubt, office.now());
                    tracing::warn!(code = row.code, "{}", row.detail);
                    known.remember(row);
                }
                known.clock_doubt = doubt;
            }
            Notice::Event(event) => {
                let row = row(&event, office.now());
                tracing::warn!(code = row.code, "{}", row.detail);
                metrics::counter!("inbetweenies_events_total", "code" => row.code).increment(1);
                known.remember(row);
            }
            Notice::Peers(peers) => {
                metrics::gauge!("inbetweenies_peers").set(peers.len() as f64);
                let links: Vec<Link> = peers.iter().filter_map(|peer| peer.link).collect();
                known.clocks.retain(|link, _| links.contains(link));
                known.peers = peers;
            }
            Notice::LinkUp { link, hub_id, lz4 } => {
                tracing::info!(link = link.0, hub = %hub_id, lz4, "link up");
                office.links.may_pack(link, lz4);
            }
            Notice::Heard { link, clock } => drop(known.clocks.insert(link, clock)),
            Notice::Stopped => drop(self.stopped.send_replace(true)),
        }
    }

    /// The status page.
    pub fn status(&self, now: Now, links: &Links) -> Status {
        let known = self.known();
        let (vector_clock, clock_checks) = clock_to_wire(&known.clock);
        let root = known.root.as_ref();
        let peers = known.peers.iter().map(|peer| {
            let clock = peer.link.and_then(|link| known.clocks.get(&link));
            PeerRow {
                hub_id: peer.hub_id.to_string(),
                name: peer.name.clone(),
                address: peer.address.map(|address| address.to_string()),
                state: peer.state,
                linked: peer.link.is_some(),
                last_seen_ms: peer
                    .link
                    .and_then(|link| links.heard_at(link))
                    .or(peer.heard_at)
                    .map(|at| now.mono.saturating_sub(at).as_millis() as u64),
                behind: clock.map(|clock| lag(&known.clock, clock)),
                ahead: clock.map(|clock| lag(clock, &known.clock)),
                compared: known.compared.get(&peer.hub_id).map(Compared::row),
            }
        });
        Status {
            hub_id: known.identity.hub_id.to_string(),
            name: known.identity.name.clone(),
            home_id: known.identity.home_id.map(|home| home.to_string()),
            software: env!("CARGO_PKG_VERSION"),
            protocol_version: PROTOCOL,
            replica: known.identity.replica.map(|replica| replica.to_string()),
            life: known.identity.life,
            uptime_s: now.mono.as_secs_f64(),
            records: known.totals.records,
            entities: known.totals.entities,
            relationships: known.totals.relationships,
            conflicts: known.totals.conflicts,
            blobs: known.blobs.held,
            blob_bytes: known.blobs.bytes,
            blobs_wanted: known.blobs.wanted,
            blob_transfer: BlobRow::of(&known.blobs),
            vector_clock,
            clock_checks,
            merkle_root: root.and_then(|told| told.root).map(|root| root.to_string()),
            merkle_clock: root
                .filter(|told| told.root.is_some())
                .map(|told| clock_to_wire(&told.clock).0),
            state_digest: root.map(|told| told.state.to_string()),
            merkle_bytes: root.map_or(0, |told| told.bytes as u64),
            checked: known.checked.as_ref().map(|(at, check)| CheckedRow {
                at: at.to_string(),
                records: check.records,
                damaged: check.damaged,
                rebuilt: check.rebuilt,
                checks: known.checks,
            }),
            horizon: known
                .horizon
                .iter()
                .map(|(replica, sequence)| (replica.to_string(), *sequence))
                .collect(),
            clock_suspect: known.clock_doubt.map(ClockRow::of),
            policy: known.policy.short.clone(),
            policy_differs: known.own_policy.clone(),
            peers: peers.collect(),
            events: known.events.iter().cloned().collect(),
        }
    }
}

fn doubted(doubt: ClockDoubt, now: Now) -> EventRow {
    let row = ClockRow::of(doubt);
    let detail = format!(
        "this hub's clock is {} s {} of what other hubs say: set it; until then its stamps are bounded by their time",
        row.by_s, row.is
    );
    EventRow {
        at: now.wall.to_string(),
        code: "CLOCK_SUSPECT",
        detail,
    }
}

fn row(event: &Event, now: Now) -> EventRow {
    let (code, detail) = match event {
        Event::RolledBack { why, old, last } => {
            let detail =
                format!("{why}: the replica {old} ends at entry {last}; what peers hold of it comes back");
            ("ROLLED_BACK", detail)
        }
        Event::Fork {
            replica,
            common,
            yielded,
            accepted_anew,
        } => {
            let side = if *yielded {
                "this hub's branch gave way"
            } else {
                "the other branch gives way"
            };
            let detail = format!(
                "two branches of {replica} part above entry {common}: {side}; {accepted_anew} change sets accepted anew"
            );
            ("FORK", detail)
        }
        Event::SetAside { id, digest, why } => (
            "SET_ASIDE",
            format!(
                "record {} of {id} stands among the evidence now: {why}",
                digest.short()
            ),
        ),
        Event::NewLife { replica, life } => ("NEW_LIFE", format!("life {life} began as replica {replica}")),
        Event::Refused { dot, why } => (
            "ENTRY_REFUSED",
            format!("entry {} of {} was dropped: {why}", dot.sequence, dot.replica),
        ),
    };
    EventRow {
        at: now.wall.to_string(),
        code,
        detail,
    }
}

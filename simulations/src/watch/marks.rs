//! Marks: rare states that a campaign must have met, or it has not tested what it seems to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inbetweenies_client::Frame;
use inbetweenies_core::machine::Totals;
use inbetweenies_core::node::{Mail, Notice};
use inbetweenies_core::storage::Event as StorageEvent;
use inbetweenies_core::store::{Family, IdRow, RecordRow, Snapshot, decode_row};
use inbetweenies_core::transfer::{Done, Taken};
use inbetweenies_core::wire::{Message, TreeMessage};
use inbetweenies_core::{reconcile, storage};

use super::{Fate, Mishap, Oracle, Seen};
use crate::plan::Do;
use crate::recording::FaultKind;
use crate::world::World;

/// All marks, with what each means.
pub const MARKS: [(&str, &str); 64] = [
    ("crash-in-commit", "a hub ended while a commit was under way"),
    (
        "crash-before-ack",
        "a hub ended between a commit and its acknowledgement",
    ),
    (
        "crash-in-recovery",
        "a hub ended within a tenth of a second of its start",
    ),
    ("crash-twice", "a hub ended twice within ten seconds"),
    (
        "founder-killed-young",
        "the founder ended before another hub had joined",
    ),
    ("power-lost-note", "a power cut took a note that was not synced"),
    ("disk-lied", "a power cut took what a disk had said to be synced"),
    ("disk-error", "a sync failed and the hub ended itself"),
    ("disk-full-refused", "a change was refused for lack of room"),
    ("disk-full-peer", "a peer's entries were dropped for lack of room"),
    ("row-unreadable", "a hub met a row that cannot be read"),
    ("rolled-back", "a hub noticed by itself that its disk went back"),
    ("new-life", "a new replica began"),
    ("fork-found", "two branches of one log met"),
    ("fork-yielded", "a hub gave up its own branch"),
    (
        "fork-accepted-anew",
        "change sets of a fallen branch were accepted anew",
    ),
    ("twin-found", "a clone was told to take another name"),
    ("entry-early", "an entry came before the one it follows"),
    ("page-cut", "a link was cut in the midst of a page"),
    ("push-lost", "a push was lost"),
    ("page-lost", "a page was lost"),
    ("clock-lost", "a clock was lost"),
    ("frame-refused", "a frame did not read and its link was cut"),
    ("news-left-out", "news was left out since a queue was full"),
    ("in-fragments", "a message took several frames"),
    ("link-silent", "a link was cut for its silence"),
    ("two-links", "of two links to one hub, one was too many"),
    ("half-open", "a message waited on a connection whose way was cut"),
    ("same-set-two-hubs", "one record was pushed at two hubs"),
    ("known-at-once", "a hub acknowledged what it held already"),
    (
        "lost-edit-told",
        "a client was told that its edit is kept and not shown",
    ),
    ("set-refused", "a change set was refused"),
    ("not-yet", "a hub was behind the clock that a client showed"),
    (
        "client-reset",
        "a client was told that a log it knew was given up",
    ),
    (
        "client-requeued",
        "a client pushed again what no log was known to hold",
    ),
    ("client-vanished", "a client vanished in the midst of a sync"),
    (
        "client-walked",
        "a client walked to another hub in the midst of a sync",
    ),
    ("answer-lost", "an answer never came to its client"),
    ("clock-jump-in-sync", "a hub's clock jumped while a client waited"),
    ("far-future", "a hub wrote under a clock a year ahead"),
    ("queued", "a conflict waited for a person"),
    ("many-heads", "a thing had three heads or more"),
    ("missing-parent", "a record's parent had not come yet"),
    (
        "policy-changed",
        "a hub heard of other rules than the home was founded with",
    ),
    ("horizon", "a hub heard of a horizon"),
    ("let-go", "a hub dropped content that counts as forgotten"),
    (
        "skeleton-sent",
        "a hub was sent what is left of a forgotten record",
    ),
    (
        "clock-doubted",
        "a hub noticed by what others said that its clock is wrong",
    ),
    ("hub-joined-late", "a hub joined a home that had changes already"),
    (
        "rot-noticed",
        "a check met rows that are not those that were written",
    ),
    (
        "chunk-rot-noticed",
        "a hub met a chunk of a blob that is not what was written",
    ),
    ("chunk-refused", "a hub refused a chunk that does not verify"),
    ("tree-rebuilt", "a tree was built anew from the records"),
    (
        "difference-mended",
        "comparing stores found a difference, and both were equal in the end",
    ),
    ("descent", "a comparison went down the tree"),
    ("met-at-meet", "stores were compared where two clocks met"),
    ("set-aside", "a record that no entry bears out was set aside"),
    ("log-hole", "a hub said that it does not hold a log whole"),
    ("tree-kept", "a tree was kept on disk"),
    ("blob-brought", "a client brought a blob"),
    (
        "blob-whole",
        "a blob of several chunks came whole from other hubs",
    ),
    ("blob-safe", "a client let its copy of a blob go"),
    (
        "blob-resumed",
        "after a start chunks were found that had come before",
    ),
    ("blob-no-room", "a chunk had no room on the disk"),
];

/// How often each was met.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    met: BTreeMap<&'static str, u64>,
    started: BTreeMap<usize, Duration>,
    ended: BTreeMap<usize, Duration>,
    last_broken: bool,
    joined: BTreeSet<usize>,
}

impl Marks {
    /// How often each was met; those never met are not in it.
    pub fn met(&self) -> &BTreeMap<&'static str, u64> {
        &self.met
    }

    fn met_one(&mut self, mark: &'static str) {
        debug_assert!(MARKS.iter().any(|(name, _)| *name == mark), "{mark} is no mark");
        *self.met.entry(mark).or_default() += 1;
    }

    fn met_if(&mut self, met: bool, mark: &'static str) {
        if met {
            self.met_one(mark);
        }
    }

    pub(super) fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) {
        match seen {
            Seen::Started { hub } => drop(self.started.insert(*hub, world.now)),
            Seen::NotStarted { .. } => self.met_one("row-unreadable"),
            Seen::Ended {
                hub,
                how,
                torn,
                lost,
                waiting,
                text,
            } => {
                self.ended(world, *hub, *how, *torn, *lost, *waiting, text);
            }
            Seen::DiskFull { .. } => self.met_one("disk-full-refused"),
            Seen::Committed { commit, .. } => {
                let let_go = commit.writes.iter().any(|(family, _, value)| {
                    let row = value.as_ref().filter(|_| *family == Family::Records);
                    let row = row.and_then(|row| decode_row::<RecordRow>(Family::Records, row).ok());
                    row.is_some_and(|row| row.forgotten)
                });
                self.met_if(let_go, "let-go");
            }
            Seen::Stored { .. } => self.met_one("blob-brought"),
            Seen::Safe { .. } => self.met_one("blob-safe"),
            Seen::Worked { done, .. } => match done {
                Done::Looked { found, .. } => self.met_if(!found.is_empty(), "blob-resumed"),
                Done::Took { taken, .. } => self.met_if(*taken == Taken::NoRoom, "blob-no-room"),
                Done::Synced { .. } => self.met_one("blob-whole"),
                _ => {}
            },
            Seen::NoRoomForPage { .. } => self.met_one("disk-full-peer"),
            Seen::Notice { hub, notice } => self.notice(world, *hub, notice),
            Seen::Posted { mail, .. } => self.posted(mail),
            Seen::Mishap(mishap) => self.last_broken = *mishap == Mishap::Broken,
            Seen::Sent {
                message, fate, bytes, ..
            } => self.sent(message, *fate, *bytes, world),
            Seen::FrameRefused { .. } => self.met_one("frame-refused"),
            Seen::Cut { code, .. } => {
                self.met_if(*code == "silent", "link-silent");
                self.met_if(*code == "double", "two-links");
                self.met_if(*code == "twin" || *code == "twin_seen", "twin-found");
            }
            Seen::Answered { answer, .. } => self.answered(oracle, answer),
            Seen::Kept { frame, .. } => match frame {
                Frame::Requeued { .. } => self.met_one("client-requeued"),
                Frame::Synced(synced) => {
                    self.met_if(!synced.restarted.is_empty(), "client-reset");
                    self.met_if(!synced.refused.is_empty(), "set-refused");
                }
                _ => {}
            },
            Seen::Vanished { client, busy } if *busy => {
                let died = !world.clients[*client].gone.is_empty();
                self.met_one(if died { "client-vanished" } else { "client-walked" });
            }
            Seen::AnswerSent { fate, .. } => self.met_if(*fate == Fate::Lost, "answer-lost"),
            Seen::Event { event } => {
                if let Do::ClockJump { hub, by_us } = &event.what {
                    let process = world.hubs[*hub].process.as_ref();
                    let waits = process.is_some_and(|process| !process.calls.is_empty());
                    let talks = world
                        .clients
                        .iter()
                        .any(|client| client.at == Some(*hub) && client.waits_for.is_some());
                    self.met_if(waits || talks, "clock-jump-in-sync");
                    self.met_if(*by_us > 300_000_000 * 86_400, "far-future");
                }
            }
            Seen::End => self.at_the_end(world),
            _ => {}
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one thing seen")]
    fn ended(
        &mut self,
        world: &World,
        hub: usize,
        how: FaultKind,
        torn: bool,
        lost: bool,
        waiting: bool,
        text: &str,
    ) {
        let now = world.now;
        let crashed = matches!(how, FaultKind::Killed | FaultKind::PowerCut);
        self.met_if(torn, "crash-in-commit");
        self.met_if(crashed && waiting && !torn, "crash-before-ack");
        let young = self
            .started
            .get(&hub)
            .is_some_and(|at| *at + Duration::from_millis(100) > now);
        self.met_if(crashed && young, "crash-in-recovery");
        let again = self
            .ended
            .insert(hub, now)
            .is_some_and(|at| at + Duration::from_secs(10) > now);
        self.met_if(again, "crash-twice");
        self.met_if(
            crashed && hub == 0 && self.joined.is_empty(),
            "founder-killed-young",
        );
        self.met_if(how == FaultKind::PowerCut, "power-lost-note");
        self.met_if(lost, "disk-lied");
        self.met_if(how == FaultKind::Aborted && text.contains("EIO"), "disk-error");
        self.met_if(
            how == FaultKind::Aborted && text.contains("checksum"),
            "row-unreadable",
        );
    }

    fn notice(&mut self, world: &World, hub: usize, notice: &Notice) {
        match notice {
            Notice::Event(StorageEvent::RolledBack { .. }) => self.met_one("rolled-back"),
            Notice::Event(StorageEvent::NewLife { .. }) => self.met_one("new-life"),
            Notice::Event(StorageEvent::Fork {
                yielded,
                accepted_anew,
                ..
            }) => {
                self.met_one("fork-found");
                self.met_if(*yielded, "fork-yielded");
                self.met_if(*accepted_anew > 0, "fork-accepted-anew");
            }
            Notice::Identity(identity) if hub > 0 && identity.home_id.is_some() => {
                let first = self.joined.insert(hub);
                let Totals { entities, .. } = world.hubs[0]
                    .process
                    .as_ref()
                    .map_or(Totals::default(), |process| process.storage.totals());
                self.met_if(first && entities > 0, "hub-joined-late");
            }
            Notice::Policy(policy) => self.met_if(!policy.earlier.is_empty(), "policy-changed"),
            Notice::Event(StorageEvent::SetAside { .. }) => self.met_one("set-aside"),
            Notice::Checked(check) => {
                self.met_if(check.damaged > 0, "rot-noticed");
                self.met_if(check.rebuilt, "tree-rebuilt");
            }
            Notice::Blobs(told) => {
                self.met_if(told.damaged_chunks > 0, "chunk-rot-noticed");
                self.met_if(told.bad_chunks > told.damaged_chunks, "chunk-refused");
            }
            Notice::Compared(comparison) => {
                self.met_if(comparison.equal && comparison.found > 0, "difference-mended");
            }
            Notice::Horizon(_) => self.met_one("horizon"),
            Notice::ClockDoubt(Some(_)) => self.met_one("clock-doubted"),
            Notice::Progress { totals, .. } => self.met_if(totals.conflicts > 0, "queued"),
            _ => {}
        }
    }

    fn posted(&mut self, mail: &Mail) {
        if let Mail::Storage(storage::Input::KeepTree { .. }) = mail {
            self.met_one("tree-kept");
        }
        if let Mail::Reconcile(reconcile::Input::Applied { gap: true, .. }) = mail {
            self.met_one("entry-early");
        }
    }

    fn sent(&mut self, message: &Message, fate: Fate, bytes: usize, world: &World) {
        let page = matches!(message, Message::Page { .. });
        let broken = page && std::mem::take(&mut self.last_broken);
        self.met_if(broken, "page-cut");
        self.met_if(fate == Fate::LeftOut, "news-left-out");
        self.met_if(fate == Fate::HeldUp, "half-open");
        self.met_if(bytes > world.limits.frame_bytes_max, "in-fragments");
        if let Message::Page { bundles, .. } | Message::Push { bundles } = message {
            self.met_if(
                bundles.iter().any(|bundle| !bundle.forgotten.is_empty()),
                "skeleton-sent",
            );
        }
        match message {
            Message::Page { holes, .. } => self.met_if(!holes.is_empty(), "log-hole"),
            Message::Tree(TreeMessage::Nodes { .. }) => self.met_one("descent"),
            Message::Tree(TreeMessage::Meet { .. }) => self.met_one("met-at-meet"),
            _ => {}
        }
        if fate == Fate::Lost {
            self.met_if(page, "page-lost");
            self.met_if(matches!(message, Message::Push { .. }), "push-lost");
            self.met_if(matches!(message, Message::Clock { .. }), "clock-lost");
        }
    }

    fn answered(
        &mut self,
        oracle: &Oracle,
        answer: &Result<Box<inbetweenies_core::wire::SyncResponse>, inbetweenies_core::wire::Problem>,
    ) {
        use inbetweenies_core::wire::Outcome;
        match answer {
            Ok(response) => {
                let is = |outcome| response.applied.iter().any(|row| row.outcome == outcome);
                self.met_if(is(Outcome::Known), "known-at-once");
                self.met_if(is(Outcome::Lost), "lost-edit-told");
                self.met_if(!response.rejected.is_empty(), "set-refused");
                self.met_if(response.not_yet, "not-yet");
                let two = oracle
                    .landed()
                    .iter()
                    .any(|landed| oracle.pushed_to(&landed.digest) > 1);
                self.met_if(two, "same-set-two-hubs");
                let queued = response.conflicts.iter().any(|row| row.queued);
                self.met_if(queued, "queued");
            }
            Err(problem) => self.met_if(problem.code == "not_yet", "not-yet"),
        }
    }

    /// What only the end shows.
    fn at_the_end(&mut self, world: &World) {
        let Some(hub) = world.hubs.first() else { return };
        let (mut most, mut missing) = (0, false);
        let scanned = hub
            .disk
            .image()
            .snapshot()
            .scan(Family::Ids, &[], None, &mut |_, value| {
                if let Ok(row) = decode_row::<IdRow>(Family::Ids, value) {
                    most = most.max(row.heads.len());
                    missing |= row.gaps;
                }
                true
            });
        debug_assert!(scanned.is_ok(), "memory reads");
        self.met_if(most > 2, "many-heads");
        self.met_if(missing, "missing-parent");
    }
}

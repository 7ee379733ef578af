//! Running a hub's rooms: mail in, a synchronous step, effects out, one timer each.
//!
//! It follows the hub's own shell: a room handles all mail that has come as one group; the storage room waits for its
//! commit, and what a step wants done after the commit is done after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::conflict::Conflict;
use inbetweenies_core::machine::{Machine, load_members};
use inbetweenies_core::merkle::{self, Merkle};
use inbetweenies_core::node::{Effect, Mail, Notice, Route};
use inbetweenies_core::peers::{self, Peers};
use inbetweenies_core::reconcile::{self, Reconcile};
use inbetweenies_core::storage::{self, Storage};
use inbetweenies_core::store::{Commit, StoreError};
use inbetweenies_core::time::Now;
use inbetweenies_core::transfer::{self, Transfer};

use super::disk::Reader;
use super::hub::{Boxes, Flight, Process};
use super::{Due, Room, World};
use crate::chance::Stream;
use crate::plan::{Lane, Plan, Tuning};
use crate::recording::FaultKind;
use crate::watch::Seen;

/// How long a room takes to get to its mail at most.
const TURN_US: u64 = 40;
/// How long a disk takes to sync.
const SYNC_US: (u64, u64) = (400, 6_000);
/// How long a supervisor waits before it starts a hub that ended by itself.
const RESTART: Duration = Duration::from_secs(2);

/// What storage is told when a hub starts.
pub fn storage_settings(
    name: &str,
    address: std::net::SocketAddr,
    founds: bool,
    plan: &Plan,
    seed: [u64; 2],
) -> storage::Settings {
    storage::Settings {
        name: name.to_owned(),
        address: Some(address),
        found: founds,
        policy: plan.domain.manifest(),
        group_records_max: plan.tuning.group_records_max,
        group_bytes_max: plan.tuning.group_bytes_max,
        content_min: Some(plan.tuning.content_min).filter(|keep| !keep.is_zero()),
        horizon_interval: plan.tuning.horizon_interval,
        seed,
    }
}

/// What anti-entropy is told: a small tree, so that what lies below memory is met too.
pub fn tree_settings(tuning: &Tuning, seed: u64) -> merkle::Settings {
    merkle::Settings {
        depth: 2,
        cells: tuning.tree_cells,
        interval: tuning.compare_interval,
        check_period: tuning.check_period,
        keep_changes: tuning.tree_keep_changes,
        seed,
    }
}

/// How blobs are fetched.
fn blob_settings(tuning: &Tuning) -> transfer::Settings {
    transfer::Settings {
        fetching: transfer::Fetching::All,
        pin_types: Vec::new(),
        budget: None,
        window_bytes_max: tuning.blob_window_bytes_max,
        sync_bytes: tuning.blob_sync_bytes as u64,
        unreferenced_min: Duration::from_secs(7 * 24 * 3_600),
        check_period: tuning.check_period,
    }
}

fn take<I>(inputs: &mut Vec<I>) -> Vec<I> {
    std::mem::take(inputs)
}

fn run<M: Machine>(
    machine: &mut M,
    now: Now,
    store: &Reader,
    inputs: Vec<M::Input>,
    effects: &mut Vec<Effect>,
) -> Result<(), StoreError>
where
    M::Output: Route,
{
    let mut outputs = Vec::new();
    machine.step(now, store, inputs, &mut outputs)?;
    outputs.into_iter().for_each(|output| output.route(effects));
    Ok(())
}

impl World {
    /// Starts a hub's process on what its disk holds.
    pub(super) fn start(&mut self, at: usize) {
        let hub = &mut self.hubs[at];
        hub.boots += 1;
        hub.dark = false;
        let boot = hub.boots;
        let mut seeds = Stream::Boot(at as u64, boot).of(self.plan.seed);
        let tuning = &self.plan.tuning;
        let settings = storage_settings(
            &hub.name,
            hub.address,
            hub.founds,
            &self.plan,
            [seeds.draw(), seeds.draw()],
        );
        let reader = hub.disk.reader();
        let opened = Storage::open(settings, &reader, &hub.disk.image().marks).and_then(|storage| {
            let merkle = Merkle::open(tree_settings(tuning, seeds.draw()), &reader)?;
            let members = load_members(&reader)?;
            let transfer = Transfer::open(blob_settings(tuning), &reader, &members)?;
            Ok((storage, merkle, transfer, members))
        });
        let (storage, merkle, transfer, members) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.abort(at, &error),
        };
        let identity = storage.identity();
        let clock = storage.clock().clone();
        let limits = self.limits.clone();
        let reconcile = Reconcile::new(
            reconcile::Settings {
                limits: limits.clone(),
                fanout: tuning.fanout,
                interval: tuning.interval,
                quiet_interval: tuning.quiet_interval,
                window_bytes_max: tuning.window_bytes_max,
                forgets: !tuning.content_min.is_zero(),
            },
            &identity,
            clock.clone(),
        );
        let peers = Peers::new(
            peers::Settings {
                limits,
                software: "simulated".to_owned(),
                seeds: hub.seeds.iter().map(ToString::to_string).collect(),
                address: Some(hub.address),
                links_max: tuning.links_max,
                backoff: (tuning.dial_backoff_min, tuning.dial_backoff_max),
                probe_period: tuning.probe_period,
                probe_timeout: tuning.probe_timeout,
                suspect_timeout: tuning.suspect_timeout,
                forget_down_after: tuning.forget_down_after,
                keepalive: tuning.keepalive,
                boot: seeds.draw(),
                seed: seeds.draw(),
            },
            identity.clone(),
            clock,
            members,
            Now {
                wall: hub.clock.read(self.now),
                mono: Duration::ZERO,
            },
        );
        let policy = storage.policy();
        hub.process = Some(Process {
            started: self.now,
            conflict: Conflict::new(policy.clone()),
            merkle,
            transfer,
            storage,
            reconcile,
            peers,
            boxes: Boxes::default(),
            scheduled: BTreeSet::new(),
            timers: BTreeMap::new(),
            flight: None,
            links: BTreeMap::new(),
            names: 0,
            uploads: BTreeMap::new(),
            calls: BTreeMap::new(),
            policy,
            identity,
            fuse: None,
        });
        self.saw(&Seen::Started { hub: at });
        for room in [Room::Storage, Room::Merkle, Room::Transfer, Room::Peers] {
            self.schedule(at, room);
        }
    }

    /// Ends a hub's process: what was not committed is gone. Its parts of a commit under way may be there.
    pub(super) fn end(&mut self, at: usize, how: FaultKind, text: &str) {
        let now = self.now;
        let Some(process) = self.hubs[at].process.take() else {
            return;
        };
        let chance = self.chance.of(Stream::Damage(at as u64));
        let mut torn = false;
        if let Some(flight) = &process.flight {
            self.hubs[at].disk.torn(now, &flight.commit, chance);
            torn = true;
        }
        let power = how == FaultKind::PowerCut;
        let mut lost = false;
        if power {
            lost = self.hubs[at].disk.lose_power(now, chance);
            self.hubs[at].dark = true;
        }
        self.hubs[at].held.clear();
        self.hubs[at].frozen.clear();
        self.hang_up_all(at, &process, power);
        self.calls_ended(&process, power);
        self.saw(&Seen::Ended {
            hub: at,
            how,
            torn,
            lost,
            waiting: !process.calls.is_empty(),
            text,
        });
        if self.healed {
            // It was about to stop when everything was mended.
            self.after(RESTART, Due::Restart { hub: at, reason: 0 });
        }
    }

    /// The disk failed under a running hub: the process ends, and is started again on what is on disk.
    pub(super) fn abort(&mut self, at: usize, error: &StoreError) {
        let text = error.to_string();
        if self.hubs[at].process.is_some() {
            self.end(at, FaultKind::Aborted, &text);
        } else {
            self.saw(&Seen::NotStarted { hub: at, text: &text });
        }
        self.posted += 1;
        let reason = u64::MAX / 2 + self.posted;
        self.hubs[at].off.insert(reason);
        // Rows that cannot be read do not mend by themselves: whoever owns the hub looks at it when all is over.
        if self.hubs[at].disk.is_damaged() && !self.healed {
            return;
        }
        self.after(RESTART, Due::Restart { hub: at, reason });
    }

    /// Puts mail in a room's box.
    pub(super) fn post(&mut self, at: usize, mail: Mail) {
        let Some(process) = &mut self.hubs[at].process else {
            return;
        };
        let room = process.boxes.post(mail);
        self.schedule(at, room);
    }

    fn schedule(&mut self, at: usize, room: Room) {
        let Some(process) = &mut self.hubs[at].process else {
            return;
        };
        let waits = room == Room::Storage && process.flight.is_some();
        if waits || !process.scheduled.insert(room) {
            return;
        }
        let boot = self.hubs[at].boots;
        let turn = self.chance.below(Stream::Rooms(at as u64), TURN_US);
        self.after(Duration::from_micros(1 + turn), Due::Step { hub: at, boot, room });
    }

    fn is_current(&self, at: usize, boot: u64) -> bool {
        self.hubs[at].boots == boot && self.hubs[at].process.is_some()
    }

    pub(super) fn wake(&mut self, at: usize, boot: u64, room: Room) {
        if !self.is_current(at, boot) {
            return;
        }
        let mono = self.now_at(at).mono;
        let Some(process) = &mut self.hubs[at].process else {
            return;
        };
        if process.timers.get(&room).is_none_or(|timer| *timer > mono) {
            return; // wanted otherwise meanwhile
        }
        process.timers.remove(&room);
        if process.scheduled.insert(room) {
            self.room_step(at, boot, room);
        }
    }

    pub(super) fn room_step(&mut self, at: usize, boot: u64, room: Room) {
        if !self.is_current(at, boot) {
            return;
        }
        let now = self.now_at(at);
        let hub = &mut self.hubs[at];
        let reader = hub.disk.reader();
        let Some(process) = &mut hub.process else { return };
        process.scheduled.remove(&room);
        let mut effects = Vec::new();
        let boxes = &mut process.boxes;
        let stepped = match room {
            Room::Storage => run(
                &mut process.storage,
                now,
                &reader,
                take(&mut boxes.storage),
                &mut effects,
            ),
            Room::Reconcile => run(
                &mut process.reconcile,
                now,
                &reader,
                take(&mut boxes.reconcile),
                &mut effects,
            ),
            Room::Conflict => run(
                &mut process.conflict,
                now,
                &reader,
                take(&mut boxes.conflict),
                &mut effects,
            ),
            Room::Merkle => run(
                &mut process.merkle,
                now,
                &reader,
                take(&mut boxes.merkle),
                &mut effects,
            ),
            Room::Transfer => run(
                &mut process.transfer,
                now,
                &reader,
                take(&mut boxes.transfer),
                &mut effects,
            ),
            Room::Peers => run(
                &mut process.peers,
                now,
                &reader,
                take(&mut boxes.peers),
                &mut effects,
            ),
        };
        drop(reader);
        if let Err(error) = stepped {
            return self.abort(at, &error);
        }
        self.effects(at, boot, effects.into_iter());
        self.set_timer(at, boot, room);
    }

    fn set_timer(&mut self, at: usize, boot: u64, room: Room) {
        if !self.is_current(at, boot) {
            return;
        }
        let Some(process) = &mut self.hubs[at].process else {
            return;
        };
        let wanted = process.wake_at(room);
        if process.timers.get(&room).copied() == wanted {
            return;
        }
        match wanted {
            Some(mono) => {
                process.timers.insert(room, mono);
                let due = process.started + mono;
                self.at(due, Due::Wake { hub: at, boot, room });
            }
            None => drop(process.timers.remove(&room)),
        }
    }

    /// Does effects in their order. At a commit the rest waits until it is durable.
    fn effects(&mut self, at: usize, boot: u64, mut effects: impl Iterator<Item = Effect>) {
        while let Some(effect) = effects.next() {
            if !self.is_current(at, boot) || self.fuse_burns(at) {
                return;
            }
            if let Effect::Commit(commit) = effect {
                let (wait, number) = (self.sync_time(at), commit.number);
                if let Some(process) = &mut self.hubs[at].process {
                    let after = effects.collect();
                    process.flight = Some(Flight { commit, after });
                }
                self.after(
                    wait,
                    Due::Committed {
                        hub: at,
                        boot,
                        number,
                    },
                );
                return;
            }
            self.effect(at, effect);
        }
    }

    /// Whether the process ends before its next effect.
    fn fuse_burns(&mut self, at: usize) -> bool {
        let Some(process) = &mut self.hubs[at].process else {
            return true;
        };
        let Some(fuse) = &mut process.fuse else {
            return false;
        };
        if fuse.left > 0 {
            fuse.left -= 1;
            return false;
        }
        let fuse = *fuse;
        self.crash(at, fuse);
        true
    }

    fn sync_time(&mut self, at: usize) -> Duration {
        let (least, most) = SYNC_US;
        let drawn = self.chance.below(Stream::Disk(at as u64), most - least);
        let sync = Duration::from_micros(least + drawn);
        sync + self.hubs[at].disk.stalled_until.saturating_sub(self.now)
    }

    pub(super) fn committed(&mut self, at: usize, boot: u64, number: u64) {
        if !self.is_current(at, boot) {
            return;
        }
        if self.hubs[at].disk.stalled_until > self.now {
            let until = self.hubs[at].disk.stalled_until;
            return self.at(
                until,
                Due::Committed {
                    hub: at,
                    boot,
                    number,
                },
            );
        }
        let flight = self.hubs[at]
            .process
            .as_mut()
            .and_then(|process| process.flight.take_if(|flight| flight.commit.number == number));
        let Some(Flight { commit, after }) = flight else {
            return;
        };
        self.saw(&Seen::Committing {
            hub: at,
            commit: &commit,
        });
        if let Err(error) = self.hubs[at].disk.commit(self.now, &commit) {
            self.failed_commit(at, &commit);
            return self.abort(at, &error);
        }
        self.saw(&Seen::Committed {
            hub: at,
            commit: &commit,
        });
        let Some(process) = &mut self.hubs[at].process else {
            return;
        };
        // Before what came meanwhile, as in the hub's shell.
        process.boxes.storage.insert(
            0,
            storage::Input::Committed {
                number: commit.number,
            },
        );
        self.effects(at, boot, after.into_iter());
        self.schedule(at, Room::Storage);
    }

    /// A disk that hung works again: what it was at goes on now.
    pub(super) fn resume_commit(&mut self, at: usize) {
        let boot = self.hubs[at].boots;
        let flight = self.hubs[at]
            .process
            .as_ref()
            .and_then(|process| process.flight.as_ref());
        if let Some(number) = flight.map(|flight| flight.commit.number) {
            let wait = self.sync_time(at);
            self.after(
                wait,
                Due::Committed {
                    hub: at,
                    boot,
                    number,
                },
            );
        }
    }

    /// Of a commit that failed, anything may be there.
    fn failed_commit(&mut self, at: usize, commit: &Commit) {
        let chance = self.chance.of(Stream::Damage(at as u64));
        self.hubs[at].disk.torn(self.now, commit, chance);
    }

    fn effect(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Post(mail) => {
                self.saw(&Seen::Posted { hub: at, mail: &mail });
                self.post(at, mail);
            }
            Effect::Commit(_) => panic!("a commit is the storage room's own"),
            Effect::Work(work) => self.work_later(at, work),
            Effect::Stored { ticket, id } => self.stored(at, ticket, id),
            Effect::Send { link, message } => self.send(at, link, message),
            Effect::Cut { link, code, detail } => {
                let with = self.link_end(at, link).and_then(|(conn, side)| {
                    let conn = self.net.conns.get(&conn)?;
                    Some(conn.ends[1 - side].hub)
                });
                self.saw(&Seen::Cut {
                    hub: at,
                    with,
                    code,
                    detail: &detail,
                });
                self.hang_up(at, link);
            }
            Effect::Dial { address } => self.dial(at, &address),
            Effect::Datagram { to, data } => self.send_datagram(at, to, data),
            Effect::Reply { ticket, answer } => self.reply(at, ticket, answer),
            Effect::Notice(notice) => self.notice(at, notice),
        }
    }

    fn notice(&mut self, at: usize, notice: Notice) {
        self.saw(&Seen::Notice {
            hub: at,
            notice: &notice,
        });
        let Some(process) = &mut self.hubs[at].process else {
            return;
        };
        match notice {
            Notice::Identity(identity) => process.identity = identity,
            Notice::Policy(policy) => process.policy = Arc::clone(&policy),
            Notice::LinkUp { link, lz4, .. } => {
                if let Some((conn, side)) = self.link_end(at, link)
                    && let Some(conn) = self.net.conns.get_mut(&conn)
                {
                    conn.pack[side] = lz4;
                }
            }
            Notice::Stopped => self.end(at, FaultKind::Stopped, "stops in order"),
            Notice::Progress { .. }
            | Notice::Event(_)
            | Notice::Peers(_)
            | Notice::Heard { .. }
            | Notice::ClockDoubt(_)
            | Notice::Root(_)
            | Notice::Compared(_)
            | Notice::Checked(_)
            | Notice::Blobs(_)
            | Notice::Horizon(_) => {}
        }
    }

    /// The lanes of two hubs.
    pub(super) fn lanes(from: usize, to: usize) -> (Lane, Lane) {
        (Lane::Hub(from), Lane::Hub(to))
    }
}

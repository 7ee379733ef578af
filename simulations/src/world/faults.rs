//! The events of a plan: what people do, what breaks, and how it ends.

use std::time::Duration;

use inbetweenies_core::machine::{Act, Ticket, load_policy};
use inbetweenies_core::node::Mail;
use inbetweenies_core::storage;
use inbetweenies_core::store::read_meta;

use super::clock::WallClock;
use super::disk::{Disk, Image};
use super::hub::Fuse;
use super::{Due, World};
use crate::chance::Stream;
use crate::plan::{Do, Lane, Said};
use crate::recording::FaultKind;
use crate::watch::Seen;

/// How long a hub is off while its disk is changed.
const SWAP: Duration = Duration::from_secs(3);

impl World {
    /// An event of the plan happens.
    pub(super) fn happen(&mut self, at: usize) {
        if self.healed {
            return;
        }
        let plan = self.plan.clone();
        let event = &plan.events[at];
        self.saw(&Seen::Event { event });
        if let Some(lasts) = event.what.lasts()
            && !matches!(event.what, Do::CrashAfter { .. })
        {
            self.after(lasts, Due::Undo(at));
        }
        let number = event.number;
        match &event.what {
            Do::Edit {
                client,
                things,
                fields,
            } => self.when_there(*client, |world| {
                world.say(*client, &said(things, fields));
                world.edit(*client, things, fields);
            }),
            Do::Delete { client, thing } => self.when_there(*client, |world| {
                world.say(*client, &format!("deletes {thing}"));
                world.delete(*client, thing);
            }),
            Do::Place { client, thing, room } => self.when_there(*client, |world| {
                world.say(*client, &format!("puts {thing} into {room}"));
                world.place(*client, thing, room);
            }),
            Do::Attach { client, thing, bytes } => self.when_there(*client, |world| {
                world.say(*client, &format!("attaches {bytes} bytes to {thing}"));
                world.attach(*client, thing, *bytes, number);
            }),
            Do::Push { hub } => self.script(*hub, None, number),
            Do::PushTwice { hub, other } => self.script(*hub, Some(*other), number),
            Do::Fence { hub, other, fenced } => self.fence(*hub, *other, *fenced),
            Do::ChangePolicy { hub, drawn } => self.change_policy(*hub, *drawn),
            Do::Go { client, to } => self.go(*client, *to),
            Do::Sync { client } => self.client_soon(*client),
            Do::Vanish { client, .. } => {
                self.say(*client, "is gone: the battery is empty");
                self.clients[*client].gone.insert(number);
                let busy = !self.clients[*client].is_idle();
                self.saw(&Seen::Vanished {
                    client: *client,
                    busy,
                });
                self.drop_session(*client);
            }
            Do::Cut {
                from, to, one_way, ..
            } => {
                self.net.cut(number, from, to, *one_way);
                self.saw(&Seen::Parted {
                    partition: number,
                    from,
                    to,
                    one_way: *one_way,
                });
            }
            Do::Rough { hub, other, line, .. } => {
                let (a, b) = World::lanes(*hub, *other);
                self.net.roughen(number, a, b, *line);
                let text = format!("the line to {} is bad", self.hubs[*other].name);
                self.fault(*hub, FaultKind::Line, &text);
            }
            Do::Clog { hub, other, .. } => {
                let (a, b) = World::lanes(*hub, *other);
                self.net.clog(number, a, b);
                let text = format!("the line to {} is clogged", self.hubs[*other].name);
                self.fault(*hub, FaultKind::Line, &text);
            }
            Do::Kill { hub, .. } => self.turn_off(*hub, number, FaultKind::Killed, "is killed"),
            Do::PowerCut { hub, .. } => self.turn_off(*hub, number, FaultKind::PowerCut, "loses its power"),
            Do::CrashAfter {
                hub,
                effects,
                power,
                lasts,
            } => self.light_fuse(*hub, *effects, *power, number, *lasts),
            Do::Stop { hub, .. } => self.stop_in_order(*hub, number),
            Do::Freeze { hub, .. } => {
                self.hubs[*hub].frozen.insert(number);
                self.fault(*hub, FaultKind::Frozen, "is frozen");
            }
            Do::ClockJump { hub, by_us } => {
                self.hubs[*hub].clock.jump(*by_us);
                let text = format!("its clock jumps by {:.1} s", *by_us as f64 / 1e6);
                self.fault(*hub, FaultKind::Clock, &text);
            }
            Do::ClockReset { hub, .. } => {
                self.hubs[*hub].clock.die(self.now);
                self.fault(*hub, FaultKind::Clock, "its clock says 1970");
            }
            Do::DiskFull { hub, .. } => {
                self.hubs[*hub].disk.fill();
                self.fault(*hub, FaultKind::Disk, "its disk is full");
            }
            Do::DiskStall { hub, lasts } => {
                let disk = &mut self.hubs[*hub].disk;
                disk.stalled_until = disk.stalled_until.max(self.now + *lasts);
                self.fault(*hub, FaultKind::Disk, "its disk hangs");
            }
            Do::DiskError { hub } => {
                self.hubs[*hub].disk.fails_next = true;
                self.fault(*hub, FaultKind::Disk, "its next sync will fail");
            }
            Do::DiskLies { hub, .. } => {
                self.hubs[*hub].disk.lies(true);
                self.fault(*hub, FaultKind::Disk, "its disk says that it synced and does not");
            }
            Do::BitFlip { hub } => self.flip_bit(*hub),
            Do::Rot { hub } => self.rot(*hub),
            Do::Backup { hub } => self.back_up(*hub),
            Do::Restore { hub, with_marks } => self.restore(*hub, *with_marks, number),
            Do::CloneDisk { hub } => self.clone_disk(*hub),
            Do::Wipe { hub } => self.wipe(*hub, number),
        }
    }

    /// An event ends.
    pub(super) fn undo(&mut self, at: usize) {
        if self.healed {
            return;
        }
        let plan = self.plan.clone();
        let event = &plan.events[at];
        match &event.what {
            Do::Vanish { client, .. } => {
                self.clients[*client].gone.remove(&event.number);
                self.say(*client, "is back");
                self.client_soon(*client);
            }
            Do::Cut { .. } | Do::Rough { .. } | Do::Clog { .. } => {
                if self.net.undo(event.number) {
                    self.saw(&Seen::Joined {
                        partition: event.number,
                    });
                }
                self.release();
            }
            Do::Kill { hub, .. }
            | Do::PowerCut { hub, .. }
            | Do::CrashAfter { hub, .. }
            | Do::Stop { hub, .. } => {
                self.allow(*hub, event.number);
            }
            Do::Freeze { hub, .. } => self.thaw(*hub, event.number),
            Do::ClockReset { hub, .. } => {
                self.hubs[*hub].clock.mend();
                self.fault(*hub, FaultKind::Clock, "its clock is right again");
            }
            Do::DiskFull { hub, .. } => {
                self.hubs[*hub].disk.empty();
                self.fault(*hub, FaultKind::Disk, "its disk has room again");
                self.saw(&Seen::RoomAgain { hub: *hub });
            }
            Do::DiskLies { hub, .. } => self.hubs[*hub].disk.lies(false),
            _ => {}
        }
    }

    pub(super) fn fault(&mut self, hub: usize, kind: FaultKind, text: &str) {
        self.saw(&Seen::Fault { hub, kind, text });
    }

    pub(super) fn say(&mut self, client: usize, text: &str) {
        self.saw(&Seen::Action {
            lane: Lane::Client(client),
            text,
        });
    }

    fn when_there(&mut self, client: usize, act: impl FnOnce(&mut World)) {
        if self.clients[client].gone.is_empty() {
            act(self);
        }
    }

    /// An owner says at a hub that another is lost, or back.
    fn fence(&mut self, hub: usize, other: usize, fenced: bool) {
        let is = if fenced { "lost" } else { "back" };
        let text = format!("is told that {} is {is}", self.hubs[other].name);
        self.saw(&Seen::Action {
            lane: Lane::Hub(hub),
            text: &text,
        });
        // What the hub is called by now: a copy of it may have taken another name.
        let hub_id = read_meta(&self.hubs[other].disk.image().snapshot());
        if let Ok(Some(meta)) = hub_id {
            let hub_id = meta.hub_id;
            self.decide(
                hub,
                Act::Fence {
                    hub_id,
                    fenced,
                    user_id: Some("owner".to_owned()),
                },
            );
        }
    }

    /// An owner gives the home other rules.
    fn change_policy(&mut self, hub: usize, drawn: u64) {
        self.saw(&Seen::Action {
            lane: Lane::Hub(hub),
            text: "is given other rules for the home",
        });
        let content = crate::swarm::draw_another(self.plan.seed, drawn).manifest();
        let act = Act::Policy {
            content,
            heads: None,
            user_id: Some("owner".to_owned()),
        };
        self.decide(hub, act);
    }

    /// Nobody waits for the answer.
    fn decide(&mut self, hub: usize, act: Act) {
        let Some(process) = &mut self.hubs[hub].process else {
            return;
        };
        let ticket = Ticket(process.name());
        self.post(hub, Mail::Storage(storage::Input::Govern { ticket, act }));
    }

    fn script(&mut self, hub: usize, other: Option<usize>, number: u64) {
        let mut made = std::mem::take(&mut self.made);
        self.push(hub, other, number, &mut made);
        self.made = made;
    }

    fn go(&mut self, client: usize, to: Option<usize>) {
        let text = match to {
            Some(hub) => format!("goes to {}", self.hubs[hub].name),
            None => "goes out of reach".to_owned(),
        };
        self.say(client, &text);
        if self.clients[client].at != to {
            // A request to the last hub is cut with the way to it.
            let busy = !self.clients[client].is_idle();
            self.saw(&Seen::Vanished { client, busy });
            self.drop_session(client);
            self.clients[client].at = to;
        }
        self.client_soon(client);
    }

    fn turn_off(&mut self, hub: usize, reason: u64, how: FaultKind, text: &str) {
        self.hubs[hub].off.insert(reason);
        if how == FaultKind::PowerCut && self.hubs[hub].process.is_none() {
            self.hubs[hub].dark = true;
        }
        self.end(hub, how, text);
    }

    fn light_fuse(&mut self, hub: usize, left: u32, power: bool, event: u64, lasts: Duration) {
        if let Some(process) = &mut self.hubs[hub].process {
            process.fuse = Some(Fuse {
                left,
                power,
                event,
                lasts,
            });
        }
    }

    /// A fuse has burnt down: the process ends between two effects.
    pub(super) fn crash(&mut self, hub: usize, fuse: Fuse) {
        let (how, text) = if fuse.power {
            (FaultKind::PowerCut, "loses its power in the midst of its work")
        } else {
            (FaultKind::Killed, "is killed in the midst of its work")
        };
        self.turn_off(hub, fuse.event, how, text);
        self.after(
            fuse.lasts,
            Due::Restart {
                hub,
                reason: fuse.event,
            },
        );
    }

    fn stop_in_order(&mut self, hub: usize, reason: u64) {
        self.hubs[hub].off.insert(reason);
        let stop = inbetweenies_core::node::Mail::Storage(inbetweenies_core::storage::Input::Stop);
        self.post(hub, stop);
    }

    /// One reason less to be off.
    pub(super) fn allow(&mut self, hub: usize, reason: u64) {
        self.hubs[hub].off.remove(&reason);
        if self.hubs[hub].off.is_empty() && self.hubs[hub].process.is_none() {
            self.start(hub);
            self.lights_on();
        }
    }

    fn thaw(&mut self, hub: usize, reason: u64) {
        self.hubs[hub].frozen.remove(&reason);
        if self.hubs[hub].frozen.is_empty() {
            for due in std::mem::take(&mut self.hubs[hub].held) {
                self.at(self.now, due);
            }
            self.fault(hub, FaultKind::Thawed, "goes on");
        }
    }

    /// Whether another hub holds the home's rules too: without them nobody could go on.
    fn is_safe_without(&self, hub: usize) -> bool {
        (0..self.hubs.len()).filter(|other| *other != hub).any(|other| {
            let disk = &self.hubs[other].disk;
            let rules = load_policy(&disk.image().snapshot());
            !disk.is_damaged() && rules.is_ok_and(|policy| policy.is_held())
        })
    }

    fn flip_bit(&mut self, hub: usize) {
        if !self.is_safe_without(hub) {
            return;
        }
        let chance = self.chance.of(Stream::Damage(hub as u64));
        if self.hubs[hub].disk.damage(chance) {
            self.fault(hub, FaultKind::Disk, "a bit of its disk flips");
        }
    }

    fn back_up(&mut self, hub: usize) {
        self.hubs[hub].drawer = Some(self.hubs[hub].disk.image().clone());
        self.fault(hub, FaultKind::Disk, "a copy of its disk is made");
    }

    fn restore(&mut self, hub: usize, with_marks: bool, number: u64) {
        let Some(mut image) = self.hubs[hub].drawer.clone() else {
            return;
        };
        if !self.is_safe_without(hub) {
            return; // what the copy lacks of the home's rules nobody could give back
        }
        self.turn_off(
            hub,
            number,
            FaultKind::Killed,
            "is taken down to restore a copy of its disk",
        );
        if !with_marks {
            image.marks = self.hubs[hub].disk.image().marks.clone();
        }
        self.swap(hub, image);
        let text = if with_marks {
            "an old copy of its disk is put back, unnoticed"
        } else {
            "an old copy of its disk is put back"
        };
        self.fault(hub, FaultKind::Disk, text);
        self.after(SWAP, Due::Restart { hub, reason: number });
    }

    /// Puts another image on a disk: what stood on it alone is gone.
    fn swap(&mut self, hub: usize, image: Image) {
        let before = self.hubs[hub].disk.image().clone();
        self.hubs[hub].disk.replace(image);
        self.saw(&Seen::Replaced { hub, before: &before });
    }

    fn clone_disk(&mut self, of: usize) {
        let at = self.hubs.len();
        let hub = &self.hubs[of];
        let name = format!("{} (copy)", hub.name);
        let (disk, clock) = (Disk::of(hub.disk.image().clone()), hub.clock);
        let mut seeds = hub.seeds.clone();
        seeds.push(hub.address);
        self.add_hub(&name, disk, clock, seeds, false);
        self.saw(&Seen::Cloned { of, at });
        self.start(at);
    }

    fn wipe(&mut self, hub: usize, number: u64) {
        if !self.is_safe_without(hub) {
            return;
        }
        self.turn_off(hub, number, FaultKind::Killed, "is taken down to get a new disk");
        self.renew(hub);
        self.after(SWAP, Due::Restart { hub, reason: number });
    }

    /// A new disk, on which the hub joins the home again.
    fn renew(&mut self, hub: usize) {
        self.swap(hub, Image::default());
        self.fault(hub, FaultKind::Disk, "has a new, empty disk");
        // It must not found another home.
        self.hubs[hub].founds = false;
        let others = (0..self.hubs.len()).filter(|other| *other != hub);
        self.hubs[hub].seeds = others.map(|other| self.hubs[other].address).collect();
    }

    /// Everything is mended: the ways are open, disks work, hubs run, clients are at home.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.saw(&Seen::Healed);
        for partition in self.net.mend() {
            self.saw(&Seen::Joined { partition });
        }
        for hub in 0..self.hubs.len() {
            self.hubs[hub].disk.empty();
            self.hubs[hub].disk.lies(false);
            self.hubs[hub].disk.stalled_until = self.now;
            self.resume_commit(hub);
            self.hubs[hub].disk.fails_next = false;
            self.hubs[hub].clock = WallClock::mended(self.hubs[hub].clock);
            if let Some(process) = &mut self.hubs[hub].process {
                process.fuse = None;
            }
            for reason in std::mem::take(&mut self.hubs[hub].frozen) {
                self.hubs[hub].frozen.insert(reason);
                self.thaw(hub, reason);
            }
        }
        for hub in 0..self.hubs.len() {
            if self.hubs[hub].disk.is_damaged() && self.is_safe_without(hub) {
                self.end(hub, FaultKind::Killed, "is taken down: its disk cannot be read");
                self.renew(hub);
            }
            self.hubs[hub].off.clear();
            if self.hubs[hub].process.is_none() {
                self.start(hub);
            }
        }
        self.release();
        for client in 0..self.clients.len() {
            self.clients[client].gone.clear();
            let home = self.clients[client].at.unwrap_or(client % self.plan.hubs.len());
            self.clients[client].at = Some(home);
            self.clients[client].sync_every = self.clients[client].sync_every.min(Duration::from_secs(5));
            self.drop_session(client);
            self.client_soon(client);
        }
    }
}

/// An edit in words.
fn said(things: &[String], fields: &[(String, Said)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(field, said)| format!("{field} = {said}"))
        .collect();
    format!("sets {} of {}", fields.join(", "), things.join(", "))
}

//! Messages, connections and datagrams on their way.

use std::net::SocketAddr;
use std::time::Duration;

use inbetweenies_core::limits::Limits;
use inbetweenies_core::machine::Link;
use inbetweenies_core::node::{Admission, Mail, brings_entries, deliver, room_for_page, size};
use inbetweenies_core::peers;
use inbetweenies_core::wire::{Assembler, Message, encode_frames};

use super::hub::Process;
use super::network::{Conn, ConnId, End, Parcel};
use super::{Due, World};
use crate::chance::Stream;
use crate::plan::Lane;
use crate::watch::{Fate, Mishap, Seen};

/// Smaller frames are not packed.
const COMPRESS_MIN: usize = 512;

impl World {
    /// How long the way takes now.
    pub(super) fn latency(&mut self, from: Lane, to: Lane, stream: Stream) -> Duration {
        let (least, most) = self.net.line(from, to).latency;
        let spread = most.saturating_sub(least).as_micros() as u64;
        least + Duration::from_micros(self.chance.below(stream, spread + 1))
    }

    fn happens(&mut self, stream: Stream, per_mille: u32, mishap: Mishap) -> bool {
        let happens = self.chance.happens(stream, per_mille);
        if happens {
            self.saw(&Seen::Mishap(mishap));
        }
        happens
    }

    /// Puts a message on a link.
    pub(super) fn send(&mut self, at: usize, link: Link, message: Message) {
        let Some((id, side)) = self.link_end(at, link) else {
            return;
        };
        let Some(conn) = self.net.conns.get(&id) else {
            return;
        };
        let (other, waiting, pack) = (conn.ends[1 - side].hub, conn.waiting[side], conn.pack[side]);
        let (from, to) = World::lanes(at, other);
        let admitted = self.outbox.admit(&message, waiting);
        if admitted == Admission::Queue {
            let frames = encode_frames(&message, pack, COMPRESS_MIN, &self.limits);
            return self.put(
                id,
                side,
                &message,
                Parcel {
                    size: size(&message),
                    frames: frames.into_iter().map(|frame| frame.join().into()).collect(),
                },
            );
        }
        let fate = Fate::LeftOut;
        self.saw(&Seen::Sent {
            from,
            to,
            message: &message,
            bytes: 0,
            fate,
        });
        if admitted == Admission::GiveUp {
            self.hang_up(at, link);
        }
    }

    fn put(&mut self, id: ConnId, side: usize, message: &Message, mut parcel: Parcel) {
        let Some(conn) = self.net.conns.get(&id) else {
            return;
        };
        let (from, to) = World::lanes(conn.ends[side].hub, conn.ends[1 - side].hub);
        let line = self.net.line(from, to);
        let bytes = parcel.frames.iter().map(Vec::len).sum();
        let (Lane::Hub(a), Lane::Hub(b)) = (from, to) else {
            return;
        };
        let stream = Stream::Line(a as u64, b as u64);
        let told = |world: &mut World, fate| {
            world.saw(&Seen::Sent {
                from,
                to,
                message,
                bytes,
                fate,
            });
        };
        if self.happens(stream, line.loss, Mishap::Lost) {
            return told(self, Fate::Lost);
        }
        let breaks = self.happens(stream, line.breaks, Mishap::Broken);
        if breaks {
            // What has left of it arrives, and no more: the link is cut in the midst of a message.
            parcel.frames.truncate(parcel.frames.len() / 2);
        }
        if self.happens(stream, line.corrupt, Mishap::Corrupted) {
            let frame = self.chance.below(stream, parcel.frames.len() as u64) as usize;
            let bits = parcel.frames.get(frame).map_or(0, |frame| 8 * frame.len() as u64);
            let bit = self.chance.below(stream, bits) as usize;
            if let Some(byte) = parcel
                .frames
                .get_mut(frame)
                .and_then(|frame| frame.get_mut(bit / 8))
            {
                *byte ^= 1 << (bit % 8);
            }
        }
        if self.net.held_up(from, to) {
            told(self, Fate::HeldUp);
            if let Some(conn) = self.net.conns.get_mut(&id) {
                conn.waiting[side] += parcel.size;
                conn.stuck[side].push(parcel);
            }
            return;
        }
        let passes = self.happens(stream, line.reorder, Mishap::Reordered);
        let twice = self.happens(stream, line.duplicate, Mishap::Duplicated);
        let arrives = self.arrival(id, side, stream, bytes, passes);
        told(self, Fate::Arrives(arrives));
        if let Some(conn) = self.net.conns.get_mut(&id) {
            conn.waiting[side] += parcel.size;
        }
        if twice {
            let again = self.latency(from, to, stream);
            let parcel = Parcel {
                size: 0,
                frames: parcel.frames.clone(),
            };
            self.at(
                arrives + again,
                Due::Parcel {
                    conn: id,
                    side: 1 - side,
                    parcel,
                },
            );
        }
        self.at(
            arrives,
            Due::Parcel {
                conn: id,
                side: 1 - side,
                parcel,
            },
        );
        if breaks {
            for side in [0, 1] {
                self.at(arrives, Due::Closed { conn: id, side });
            }
        }
    }

    fn arrival(&mut self, id: ConnId, side: usize, stream: Stream, bytes: usize, passes: bool) -> Duration {
        let Some(conn) = self.net.conns.get(&id) else {
            return self.now;
        };
        let (from, to) = World::lanes(conn.ends[side].hub, conn.ends[1 - side].hub);
        let last = conn.last[side];
        let latency = self.latency(from, to, stream);
        if passes {
            // Later ones overtake it.
            return self.now + 4 * latency + Duration::from_millis(5);
        }
        let mut arrives = (self.now + latency).max(last);
        let bandwidth = self.net.line(from, to).bandwidth;
        if let Some(micros) = (bytes as u64 * 1_000_000).checked_div(bandwidth) {
            arrives = arrives.max(last.max(self.now) + Duration::from_micros(micros));
        }
        // Two parcels of one direction never arrive at one instant in the wrong order: the queue keeps their order.
        if let Some(conn) = self.net.conns.get_mut(&id) {
            conn.last[side] = arrives;
        }
        arrives
    }

    /// What was held up goes on where the way is open again.
    pub(super) fn release(&mut self) {
        let ids: Vec<ConnId> = self.net.conns.keys().copied().collect();
        for id in ids {
            for side in [0, 1] {
                let Some(conn) = self.net.conns.get(&id) else {
                    continue;
                };
                let (a, b) = (conn.ends[side].hub, conn.ends[1 - side].hub);
                let (from, to) = World::lanes(a, b);
                if conn.stuck[side].is_empty() || self.net.held_up(from, to) {
                    continue;
                }
                let stuck = self
                    .net
                    .conns
                    .get_mut(&id)
                    .map(|conn| std::mem::take(&mut conn.stuck[side]));
                for parcel in stuck.into_iter().flatten() {
                    let bytes = parcel.frames.iter().map(Vec::len).sum();
                    let stream = Stream::Line(a as u64, b as u64);
                    let arrives = self.arrival(id, side, stream, bytes, false);
                    self.at(
                        arrives,
                        Due::Parcel {
                            conn: id,
                            side: 1 - side,
                            parcel,
                        },
                    );
                }
            }
        }
        self.reset_half_open();
    }

    /// An end whose other end is gone learns of it when the way is open: what it sends is answered by a reset.
    fn reset_half_open(&mut self) {
        let half_open: Vec<(ConnId, usize)> = self
            .net
            .conns
            .iter()
            .flat_map(|(id, conn)| [(*id, 0, conn), (*id, 1, conn)])
            .filter(|(_, side, conn)| conn.open[*side] && !conn.open[1 - side])
            .map(|(id, side, _)| (id, side))
            .collect();
        for (conn, side) in half_open {
            self.tell_closed(conn, side);
        }
    }

    /// An end is told that the other is gone, if the word can reach it.
    fn tell_closed(&mut self, id: ConnId, side: usize) {
        let Some(conn) = self.net.conns.get(&id) else {
            return;
        };
        let (a, b) = (conn.ends[1 - side].hub, conn.ends[side].hub);
        let (from, to) = World::lanes(a, b);
        if self.hubs[a].dark || self.net.held_up(from, to) {
            return; // it learns when the way is open, or by the silence
        }
        let stream = Stream::Line(a as u64, b as u64);
        let arrives = self.arrival(id, 1 - side, stream, 0, false);
        self.at(arrives, Due::Closed { conn: id, side });
    }

    /// A parcel comes out at one end.
    pub(super) fn parcel(&mut self, id: ConnId, side: usize, parcel: &Parcel) {
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return;
        };
        conn.waiting[1 - side] = conn.waiting[1 - side].saturating_sub(parcel.size);
        if !conn.open[side] {
            return self.tell_closed(id, 1 - side);
        }
        let (end, sender) = (conn.ends[side], conn.ends[1 - side].hub);
        // A peer's frames are held against the protocol's own bounds, as in the hub.
        let limits = Limits::default();
        for frame in &parcel.frames {
            let Some(conn) = self.net.conns.get_mut(&id) else {
                return;
            };
            match conn.assemblers[side].take(frame, &limits) {
                Ok(None) => {}
                Ok(Some(message)) => {
                    if brings_entries(&message) && !self.hubs[end.hub].disk.has_room(room_for_page(&limits)) {
                        self.saw(&Seen::NoRoomForPage { hub: end.hub });
                        continue;
                    }
                    self.saw(&Seen::Arrived {
                        hub: end.hub,
                        from: sender,
                        message: &message,
                    });
                    self.post(end.hub, deliver(end.link, message));
                }
                Err(error) => {
                    let detail = error.to_string();
                    self.saw(&Seen::FrameRefused {
                        hub: end.hub,
                        detail: &detail,
                    });
                    self.hang_up(end.hub, end.link);
                    return self.post(end.hub, Mail::Peers(peers::Input::Closed { link: end.link }));
                }
            }
        }
    }

    /// An end learns that its connection is gone.
    pub(super) fn closed(&mut self, id: ConnId, side: usize) {
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return;
        };
        if !std::mem::take(&mut conn.open[side]) {
            return;
        }
        let end = conn.ends[side];
        self.forget(id);
        if self.hubs[end.hub].boots != end.boot {
            return;
        }
        let link = end.link;
        if let Some(process) = &mut self.hubs[end.hub].process {
            process.links.remove(&link);
        }
        self.post(end.hub, Mail::Peers(peers::Input::Closed { link }));
    }

    /// A hub ends a link: what it sent before still arrives, and then the other end learns of it.
    pub(super) fn hang_up(&mut self, at: usize, link: Link) {
        let Some((id, side)) = self.link_end(at, link) else {
            return;
        };
        if let Some(process) = &mut self.hubs[at].process {
            process.links.remove(&link);
        }
        if let Some(conn) = self.net.conns.get_mut(&id) {
            conn.open[side] = false;
        }
        self.tell_closed(id, 1 - side);
        self.forget(id);
        self.post(at, Mail::Peers(peers::Input::Closed { link }));
    }

    /// A process is gone with all its links. Killed, the system closes them; without power nobody does.
    pub(super) fn hang_up_all(&mut self, at: usize, process: &Process, _power: bool) {
        for (link, id) in &process.links {
            let Some(side) = self.net.side(*id, at, *link) else {
                continue;
            };
            if let Some(conn) = self.net.conns.get_mut(id) {
                conn.open[side] = false;
            }
            self.tell_closed(*id, 1 - side);
            self.forget(*id);
        }
    }

    fn forget(&mut self, id: ConnId) {
        if self
            .net
            .conns
            .get(&id)
            .is_some_and(|conn| conn.open == [false, false])
        {
            self.net.conns.remove(&id);
        }
    }

    /// A machine that was dark is up again: it answers what is sent to connections it does not know.
    pub(super) fn lights_on(&mut self) {
        self.reset_half_open();
    }

    /// A hub dials an address.
    pub(super) fn dial(&mut self, at: usize, address: &str) {
        let boot = self.hubs[at].boots;
        let Ok(address) = address.parse::<SocketAddr>() else {
            return self.post(
                at,
                Mail::Peers(peers::Input::DialFailed {
                    address: address.to_owned(),
                }),
            );
        };
        let to = self.hub_at(address);
        let fails = self.now + self.plan.tuning.dial_timeout;
        let Some(to) = to.filter(|to| self.both_ways(at, *to) && !self.hubs[*to].dark) else {
            return self.at(
                fails,
                Due::DialFailed {
                    hub: at,
                    boot,
                    address,
                },
            );
        };
        let (from, to) = World::lanes(at, to);
        let Lane::Hub(b) = to else { return };
        let wait = self.latency(from, to, Stream::Line(at as u64, b as u64));
        self.after(
            wait,
            Due::Knock {
                hub: at,
                boot,
                address,
            },
        );
    }

    fn hub_at(&self, address: SocketAddr) -> Option<usize> {
        (0..self.hubs.len()).find(|at| self.hubs[*at].address == address)
    }

    fn both_ways(&self, a: usize, b: usize) -> bool {
        let (a, b) = World::lanes(a, b);
        !self.net.held_up(a, b) && !self.net.held_up(b, a)
    }

    /// Somebody asks for a connection.
    pub(super) fn knock(&mut self, at: usize, boot: u64, address: SocketAddr) {
        if self.hubs[at].boots != boot || self.hubs[at].process.is_none() {
            return;
        }
        let open = self.hub_at(address).filter(|to| self.both_ways(at, *to));
        let Some(to) = open.filter(|to| self.hubs[*to].process.is_some()) else {
            return self.dial_failed(at, boot, address);
        };
        let id = self.net.name();
        let end = |hub: usize, world: &mut World| {
            let boot = world.hubs[hub].boots;
            let link = world.hubs[hub].process.as_mut().map(|process| {
                let link = Link(process.name());
                process.links.insert(link, id);
                link
            });
            link.map(|link| End { hub, boot, link })
        };
        let (Some(ours), Some(theirs)) = (end(at, self), end(to, self)) else {
            return;
        };
        self.net.conns.insert(
            id,
            Conn {
                ends: [ours, theirs],
                open: [true, true],
                last: [self.now; 2],
                stuck: [Vec::new(), Vec::new()],
                waiting: [0; 2],
                assemblers: [Assembler::default(), Assembler::default()],
                pack: [false; 2],
            },
        );
        let connected = peers::Input::Connected {
            address: address.to_string(),
            link: ours.link,
        };
        self.post(at, Mail::Peers(connected));
        self.post(to, Mail::Peers(peers::Input::Incoming { link: theirs.link }));
    }

    pub(super) fn dial_failed(&mut self, at: usize, boot: u64, address: SocketAddr) {
        if self.hubs[at].boots == boot {
            let address = address.to_string();
            self.post(at, Mail::Peers(peers::Input::DialFailed { address }));
        }
    }

    /// A hub sends a datagram: it may be lost, come twice, come late.
    pub(super) fn send_datagram(&mut self, at: usize, to: SocketAddr, data: Vec<u8>) {
        let Some(to) = self.hub_at(to) else { return };
        let (from, there) = World::lanes(at, to);
        let line = self.net.line(from, there);
        let stream = Stream::Datagrams(at as u64, to as u64);
        let lost = self.net.held_up(from, there) || self.happens(stream, line.loss, Mishap::Lost);
        let wait = self.latency(from, there, stream);
        let fate = if lost {
            Fate::Lost
        } else {
            Fate::Arrives(self.now + wait)
        };
        self.saw(&Seen::Datagram {
            from,
            to: there,
            bytes: data.len(),
            fate,
        });
        if lost {
            return;
        }
        if self.happens(stream, line.duplicate, Mishap::Duplicated) {
            let again = wait + self.latency(from, there, stream);
            self.after(
                again,
                Due::Datagram {
                    hub: to,
                    data: data.clone(),
                },
            );
        }
        self.after(wait, Due::Datagram { hub: to, data });
    }

    pub(super) fn datagram(&mut self, at: usize, data: Vec<u8>) {
        self.post(at, Mail::Peers(peers::Input::Datagram { data }));
    }
}

//! Keeps what people are told and shown: see [`crate::recording`].

use std::collections::BTreeMap;
use std::time::Duration;

use inbetweenies_core::node::Notice;
use inbetweenies_core::record::Record;
use inbetweenies_core::storage::Event as StorageEvent;
use inbetweenies_core::wire::{BlobMessage, Message, TreeMessage, WireBundle};

use super::{Fate, Oracle, Seen};
use crate::plan;
use crate::recording::{FaultKind, Happening, Lane, LaneId, LaneKind, Recording, Sent, What};
use crate::world::World;

/// Heartbeats that are kept; the rest is counted.
const CHATTER_MAX: usize = 20_000;
/// Messages that are kept.
const MESSAGES_MAX: usize = 200_000;

/// Writes a recording.
#[derive(Default)]
pub struct Recorder {
    recording: Recording,
    states: BTreeMap<LaneId, u64>,
    told: BTreeMap<(plan::Lane, plan::Lane), u64>,
    chatter: usize,
    messages: usize,
}

impl Recorder {
    /// A lane's place in the picture: hubs, clients, then copies of hubs.
    pub fn lane(&self, world: &World, lane: plan::Lane) -> LaneId {
        let hubs = world.plan.hubs.len();
        LaneId(match lane {
            plan::Lane::Hub(at) if at < hubs => at,
            plan::Lane::Client(at) => hubs + at,
            plan::Lane::Hub(at) => at + world.clients.len(),
        })
    }

    fn lanes(&mut self, world: &World) {
        if self.recording.lanes.is_empty() {
            self.recording.title = world.plan.name.clone();
            self.recording.about = world.plan.about.clone();
            let planned = world.plan.hubs.iter().map(|hub| (&hub.name, LaneKind::Hub));
            let clients = world
                .plan
                .clients
                .iter()
                .map(|client| (&client.name, LaneKind::Client));
            self.recording.lanes = planned
                .chain(clients)
                .map(|(name, kind)| Lane {
                    name: name.clone(),
                    kind,
                })
                .collect();
        }
        let all = world.hubs.len() + world.plan.clients.len();
        while self.recording.lanes.len() < all {
            let at = self.recording.lanes.len() - world.plan.clients.len();
            self.recording.lanes.push(Lane {
                name: world.hubs[at].name.clone(),
                kind: LaneKind::Hub,
            });
        }
    }

    /// Keeps something that happened now.
    pub fn happened(&mut self, world: &World, what: What) {
        self.recording.happenings.push(Happening { at: world.now, what });
    }

    fn fault(&mut self, world: &World, hub: usize, kind: FaultKind, text: &str) {
        let lane = self.lane(world, plan::Lane::Hub(hub));
        let text = text.to_owned();
        self.happened(world, What::Fault { lane, kind, text });
    }

    fn note(&mut self, world: &World, lane: plan::Lane, text: String) {
        let lane = self.lane(world, lane);
        self.happened(world, What::Note { lane, text });
    }

    fn message(&mut self, world: &World, from: plan::Lane, to: plan::Lane, fate: Fate, mut sent: Sent) {
        (sent.from, sent.to) = (self.lane(world, from), self.lane(world, to));
        sent.arrives = match fate {
            Fate::Arrives(at) => Some(at),
            Fate::HeldUp | Fate::Lost | Fate::LeftOut => None,
        };
        if fate == Fate::HeldUp {
            sent.detail.push_str(" (held up: the way is cut)");
        }
        if fate == Fate::LeftOut {
            sent.detail.push_str(" (left out: the queue is full)");
        }
        let full = if sent.chatter {
            self.chatter += 1;
            self.chatter > CHATTER_MAX
        } else {
            self.messages += 1;
            self.messages > MESSAGES_MAX
        };
        if full {
            *self.recording.chatter.entry((sent.from, sent.to)).or_default() += 1;
        } else {
            self.happened(world, What::Message(sent));
        }
    }

    fn state(&mut self, world: &World, oracle: &Oracle, lane: plan::Lane) {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut entries = 0;
        let mut mix = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        match lane {
            plan::Lane::Hub(at) => {
                for (replica, (sequence, hash)) in oracle.tips(at) {
                    mix(&replica.0);
                    mix(&hash.check().0);
                    entries += sequence;
                }
            }
            plan::Lane::Client(at) => {
                let replica = &world.clients[at].replica;
                for (of, point) in replica.clock().iter() {
                    mix(&of.0);
                    mix(&point.check.map_or([0; 8], |check| check.0));
                    entries += point.sequence;
                }
                for (set, _) in replica.pending() {
                    mix(&set.to_be_bytes());
                }
            }
        }
        let lane = self.lane(world, lane);
        if self.states.insert(lane, hash) != Some(hash) {
            self.happened(world, What::State { lane, hash, entries });
        }
    }

    pub(super) fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) {
        self.lanes(world);
        match seen {
            Seen::Action { lane, text } => {
                let lane = self.lane(world, *lane);
                let text = (*text).to_owned();
                self.happened(world, What::Action { lane, text });
            }
            Seen::Fault { hub, kind, text } => self.fault(world, *hub, *kind, text),
            Seen::Started { hub } => {
                self.fault(world, *hub, FaultKind::Started, "starts");
                self.state(world, oracle, plan::Lane::Hub(*hub));
            }
            Seen::NotStarted { hub, text } => self.fault(world, *hub, FaultKind::Aborted, text),
            Seen::Ended { hub, how, text, .. } => self.fault(world, *hub, *how, text),
            Seen::Committed { hub, .. } => self.state(world, oracle, plan::Lane::Hub(*hub)),
            Seen::Kept { client, .. } => self.state(world, oracle, plan::Lane::Client(*client)),
            Seen::Replaced { hub, .. } => self.state(world, oracle, plan::Lane::Hub(*hub)),
            Seen::Cloned { of, at } => {
                let text = format!(
                    "a copy of the disk of {} runs as one more hub",
                    world.hubs[*of].name
                );
                self.fault(world, *at, FaultKind::Disk, &text);
            }
            Seen::Notice { hub, notice } => self.notice(world, *hub, notice),
            Seen::Cut {
                hub,
                with,
                code,
                detail,
            } if *code != "double" => {
                let to = with.map_or_else(String::new, |with| format!(" to {}", world.hubs[with].name));
                self.note(
                    world,
                    plan::Lane::Hub(*hub),
                    format!("ends its link{to}: {detail}"),
                );
            }
            Seen::FrameRefused { hub, detail } => {
                self.note(
                    world,
                    plan::Lane::Hub(*hub),
                    format!("refuses a frame and ends its link: {detail}"),
                );
            }
            Seen::NoRoomForPage { hub } => {
                self.note(
                    world,
                    plan::Lane::Hub(*hub),
                    "has no room for a peer's entries".to_owned(),
                );
            }
            Seen::DiskFull { hub, .. } => {
                self.note(
                    world,
                    plan::Lane::Hub(*hub),
                    "refuses a change: the disk is full".to_owned(),
                );
            }
            Seen::SyncFailed { client, text } => {
                self.note(world, plan::Lane::Client(*client), format!("cannot sync: {text}"));
            }
            Seen::Sent {
                from,
                to,
                message,
                bytes,
                fate,
            } => {
                let (detail, chatter) = self.describe(*from, *to, message);
                self.message(
                    world,
                    *from,
                    *to,
                    *fate,
                    sent(message.name(), *bytes, detail, chatter),
                );
            }
            Seen::Datagram {
                from,
                to,
                bytes,
                fate,
            } => {
                self.message(
                    world,
                    *from,
                    *to,
                    *fate,
                    sent("probe", *bytes, "are you there?".to_owned(), true),
                );
            }
            Seen::Asked {
                client,
                hub,
                bytes,
                fate,
                news,
            } => {
                let detail = "what I have changed, and what I know".to_owned();
                self.message(
                    world,
                    *client,
                    plan::Lane::Hub(*hub),
                    *fate,
                    sent("sync", *bytes, detail, !*news),
                );
            }
            Seen::AnswerSent {
                client,
                hub,
                bytes,
                fate,
                news,
            } => {
                let detail = "what is on disk, and what is new".to_owned();
                self.message(
                    world,
                    plan::Lane::Hub(*hub),
                    *client,
                    *fate,
                    sent("answer", *bytes, detail, !*news),
                );
            }
            Seen::Parted {
                partition,
                from,
                to,
                one_way,
            } => {
                let lanes = |lanes: &[plan::Lane]| lanes.iter().map(|lane| self.lane(world, *lane)).collect();
                let what = What::Parted {
                    partition: *partition,
                    from: lanes(from),
                    to: lanes(to),
                    one_way: *one_way,
                };
                self.happened(world, what);
            }
            Seen::Joined { partition } => self.happened(
                world,
                What::Joined {
                    partition: *partition,
                },
            ),
            Seen::Healed => {
                self.recording.healed_at = Some(world.now);
                self.happened(world, What::Healed);
            }
            _ => {}
        }
    }

    fn notice(&mut self, world: &World, hub: usize, notice: &Notice) {
        let text = match notice {
            Notice::Event(StorageEvent::RolledBack { why, last, .. }) => {
                format!("its disk has gone back ({why}); a new life begins after entry {last}")
            }
            Notice::Event(StorageEvent::Fork {
                yielded,
                accepted_anew,
                common,
                ..
            }) => {
                let which = if *yielded {
                    "its own branch gives way"
                } else {
                    "the other branch gives way"
                };
                format!(
                    "two branches of one log part after entry {common}: {which}, {accepted_anew} change sets are \
                     accepted anew"
                )
            }
            Notice::Event(StorageEvent::NewLife { life, .. }) => format!("begins its life number {life}"),
            Notice::Event(StorageEvent::Refused { why, .. }) => format!("drops an entry: {why}"),
            _ => return,
        };
        self.note(world, plan::Lane::Hub(hub), text);
    }

    /// A message in words, and whether it tells nothing new.
    fn describe(&mut self, from: plan::Lane, to: plan::Lane, message: &Message) -> (String, bool) {
        match message {
            Message::Hello(hello) => (format!("I am {}", hello.name), false),
            Message::Clock { clock } => {
                let sum = clock.0.iter().map(|(_, sequence, _)| sequence).sum::<u64>();
                let known = self.told.insert((from, to), sum) == Some(sum);
                (format!("I hold {sum} change sets"), known)
            }
            Message::Pull { .. } => ("what do I lack?".to_owned(), false),
            Message::Page { bundles, more, .. } => {
                let more = if *more { ", and there is more" } else { "" };
                (format!("{}{more}", sets(bundles)), bundles.is_empty())
            }
            Message::Push { bundles } => (sets(bundles), false),
            Message::Mend { bundles } => (format!("you lack rows of {}", sets(bundles)), false),
            Message::Tree(tree) => compare(tree),
            Message::Blob(blob) => (about_blobs(blob), false),
            Message::Trace { above, .. } => (format!("what is in this log above entry {above}?"), false),
            Message::Chain { links, .. } => (format!("{} entries and their hashes", links.len()), false),
            Message::Swim { .. } => ("who is there".to_owned(), true),
            Message::Ping { .. } => ("are you there?".to_owned(), true),
            Message::Pong { .. } => ("I am".to_owned(), true),
            Message::Bye { detail, .. } => (format!("goodbye: {detail}"), false),
        }
    }

    pub(super) fn finish(mut self, until: Duration) -> Recording {
        self.recording.until = until;
        self.recording
    }
}

fn sent(name: &'static str, bytes: usize, detail: String, chatter: bool) -> Sent {
    Sent {
        from: LaneId(0),
        to: LaneId(0),
        arrives: None,
        name,
        bytes,
        detail,
        chatter,
    }
}

/// What is said about blobs, in words.
fn about_blobs(message: &BlobMessage) -> String {
    match message {
        BlobMessage::Ask { ids } => format!("do you have any of these {} blobs?", ids.len()),
        BlobMessage::Has { blobs } => format!("I have of {} blobs", blobs.len()),
        BlobMessage::AskManifest { id } => format!("what is the manifest of {id:?}?"),
        BlobMessage::Manifest { id, size, .. } => format!("{id:?} has {size} bytes, and this manifest"),
        BlobMessage::Get { chunks } => format!("send me {} chunks", chunks.len()),
        BlobMessage::Chunks { chunks } => format!("{} chunks", chunks.len()),
        BlobMessage::Bad { id, index } => format!("chunk {index} of {id:?} is not what it should be"),
        BlobMessage::Keep { ids } => format!("will you keep {} blobs, so that I need not?", ids.len()),
        BlobMessage::Kept { ids } => format!("I keep {} blobs for you", ids.len()),
        BlobMessage::Release { ids } => format!("you need not keep {} blobs for me", ids.len()),
        BlobMessage::Released { ids } => format!("{} blobs are noted", ids.len()),
    }
}

/// A step of comparing stores in words, and whether it tells nothing new.
fn compare(message: &TreeMessage) -> (String, bool) {
    let text = match message {
        TreeMessage::Key { .. } => "this is our home's key, or what is it?".to_owned(),
        TreeMessage::Roots { root, .. } => format!("my root is {root:?}: is yours?"),
        TreeMessage::Equal { root, .. } => format!("mine is {root:?} too"),
        TreeMessage::Clocks { .. } => "our clocks differ: this is mine".to_owned(),
        TreeMessage::Meet { root, .. } => format!("where our clocks met, my root was {root:?}: was yours?"),
        TreeMessage::Later => "not now".to_owned(),
        TreeMessage::Few { syndromes, .. } => {
            format!(
                "we differ: {} bytes find up to {} differences",
                syndromes.len(),
                syndromes.len() / 8
            )
        }
        TreeMessage::Cells { from, cells, .. } => {
            format!("{} cells of my sketch from {from}", cells.len() / 11)
        }
        TreeMessage::More { from, .. } => format!("{from} cells are not enough"),
        TreeMessage::Nodes { nodes, leaves, .. } => {
            format!(
                "{} nodes of my tree, and {} told whole",
                nodes.len(),
                leaves.len()
            )
        }
        TreeMessage::Want { leaves, .. } => format!("I lack what {} leaves stand for", leaves.len() / 8),
        TreeMessage::Took { mended } => format!("{mended} rows are mended"),
        TreeMessage::Again => "too much differs: take all of mine again".to_owned(),
        TreeMessage::Doubt => "check your store: our roots differ, and nothing below them does".to_owned(),
    };
    let chatter = matches!(
        message,
        TreeMessage::Key { .. } | TreeMessage::Roots { .. } | TreeMessage::Equal { .. }
    );
    (text, chatter)
}

/// Change sets in words: how many, and what the first ones are about.
fn sets(bundles: &[WireBundle]) -> String {
    const NAMED_MAX: usize = 3;
    let records = bundles.iter().flat_map(|bundle| &bundle.records);
    let names: Vec<String> = records
        .clone()
        .take(NAMED_MAX)
        .filter_map(|bytes| Record::from_stored(bytes).ok())
        .map(|record| record.id.to_string())
        .collect();
    let more = if records.count() > NAMED_MAX { ", …" } else { "" };
    match bundles.len() {
        0 => "nothing new".to_owned(),
        1 => format!("1 change set ({}{more})", names.join(", ")),
        many => format!("{many} change sets ({}{more})", names.join(", ")),
    }
}

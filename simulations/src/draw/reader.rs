//! From a recording to a picture: happenings are read one by one, and what they mean for the paper is worked out.
//!
//! Every lane, message and mark of the recording is in the picture; nothing is thinned out here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::recording::{FaultKind, LaneId, LaneKind, Recording, Sent, What};

use super::axis::Axis;
use super::colours::{AGREED, Colours, Life, UNKNOWN};
use super::picture::{LaneView, Mark, Message, Parting, Pause, Picture, Row, Span, Tell, every_hub};
use super::symbols::Sign;
use super::words::{Micros, count, list};

/// Reads a recording.
pub fn read(recording: &Recording) -> Picture<'_> {
    let mut reader = Reader::new(recording);
    for happening in &recording.happenings {
        reader.read(micros(happening.at), &happening.what);
    }
    reader.finish(recording)
}

fn micros(at: Duration) -> Micros {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

/// Reads happenings one by one.
struct Reader<'a> {
    picture: Picture<'a>,
    /// What each lane holds now.
    held: Vec<Option<u64>>,
    lives: BTreeMap<u64, Life>,
    /// Partitions not joined yet, by name, as a place in the picture's.
    open: BTreeMap<u64, usize>,
    /// Since when a lane is down, and since when it is frozen.
    down: Vec<Option<Micros>>,
    frozen: Vec<Option<Micros>>,
    healed: Option<Micros>,
}

impl<'a> Reader<'a> {
    fn new(recording: &'a Recording) -> Reader<'a> {
        let lanes: Vec<LaneView> = recording
            .lanes
            .iter()
            .map(|lane| LaneView {
                name: &lane.name,
                kind: lane.kind,
                spans: vec![Span {
                    from: 0,
                    colour: UNKNOWN,
                    hash: None,
                    entries: 0,
                }],
                pauses: Vec::new(),
            })
            .collect();
        let none = vec![None; lanes.len()];
        Reader {
            held: vec![None; lanes.len()],
            lives: BTreeMap::new(),
            open: BTreeMap::new(),
            down: none.clone(),
            frozen: none,
            healed: None,
            picture: Picture {
                title: &recording.title,
                about: &recording.about,
                lanes,
                messages: Vec::new(),
                marks: Vec::new(),
                partings: Vec::new(),
                rows: Vec::new(),
                colours: Vec::new(),
                axis: Axis::new(&BTreeMap::new(), 0, 1.0),
                until: micros(recording.until),
                agreed_at_end: false,
                agreed_since: None,
                lost: 0,
                broken: 0,
                chatter: 0,
                chatter_untold: recording.chatter.values().sum(),
            },
        }
    }

    fn read(&mut self, at: Micros, what: &'a What) {
        self.picture.until = self.picture.until.max(at);
        match what {
            What::Message(sent) => self.message(at, sent),
            What::Action { lane, text } => self.mark(at, *lane, Sign::Action, text.clone()),
            What::Note { lane, text } => self.mark(at, *lane, Sign::Note, text.clone()),
            What::Fault { lane, kind, text } => self.fault(at, *lane, *kind, text),
            What::Parted {
                partition,
                from,
                to,
                one_way,
            } => self.parted(at, *partition, from, to, *one_way),
            What::Joined { partition } => self.joined(at, *partition),
            What::State { lane, hash, entries } => self.state(at, *lane, *hash, *entries),
            What::Healed => self.healed(at),
            What::Broken { promise, lane, text } => {
                self.picture.broken += 1;
                self.row(at, Tell::Broken, *lane, format!("{promise} broken: {text}"));
            }
        }
    }

    fn row(&mut self, at: Micros, tell: Tell, lane: Option<LaneId>, text: String) {
        self.picture.rows.push(Row {
            at,
            tell,
            lane: lane.map(|lane| lane.0),
            text,
        });
    }

    fn mark(&mut self, at: Micros, lane: LaneId, sign: Sign, text: String) {
        let before = self.picture.marks.iter().rev().take_while(|mark| mark.at == at);
        let slot = before.filter(|mark| mark.lane == lane.0).count();
        self.row(at, Tell::Mark(sign), Some(lane), text.clone());
        self.picture.marks.push(Mark {
            at,
            lane: lane.0,
            sign,
            text,
            slot,
        });
    }

    fn fault(&mut self, at: Micros, lane: LaneId, kind: FaultKind, text: &str) {
        let sign = Sign::Fault(kind);
        self.mark(
            at,
            lane,
            sign,
            if text.is_empty() {
                sign.words().to_owned()
            } else {
                text.to_owned()
            },
        );
        match (kind, kind.down()) {
            (_, Some(true)) => {
                self.thaw(at, lane.0); // a frozen process that is killed is frozen no more
                self.down[lane.0].get_or_insert(at);
            }
            (_, Some(false)) => self.up(at, lane.0),
            (FaultKind::Frozen, None) => _ = self.frozen[lane.0].get_or_insert(at),
            (FaultKind::Thawed, None) => self.thaw(at, lane.0),
            (_, None) => {}
        }
    }

    fn up(&mut self, at: Micros, lane: usize) {
        if let Some(from) = self.down[lane].take() {
            self.picture.lanes[lane].pauses.push(Pause {
                from,
                until: at,
                frozen: false,
            });
        }
    }

    fn thaw(&mut self, at: Micros, lane: usize) {
        if let Some(from) = self.frozen[lane].take() {
            self.picture.lanes[lane].pauses.push(Pause {
                from,
                until: at,
                frozen: true,
            });
        }
    }

    fn state(&mut self, at: Micros, lane: LaneId, hash: u64, entries: u64) {
        let spans = &mut self.picture.lanes[lane.0].spans;
        let last = spans.len() - 1;
        let span = Span {
            from: at,
            colour: UNKNOWN,
            hash: Some(hash),
            entries,
        };
        if spans[last].hash == Some(hash) {
            spans[last].entries = entries;
            return;
        }
        if spans[last].from == at {
            spans[last] = span;
        } else {
            spans.push(span);
        }
        if let Some(life) = self.held[lane.0].and_then(|old| self.lives.get_mut(&old)) {
            life.until = life.until.max(at);
        }
        let life = self.lives.entry(hash).or_insert(Life { from: at, until: at });
        life.until = life.until.max(at);
        self.held[lane.0] = Some(hash);
        self.agree(at, entries);
    }

    /// Looks whether all hubs hold the same now.
    fn agree(&mut self, at: Micros, entries: u64) {
        let hubs = self
            .picture
            .lanes
            .iter()
            .zip(&self.held)
            .filter(|(lane, _)| lane.kind == LaneKind::Hub);
        let held: Vec<Option<u64>> = hubs.map(|(_, held)| *held).collect();
        let agreed = held.len() > 1 && held[0].is_some() && held.iter().all(|hash| *hash == held[0]);
        match (agreed, self.picture.agreed_since) {
            (true, None) => {
                self.picture.agreed_since = Some(at);
                if entries == 0 {
                    return; // empty hubs agree, which is no news
                }
                let sets = count(entries, "change set", "change sets");
                let text = format!("{} hold the same: {sets}", every_hub(held.len()));
                self.row(at, Tell::Agreed, None, text);
            }
            (false, Some(_)) => self.picture.agreed_since = None,
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn names(&self, lanes: &[usize]) -> String {
        list(lanes.iter().map(|lane| self.picture.lanes[*lane].name))
    }

    fn parted(&mut self, at: Micros, partition: u64, from: &[LaneId], to: &[LaneId], one_way: bool) {
        let near: BTreeSet<usize> = from.iter().map(|lane| lane.0).collect();
        let far: BTreeSet<usize> = to
            .iter()
            .map(|lane| lane.0)
            .filter(|lane| !near.contains(lane))
            .collect();
        let mut walls = Vec::new();
        let mut last: Option<(usize, bool)> = None;
        for lane in 0..self.picture.lanes.len() {
            let side = match (near.contains(&lane), far.contains(&lane)) {
                (true, _) => true,
                (false, true) => false,
                (false, false) => continue,
            };
            if let Some((before, other)) = last
                && other != side
            {
                walls.push((before + lane) as f64 / 2.0);
            }
            last = Some((lane, side));
        }
        let (near, far): (Vec<usize>, Vec<usize>) = (near.into_iter().collect(), far.into_iter().collect());
        let (a, b) = (self.names(&near), self.names(&far));
        let text = if one_way {
            format!("nothing gets from {a} to {b}")
        } else {
            format!("{a} | {b}: parted")
        };
        let standing = self.open.values().map(|open| &self.picture.partings[*open]);
        let shift = standing
            .filter(|open| open.walls.iter().any(|wall| walls.contains(wall)))
            .count();
        let parting = Parting {
            from: at,
            until: at,
            near,
            far,
            one_way,
            walls,
            shift,
            text: text.clone(),
        };
        self.open.insert(partition, self.picture.partings.len());
        self.picture.partings.push(parting);
        self.row(at, Tell::Parted, None, text);
    }

    fn joined(&mut self, at: Micros, partition: u64) {
        if let Some(open) = self.open.remove(&partition) {
            let parting = &mut self.picture.partings[open];
            parting.until = at;
            let (near, far) = (parting.near.clone(), parting.far.clone());
            let text = format!("{} and {} can talk again", self.names(&near), self.names(&far));
            self.row(at, Tell::Joined, None, text);
        }
    }

    fn healed(&mut self, at: Micros) {
        if self.healed.replace(at).is_none() {
            self.row(
                at,
                Tell::Healed,
                None,
                "the breaking ends: everything is mended from here on".to_owned(),
            );
        }
    }

    fn message(&mut self, at: Micros, sent: &'a Sent) {
        let arrives = sent.arrives.map(|arrives| micros(arrives).max(at));
        self.picture.until = self.picture.until.max(arrives.unwrap_or(at));
        if sent.chatter {
            self.picture.chatter += 1;
        } else if arrives.is_none() {
            self.picture.lost += 1;
        }
        let lanes = self.picture.lanes.len();
        assert!(
            sent.from.0 < lanes && sent.to.0 < lanes,
            "{lanes} lanes, and a message has another: {sent:?}"
        );
        let ends = if arrives.is_some() {
            sent.to.0 as f64
        } else {
            self.stopped(sent)
        };
        self.picture.messages.push(Message {
            at,
            arrives,
            sent,
            ends,
        });
    }

    /// Where a lost message ends: at the first wall on its way, or in mid-air near its sender.
    fn stopped(&self, sent: &Sent) -> f64 {
        let (from, to) = (sent.from.0, sent.to.0);
        let (start, end) = (from as f64, to as f64);
        let walls = self
            .open
            .values()
            .map(|open| &self.picture.partings[*open])
            .filter(|parting| {
                (parting.near.contains(&from) && parting.far.contains(&to))
                    || (!parting.one_way && parting.far.contains(&from) && parting.near.contains(&to))
            });
        let between = walls
            .flat_map(|parting| &parting.walls)
            .filter(|wall| (**wall - start) * (**wall - end) < 0.0);
        match between.min_by(|a, b| (**a - start).abs().total_cmp(&(**b - start).abs())) {
            Some(wall) => *wall,
            None => start + (end - start).clamp(-2.0, 2.0) * 0.55,
        }
    }

    fn finish(mut self, recording: &Recording) -> Picture<'a> {
        let until = self.picture.until;
        if let (None, Some(at)) = (self.healed, recording.healed_at) {
            self.healed(micros(at));
            self.picture.rows.sort_by_key(|row| row.at);
        }
        for lane in 0..self.picture.lanes.len() {
            self.up(until, lane);
            self.thaw(until, lane);
            self.picture.lanes[lane].pauses.sort_by_key(|pause| pause.from);
        }
        for open in std::mem::take(&mut self.open).into_values() {
            let parting = &mut self.picture.partings[open];
            parting.until = self.healed.filter(|at| *at >= parting.from).unwrap_or(until);
        }
        for hash in self.held.iter().flatten() {
            self.lives
                .get_mut(hash)
                .expect("a state that is held has a life")
                .until = until;
        }
        let mut picture = self.picture;
        picture.agreed_at_end = picture.agreed_since.is_some();
        let hub = picture.lanes.iter().position(|lane| lane.kind == LaneKind::Hub);
        let agreed = hub
            .filter(|_| picture.agreed_at_end)
            .and_then(|hub| self.held[hub]);
        let colours = Colours::new(&self.lives, agreed);
        for span in picture.lanes.iter_mut().flat_map(|lane| &mut lane.spans) {
            span.colour = span.hash.map_or(UNKNOWN, |hash| colours.of[&hash]);
        }
        debug_assert!(agreed.is_none_or(|hash| colours.of[&hash] == AGREED));
        picture.colours = colours.palette;
        picture.axis = picture.axis_within(super::html::HEIGHT_MAX);
        picture
    }
}

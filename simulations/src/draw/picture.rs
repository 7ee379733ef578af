//! What is to be drawn, before anything is: lanes with their spans, messages, marks, partitions, and all of it in words.
//!
//! Everything here is in the order of time, and every lane named exists: what draws it checks nothing any more.

use std::collections::BTreeMap;

use crate::recording::{LaneKind, Recording, Sent};

use super::axis::Axis;
use super::symbols::Sign;
use super::words::{Micros, count};

/// Paper for one line of text above what it belongs to.
pub const LINE_HEIGHT: f64 = 15.0;
/// Characters that fit beside a lane on one line; a longer text takes two.
const LINE_CHARS: usize = 24;
/// Paper above a line that goes across all lanes.
const BAR_ROOM: f64 = 30.0;
/// Labels of one lane at one moment that get room; more are seen under the pointer.
const STACK_MAX: usize = 4;

/// A lane as long as it holds one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From when.
    pub from: Micros,
    /// Number of the colour.
    pub colour: usize,
    /// Of its vector clock; none before it was first told.
    pub hash: Option<u64>,
    /// Change sets held.
    pub entries: u64,
}

/// A lane that is down or frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// From when.
    pub from: Micros,
    /// Until when.
    pub until: Micros,
    /// Merely frozen.
    pub frozen: bool,
}

/// One lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneView<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub kind: LaneKind,
    /// What it holds, gapless from zero on.
    pub spans: Vec<Span>,
    /// When it does nothing.
    pub pauses: Vec<Pause>,
}

/// A message with its way on the paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Message<'a> {
    /// When it leaves.
    pub at: Micros,
    /// When it arrives, if it does.
    pub arrives: Option<Micros>,
    /// The message itself.
    pub sent: &'a Sent,
    /// Where it ends, counted in lanes from the first: the receiver, or the wall that stops it.
    pub ends: f64,
}

/// A sign on a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Micros,
    /// On which lane.
    pub lane: usize,
    /// Which sign.
    pub sign: Sign,
    /// In words.
    pub text: String,
    /// How many signs its lane already has at this moment.
    pub slot: usize,
}

/// A partition from its beginning to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Parting {
    /// From when.
    pub from: Micros,
    /// Until when.
    pub until: Micros,
    /// Lanes of one side.
    pub near: Vec<usize>,
    /// Lanes of the other.
    pub far: Vec<usize>,
    /// Whether messages from the far side still reach the near side.
    pub one_way: bool,
    /// Where walls stand, counted in lanes from the first.
    pub walls: Vec<f64>,
    /// How many walls stand at the same places already.
    pub shift: usize,
    /// In words.
    pub text: String,
}

/// What a row of the list tells; the number is what `page.js` knows it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tell {
    /// A mark: an action, a note, a fault.
    Mark(Sign),
    /// A partition begins.
    Parted,
    /// A partition ends.
    Joined,
    /// All hubs hold the same again.
    Agreed,
    /// The faults end.
    Healed,
    /// A promise was broken.
    Broken,
}

/// A happening in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When.
    pub at: Micros,
    /// What kind.
    pub tell: Tell,
    /// Whose, if it is one lane's.
    pub lane: Option<usize>,
    /// In words, without the lane's name.
    pub text: String,
}

/// All there is to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture<'a> {
    /// The scenario's name.
    pub title: &'a str,
    /// What it is about.
    pub about: &'a str,
    /// Hubs, then clients.
    pub lanes: Vec<LaneView<'a>>,
    /// Chatter included.
    pub messages: Vec<Message<'a>>,
    /// Signs on lanes.
    pub marks: Vec<Mark>,
    /// Partitions.
    pub partings: Vec<Parting>,
    /// The list.
    pub rows: Vec<Row>,
    /// `#rrggbb`, by number.
    pub colours: Vec<String>,
    /// Where time is on the paper.
    pub axis: Axis,
    /// The end.
    pub until: Micros,
    /// Whether all hubs hold the same at the end.
    pub agreed_at_end: bool,
    /// Since when they do without a break, if they do.
    pub agreed_since: Option<Micros>,
    /// Messages that never arrive, chatter apart.
    pub lost: u64,
    /// Promises broken.
    pub broken: u64,
    /// Messages here that are chatter.
    pub chatter: u64,
    /// Chatter that was counted and not recorded.
    pub chatter_untold: u64,
}

/// All hubs, in words.
pub(super) fn every_hub(hubs: usize) -> String {
    if hubs == 2 {
        "both hubs".to_owned()
    } else {
        format!("all {hubs} hubs")
    }
}

impl<'a> Picture<'a> {
    /// Reads a recording.
    ///
    /// # Panics
    ///
    /// If it names a lane it does not have.
    pub fn new(recording: &'a Recording) -> Picture<'a> {
        super::reader::read(recording)
    }

    /// The paper at this height at most.
    pub fn axis_within(&self, height_max: f64) -> Axis {
        Axis::new(&self.moments(), self.until, height_max)
    }

    /// Every moment that has something to show, with the room its labels need above it. Chatter has no say in it.
    fn moments(&self) -> BTreeMap<Micros, f64> {
        let mut moments: BTreeMap<Micros, f64> = BTreeMap::new();
        for message in self.messages.iter().filter(|message| !message.sent.chatter) {
            moments.entry(message.at).or_default();
            message.arrives.map(|at| moments.entry(at).or_default());
        }
        for lane in &self.lanes {
            lane.spans
                .iter()
                .for_each(|span| _ = moments.entry(span.from).or_default());
        }
        let mut stacks: BTreeMap<(Micros, usize), f64> = BTreeMap::new();
        for mark in self.marks.iter().filter(|mark| mark.slot < STACK_MAX) {
            let lines = if mark.text.chars().count() > LINE_CHARS {
                2.0
            } else {
                1.0
            };
            *stacks.entry((mark.at, mark.lane)).or_insert(8.0) += lines * LINE_HEIGHT;
        }
        for ((at, _), height) in stacks {
            let room = moments.entry(at).or_default();
            *room = room.max(height);
        }
        let bars = self
            .rows
            .iter()
            .filter(|row| !matches!(row.tell, Tell::Mark(_) | Tell::Agreed));
        for at in bars
            .map(|row| row.at)
            .chain(self.agreed_since.filter(|at| *at > 0))
        {
            *moments.entry(at).or_default() += BAR_ROOM;
        }
        moments
    }

    /// Since when all hubs hold the same for good, and that in words, if it happens within the run.
    pub fn agreement(&self) -> Option<(Micros, String)> {
        let hubs = self
            .lanes
            .iter()
            .filter(|lane| lane.kind == LaneKind::Hub)
            .count();
        let since = self.agreed_since.filter(|at| *at > 0)?;
        Some((since, format!("from here on {} hold the same", every_hub(hubs))))
    }

    /// The run in one line: how much of everything, and how it ended.
    pub fn summary(&self) -> String {
        let of = |kind| self.lanes.iter().filter(|lane| lane.kind == kind).count() as u64;
        let talk = self.messages.len() as u64 - self.chatter;
        let mut parts = vec![
            count(of(LaneKind::Hub), "hub", "hubs"),
            count(of(LaneKind::Client), "client", "clients"),
            super::words::span(self.until),
            count(talk, "message", "messages"),
        ];
        if self.lost > 0 {
            parts.push(format!("{} of them lost", super::words::thousands(self.lost)));
        }
        parts.join(" · ")
    }

    /// How it ended: whether well, and in words.
    pub fn verdict(&self) -> (bool, String) {
        let hubs = self
            .lanes
            .iter()
            .filter(|lane| lane.kind == LaneKind::Hub)
            .count();
        let told = self
            .lanes
            .iter()
            .any(|lane| lane.spans.iter().any(|span| span.hash.is_some()));
        let mut words = Vec::new();
        if self.broken > 0 {
            words.push(count(self.broken, "promise broken", "promises broken"));
        }
        if hubs > 1 && told {
            words.push(if self.agreed_at_end {
                format!("at the end {} hold the same", every_hub(hubs))
            } else {
                "at the end the hubs do not hold the same".to_owned()
            });
        }
        (
            self.broken == 0 && (self.agreed_at_end || hubs < 2 || !told),
            words.join("; "),
        )
    }
}

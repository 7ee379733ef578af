//! Connections and what happens to messages on them.
//!
//! A connection keeps the order of what is sent on it, unless the line is told to let messages pass each other. Where
//! the way is cut, what was sent is held up, as TCP does, until the way is open again or an end gives up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inbetweenies_core::machine::Link;
use inbetweenies_core::wire::Assembler;

use crate::plan::{Lane, Line, Plan};

/// Names a connection.
pub type ConnId = u64;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Whose.
    pub hub: usize,
    /// Which of its processes.
    pub boot: u64,
    /// Its own name for it.
    pub link: Link,
}

/// What travels: the frames of one message.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The frames.
    pub frames: Vec<Vec<u8>>,
    /// As the sender's queue counts it.
    pub size: usize,
}

/// A connection between two hubs. Direction 0 is from the first end to the second.
pub struct Conn {
    /// Who dialled, and who was dialled.
    pub ends: [End; 2],
    /// Which ends think that it stands.
    pub open: [bool; 2],
    /// When the last parcel of each direction arrives.
    pub last: [Duration; 2],
    /// What is held up in each direction.
    pub stuck: [Vec<Parcel>; 2],
    /// Bytes that each end has not got rid of.
    pub waiting: [usize; 2],
    /// Puts together what comes to each end.
    pub assemblers: [Assembler; 2],
    /// Whether each end packs its frames.
    pub pack: [bool; 2],
}

/// The network: who reaches whom, and how.
#[derive(Default)]
pub struct Network {
    /// Connections that at least one end believes in.
    pub conns: BTreeMap<ConnId, Conn>,
    next: ConnId,
    cuts: BTreeMap<u64, (BTreeSet<Lane>, BTreeSet<Lane>, bool)>,
    clogs: BTreeMap<u64, (Lane, Lane)>,
    rough: BTreeMap<u64, (Lane, Lane, Line)>,
    walls: BTreeSet<(Lane, Lane)>,
    lines: BTreeMap<(Lane, Lane), Line>,
    line: Line,
    /// Whether lines do nothing wrong any more.
    pub mended: bool,
}

impl Network {
    /// As planned, with nothing cut.
    pub fn new(plan: &Plan) -> Network {
        let walls = plan.walls.iter();
        Network {
            walls: walls
                .flat_map(|(a, b)| [(Lane::Hub(*a), Lane::Hub(*b)), (Lane::Hub(*b), Lane::Hub(*a))])
                .collect(),
            lines: plan.lines.clone(),
            line: plan.line,
            ..Network::default()
        }
    }

    /// Names a new connection.
    pub fn name(&mut self) -> ConnId {
        self.next += 1;
        self.next
    }

    /// Whether nothing gets from one to the other.
    pub fn blocked(&self, from: Lane, to: Lane) -> bool {
        self.walls.contains(&(from, to))
            || self.cuts.values().any(|(senders, receivers, one_way)| {
                let there = senders.contains(&from) && receivers.contains(&to);
                let back = senders.contains(&to) && receivers.contains(&from);
                there || (back && !one_way)
            })
    }

    /// Whether what is sent is held up.
    pub fn held_up(&self, from: Lane, to: Lane) -> bool {
        let clogged = |(a, b): &(Lane, Lane)| (*a, *b) == (from, to) || (*b, *a) == (from, to);
        self.blocked(from, to) || self.clogs.values().any(clogged)
    }

    /// How messages travel from one to the other.
    pub fn line(&self, from: Lane, to: Lane) -> Line {
        let of = |a: &Lane, b: &Lane| (*a, *b) == (from, to) || (*b, *a) == (from, to);
        let rough = self
            .rough
            .values()
            .rev()
            .find(|(a, b, _)| of(a, b))
            .map(|(_, _, line)| *line);
        let line = rough
            .or_else(|| self.lines.get(&(from, to)).copied())
            .or_else(|| self.lines.get(&(to, from)).copied())
            .unwrap_or(self.line);
        if self.mended { line.mended() } else { line }
    }

    /// Some cannot reach some any more.
    pub fn cut(&mut self, event: u64, from: &[Lane], to: &[Lane], one_way: bool) {
        let set = |lanes: &[Lane]| lanes.iter().copied().collect();
        self.cuts.insert(event, (set(from), set(to), one_way));
    }

    /// Everything between two is held up.
    pub fn clog(&mut self, event: u64, a: Lane, b: Lane) {
        self.clogs.insert(event, (a, b));
    }

    /// Between two it is otherwise for a while.
    pub fn roughen(&mut self, event: u64, a: Lane, b: Lane, line: Line) {
        self.rough.insert(event, (a, b, line));
    }

    /// What an event did to the network is undone. Says whether it was a cut.
    pub fn undo(&mut self, event: u64) -> bool {
        self.clogs.remove(&event);
        self.rough.remove(&event);
        self.cuts.remove(&event).is_some()
    }

    /// Everything is undone but walls. Says which cuts there were.
    pub fn mend(&mut self) -> Vec<u64> {
        self.clogs.clear();
        self.rough.clear();
        self.mended = true;
        std::mem::take(&mut self.cuts).into_keys().collect()
    }

    /// Which end of a connection is this?
    pub fn side(&self, conn: ConnId, hub: usize, link: Link) -> Option<usize> {
        let ends = &self.conns.get(&conn)?.ends;
        ends.iter().position(|end| end.hub == hub && end.link == link)
    }

    /// The distance that news may have to go, in hops: of hubs that see each other.
    pub fn diameter(&self, hubs: usize) -> usize {
        let reach = |from: usize| {
            let mut far = vec![usize::MAX; hubs];
            far[from] = 0;
            let mut front = vec![from];
            while let Some(at) = front.pop() {
                for to in 0..hubs {
                    let seen = !self.walls.contains(&(Lane::Hub(at), Lane::Hub(to)));
                    if seen && far[to] > far[at] + 1 {
                        far[to] = far[at] + 1;
                        front.insert(0, to);
                    }
                }
            }
            far.into_iter()
                .filter(|hops| *hops < usize::MAX)
                .max()
                .unwrap_or(0)
        };
        (0..hubs).map(reach).max().unwrap_or(0)
    }
}

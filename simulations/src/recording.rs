//! What happened, as data: stories are told from it, pictures drawn of it.
//!
//! The world writes one as it runs; nothing in it is read back by a hub.

use std::collections::BTreeMap;
use std::time::Duration;

/// Which line of the picture: hubs first, then clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub usize);

/// What kind of thing a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneKind {
    /// A hub.
    Hub,
    /// A phone, a script, an assistant.
    Client,
}

/// A hub or client with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// As the scenario calls it.
    pub name: String,
    /// What it is.
    pub kind: LaneKind,
}

/// A run from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recording {
    /// The scenario's name.
    pub title: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// In the order of [`LaneId`].
    pub lanes: Vec<Lane>,
    /// In the order of time.
    pub happenings: Vec<Happening>,
    /// When the breaking stopped and the healing began.
    pub healed_at: Option<Duration>,
    /// How long the run was, in virtual time.
    pub until: Duration,
    /// Heartbeats that were left out, by (from, to): they are counted rather than kept.
    pub chatter: BTreeMap<(LaneId, LaneId), u64>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// When, in virtual time since the beginning.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A message between two lanes.
    Message(Sent),
    /// Somebody does something: an edit, a walk to another hub.
    Action {
        /// Who.
        lane: LaneId,
        /// In words: "sets lamp brightness = 80".
        text: String,
    },
    /// Something breaks, or is mended, at one lane.
    Fault {
        /// Where.
        lane: LaneId,
        /// What kind.
        kind: FaultKind,
        /// In words.
        text: String,
    },
    /// Some lanes cannot reach some others from now on.
    Parted {
        /// Names the partition until it is healed.
        partition: u64,
        /// From these,
        from: Vec<LaneId>,
        /// nothing reaches these.
        to: Vec<LaneId>,
        /// Whether the way back still works.
        one_way: bool,
    },
    /// They can again.
    Joined {
        /// Which partition.
        partition: u64,
    },
    /// What a lane holds is another set from now on; two lanes of one hash hold the same.
    State {
        /// Whose.
        lane: LaneId,
        /// Of its vector clock.
        hash: u64,
        /// Change sets held.
        entries: u64,
    },
    /// A lane has something to tell: a fork found, a life begun, a conflict met, an edit refused.
    Note {
        /// Who.
        lane: LaneId,
        /// In words.
        text: String,
    },
    /// The faults end, everything is mended.
    Healed,
    /// A promise was broken.
    Broken {
        /// Its id, as in `I3`.
        promise: &'static str,
        /// Where, if it is one lane's.
        lane: Option<LaneId>,
        /// In words.
        text: String,
    },
}

/// What broke or was mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The power fails: what was not synced is gone. The lane is down from now on.
    PowerCut,
    /// The process is killed. The lane is down from now on.
    Killed,
    /// The hub stops in order. The lane is down from now on.
    Stopped,
    /// The process ends by itself, since its disk failed it. The lane is down from now on.
    Aborted,
    /// The process starts. The lane is up from now on.
    Started,
    /// The process is frozen (SIGSTOP). It is up and does nothing.
    Frozen,
    /// It goes on.
    Thawed,
    /// Something of the disk: full, stalled, failing, restored, cloned, wiped.
    Disk,
    /// Something of the clock: jumped, reset.
    Clock,
    /// Something of the line: a link was cut, slowed, clogged.
    Line,
}

impl FaultKind {
    /// Whether the lane is down from now on (true), up from now on (false), or as it was (None).
    pub fn down(self) -> Option<bool> {
        match self {
            FaultKind::PowerCut | FaultKind::Killed | FaultKind::Stopped | FaultKind::Aborted => Some(true),
            FaultKind::Started => Some(false),
            FaultKind::Frozen | FaultKind::Thawed | FaultKind::Disk | FaultKind::Clock | FaultKind::Line => {
                None
            }
        }
    }
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// From whom.
    pub from: LaneId,
    /// To whom.
    pub to: LaneId,
    /// When it arrives; None if it never does.
    pub arrives: Option<Duration>,
    /// Its name: `hello`, `push`, `page`, `sync`, `answer`…
    pub name: &'static str,
    /// On the wire.
    pub bytes: usize,
    /// What is in it, in a line or two.
    pub detail: String,
    /// Whether it carries nothing new: a heartbeat, a probe, a clock already told. Pictures leave these out at first.
    pub chatter: bool,
}

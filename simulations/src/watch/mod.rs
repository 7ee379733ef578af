//! Who watches a run: a rolling hash of everything, an oracle that knows what must be, the promises that are checked
//! against it, marks for rare states, counts, and a recording for people.

mod expectations;
mod marks;
mod oracle;
mod recorder;
mod tally;
mod trace;

use std::time::Duration;

use inbetweenies_client::Frame;
use inbetweenies_core::blob::BlobId;
use inbetweenies_core::entry::Sealed;
use inbetweenies_core::node::{Mail, Notice};
use inbetweenies_core::store::Commit;
use inbetweenies_core::transfer::Done;
use inbetweenies_core::wire::{Message, Problem, SyncRequest, SyncResponse};
use std::sync::Arc;

pub use marks::{MARKS, Marks};
pub use oracle::{Acked, Landed, Oracle, is_hubs_own};
pub use recorder::Recorder;
pub use tally::{Fullest, Tally, gauges};
pub use trace::Trace;

use crate::invariants::{self, Invariant};
use crate::plan::{Event, Lane};
use crate::recording::{FaultKind, Recording, What};
use crate::world::{CallId, Due, Image, World};

/// So many things on the agenda lie between two samples.
const SAMPLE_EVERY: u64 = 1_000;
/// More than this at one instant, and time stands still: some room is woken again and again.
const AT_ONE_INSTANT_MAX: u64 = 200_000;

/// What becomes of something sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives then.
    Arrives(Duration),
    /// It waits for the way to be open.
    HeldUp,
    /// It never arrives.
    Lost,
    /// It was news for which the sender's queue had no room.
    LeftOut,
}

/// What a line does to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// It is gone.
    Lost,
    /// It comes twice.
    Duplicated,
    /// Others overtake it.
    Reordered,
    /// A bit of it flips.
    Corrupted,
    /// The connection breaks on it.
    Broken,
}

impl Mishap {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Mishap::Lost => "message lost",
            Mishap::Duplicated => "message doubled",
            Mishap::Reordered => "message overtaken",
            Mishap::Corrupted => "message corrupted",
            Mishap::Broken => "link cut in mid message",
        }
    }
}

/// What the world tells.
#[derive(Debug)]
pub enum Seen<'w> {
    /// An event of the plan happens.
    Event {
        /// Which.
        event: &'w Event,
    },
    /// Somebody does something.
    Action {
        /// Who.
        lane: Lane,
        /// In words.
        text: &'w str,
    },
    /// Something breaks, or is mended.
    Fault {
        /// Where.
        hub: usize,
        /// What kind.
        kind: FaultKind,
        /// In words.
        text: &'w str,
    },
    /// A hub's process begins: its disk is as it was found.
    Started {
        /// Which.
        hub: usize,
    },
    /// A hub does not start on what its disk holds.
    NotStarted {
        /// Which.
        hub: usize,
        /// Why.
        text: &'w str,
    },
    /// A hub's process is gone; its disk is as it is left.
    Ended {
        /// Which.
        hub: usize,
        /// How.
        how: FaultKind,
        /// Whether a commit was under way.
        torn: bool,
        /// Whether something is gone that was said to be synced.
        lost: bool,
        /// Whether clients waited for answers.
        waiting: bool,
        /// In words.
        text: &'w str,
    },
    /// A commit is about to be on disk; the disk is as before.
    Committing {
        /// Whose.
        hub: usize,
        /// What.
        commit: &'w Commit,
    },
    /// A commit is on disk.
    Committed {
        /// Whose.
        hub: usize,
        /// What.
        commit: &'w Commit,
    },
    /// A hub's files have done what they were to do.
    Worked {
        /// Whose.
        hub: usize,
        /// What.
        done: &'w Done,
    },
    /// A hub says that a blob which a client brought is durable.
    Stored {
        /// Which hub.
        hub: usize,
        /// Which blob.
        id: BlobId,
    },
    /// A client has let its copy of a blob go, since a hub has it and knows what for.
    Safe {
        /// Who.
        client: usize,
        /// Which hub.
        hub: usize,
        /// Which blob.
        id: BlobId,
    },
    /// Mail goes from one room to another.
    Posted {
        /// Of which hub.
        hub: usize,
        /// What.
        mail: &'w Mail,
    },
    /// A hub has something to show.
    Notice {
        /// Which.
        hub: usize,
        /// What.
        notice: &'w Notice,
    },
    /// A message leaves.
    Sent {
        /// From a hub,
        from: Lane,
        /// to another.
        to: Lane,
        /// What.
        message: &'w Message,
        /// On the wire.
        bytes: usize,
        /// What becomes of it.
        fate: Fate,
    },
    /// A message was put together at its receiver.
    Arrived {
        /// At whom.
        hub: usize,
        /// From whom.
        from: usize,
        /// What.
        message: &'w Message,
    },
    /// A datagram leaves.
    Datagram {
        /// From a hub,
        from: Lane,
        /// to another.
        to: Lane,
        /// On the wire.
        bytes: usize,
        /// What becomes of it.
        fate: Fate,
    },
    /// A line does something to a message.
    Mishap(Mishap),
    /// A hub ends a link.
    Cut {
        /// Which hub.
        hub: usize,
        /// To whom.
        with: Option<usize>,
        /// Stable.
        code: &'static str,
        /// In words.
        detail: &'w str,
    },
    /// A frame was refused and its link cut.
    FrameRefused {
        /// By whom.
        hub: usize,
        /// Why.
        detail: &'w str,
    },
    /// Entries of a peer were dropped for lack of room.
    NoRoomForPage {
        /// By whom.
        hub: usize,
    },
    /// Records were made.
    Issued {
        /// By whom; None for a script.
        client: Option<usize>,
        /// One change set.
        records: &'w [Arc<Sealed>],
    },
    /// A client's request leaves.
    Asked {
        /// Whose.
        client: Lane,
        /// For whom.
        hub: usize,
        /// On the wire.
        bytes: usize,
        /// What becomes of it.
        fate: Fate,
        /// Whether it says anything that the other does not know.
        news: bool,
    },
    /// A request was read at a hub's door.
    Request {
        /// Whose door.
        hub: usize,
        /// Which.
        call: CallId,
        /// What it says.
        request: &'w SyncRequest,
    },
    /// A change was refused for lack of room.
    DiskFull {
        /// By whom.
        hub: usize,
        /// Which request.
        call: CallId,
    },
    /// A hub answers a request.
    Answered {
        /// Which hub.
        hub: usize,
        /// Which request.
        call: CallId,
        /// What.
        answer: &'w Result<Box<SyncResponse>, Problem>,
    },
    /// An answer leaves for a client.
    AnswerSent {
        /// Whose.
        client: Lane,
        /// From whom.
        hub: usize,
        /// On the wire.
        bytes: usize,
        /// What becomes of it.
        fate: Fate,
        /// Whether it says anything that the other does not know.
        news: bool,
    },
    /// Nobody will answer a request any more.
    NoAnswer {
        /// Who should have.
        hub: usize,
        /// Which.
        call: CallId,
    },
    /// A client has taken a step.
    Kept {
        /// Who.
        client: usize,
        /// What.
        frame: &'w Frame,
    },
    /// A client and a hub lack nothing of each other.
    Synced {
        /// Who.
        client: usize,
        /// With whom.
        hub: usize,
    },
    /// A client's sync, or edit, came to nothing.
    SyncFailed {
        /// Who.
        client: usize,
        /// Why.
        text: &'w str,
    },
    /// A client walked away or died.
    Vanished {
        /// Who.
        client: usize,
        /// Whether it was in the midst of a sync.
        busy: bool,
    },
    /// Some cannot reach some.
    Parted {
        /// Names it.
        partition: u64,
        /// These cannot send
        from: &'w [Lane],
        /// to these.
        to: &'w [Lane],
        /// Whether the way back works.
        one_way: bool,
    },
    /// They can again.
    Joined {
        /// Which.
        partition: u64,
    },
    /// A hub's disk has another image on it.
    Replaced {
        /// Whose.
        hub: usize,
        /// What was on it.
        before: &'w Image,
    },
    /// A copy of a hub's disk is a hub of its own.
    Cloned {
        /// Of whom.
        of: usize,
        /// Its place.
        at: usize,
    },
    /// A disk that had rotted holds again what the others do.
    RotMended {
        /// Whose.
        hub: usize,
    },
    /// A full disk has room again.
    RoomAgain {
        /// Whose.
        hub: usize,
    },
    /// A sample is taken.
    Sample,
    /// Everything is mended.
    Healed,
    /// All hubs hold the same.
    Equal {
        /// After healing.
        took: Duration,
    },
    /// They do not, and should by now.
    NotEqual {
        /// Within which they should.
        bound: Duration,
    },
    /// From here on nobody does anything.
    QuietBegins,
    /// Until here.
    QuietEnds {
        /// How long it was.
        over: Duration,
    },
    /// The end of a run in which all went well.
    End,
}

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its id, as in `I3`.
    pub promise: &'static str,
    /// What it says.
    pub says: &'static str,
    /// When it was seen to be broken.
    pub at: Duration,
    /// Where, if it is one lane's.
    pub lane: Option<Lane>,
    /// What was found.
    pub text: String,
}

/// All of it.
pub struct Watch {
    trace: Trace,
    oracle: Oracle,
    invariants: Vec<Box<dyn Invariant>>,
    marks: Marks,
    tally: Tally,
    recorder: Option<Recorder>,
    broken: Option<Broken>,
    until_sample: u64,
    /// The instant, and how much has happened at it.
    instant: (Duration, u64),
}

impl Watch {
    /// Watches everything; keeps a recording if one is wanted.
    pub fn new(record: bool) -> Watch {
        Watch {
            trace: Trace::default(),
            oracle: Oracle::default(),
            invariants: invariants::all(),
            marks: Marks::default(),
            tally: Tally::default(),
            recorder: record.then(Recorder::default),
            broken: None,
            until_sample: SAMPLE_EVERY,
            instant: (Duration::ZERO, 0),
        }
    }

    /// Something is due.
    pub fn due(&mut self, at: Duration, due: &Due) {
        self.trace.due(at, due);
        self.tally.events += 1;
        self.until_sample = self.until_sample.saturating_sub(1);
        let before = if self.instant.0 == at { self.instant.1 } else { 0 };
        self.instant = (at, before + 1);
        if before > AT_ONE_INSTANT_MAX {
            self.judge(Broken {
                promise: "P13",
                says: "no input makes a hub panic, hang or grow without bound",
                at,
                lane: None,
                text: format!("time stands still: {before} things at one instant, the last {due:?}"),
            });
        }
    }

    /// Whether it is time for a sample.
    pub fn wants_sample(&self) -> bool {
        self.until_sample == 0
    }

    /// Whether a promise was broken.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Something happened.
    pub fn saw(&mut self, world: &World, seen: &Seen<'_>) {
        if matches!(seen, Seen::Sample) {
            self.until_sample = SAMPLE_EVERY;
        }
        self.oracle.saw(world, seen);
        self.marks.saw(world, &self.oracle, seen);
        self.tally.saw(world, &self.oracle, seen);
        if let Some(recorder) = &mut self.recorder {
            recorder.saw(world, &self.oracle, seen);
        }
        if self.broken.is_some() {
            return;
        }
        for invariant in &mut self.invariants {
            let found = invariant.saw(world, &self.oracle, seen);
            // What a rotten disk holds is nobody's promise; that it is mended is one of its own.
            if let Err(violation) = found
                && (world.rotten.is_empty() || invariant.holds_on_rotten_disks())
            {
                self.broken = Some(Broken {
                    promise: invariant.id(),
                    says: invariant.promise(),
                    at: world.now,
                    lane: violation.lane,
                    text: violation.text,
                });
                break;
            }
        }
        if self.broken.is_none()
            && matches!(seen, Seen::End)
            && let Err(unmet) = expectations::check(world, &self.marks)
        {
            self.broken = Some(Broken {
                promise: expectations::ID,
                says: expectations::SAYS,
                at: world.now,
                lane: unmet.lane,
                text: unmet.text,
            });
        }
        if let (Some(recorder), Some(broken)) = (&mut self.recorder, &self.broken) {
            recorder.happened(
                world,
                What::Broken {
                    promise: broken.promise,
                    lane: broken.lane.map(|lane| recorder.lane(world, lane)),
                    text: broken.text.clone(),
                },
            );
        }
    }

    /// The hash of everything that happened.
    pub fn hash(&self) -> u64 {
        self.trace.hash()
    }

    /// What must be.
    pub fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    /// Rare states met.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Counts.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The promise that was broken, if one was.
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// A run is judged by something else than a promise.
    pub fn judge(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }

    /// The recording, if one was wanted.
    pub fn recording(&mut self, until: Duration) -> Option<Recording> {
        self.recorder.take().map(|recorder| recorder.finish(until))
    }
}

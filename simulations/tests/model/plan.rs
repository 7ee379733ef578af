//! What may happen in the stories of one model, and what must come of it.

/// What a disk looked like before the story, to be restored in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// After a clean stop.
    Stopped,
    /// Of a running hub.
    Running,
}

/// What may happen in a story.
#[derive(Debug, Clone)]
pub struct Plan {
    pub hubs: usize,
    /// Who can have a link.
    pub pairs: &'static [(usize, usize)],
    /// Whether the links stand at the beginning.
    pub linked: bool,
    /// (hub, change set): each is pushed once, at any time.
    pub pushes: &'static [(usize, usize)],
    /// Different contents of the sets: which branch of a fork stands hangs on a hash.
    pub salts: std::ops::Range<i64>,
    pub crashes: u8,
    /// Whose power may fail.
    pub fragile: &'static [usize],
    /// Clean stops of the fragile hubs.
    pub stops: u8,
    pub cuts: u8,
    /// How often messages and commits take longer than any timer.
    pub jumps: u8,
    /// The hub whose disk may once be set back, and to what.
    pub restored: Option<usize>,
    pub images: &'static [Image],
    /// With the marks beside it, so that nothing notices; without.
    pub restored_with_marks: &'static [bool],
    /// Rooms of a hub may be slow to open their mail, and the first word of a link be overtaken on its way to them.
    pub slow: bool,
    /// Whether steps that cannot disturb each other are told in one order only: see `Mesh::alone`.
    pub reduced: bool,
    /// How often time passes at most, always when nothing is on its way.
    pub ticks: u8,
    /// What must be reached by some story.
    pub reaches: &'static [Rare],
}

/// Rare things that some story must come to, else the model does not see what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rare {
    CrashAfterTheMark,
    CrashBetweenBatchAndAck,
    NoteLost,
    Early,
    Fork,
    GivenUp,
    Stands,
    AcceptedAnew,
    RolledBack,
    SequenceTwice,
    PushedTwice,
    AllAlikeAfterAFork,
}

/// What must hold in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Acknowledged means on this hub's disk, now and after every crash.
    Durable,
    /// A sequence of a replica names one entry, unless a disk went back and nothing could notice.
    OneDotOneEntry,
    /// No clock says more than is on disk, nothing is sent that is not.
    Truthful,
    /// Each log is one chain, taken in its order, each record at most once in it.
    Chain,
    /// No hub cuts another off, none panics, none refuses a good edit.
    Sound,
    /// With all links up and nothing left to do, all hubs hold the same, and all that any disk still held.
    Converges,
    /// And there is a time when nothing is left to do.
    Rests,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Push(usize),
    /// The batch goes to disk.
    Write(usize),
    /// The commit comes back.
    Committed(usize),
    /// Storage opens its mail.
    OpenStorage(usize),
    /// Reconcile opens its next mail.
    OpenReconcile(usize),
    /// Power fails: the mark of the commit under way is there or not, the last note is there or not.
    Crash {
        hub: usize,
        marked: bool,
        note_lost: bool,
    },
    /// A clean stop is asked for.
    Stop(usize),
    Start(usize),
    /// Power fails, and the disk is set back to the image.
    Restore {
        hub: usize,
        with_marks: bool,
    },
    Up(usize, usize),
    Cut(usize, usize),
    /// The next message from the first to the second.
    Deliver(usize, usize),
    /// The same, while the first word still waits.
    Overtake(usize, usize),
    /// Nothing is on its way: time passes until a timer fires.
    Tick,
    /// Whatever is on its way is slow: time passes until every timer has fired.
    Jump,
}

impl Action {
    /// The hub that something which is under way comes to.
    pub fn hub(self) -> Option<usize> {
        match self {
            Action::Write(at)
            | Action::Committed(at)
            | Action::OpenStorage(at)
            | Action::OpenReconcile(at)
            | Action::Deliver(_, at)
            | Action::Overtake(_, at) => Some(at),
            Action::Push(_)
            | Action::Crash { .. }
            | Action::Stop(_)
            | Action::Start(_)
            | Action::Restore { .. }
            | Action::Up(..)
            | Action::Cut(..)
            | Action::Tick
            | Action::Jump => None,
        }
    }
}

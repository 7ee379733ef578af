//! The zoo: bugs that real programmers write, planted one at a time, so that the simulator's checks are checked.
//!
//! Without the feature `zoo` nothing is ever planted and every `if` that asks is gone. With it, nothing is planted until
//! [`plant`] is called, on the thread that runs the machines.

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Breaks nothing: a promise of the simulator's own fails, or nobody watches.
    Canary,
    /// A hub acknowledges a change set before it is on disk.
    AckBeforeSync,
    /// A hub passes an entry on before it is on disk.
    GossipBeforeSync,
    /// A hub's clock names what is still on its way to the disk.
    ClockBeforeSync,
    /// After an unclean stop a hub goes on with the next sequence and not beyond the lease.
    LeaseReused,
    /// The clock for order times starts from the wall clock at each start.
    HlcForgotten,
    /// An edit time is taken for order time however far ahead it is.
    EditTimeTrusted,
    /// Each hub stamps what comes from peers by its own clock.
    OrderTimeRecomputed,
    /// A record accepted by two hubs keeps the order time that came first, not the smaller.
    FirstStampKept,
    /// What a later entry says of a record's parents replaces what an earlier one said.
    EdgesReplaced,
    /// Of two heads with one order time the one that came later wins.
    TieByArrival,
    /// A hub that sees several heads writes their merge as a record of its own.
    MergeWritten,
    /// A merge looks at the heads alone: what a record took over from its parents counts as written by it.
    TwoWayMerge,
    /// Heads are merged two by two, each pair with a common ancestor.
    FoldOfPairs,
    /// A field that was deleted comes back in a merge.
    AbsentIsNoValue,
    /// Of a deletion and an edit beside it the later wins.
    DeletionByRank,
    /// A deleted thing's tombstone is dropped at once.
    TombstoneDropped,
    /// Whom a record follows is worked out when it comes: a parent that comes later is a head again.
    LateParentRevives,
    /// A thing that is shown otherwise stays listed as it was.
    StaleIndex,
    /// Of a set known in part only the rest is logged.
    HalfSetLogged,
    /// Which change sets are known is forgotten at a start.
    DedupeLost,
    /// An entry is taken though one before it is missing.
    EntryOutOfOrder,
    /// Nobody looks into two branches of one log.
    ForkUnnoticed,
    /// Change sets of a branch that gave way are not accepted anew.
    OrphansForgotten,
    /// A hub's clock keeps four of its components only.
    ClockPruned,
    /// News waits on a slow link without bound.
    WindowIgnored,
    /// A pull whose page never comes is not given up.
    LostPullBlocks,
    /// A room asks to be woken for something that is due and that it does not do.
    TimerStaysDue,
    /// A link that is silent is never cut.
    LinkNeverCut,
    /// A copied disk goes on under its hub's name.
    TwinIgnored,
    /// A page for a client ends in the middle of a change set.
    SetSplit,
    /// A client on a fallen branch goes on from the same sequence of the one that stands.
    CursorUnchecked,
    /// A hub behind a client's clock answers as if it were not.
    NotYetIgnored,
    /// A record that lost a conflict is not acknowledged.
    LoserUnacked,
    /// A client's pending edit goes when news of the same thing comes.
    PullOverwrites,
    /// A client does not show its pending edits.
    EditHidden,
    /// A horizon is written without asking whether the others have come so far.
    HorizonUnasked,
    /// A client that is told of one landed set forgets the others that it pushed.
    AckForgetsRest,
    /// The heads at each instant are not worked out anew when a record comes between others.
    PastIndexStale,
    /// Lists of an instant leave out what stood there by an edit that came later.
    LateEditHidden,
    /// What was shown at an instant is worked out under the policy of today.
    PolicyOfNow,
    /// A declared rule decides between heads, also those that wrote nothing.
    RuleOfHeads,
    /// A declared largest or smallest value gives way to the newest.
    RuleByTime,
    /// An element that was taken away comes back in a union.
    UnionForgetsRemoval,
    /// Whoever asks why is told a decision without the declared rules.
    WhyWithoutRules,
    /// Nodes of the Merkle tree above some leaves are not kept up.
    StalePath,
    /// A Merkle tree that is read after a start lacks what changed since it was kept.
    ReplayLost,
    /// Forgetting content changes the leaf of a record.
    LeafOfBytes,
    /// Content is let go while a record of its id is lost.
    HoleSwept,
    /// A chunk of a blob is believed without being verified.
    ChunkUnverified,
    /// Of a blob on its way, what lies there after a start is believed without being verified.
    ResumeUnverified,
    /// A blob counts as held before it is synced.
    HeldBeforeSync,
    /// Chunks that are held are never read unasked.
    ChunkUnchecked,
}

impl Bug {
    /// All of them.
    pub const ALL: &[Bug] = &[
        Bug::Canary,
        Bug::AckBeforeSync,
        Bug::GossipBeforeSync,
        Bug::ClockBeforeSync,
        Bug::LeaseReused,
        Bug::HlcForgotten,
        Bug::EditTimeTrusted,
        Bug::OrderTimeRecomputed,
        Bug::FirstStampKept,
        Bug::EdgesReplaced,
        Bug::TieByArrival,
        Bug::MergeWritten,
        Bug::TwoWayMerge,
        Bug::FoldOfPairs,
        Bug::AbsentIsNoValue,
        Bug::DeletionByRank,
        Bug::TombstoneDropped,
        Bug::LateParentRevives,
        Bug::StaleIndex,
        Bug::HalfSetLogged,
        Bug::DedupeLost,
        Bug::EntryOutOfOrder,
        Bug::ForkUnnoticed,
        Bug::OrphansForgotten,
        Bug::ClockPruned,
        Bug::WindowIgnored,
        Bug::LostPullBlocks,
        Bug::TimerStaysDue,
        Bug::LinkNeverCut,
        Bug::TwinIgnored,
        Bug::SetSplit,
        Bug::CursorUnchecked,
        Bug::NotYetIgnored,
        Bug::LoserUnacked,
        Bug::PullOverwrites,
        Bug::EditHidden,
        Bug::HorizonUnasked,
        Bug::AckForgetsRest,
        Bug::PastIndexStale,
        Bug::LateEditHidden,
        Bug::PolicyOfNow,
        Bug::RuleOfHeads,
        Bug::RuleByTime,
        Bug::UnionForgetsRemoval,
        Bug::WhyWithoutRules,
        Bug::StalePath,
        Bug::ReplayLost,
        Bug::LeafOfBytes,
        Bug::HoleSwept,
        Bug::ChunkUnverified,
        Bug::ResumeUnverified,
        Bug::HeldBeforeSync,
        Bug::ChunkUnchecked,
    ];

    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Bug::Canary => "canary",
            Bug::AckBeforeSync => "ack-before-sync",
            Bug::GossipBeforeSync => "gossip-before-sync",
            Bug::ClockBeforeSync => "clock-before-sync",
            Bug::LeaseReused => "lease-reused",
            Bug::HlcForgotten => "hlc-forgotten",
            Bug::EditTimeTrusted => "edit-time-trusted",
            Bug::OrderTimeRecomputed => "order-time-recomputed",
            Bug::FirstStampKept => "first-stamp-kept",
            Bug::EdgesReplaced => "edges-replaced",
            Bug::TieByArrival => "tie-by-arrival",
            Bug::MergeWritten => "merge-written",
            Bug::TwoWayMerge => "two-way-merge",
            Bug::FoldOfPairs => "fold-of-pairs",
            Bug::AbsentIsNoValue => "absent-is-no-value",
            Bug::DeletionByRank => "deletion-by-rank",
            Bug::TombstoneDropped => "tombstone-dropped",
            Bug::LateParentRevives => "late-parent-revives",
            Bug::StaleIndex => "stale-index",
            Bug::HalfSetLogged => "half-set-logged",
            Bug::DedupeLost => "dedupe-lost",
            Bug::EntryOutOfOrder => "entry-out-of-order",
            Bug::ForkUnnoticed => "fork-unnoticed",
            Bug::OrphansForgotten => "orphans-forgotten",
            Bug::ClockPruned => "clock-pruned",
            Bug::WindowIgnored => "window-ignored",
            Bug::LostPullBlocks => "lost-pull-blocks",
            Bug::TimerStaysDue => "timer-stays-due",
            Bug::LinkNeverCut => "link-never-cut",
            Bug::TwinIgnored => "twin-ignored",
            Bug::SetSplit => "set-split",
            Bug::CursorUnchecked => "cursor-unchecked",
            Bug::NotYetIgnored => "not-yet-ignored",
            Bug::LoserUnacked => "loser-unacked",
            Bug::PullOverwrites => "pull-overwrites",
            Bug::EditHidden => "edit-hidden",
            Bug::HorizonUnasked => "horizon-unasked",
            Bug::AckForgetsRest => "ack-forgets-rest",
            Bug::PastIndexStale => "past-index-stale",
            Bug::LateEditHidden => "late-edit-hidden",
            Bug::PolicyOfNow => "policy-of-now",
            Bug::RuleOfHeads => "rule-of-heads",
            Bug::RuleByTime => "rule-by-time",
            Bug::UnionForgetsRemoval => "union-forgets-removal",
            Bug::WhyWithoutRules => "why-without-rules",
            Bug::StalePath => "stale-path",
            Bug::ReplayLost => "replay-lost",
            Bug::LeafOfBytes => "leaf-of-bytes",
            Bug::HoleSwept => "hole-swept",
            Bug::ChunkUnverified => "chunk-unverified",
            Bug::ResumeUnverified => "resume-unverified",
            Bug::HeldBeforeSync => "held-before-sync",
            Bug::ChunkUnchecked => "chunk-unchecked",
        }
    }

    /// What it does, in a sentence.
    pub fn does(self) -> &'static str {
        match self {
            Bug::Canary => "breaks nothing: a promise of the simulator's own fails, or nobody watches",
            Bug::AckBeforeSync => "a hub acknowledges a change set before it is on disk",
            Bug::GossipBeforeSync => "a hub passes an entry on before it is on disk",
            Bug::ClockBeforeSync => "a hub's clock names what is still on its way to the disk",
            Bug::LeaseReused => {
                "after an unclean stop a hub goes on with the next sequence and not beyond the lease"
            }
            Bug::HlcForgotten => "the clock for order times starts from the wall clock at each start",
            Bug::EditTimeTrusted => "an edit time is taken for order time however far ahead it is",
            Bug::OrderTimeRecomputed => "each hub stamps what comes from peers by its own clock",
            Bug::FirstStampKept => {
                "a record accepted by two hubs keeps the order time that came first, not the smaller"
            }
            Bug::EdgesReplaced => {
                "what a later entry says of a record's parents replaces what an earlier one said"
            }
            Bug::TieByArrival => "of two heads with one order time the one that came later wins",
            Bug::MergeWritten => "a hub that sees several heads writes their merge as a record of its own",
            Bug::TwoWayMerge => {
                "a merge looks at the heads alone: what a record took over from its parents counts as written by it"
            }
            Bug::FoldOfPairs => "heads are merged two by two, each pair with a common ancestor",
            Bug::AbsentIsNoValue => "a field that was deleted comes back in a merge",
            Bug::DeletionByRank => "of a deletion and an edit beside it the later wins",
            Bug::TombstoneDropped => "a deleted thing's tombstone is dropped at once",
            Bug::LateParentRevives => {
                "whom a record follows is worked out when it comes: a parent that comes later is a head again"
            }
            Bug::StaleIndex => "a thing that is shown otherwise stays listed as it was",
            Bug::HalfSetLogged => "of a set known in part only the rest is logged",
            Bug::DedupeLost => "which change sets are known is forgotten at a start",
            Bug::EntryOutOfOrder => "an entry is taken though one before it is missing",
            Bug::ForkUnnoticed => "nobody looks into two branches of one log",
            Bug::OrphansForgotten => "change sets of a branch that gave way are not accepted anew",
            Bug::ClockPruned => "a hub's clock keeps four of its components only",
            Bug::WindowIgnored => "news waits on a slow link without bound",
            Bug::LostPullBlocks => "a pull whose page never comes is not given up",
            Bug::TimerStaysDue => "a room asks to be woken for something that is due and that it does not do",
            Bug::LinkNeverCut => "a link that is silent is never cut",
            Bug::TwinIgnored => "a copied disk goes on under its hub's name",
            Bug::SetSplit => "a page for a client ends in the middle of a change set",
            Bug::CursorUnchecked => {
                "a client on a fallen branch goes on from the same sequence of the one that stands"
            }
            Bug::NotYetIgnored => "a hub behind a client's clock answers as if it were not",
            Bug::LoserUnacked => "a record that lost a conflict is not acknowledged",
            Bug::PullOverwrites => "a client's pending edit goes when news of the same thing comes",
            Bug::EditHidden => "a client does not show its pending edits",
            Bug::HorizonUnasked => "a horizon is written without asking whether the others have come so far",
            Bug::AckForgetsRest => {
                "a client that is told of one landed set forgets the others that it pushed"
            }
            Bug::PastIndexStale => {
                "the heads at each instant are not worked out anew when a record comes between others"
            }
            Bug::LateEditHidden => {
                "lists of an instant leave out what stood there by an edit that came later"
            }
            Bug::PolicyOfNow => "what was shown at an instant is worked out under the policy of today",
            Bug::RuleOfHeads => "a declared rule decides between heads, also those that wrote nothing",
            Bug::RuleByTime => "a declared largest or smallest value gives way to the newest",
            Bug::UnionForgetsRemoval => "an element that was taken away comes back in a union",
            Bug::WhyWithoutRules => "whoever asks why is told a decision without the declared rules",
            Bug::StalePath => "nodes of the Merkle tree above some leaves are not kept up",
            Bug::ReplayLost => {
                "a Merkle tree that is read after a start lacks what changed since it was kept"
            }
            Bug::LeafOfBytes => "forgetting content changes the leaf of a record",
            Bug::HoleSwept => "content is let go while a record of its id is lost",
            Bug::ChunkUnverified => "a chunk of a blob is believed without being verified",
            Bug::ResumeUnverified => {
                "of a blob on its way, what lies there after a start is believed without being verified"
            }
            Bug::HeldBeforeSync => "a blob counts as held before it is synced",
            Bug::ChunkUnchecked => "chunks that are held are never read unasked",
        }
    }

    /// The bug of a name.
    pub fn named(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}

#[cfg(feature = "zoo")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug for all that this thread runs from now on, in the place of any other; None takes it out.
#[cfg(feature = "zoo")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether a bug is planted here.
#[cfg(feature = "zoo")]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether a bug is planted here: never, in a build without the zoo.
#[cfg(not(feature = "zoo"))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

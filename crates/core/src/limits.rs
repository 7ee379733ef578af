//! Every bound on what comes from outside, in one place, each with its reason.

use std::time::Duration;

/// Heads of one id above which a push that adds one is refused (records from peers never are).
pub const HEADS_MAX: usize = 1_024;
/// Heads above which a view is the last write, marked: a field merge of more helps nobody and costs everybody.
pub const MERGE_HEADS_MAX: usize = 256;
/// Heads that a computed version still spells out; above, it carries a hash of them.
pub const NAMED_HEADS_MAX: usize = 20;
/// Parents that all records of one set name together: each may stand for up to 20 heads in the log entry, which must fit
/// one message between hubs.
pub const SET_PARENTS_MAX: usize = 20_000;
/// Digests that one entry says bare names stood for: 13 MB of it, so that a set at its bounds and its entry fit a
/// message. Names beyond are left to be resolved by whoever reads them.
pub const RESOLVED_MAX: usize = 200_000;
/// Rules for fields of one type.
pub const RULES_MAX: usize = 256;
/// Values that one rule `prefer` lists.
pub const PREFERRED_MAX: usize = 256;
/// Elements of the lists that one rule `union` puts together: each is a field, and is followed through the versions.
/// With more, the rule does not fit.
pub const UNION_ELEMENTS_MAX: usize = 1_024;
/// Heads of one instant that are kept in a row; beyond, they are worked out from the versions.
pub const TIMED_HEADS_MAX: usize = 16;
/// Longest entity or relationship type, name of a user, device or source: bytes.
pub const WORD_BYTES_MAX: usize = 128;
/// Longest `name` of an entity: bytes.
pub const NAME_BYTES_MAX: usize = 4_096;
/// Sequences promised durably at a time before any of them is used.
pub const LEASE: u64 = 4_096;

/// Inputs that may wait for a room: what enters a hub is bounded by credits far below this.
pub const INPUTS_MAX: usize = 1 << 16;

/// Bounds that a hub's config may lower, never raise: the defaults are the protocol's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one HTTP body.
    pub body_bytes_max: usize,
    /// Bytes of one frame between hubs, before and after unpacking.
    pub frame_bytes_max: usize,
    /// Bytes of one message between hubs, put together from its frames: a change set at its bound and its entry.
    pub message_bytes_max: usize,
    /// Records of one change set.
    pub set_records_max: usize,
    /// Canonical bytes of one change set.
    pub set_bytes_max: usize,
    /// Canonical bytes of one record's content.
    pub content_bytes_max: usize,
    /// Nesting of a body: what a small stack bears in every decoder.
    pub depth_max: usize,
    /// Values in one body: memory follows elements, not bytes (a 2 MiB map of a million entries takes 87 MB).
    pub elements_max: usize,
    /// Components of a vector clock.
    pub clock_entries_max: usize,
    /// Parents that one record names.
    pub parents_max: usize,
    /// Records of one page.
    pub page_records_max: usize,
    /// Bytes of one page.
    pub page_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        const MIB: usize = 1 << 20;
        Limits {
            body_bytes_max: 32 * MIB,
            frame_bytes_max: 4 * MIB,
            message_bytes_max: 48 * MIB,
            set_records_max: 10_000,
            set_bytes_max: 32 * MIB,
            content_bytes_max: 256 << 10,
            depth_max: 32,
            elements_max: 200_000,
            clock_entries_max: 1_024,
            parents_max: 1_024,
            page_records_max: 1_000,
            page_bytes_max: MIB,
        }
    }
}

/// The longest time a pull may stay without its page before another peer is asked.
pub const PULL_TIMEOUT: Duration = Duration::from_secs(10);

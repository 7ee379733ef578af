//! What every runtime does when a line is slow or a disk is full: decided here, so that it can be simulated.

use crate::limits::Limits;
use crate::wire::{Message, WireBundle};
use crate::zoo::{self, Bug};

/// Log rows, index rows and compaction: what a body of changes needs on disk, as a multiple of itself.
const DISK_FACTOR: usize = 4;

/// Bytes that the disk must have free before a body of so many with changes is taken.
pub fn room_for_body(bytes: usize) -> usize {
    DISK_FACTOR * bytes
}

/// Bytes that the disk must have free before a peer's entries are taken.
pub fn room_for_page(limits: &Limits) -> usize {
    DISK_FACTOR * limits.page_bytes_max
}

/// Whether a peer's message brings entries. Where the disk has no room it is dropped: the clock does not move, and the
/// entries are asked for again when there is room.
pub fn brings_entries(message: &Message) -> bool {
    matches!(
        message,
        Message::Page { .. } | Message::Push { .. } | Message::Mend { .. }
    )
}

/// What happens to a message that is to leave on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It waits for its turn.
    Queue,
    /// It is news that the other end will learn of by comparing clocks.
    LeaveOut,
    /// The other end asks and does not read: its link ends.
    GiveUp,
}

/// The bound of what waits to leave on one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbox {
    /// Bytes that may wait before unasked messages are left out.
    pub window_bytes_max: usize,
    /// The largest answer: one change set at its bound.
    pub answer_bytes_max: usize,
}

impl Outbox {
    /// With the protocol's largest answer.
    pub fn new(window_bytes_max: usize) -> Outbox {
        Outbox {
            window_bytes_max,
            answer_bytes_max: Limits::default().message_bytes_max,
        }
    }

    /// Bytes that can ever wait.
    pub fn bytes_max(&self) -> usize {
        2 * self.window_bytes_max + self.answer_bytes_max
    }

    /// Decides about a message while `waiting` bytes have not left. Answers wait beyond the window, up to what one honest
    /// peer can have asked for.
    pub fn admit(&self, message: &Message, waiting: usize) -> Admission {
        let unasked = matches!(
            message,
            Message::Push { .. } | Message::Clock { .. } | Message::Swim { .. }
        );
        if zoo::planted(Bug::WindowIgnored) {
            return Admission::Queue;
        }
        if unasked && waiting + size(message) > self.window_bytes_max {
            Admission::LeaveOut
        } else if waiting > self.bytes_max() {
            Admission::GiveUp
        } else {
            Admission::Queue
        }
    }
}

/// Roughly the bytes that a message takes.
pub fn size(message: &Message) -> usize {
    match message {
        Message::Page { bundles, .. } | Message::Push { bundles } | Message::Mend { bundles } => {
            bundles.iter().map(WireBundle::size).sum()
        }
        Message::Swim { data } => data.len(),
        Message::Chain { links, .. } => links.len() * 80,
        Message::Tree(tree) => tree.size(),
        Message::Blob(blob) => blob.size(),
        _ => 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::WireClock;

    #[test]
    fn news_is_left_out_first_and_only_who_never_reads_is_given_up() {
        let outbox = Outbox::new(1_000);
        let news = Message::Clock {
            clock: WireClock::default(),
        };
        let answer = Message::Page {
            round: 1,
            bundles: Vec::new(),
            more: false,
            holes: Vec::new(),
        };
        assert_eq!(outbox.admit(&news, 700), Admission::Queue);
        assert_eq!(outbox.admit(&news, 800), Admission::LeaveOut);
        assert_eq!(outbox.admit(&answer, outbox.bytes_max()), Admission::Queue);
        assert_eq!(outbox.admit(&answer, outbox.bytes_max() + 1), Admission::GiveUp);
    }
}

//! A rolling hash of everything that was due: two runs of one plan have the same, on every machine and in every build.

use std::time::Duration;

use crate::world::Due;

/// The hash so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trace(u64);

impl Trace {
    fn mix(&mut self, word: u64) {
        // SplitMix64's finalizer over a running sum.
        let mut z = (self.0 ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = z ^ (z >> 31);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.mix(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    /// Takes in one thing that was due.
    pub fn due(&mut self, at: Duration, due: &Due) {
        self.mix(at.as_micros() as u64);
        let (kind, a, b) = match due {
            Due::Step { hub, boot, room } => (1, *hub as u64, boot << 3 | *room as u64),
            Due::Wake { hub, boot, room } => (2, *hub as u64, boot << 3 | *room as u64),
            Due::Committed { hub, boot, .. } => (3, *hub as u64, *boot),
            Due::Parcel { conn, side, parcel } => {
                parcel.frames.iter().for_each(|frame| self.bytes(frame));
                (4, *conn, *side as u64)
            }
            Due::Closed { conn, side } => (5, *conn, *side as u64),
            Due::Knock { hub, boot, .. } => (6, *hub as u64, *boot),
            Due::DialFailed { hub, boot, .. } => (7, *hub as u64, *boot),
            Due::Datagram { hub, data } => {
                self.bytes(data);
                (8, *hub as u64, 0)
            }
            Due::Request { call } => (9, *call, 0),
            Due::Answer { call } => (10, *call, 0),
            Due::GiveUp { call } => (11, *call, 0),
            Due::Overdue { call } => (16, *call, 0),
            Due::Client { client, round } => (12, *client as u64, *round),
            Due::Do(event) => (13, *event as u64, 0),
            Due::Undo(event) => (14, *event as u64, 0),
            Due::Worked { hub, boot, .. } => (17, *hub as u64, *boot),
            Due::Uploaded {
                client, hub, boot, ..
            } => (18, *client as u64, (*hub as u64) << 32 | *boot),
            Due::Restart { hub, reason } => (15, *hub as u64, *reason),
        };
        self.mix(kind);
        self.mix(a);
        self.mix(b);
    }

    /// The hash of all that was taken in.
    pub fn hash(&self) -> u64 {
        self.0
    }
}

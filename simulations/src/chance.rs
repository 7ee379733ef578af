//! Chance by name: each thing that draws has a stream of its own, so that what one leaves out reshuffles no other.

use std::collections::BTreeMap;

use inbetweenies_core::rng::Rng;

/// Who draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// What a line does to messages, in one direction.
    Line(u64, u64),
    /// What a line does to datagrams, in one direction.
    Datagrams(u64, u64),
    /// How long a hub's disk takes.
    Disk(u64),
    /// What a power cut leaves, or how a disk fails.
    Damage(u64),
    /// How long a hub's rooms take.
    Rooms(u64),
    /// The seeds of a hub's process.
    Boot(u64, u64),
    /// What a client does by itself.
    Client(u64),
    /// The counter that a client's versions start from.
    ClientName(u64),
    /// What an event of the plan consists of.
    Event(u64),
    /// What a drawn plan consists of, by part.
    Plan(u64),
    /// Samples that checks take.
    Checks,
    /// How conflicts are decided in a drawn home, and which values are written there.
    Domain(u64),
    /// Which values an event's script writes.
    Values(u64),
    /// What a check looks at, at an instant of the run.
    Past(u64),
    /// Which rules a home changes to.
    Rules(u64),
    /// What an owner decides in a drawn home, and when.
    Decisions,
    /// How long a drawn home keeps what was replaced.
    Retention,
    /// The bytes of a photo.
    Photo(u64),
    /// Which photos are taken in a drawn home.
    Photos,
    /// How stores are compared in a drawn home, and which disk rots.
    Rot,
    /// Which chunk rots on a hub's disk.
    Chunk(u64),
    /// Which chunks a hub garbles before it sends them.
    Garble(u64),
}

impl Stream {
    fn key(self) -> u64 {
        let (kind, a, b) = match self {
            Stream::Line(a, b) => (1, a, b),
            Stream::Datagrams(a, b) => (2, a, b),
            Stream::Disk(a) => (3, a, 0),
            Stream::Damage(a) => (4, a, 0),
            Stream::Rooms(a) => (5, a, 0),
            Stream::Boot(a, b) => (6, a, b),
            Stream::Client(a) => (7, a, 0),
            Stream::ClientName(a) => (8, a, 0),
            Stream::Event(a) => (9, a, 0),
            Stream::Plan(a) => (10, a, 0),
            Stream::Checks => (11, 0, 0),
            Stream::Domain(a) => (12, a, 0),
            Stream::Values(a) => (13, a, 0),
            Stream::Past(a) => (14, a, 0),
            Stream::Rules(a) => (16, a, 0),
            Stream::Decisions => (17, 0, 0),
            Stream::Retention => (15, 0, 0),
            Stream::Rot => (18, 0, 0),
            Stream::Photo(a) => (19, a, 0),
            Stream::Photos => (20, 0, 0),
            Stream::Chunk(a) => (21, a, 0),
            Stream::Garble(a) => (22, a, 0),
        };
        Rng::new(kind, a).draw() ^ Rng::new(!kind, b).draw().rotate_left(17)
    }

    /// The stream from its beginning.
    pub fn of(self, seed: u64) -> Rng {
        Rng::new(seed, self.key())
    }
}

/// The streams of one run, each as far as it was drawn.
#[derive(Debug, Clone)]
pub struct Chance {
    seed: u64,
    streams: BTreeMap<Stream, Rng>,
}

impl Chance {
    /// Nothing drawn yet.
    pub fn new(seed: u64) -> Chance {
        Chance {
            seed,
            streams: BTreeMap::new(),
        }
    }

    /// A stream where it was left.
    pub fn of(&mut self, stream: Stream) -> &mut Rng {
        let seed = self.seed;
        self.streams.entry(stream).or_insert_with(|| stream.of(seed))
    }

    /// Below `bound`; 0 where that is 0.
    pub fn below(&mut self, stream: Stream, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            self.of(stream).draw() % bound
        }
    }

    /// Whether something happens that happens `per_mille` times in a thousand. Draws nothing where it never does.
    pub fn happens(&mut self, stream: Stream, per_mille: u32) -> bool {
        per_mille > 0 && self.below(stream, 1_000) < u64::from(per_mille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_does_not_feel_what_another_draws() {
        let mut one = Chance::new(7);
        let mut other = Chance::new(7);
        for _ in 0..10 {
            one.below(Stream::Disk(1), 100);
        }
        for _ in 0..20 {
            assert_eq!(
                one.below(Stream::Line(0, 1), 1_000),
                other.below(Stream::Line(0, 1), 1_000)
            );
        }
        assert_ne!(
            one.of(Stream::Line(0, 1)).draw(),
            one.of(Stream::Line(1, 0)).draw()
        );
    }
}

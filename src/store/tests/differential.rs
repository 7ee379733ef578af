//! The same commits to the store in memory and to the one on disk, which is reopened in between: both must read alike.

use inbetweenies_core::store::{Commit, Family, MemoryStore, Snapshot, Store, Write};

use super::{RocksStore, damage, high_water, note, open, rows};

const TRACES: u64 = 12;
const STEPS: u64 = 40;

/// SplitMix64 (Steele, Lea & Flood 2014): a trace is its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Few and short, so that they meet: also the empty one, and bytes at both ends.
    fn key(&mut self) -> Vec<u8> {
        (0..self.below(4))
            .map(|_| [0, 1, 127, 255][self.below(4) as usize])
            .collect()
    }

    fn family(&mut self) -> Family {
        Family::ALL[self.below(Family::ALL.len() as u64) as usize]
    }

    fn write(&mut self) -> Write {
        let value = (self.below(3) > 0).then(|| vec![self.below(256) as u8; self.below(400) as usize]);
        (self.family(), self.key(), value)
    }

    fn commit(&mut self, number: u64) -> Commit {
        Commit {
            number,
            high_water: (self.below(8) == 0).then(|| high_water(1_000 + number, self.below(2) == 0)),
            writes: (0..self.below(30)).map(|_| self.write()).collect(),
            note: (self.below(2) == 0).then(|| note(number)),
        }
    }
}

fn assert_alike(trace: &str, chance: &mut Chance, memory: &dyn Snapshot, disk: &dyn Snapshot) {
    for family in Family::ALL {
        assert_eq!(
            rows(memory, family),
            rows(disk, family),
            "{trace}: {}",
            family.name()
        );
    }
    for _ in 0..20 {
        let (family, from, until, most) = (chance.family(), chance.key(), chance.key(), chance.below(6));
        let until = (chance.below(3) > 0).then_some(until);
        let part = |snapshot: &dyn Snapshot| {
            let mut seen = Vec::new();
            let read = snapshot.scan(family, &from, until.as_deref(), &mut |key, value| {
                seen.push((key.to_vec(), value.to_vec()));
                (seen.len() as u64) < most
            });
            (read, seen)
        };
        assert_eq!(
            part(memory),
            part(disk),
            "{trace}: {family:?} from {from:?} until {until:?}"
        );
        assert_eq!(
            memory.get(family, &from),
            disk.get(family, &from),
            "{trace}: {family:?} {from:?}"
        );
    }
}

fn run(seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut chance = Chance(seed);
    let mut memory = MemoryStore::default();
    let mut disk: RocksStore = open(dir.path());
    let mut snapshots = None;
    for step in 0..STEPS {
        let trace = format!("seed {seed}, step {step}");
        let commit = chance.commit(step);
        assert_eq!(memory.commit(&commit), Ok(()), "{trace}");
        assert_eq!(disk.commit(&commit), Ok(()), "{trace}");
        match chance.below(8) {
            0 => {
                drop(snapshots.take());
                drop(disk);
                disk = open(dir.path());
                assert_alike(&trace, &mut chance, &memory.snapshot(), &disk.snapshot());
            }
            1 => snapshots = Some((memory.snapshot(), disk.snapshot())),
            2 => damage::flush(&disk),
            _ => {}
        }
        if let Some((memory, disk)) = &snapshots {
            assert_alike(&trace, &mut chance, memory, disk);
        }
        assert_eq!(memory.marks(), disk.marks(), "{trace}");
    }
    assert_alike(
        &format!("seed {seed}"),
        &mut chance,
        &memory.snapshot(),
        &disk.snapshot(),
    );
}

/// A failure names its seed; `run` with it alone replays the trace.
#[test]
fn memory_and_disk_read_alike_after_the_same_commits() {
    (0..TRACES).for_each(run);
}

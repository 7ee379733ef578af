//! negentropy 0.5: range-based reconciliation (Meyer 2023), as Nostr relays use it.
//!
//! Ids are the 32 bytes that are compared of a record, timestamps the second in which it was written, messages as large
//! as they come (no limit to a frame, the crate's default). The sorted vectors are there before the clock starts.

use negentropy::{Id, Negentropy, NegentropyStorageVector};

use crate::cost::{Cost, timed};
use crate::home::{Home, Thing};

/// The sorted set of each hub.
pub struct Vectors([NegentropyStorageVector; 2]);

impl Vectors {
    /// Of a home with so many differences.
    pub fn build(home: &Home, differences: usize) -> Vectors {
        Vectors([0, 1].map(|hub| {
            let mut vector = NegentropyStorageVector::with_capacity(home.common.len() + differences);
            let mut put = |thing: &Thing| {
                let id = Id::from_byte_array(thing.leaf);
                vector.insert(thing.written, id).expect("it is not sealed");
            };
            home.common.iter().for_each(&mut put);
            home.held_by(hub, differences)
                .for_each(|(_, planted)| put(&planted.thing));
            vector.seal().expect("it is not sealed");
            vector
        }))
    }

    /// Compares the two sets: the first hub asks.
    pub fn compare(&self, home: &Home, differences: usize) -> Cost {
        let mut cost = Cost::default();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let mut sides = self
            .0
            .each_ref()
            .map(|set| Negentropy::borrowed(set, 0).expect("no limit"));
        let mut cpu = cost.cpu;
        let mut question = Some(timed(&mut cpu, || sides[0].initiate().expect("a new one")));
        while let Some(asked) = question {
            let answer = timed(&mut cpu, || sides[1].reconcile(&asked).expect("a good question"));
            cost.bytes += (asked.len() + answer.len()) as u64;
            cost.messages += 2;
            question = timed(&mut cpu, || {
                let next = sides[0].reconcile_with_ids(&answer, &mut have, &mut need);
                next.expect("a good answer")
            });
        }
        cost.cpu = cpu;
        for (hub, mut found) in [have, need].into_iter().enumerate() {
            let held = home.held_by(hub, differences);
            let mut planted: Vec<[u8; 32]> = held.map(|(_, planted)| planted.thing.leaf).collect();
            planted.sort_unstable();
            found.sort_unstable();
            found.dedup();
            let found: Vec<[u8; 32]> = found.iter().map(|id| id.to_bytes()).collect();
            assert_eq!(found, planted, "negentropy: what only hub {hub} has");
        }
        cost
    }
}

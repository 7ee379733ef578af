//! Ours: two merkle machines that talk until each difference is named, message by message.
//!
//! Each message is written and read as hubs do it (MessagePack with named fields, inside the envelope of all messages);
//! the five bytes of a frame and WebSocket's own are not counted, as rivals' are not. Counted is all from the first
//! `roots` until the first hub has said of every difference who lacks it: it asks for what it lacks itself (`want`, eight
//! bytes each) and hands what the other lacks to reconciliation. The entries themselves are not counted. The key of
//! short ids is exchanged before: once a link.
//!
//! Differences are mended in slices. What reconciliation and storage would do between two of them is done here, off the
//! clock: the rows are written, with their journal. The comparison goes on until both sides have proof that they hold
//! the same.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use inbetweenies_core::id::Dot;
use inbetweenies_core::machine::{Link, Machine};
use inbetweenies_core::merkle::{Input, Merkle, Output};
use inbetweenies_core::wire::{Message, TreeMessage};

use crate::cost::{Cost, timed};
use crate::home::{Home, hub_id};
use crate::stores::{Stores, now};

/// The one link, by the name that both ends give it.
const LINK: Link = Link(1);
/// When each hub is: both have linked up, and only the first is due to compare.
const DUE: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(1)];

/// What is on its way to a hub.
enum Mail {
    /// A message, and whether its work counts.
    Message(Vec<u8>, bool),
    /// Entries that hold these planted records.
    Entries(Vec<usize>),
}

struct Exchange<'x, 'h> {
    home: &'h Home,
    stores: &'x mut Stores<'h>,
    hubs: [Merkle; 2],
    mail: VecDeque<(usize, Mail)>,
    cost: Cost,
    differences: usize,
    /// What is not yet named, by short id.
    unnamed: HashMap<u64, usize>,
    /// Whether messages that are sent now count.
    counts: bool,
    ended: bool,
}

/// Compares the two hubs, and leaves the stores as they were.
pub fn compare<'h>(home: &'h Home, stores: &mut Stores<'h>, hubs: &[Merkle; 2], differences: usize) -> Cost {
    for hub in [0, 1] {
        let planted: Vec<usize> = home.held_by(hub, differences).map(|(at, _)| at).collect();
        stores.put(hub, &planted);
    }
    let unnamed: HashMap<u64, usize> = (0..differences).map(|at| (home.planted[at].short, at)).collect();
    assert_eq!(
        unnamed.len(),
        differences,
        "two planted records with one short id"
    );
    let mut exchange = Exchange {
        home,
        stores,
        hubs: hubs.clone(),
        mail: VecDeque::new(),
        cost: Cost::default(),
        differences,
        unnamed,
        counts: false,
        ended: false,
    };
    exchange.link();
    exchange.run();
    let Exchange { hubs, cost, .. } = exchange;
    assert_eq!(
        hubs[0].mirror().root(),
        hubs[1].mirror().root(),
        "roots differ in the end"
    );
    stores.reset();
    cost
}

impl Exchange<'_, '_> {
    /// The planting is taken in, the link stands, both have the key; nothing of it counts.
    fn link(&mut self) {
        for hub in [0, 1] {
            let hub_id = hub_id(1 - hub);
            let inputs = vec![Input::Durable, Input::LinkUp { link: LINK, hub_id }];
            let sent = self.step(hub, Duration::from_secs(1), inputs, false);
            self.post(hub, sent);
        }
        while let Some((to, mail)) = self.mail.pop_front() {
            self.deliver(to, mail, Duration::from_secs(1));
        }
    }

    /// The comparison.
    fn run(&mut self) {
        self.counts = true;
        let sent = self.step(0, DUE[0], Vec::new(), true);
        self.post(0, sent);
        while let Some((to, mail)) = self.mail.pop_front() {
            self.deliver(to, mail, DUE[to]);
        }
        assert!(self.ended, "the comparison stalls");
        assert!(
            self.unnamed.is_empty(),
            "{} differences were never named",
            self.unnamed.len()
        );
    }

    fn deliver(&mut self, to: usize, mail: Mail, at: Duration) {
        let (input, counts) = match mail {
            Mail::Message(bytes, counts) => {
                let mut cpu = Duration::ZERO;
                let message = timed(&mut cpu, || rmp_serde::from_slice::<Message>(&bytes));
                self.cost.cpu += if counts { cpu } else { Duration::ZERO };
                let Ok(Message::Tree(message)) = message else {
                    panic!("{message:?} is not what was sent");
                };
                (Input::Message { link: LINK, message }, counts)
            }
            Mail::Entries(planted) => {
                self.stores.put(to, &planted);
                // Keeping the tree up is part of every write, and no part of a comparison.
                let sent = self.step(to, at, vec![Input::Durable], false);
                self.post(to, sent);
                let mended = planted.len();
                (Input::Mended { link: LINK, mended }, self.counts)
            }
        };
        let sent = self.step(to, at, vec![input], counts);
        self.post(to, sent);
    }

    /// One step, and what it sends written out.
    fn step(
        &mut self,
        hub: usize,
        at: Duration,
        inputs: Vec<Input>,
        counts: bool,
    ) -> Vec<(Output, Option<Vec<u8>>)> {
        let store = self.stores.snapshot(hub);
        let mut cpu = Duration::ZERO;
        let out = timed(&mut cpu, || {
            let mut out = Vec::new();
            let stepped = self.hubs[hub].step(now(at), &store, inputs, &mut out);
            stepped.expect("memory does not fail");
            let written = out.into_iter().map(|output| match output {
                Output::Send { link, message } => {
                    let message = Message::Tree(message);
                    let bytes = rmp_serde::to_vec_named(&message).expect("memory does not fail");
                    let Message::Tree(message) = message else {
                        unreachable!()
                    };
                    (Output::Send { link, message }, Some(bytes))
                }
                other => (other, None),
            });
            written.collect()
        });
        self.cost.cpu += if counts { cpu } else { Duration::ZERO };
        out
    }

    fn post(&mut self, from: usize, sent: Vec<(Output, Option<Vec<u8>>)>) {
        for (output, bytes) in sent {
            match output {
                Output::Send { message, .. } => {
                    let bytes = bytes.unwrap_or_default();
                    self.count(from, &message, bytes.len() as u64);
                    self.mail.push_back((1 - from, Mail::Message(bytes, self.counts)));
                }
                Output::Serve { dots, .. } => self.serve(from, &dots),
                Output::Compared(comparison) => {
                    self.ended |= from == 0;
                    assert!(comparison.equal, "{comparison:?}");
                }
                Output::Root(_) | Output::Keep { .. } => {}
                other => panic!("{other:?} at hub {from}: there is no such damage"),
            }
        }
        // What was sent together with the last name counts, what follows does not. With nothing to name, all does.
        self.counts &= self.differences == 0 || !self.unnamed.is_empty();
    }

    fn count(&mut self, from: usize, message: &TreeMessage, bytes: u64) {
        if matches!(message, TreeMessage::Key { .. }) {
            return;
        }
        if !self.counts {
            self.cost.proof += bytes;
            return;
        }
        self.cost.bytes += bytes;
        self.cost.messages += 1;
        if let TreeMessage::Want { leaves, .. } = message {
            self.cost.asking += bytes;
            for short in leaves.as_chunks::<8>().0 {
                let named = self.unnamed.remove(&u64::from_be_bytes(*short));
                let right = named.is_some_and(|at| self.home.holder(at) != from);
                assert!(right, "hub {from} asks for what nobody planted");
            }
        }
    }

    /// A hub hands entries to the other; the first because it found them missing there, the second because it was
    /// asked.
    fn serve(&mut self, from: usize, dots: &[Dot]) {
        let planted: Vec<usize> = dots
            .iter()
            .map(|dot| self.home.planted_at(dot.sequence))
            .collect();
        let whole: HashSet<usize> = planted.iter().copied().collect();
        assert_eq!(whole.len(), planted.len(), "an entry twice");
        for at in &planted {
            assert_eq!(self.home.holder(*at), from, "hub {from} serves what it has not");
            let named = self.unnamed.remove(&self.home.planted[*at].short);
            assert_eq!(
                named.is_some(),
                from == 0,
                "hub {from} serves what was named already, or was not"
            );
        }
        self.mail.push_back((1 - from, Mail::Entries(planted)));
    }
}

//! What each step does.

use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::limits::PULL_TIMEOUT;
use inbetweenies_core::machine::Ticket;
use inbetweenies_core::node::{Effect, Mail, Notice, deliver};
use inbetweenies_core::reconcile;
use inbetweenies_core::storage::{self, Event};
use inbetweenies_core::wire::{Filters, Outcome, Problem, RequestedSet, SyncRequest, SyncResponse, SyncType};

use super::disk::Disk;
use super::hub::{Outside, Process};
use super::mesh::Mesh;
use super::plan::{Action, Promise, Rare};
use super::state::{State, Word};

impl Mesh {
    pub fn act(&self, state: &mut State, action: Action) {
        match action {
            Action::Push(push) => self.push(state, push),
            Action::Write(at) => self.write(state, at),
            Action::Committed(at) => self.committed(state, at),
            Action::Crash {
                hub,
                marked,
                note_lost,
            } => {
                let ended = state.process(hub).stopped;
                state.crashes -= u8::from(!ended);
                self.crash(state, hub, marked, note_lost);
            }
            Action::Stop(at) => {
                state.stops -= 1;
                self.stop(state, at);
            }
            Action::Start(at) => self.start(state, at),
            Action::Restore { hub, with_marks } => self.restore(state, hub, with_marks),
            Action::Up(a, b) => state.up(a, b),
            Action::Cut(a, b) => {
                state.cuts -= 1;
                self.cut(state, (a, b));
            }
            Action::OpenStorage(at) => self.within(state, at, Process::open_storage_box),
            Action::OpenReconcile(at) => self.within(state, at, Process::open_reconcile_box),
            Action::Deliver(from, to) => self.deliver(state, from, to, 0),
            Action::Overtake(from, to) => self.deliver(state, from, to, 1),
            Action::Tick => {
                state.ticks -= 1;
                state.mono = state.next_wake().unwrap_or(state.mono).max(state.mono);
                self.wake(state);
            }
            Action::Jump => {
                state.jumps -= 1;
                state.mono += PULL_TIMEOUT;
                self.wake(state);
            }
        }
        state.print();
    }

    pub fn within(
        &self,
        state: &mut State,
        at: usize,
        take: impl FnOnce(&mut Process, &Disk, Duration) -> Outside,
    ) {
        state.touched.insert(at);
        let hub = Arc::make_mut(&mut state.slots[at].hub);
        let Some(process) = &mut hub.process else { return };
        let outside = take(process, &hub.disk, state.mono);
        if outside.early {
            self.reach(Rare::Early);
        }
        for effect in outside.effects {
            self.effect(state, at, effect);
        }
    }

    fn effect(&self, state: &mut State, at: usize, effect: Effect) {
        match effect {
            Effect::Send { link, message } => {
                state.check_truth(at, &message);
                state.send(at, link, Word::Message(message));
            }
            Effect::Cut { detail, .. } => {
                state.fail(Promise::Sound, format!("hub {at} cuts a link: {detail}"))
            }
            Effect::Reply { ticket, answer } => self.replied(state, at, ticket, answer),
            Effect::Notice(Notice::Event(event)) => self.told(state, event),
            Effect::Notice(Notice::Stopped) => {
                let hub = Arc::make_mut(&mut state.slots[at].hub);
                hub.process.iter_mut().for_each(|process| process.stopped = true);
            }
            Effect::Notice(_) => {}
            other => panic!("nobody does {other:?} here"),
        }
    }

    fn told(&self, state: &mut State, event: Event) {
        match event {
            Event::Fork {
                yielded,
                accepted_anew,
                ..
            } => {
                state.forked = true;
                self.reach(Rare::Fork);
                self.reach(if yielded { Rare::GivenUp } else { Rare::Stands });
                if accepted_anew > 0 {
                    self.reach(Rare::AcceptedAnew);
                }
            }
            Event::RolledBack { .. } => self.reach(Rare::RolledBack),
            Event::NewLife { .. } => {}
            Event::SetAside { id, why, .. } => {
                state.fail(Promise::Sound, format!("{id} is set aside: {why}"))
            }
            Event::Refused { dot, why } => state.fail(Promise::Sound, format!("{dot:?} is refused: {why}")),
        }
    }

    fn push(&self, state: &mut State, push: usize) {
        let (at, set) = self.plan.pushes[push];
        state.pushed.insert(push);
        let request = SyncRequest {
            device_id: "phone".to_owned(),
            user_id: None,
            sync_type: SyncType::Delta,
            clock: Clock::new(),
            sets: vec![RequestedSet {
                set: Ok(state.sets[set].clone()),
            }],
            filters: Filters::default(),
            limit: 1,
            heads_only: false,
        };
        let mail = Mail::Reconcile(reconcile::Input::Sync {
            ticket: Ticket(push as u64),
            request: Box::new(request),
        });
        self.within(state, at, |process, disk, mono| {
            process.take(disk, mono, vec![mail])
        });
    }

    fn replied(
        &self,
        state: &mut State,
        at: usize,
        ticket: Ticket,
        answer: Result<Box<SyncResponse>, Problem>,
    ) {
        let (_, set) = self.plan.pushes[ticket.0 as usize];
        let answer = match answer {
            Ok(answer) if answer.rejected.is_empty() => answer,
            other => return state.fail(Promise::Sound, format!("hub {at} refuses set {set}: {other:?}")),
        };
        if answer.applied.iter().any(|row| row.outcome == Outcome::Known) {
            self.reach(Rare::PushedTwice);
        }
        if answer.applied.len() != state.sets[set].records.len() {
            state.fail(Promise::Sound, format!("hub {at} answers {:?}", answer.applied));
        }
        state.acked.insert((at, set));
        state.owed.insert(set);
    }

    fn write(&self, state: &mut State, at: usize) {
        state.write(at);
        for dot in state.bind(at) {
            self.reach(Rare::SequenceTwice);
            if !state.unnoticed {
                state.fail(Promise::OneDotOneEntry, format!("{dot:?} names two entries"));
            }
        }
    }

    fn committed(&self, state: &mut State, at: usize) {
        self.within(state, at, |process, disk, mono| {
            let flight = process
                .flight
                .take()
                .unwrap_or_else(|| panic!("no commit is under way"));
            let number = flight.commit.number;
            let committed = Mail::Storage(storage::Input::Committed { number });
            process.take(disk, mono, vec![committed])
        });
    }

    pub fn stop(&self, state: &mut State, at: usize) {
        let stop = Mail::Storage(storage::Input::Stop);
        self.within(state, at, |process, disk, mono| {
            process.stopping = true;
            process.take(disk, mono, vec![stop])
        });
    }

    pub fn start(&self, state: &mut State, at: usize) {
        let hub = Arc::make_mut(&mut state.slots[at].hub);
        hub.boots += 1;
        hub.process = Some(Process::open(&hub.disk, at, hub.boots, self.plan.slow));
        self.within(state, at, |process, disk, mono| process.begin(disk, mono));
    }

    pub fn crash(&self, state: &mut State, at: usize, marked: bool, note_lost: bool) {
        state.touched.insert(at);
        let hub = Arc::make_mut(&mut state.slots[at].hub);
        let Some(process) = hub.process.take() else { return };
        if let Some(flight) = &process.flight {
            if marked && !flight.written {
                self.reach(Rare::CrashAfterTheMark);
                hub.disk.marks.high_water = flight.commit.high_water.clone();
            }
            if flight.written {
                self.reach(Rare::CrashBetweenBatchAndAck);
            }
        }
        if note_lost {
            self.reach(Rare::NoteLost);
            hub.disk.lose_the_note();
        }
        hub.disk.rest();
        self.unlink(state, at);
    }

    fn restore(&self, state: &mut State, at: usize, with_marks: bool) {
        state.restored = true;
        self.crash(state, at, false, false);
        let hub = Arc::make_mut(&mut state.slots[at].hub);
        let marks = hub.disk.marks.clone();
        hub.disk = (*state.image).clone();
        if !with_marks {
            hub.disk.marks = marks;
            hub.disk.rest();
        }
        // With the marks as they are now, sequences are not used again, whatever is noticed.
        state.unnoticed |= with_marks;
        state.touched.insert(at);
        let sets = state.sets.clone();
        let disks: Vec<&Disk> = state.slots.iter().map(|slot| &slot.hub.disk).collect();
        state
            .acked
            .retain(|(of, set)| *of != at || disks[at].holds(&sets[*set]));
        state
            .owed
            .retain(|set| disks.iter().any(|disk| disk.holds(&sets[*set])));
    }

    pub fn cut(&self, state: &mut State, (a, b): (usize, usize)) {
        state.lines.remove(&(a, b));
        for (at, other) in [(a, b), (b, a)] {
            self.within(state, at, |process, disk, mono| {
                let link = process.links.remove(&other);
                let down = link.map(|link| Mail::Reconcile(reconcile::Input::LinkDown { link }));
                process.take(disk, mono, down.into_iter().collect())
            });
        }
    }

    fn unlink(&self, state: &mut State, at: usize) {
        let pairs: Vec<(usize, usize)> = state
            .lines
            .keys()
            .copied()
            .filter(|(a, b)| *a == at || *b == at)
            .collect();
        pairs.into_iter().for_each(|pair| self.cut(state, pair));
    }

    fn deliver(&self, state: &mut State, from: usize, to: usize, place: usize) {
        let line = state.lines.get_mut(&(from.min(to), from.max(to)));
        let Some(sent) = line.and_then(|line| line.0[usize::from(from > to)].remove(place)) else {
            return;
        };
        self.within(state, to, |process, disk, mono| {
            let link = process.links[&from];
            let mail = match &sent.word {
                Word::Hello(clock) => Mail::Reconcile(reconcile::Input::LinkUp {
                    link,
                    hub_id: inbetweenies_core::id::HubId(uuid::Uuid::nil()),
                    clock: clock.clone(),
                }),
                Word::Message(message) => deliver(link, message.clone()),
            };
            process.take(disk, mono, vec![mail])
        });
    }

    fn wake(&self, state: &mut State) {
        for at in 0..state.slots.len() {
            if state.slots[at].hub.process.is_some() {
                self.within(state, at, |process, disk, mono| process.wake(disk, mono));
            }
        }
    }
}

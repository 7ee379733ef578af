//! A small mesh as one state, and every step that may come next.
//!
//! A step is as large as nobody outside could tell it apart from smaller ones: a message taken in with all that the
//! rooms make of it, a batch on its way to disk, its commit coming back with all that follows. Power fails between any
//! two, and then as if in the middle of a commit: before it, after its mark, after its batch, after its note.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::hub::{Hub, Process};
use super::plan::{Action, Plan, Promise, Rare};
use super::state::{Sent, Slot, State, Word};

pub struct Mesh {
    pub plan: Plan,
    /// Rare things that were reached. Kept here and not in states, so that it makes no two of one.
    reached: AtomicU32,
    /// The first broken state: the checker would report the last of its round.
    first: OnceLock<u64>,
}

impl Mesh {
    pub fn new(plan: Plan) -> Mesh {
        Mesh {
            plan,
            reached: AtomicU32::new(0),
            first: OnceLock::new(),
        }
    }

    pub fn reached(&self, rare: Rare) -> bool {
        self.reached.load(Ordering::Relaxed) & (1 << rare as u32) != 0
    }

    /// Forgets what was reached before the stories began.
    pub fn forget(&self) {
        self.reached.store(0, Ordering::Relaxed);
    }

    pub fn reach(&self, rare: Rare) {
        self.reached.fetch_or(1 << rare as u32, Ordering::Relaxed);
    }

    /// What is under way and must come, sooner or later.
    pub fn due(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, slot) in state.slots.iter().enumerate() {
            let flight = slot
                .hub
                .process
                .as_ref()
                .and_then(|process| process.flight.as_ref());
            match flight {
                Some(flight) if flight.written => actions.push(Action::Committed(at)),
                Some(_) => actions.push(Action::Write(at)),
                None => {}
            }
            if let Some(boxes) = slot
                .hub
                .process
                .as_ref()
                .and_then(|process| process.boxes.as_ref())
            {
                // While a commit is under way storage's thread is busy; it would only put the mail aside.
                if !boxes.storage.is_empty() && flight.is_none() {
                    actions.push(Action::OpenStorage(at));
                }
                if !boxes.reconcile.is_empty() {
                    actions.push(Action::OpenReconcile(at));
                }
            }
        }
        for ((a, b), line) in &state.lines {
            for (way, (from, to)) in line.0.iter().zip([(*a, *b), (*b, *a)]) {
                if !way.is_empty() {
                    actions.push(Action::Deliver(from, to));
                }
                let hello = way
                    .front()
                    .is_some_and(|sent| matches!(sent.word, Word::Hello(_)));
                if self.plan.slow && hello && way.len() > 1 {
                    actions.push(Action::Overtake(from, to));
                }
            }
        }
    }

    pub fn ups(&self, state: &State, actions: &mut Vec<Action>) {
        for (a, b) in self.plan.pairs {
            let up = |at: usize| state.slots[at].hub.process.is_some();
            if up(*a) && up(*b) && !state.lines.contains_key(&(*a, *b)) {
                actions.push(Action::Up(*a, *b));
            }
        }
    }

    pub fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        if let Some(at) = self.plan.reduced.then(|| self.alone(state)).flatten() {
            self.due(state, actions);
            actions.retain(|action| action.hub() == Some(at));
            self.pushes(state, actions, Some(at));
            return;
        }
        self.due(state, actions);
        let still = actions.is_empty();
        self.ups(state, actions);
        self.pushes(state, actions, None);
        for (at, slot) in state.slots.iter().enumerate() {
            self.ends(state, at, &slot.hub, actions);
        }
        if state.cuts > 0 {
            actions.extend(state.lines.keys().map(|(a, b)| Action::Cut(*a, *b)));
        }
        if state.jumps > 0 && !still {
            actions.push(Action::Jump);
        }
        if still
            && state.ticks > 0
            && (state.wakes_soon() || (self.complete(state) && state.differ().is_some()))
        {
            actions.push(Action::Tick);
        }
    }

    fn pushes(&self, state: &State, actions: &mut Vec<Action>, only: Option<usize>) {
        for (push, (at, _)) in self.plan.pushes.iter().enumerate() {
            let takes = |process: &Process| !process.stopping;
            let running = state.slots[*at].hub.process.as_ref().is_some_and(takes);
            if running && !state.pushed.contains(&push) && only.is_none_or(|only| only == *at) {
                actions.push(Action::Push(push));
            }
        }
    }

    /// A hub whose steps need not be told in every order with those of others (a persistent set, after Godefroid).
    ///
    /// Once nothing more can go wrong, a step of one hub changes that hub, takes the front of a line to it and adds to
    /// the end of lines from it. If every line to a hub has a message, no step of another hub can make a step possible
    /// or impossible here, or make it come out otherwise; and time cannot pass before those messages are taken. Whatever
    /// the others do first, they can as well do after.
    fn alone(&self, state: &State) -> Option<usize> {
        let harmless = state.crashes == 0 && state.stops == 0 && state.cuts == 0 && state.jumps == 0;
        if !harmless || !state.restored || !self.stands(state) {
            return None;
        }
        (0..state.slots.len()).find(|at| {
            state.lines.iter().all(|((a, b), line)| {
                let way = if a == at {
                    &line.0[1]
                } else if b == at {
                    &line.0[0]
                } else {
                    return true;
                };
                let overtaken = |sent: &Arc<Sent>| self.plan.slow && matches!(sent.word, Word::Hello(_));
                way.front().is_some_and(|front| !overtaken(front))
            })
        })
    }

    fn ends(&self, state: &State, at: usize, hub: &Hub, actions: &mut Vec<Action>) {
        let can_restore =
            !state.restored && self.plan.restored == Some(at) && hub.disk.print() != state.image_print;
        if can_restore {
            let marks = self.plan.restored_with_marks.iter();
            actions.extend(marks.map(|with_marks| Action::Restore {
                hub: at,
                with_marks: *with_marks,
            }));
        }
        let Some(process) = &hub.process else {
            actions.push(Action::Start(at));
            return;
        };
        let fragile = self.plan.fragile.contains(&at);
        if (fragile && state.crashes > 0) || process.stopped {
            let marks = process
                .flight
                .as_ref()
                .is_some_and(|flight| !flight.written && flight.commit.high_water.is_some());
            for marked in [false, true] {
                for note_lost in [false, true] {
                    if (marks || !marked) && (hub.disk.note_can_be_lost() || !note_lost) {
                        actions.push(Action::Crash {
                            hub: at,
                            marked,
                            note_lost,
                        });
                    }
                }
            }
        }
        if fragile && state.stops > 0 && !process.stopping {
            actions.push(Action::Stop(at));
        }
    }

    /// Whether every link stands and every hub runs.
    fn stands(&self, state: &State) -> bool {
        let runs = |slot: &Slot| slot.hub.process.as_ref().is_some_and(|process| !process.stopping);
        state.lines.len() == self.plan.pairs.len() && state.slots.iter().all(runs)
    }

    /// Whether every push was made, too.
    fn complete(&self, state: &State) -> bool {
        state.pushed.len() == self.plan.pushes.len() && self.stands(state)
    }

    pub fn next(&self, state: &State, action: Action) -> State {
        let mut next = state.clone();
        let done = catch_unwind(AssertUnwindSafe(|| self.act(&mut next, action)));
        if let Err(panic) = done {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            next = state.clone();
            next.broken = Some((Promise::Sound, format!("a panic: {}", text.unwrap_or_default())));
        }
        self.judge(&mut next);
        if next.broken.is_some() {
            self.first.get_or_init(|| next.whole_print());
        }
        next
    }

    /// Whether the promise holds, or another state is to be told of.
    pub fn keeps(&self, state: &State, promise: Promise) -> bool {
        let broken = state
            .broken
            .as_ref()
            .is_some_and(|(broken, _)| *broken == promise);
        !broken || self.first.get() != Some(&state.whole_print())
    }

    /// What can only be seen by looking at the whole.
    fn judge(&self, state: &mut State) {
        for (at, set) in state.acked.clone() {
            if !state.slots[at].hub.disk.holds(&state.sets[set]) {
                state.fail(
                    Promise::Durable,
                    format!("hub {at} has said that set {set} is durable"),
                );
            }
        }
        let mut due = Vec::new();
        self.due(state, &mut due);
        if !due.is_empty() || !self.complete(state) {
            return;
        }
        if state.ticks == 0 && state.wakes_soon() {
            state.fail(
                Promise::Rests,
                "time and again something is left to do".to_owned(),
            );
        }
        let soon = state.wakes_soon();
        match state.differ() {
            Some(how) if !soon && state.ticks == 0 => state.fail(Promise::Converges, how),
            None if !soon => {
                if state.forked {
                    self.reach(Rare::AllAlikeAfterAFork);
                }
                for set in state.owed.clone() {
                    if !state
                        .slots
                        .iter()
                        .all(|slot| slot.hub.disk.holds(&state.sets[set]))
                    {
                        let how = format!("set {set} was acknowledged and is not everywhere");
                        state.fail(Promise::Converges, how);
                    }
                }
            }
            _ => {}
        }
    }
}

//! The workload: who pushes which bytes where, and what is cut and killed in between.
//!
//! Every version claims an edit time of one hour long past. A hub stamps a record with the smaller of that claim and
//! its own clock, so that the order of writers is the workload's own, whatever the wall clocks say.
//!
//! Nothing in it depends on how fast news travels: between two [`Step::Settle`], what is pushed at different hubs is
//! about different things.

use std::sync::Arc;

use inbetweenies_core::entry::Sealed;

use crate::tales::{self, Set, Tale};

/// The hub that is cut off; the two others stay together.
pub const ISLAND: usize = 2;
const MAINLAND: [usize; 2] = [0, 1];
/// Notes that are written while hubs are killed and stopped.
const NOTES: usize = 36;

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// A request with these sets is brought to a hub and answered.
    Push(usize, Vec<Set>),
    /// All hubs that run and reach each other come to hold the same.
    Settle,
    /// The island cannot be reached by the others.
    Cut,
    /// It can again.
    Join,
    /// The process ends as at a power switch.
    Kill(usize),
    /// It is asked to end, and does.
    Stop(usize),
    /// It is started again on what its disk holds.
    Start(usize),
}

/// All of it; `watts` is what a plug is said to have.
pub fn steps(watts: i64) -> Vec<Step> {
    let tales = tales::all(watts);
    let mut steps = vec![Step::Settle, Step::Push(0, tales::rooms()), Step::Settle];
    let chapter = |steps: &mut Vec<Step>, hubs: &[usize], sets: fn(&Tale) -> &[Set]| {
        for (at, tale) in tales.iter().enumerate() {
            let pushes = sets(tale).iter();
            steps.extend(pushes.map(|set| Step::Push(hubs[at % hubs.len()], vec![set.clone()])));
        }
    };
    chapter(&mut steps, &[0, 1, 2], |tale| &tale.before);
    steps.push(Step::Settle);

    steps.push(Step::Cut);
    chapter(&mut steps, &MAINLAND, |tale| &tale.mainland);
    chapter(&mut steps, &[ISLAND], |tale| &tale.island);
    // What the island alone holds outlives its process; whoever was cut off in an exchange pushes the same again.
    steps.extend([Step::Kill(ISLAND), Step::Start(ISLAND)]);
    let again: Vec<Set> = tales.iter().flat_map(|tale| tale.island.clone()).collect();
    steps.extend([
        Step::Push(ISLAND, again.clone()),
        Step::Settle,
        Step::Join,
        Step::Settle,
    ]);

    // Losers are told so wherever they come again.
    steps.extend([Step::Push(0, again.clone()), Step::Push(1, again)]);
    chapter(&mut steps, &[2, 0, 1], |tale| &tale.after);
    steps.push(Step::Settle);
    notes(&mut steps);
    steps
}

/// Many notes at all hubs that run, while one is killed in the midst of it and another is stopped.
fn notes(steps: &mut Vec<Step>) {
    let notes: Vec<Arc<Sealed>> = (0..NOTES).map(tales::note).collect();
    let third = NOTES / 3;
    let push = |steps: &mut Vec<Step>, hubs: &[usize], range: std::ops::Range<usize>| {
        for at in range {
            steps.push(Step::Push(hubs[at % hubs.len()], vec![vec![notes[at].clone()]]));
        }
    };
    push(steps, &[0, 2, 1], 0..third);
    steps.push(Step::Kill(1)); // the last that it acknowledged may be nowhere else
    push(steps, &[0, 2], third..2 * third);
    steps.extend([Step::Start(1), Step::Stop(0)]); // it misses what the founder alone may hold
    push(steps, &[1, 2], 2 * third..NOTES);
    steps.extend([Step::Start(0), Step::Settle]);
}

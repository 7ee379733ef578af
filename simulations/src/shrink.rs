//! Shrinking: the smallest plan that still breaks the same promise.
//!
//! Delta debugging (Zeller & Hildebrandt 2002) over events, then over hubs and clients, then over what lines and
//! tuning add, until nothing more can be left out. Chance is keyed by event and by line, so that what stays behaves as
//! before as far as it can.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::Domain;
use crate::plan::{Do, HubPlan, Lane, Line, Plan, Tuning};
use crate::run;

/// What shrinking came to.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// The smallest plan found.
    pub plan: Plan,
    /// The promise that it breaks.
    pub promise: &'static str,
    /// Plans that were tried.
    pub tried: u64,
    /// Whether time ran out before nothing more could be left out.
    pub cut_short: bool,
}

struct Shrinker {
    promise: &'static str,
    best: Plan,
    tried: u64,
    deadline: Instant,
}

/// Finds the smallest plan. None if this one breaks nothing.
pub fn shrink(plan: &Plan, budget: Duration) -> Option<Shrunk> {
    let report = run::run(&Arc::new(plan.clone()), false);
    let promise = report.broken?.promise;
    let mut shrinker = Shrinker {
        promise,
        best: plan.clone(),
        tried: 0,
        deadline: Instant::now() + budget,
    };
    loop {
        let before = size(&shrinker.best);
        shrinker.end_earlier();
        shrinker.fewer_events();
        shrinker.fewer_lanes();
        shrinker.plainer();
        if size(&shrinker.best) == before || shrinker.is_late() {
            break;
        }
    }
    Some(Shrunk {
        cut_short: shrinker.is_late(),
        promise,
        tried: shrinker.tried,
        plan: shrinker.best,
    })
}

/// Whether news can get from every hub to every other, and each hub to one that it knows: else a plan breaks I2 for a
/// reason of its own.
fn can_become_equal(plan: &Plan) -> bool {
    let sees = |a: usize, b: usize| !plan.walls.contains(&(a, b)) && !plan.walls.contains(&(b, a));
    let mut reached = vec![false; plan.hubs.len()];
    let mut front = vec![0];
    while let Some(at) = front.pop() {
        if let Some(here) = reached.get_mut(at)
            && !std::mem::replace(here, true)
        {
            front.extend((0..plan.hubs.len()).filter(|other| sees(at, *other)));
        }
    }
    let knows = |(at, hub): (usize, &HubPlan)| at == 0 || hub.seeds.iter().any(|seed| sees(at, *seed));
    !reached.is_empty() && reached.iter().all(|reached| *reached) && plan.hubs.iter().enumerate().all(knows)
}

fn size(plan: &Plan) -> (usize, usize, usize, Duration, usize) {
    let odd = usize::from(plan.line != Line::default())
        + usize::from(plan.tuning != Tuning::default())
        + usize::from(plan.domain != Domain::default())
        + plan.lines.len()
        + plan.walls.len()
        + plan
            .hubs
            .iter()
            .filter(|hub| hub.clock != Default::default())
            .count()
        + plan
            .clients
            .iter()
            .filter(|client| client.clock != Default::default())
            .count();
    (
        plan.events.len(),
        plan.hubs.len(),
        plan.clients.len(),
        plan.heal_at,
        odd,
    )
}

impl Shrinker {
    fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Keeps a plan that still breaks the promise.
    fn keep(&mut self, plan: Plan) -> bool {
        if self.is_late() || !can_become_equal(&plan) {
            return false;
        }
        self.tried += 1;
        let plan = Arc::new(plan);
        let broken = run::run(&plan, false).broken;
        let same = broken.is_some_and(|broken| broken.promise == self.promise);
        if same {
            self.best = Arc::unwrap_or_clone(plan);
        }
        same
    }

    /// Leaves out events in ever smaller chunks.
    fn fewer_events(&mut self) {
        let mut chunk = self.best.events.len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            while from < self.best.events.len() {
                let mut plan = self.best.clone();
                let to = (from + chunk).min(plan.events.len());
                plan.events.drain(from..to);
                if !self.keep(plan) {
                    from += chunk;
                }
                if self.is_late() {
                    return;
                }
            }
            if chunk == 1 {
                return;
            }
            chunk = chunk.div_ceil(2);
        }
    }

    /// Leaves out clients and hubs, from the last on, with the events that name them.
    fn fewer_lanes(&mut self) {
        for client in (0..self.best.clients.len()).rev() {
            let plan = without_client(&self.best, client);
            self.keep(plan);
        }
        for hub in (1..self.best.hubs.len()).rev() {
            if self.best.hubs.len() > 2 {
                let plan = without_hub(&self.best, hub);
                self.keep(plan);
            }
        }
    }

    /// Ends the breaking soon after the last event.
    fn end_earlier(&mut self) {
        let ends = self
            .best
            .events
            .iter()
            .map(|event| event.at + event.what.lasts().unwrap_or_default());
        let last = ends.max().unwrap_or_default() + Duration::from_secs(1);
        for heal_at in [
            last,
            self.best.events.last().map_or(last, |event| event.at) + Duration::from_secs(1),
        ] {
            if heal_at < self.best.heal_at {
                let plan = Plan {
                    heal_at,
                    ..self.best.clone()
                };
                self.keep(plan);
            }
        }
    }

    /// Takes away what lines, clocks, walls and tuning add.
    fn plainer(&mut self) {
        let line = self.best.line;
        for plain in [
            Line::default(),
            line.mended(),
            Line { loss: 0, ..line },
            Line { duplicate: 0, ..line },
            Line { reorder: 0, ..line },
            Line { corrupt: 0, ..line },
            Line { breaks: 0, ..line },
        ] {
            if plain != self.best.line {
                let plan = Plan {
                    line: plain,
                    ..self.best.clone()
                };
                if self.keep(plan) && plain == Line::default() {
                    break;
                }
            }
        }
        if !self.best.lines.is_empty() {
            let mut plan = self.best.clone();
            plan.lines.clear();
            self.keep(plan);
        }
        if !self.best.walls.is_empty() {
            let mut plan = self.best.clone();
            plan.walls.clear();
            self.keep(plan);
        }
        if self.best.tuning != Tuning::default() {
            let plan = Plan {
                tuning: Tuning::default(),
                ..self.best.clone()
            };
            self.keep(plan);
        }
        if self.best.domain != Domain::default() {
            let plan = Plan {
                domain: Domain::default(),
                ..self.best.clone()
            };
            self.keep(plan);
        }
        let mut plan = self.best.clone();
        plan.hubs
            .iter_mut()
            .for_each(|hub| hub.clock = Default::default());
        plan.clients
            .iter_mut()
            .for_each(|client| client.clock = Default::default());
        if plan != self.best {
            self.keep(plan);
        }
        let mut plan = self.best.clone();
        plan.hubs
            .iter_mut()
            .for_each(|hub| hub.starts_at = Duration::ZERO);
        if plan != self.best {
            self.keep(plan);
        }
    }
}

fn without_client(plan: &Plan, gone: usize) -> Plan {
    let mut plan = plan.clone();
    plan.clients.remove(gone);
    plan.events.retain(|event| event.what.client() != Some(gone));
    let moved = |client: &mut usize| {
        if *client > gone {
            *client -= 1;
        }
    };
    for event in &mut plan.events {
        match &mut event.what {
            Do::Edit { client, .. }
            | Do::Delete { client, .. }
            | Do::Place { client, .. }
            | Do::Attach { client, .. }
            | Do::Go { client, .. }
            | Do::Sync { client }
            | Do::Vanish { client, .. } => moved(client),
            Do::Cut { from, to, .. } => {
                for lanes in [from, to] {
                    lanes.retain(|lane| *lane != Lane::Client(gone));
                    for lane in lanes {
                        if let Lane::Client(client) = lane {
                            moved(client);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    plan
}

fn without_hub(plan: &Plan, gone: usize) -> Plan {
    let mut plan = plan.clone();
    plan.hubs.remove(gone);
    let moved = |hub: &mut usize| {
        if *hub > gone {
            *hub -= 1;
        }
    };
    for hub in &mut plan.hubs {
        hub.seeds.retain(|seed| *seed != gone);
        hub.seeds.iter_mut().for_each(moved);
    }
    for hub in &mut plan.hubs[1..] {
        if hub.seeds.is_empty() {
            hub.seeds.push(0);
        }
    }
    for client in &mut plan.clients {
        client.at = client.at.filter(|at| *at != gone);
        client.at.iter_mut().for_each(moved);
    }
    plan.walls.retain(|(a, b)| *a != gone && *b != gone);
    plan.walls.iter_mut().for_each(|(a, b)| {
        moved(a);
        moved(b);
    });
    let lane = |lane: Lane| match lane {
        Lane::Hub(mut hub) => {
            moved(&mut hub);
            Lane::Hub(hub)
        }
        client => client,
    };
    let lines = plan
        .lines
        .iter()
        .filter(|((a, b), _)| *a != Lane::Hub(gone) && *b != Lane::Hub(gone));
    plan.lines = lines
        .map(|((a, b), line)| ((lane(*a), lane(*b)), *line))
        .collect();
    for event in &mut plan.events {
        if let Do::Cut { from, to, .. } = &mut event.what {
            for lanes in [from, to] {
                lanes.retain(|lane| *lane != Lane::Hub(gone));
            }
        }
    }
    plan.events.retain(|event| !event.what.hubs().contains(&gone));
    for event in &mut plan.events {
        match &mut event.what {
            Do::Go { to, .. } => to.iter_mut().for_each(moved),
            Do::Cut { from, to, .. } => {
                for lanes in [from, to] {
                    lanes.iter_mut().for_each(|at| *at = lane(*at));
                }
            }
            Do::PushTwice { hub, other }
            | Do::Fence { hub, other, .. }
            | Do::Rough { hub, other, .. }
            | Do::Clog { hub, other, .. } => {
                moved(hub);
                moved(other);
            }
            Do::Push { hub }
            | Do::Kill { hub, .. }
            | Do::PowerCut { hub, .. }
            | Do::CrashAfter { hub, .. }
            | Do::Stop { hub, .. }
            | Do::Freeze { hub, .. }
            | Do::ClockJump { hub, .. }
            | Do::ClockReset { hub, .. }
            | Do::DiskFull { hub, .. }
            | Do::DiskStall { hub, .. }
            | Do::DiskError { hub }
            | Do::DiskLies { hub, .. }
            | Do::BitFlip { hub }
            | Do::Rot { hub }
            | Do::Backup { hub }
            | Do::Restore { hub, .. }
            | Do::CloneDisk { hub }
            | Do::ChangePolicy { hub, .. }
            | Do::Wipe { hub } => moved(hub),
            Do::Edit { .. }
            | Do::Delete { .. }
            | Do::Place { .. }
            | Do::Attach { .. }
            | Do::Sync { .. }
            | Do::Vanish { .. } => {}
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm;

    #[test]
    fn what_is_left_names_only_what_is_there() {
        for seed in 0..60 {
            let plan = swarm::plan(seed);
            let mut smaller = plan.clone();
            while smaller.hubs.len() > 2 {
                let last = smaller.hubs.len() / 2;
                smaller = without_hub(&smaller, last);
            }
            while !smaller.clients.is_empty() {
                smaller = without_client(&smaller, smaller.clients.len() / 2);
            }
            let hubs = smaller.hubs.len();
            assert!(
                smaller
                    .events
                    .iter()
                    .all(|event| event.what.hubs().iter().all(|hub| *hub < hubs))
            );
            assert!(smaller.events.iter().all(|event| event.what.client().is_none()));
            assert!(
                smaller
                    .hubs
                    .iter()
                    .all(|hub| hub.seeds.iter().all(|seed| *seed < hubs))
            );
            assert!(smaller.walls.iter().all(|(a, b)| *a < hubs && *b < hubs));
        }
    }
}

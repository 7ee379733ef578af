//! The swarm: a plan drawn from a seed. Each draws how many hubs and clients there are, who sees whom, how lines and
//! clocks are, which *subset* of faults there is, and often bounds so small that everything takes several messages.
//!
//! A subset, because faults that are always there hide each other (Groce et al., *Swarm Testing*, 2012).

mod domain;

use std::time::Duration;

use crate::chance::Stream;
use crate::plan::{ClientPlan, ClockPlan, Do, Event, HubPlan, Lane, Line, Plan, Said, Tuning};
use inbetweenies_core::rng::Rng;

pub use domain::{draw_another, fitting};

/// One seed in so many is a home of fifty hubs.
const CROWD_EVERY: u64 = 250;
/// One seed in so many is a calm home, which is watched for weeks: its heartbeats are slow and its faults last hours.
const CALM_EVERY: u64 = 16;
/// How much slower it all is there.
const CALM: u32 = 600;
const THINGS: [&str; 9] = [
    "lamp", "heater", "door", "room-a", "room-b", "note-1", "note-2", "sensor", "fan",
];
const FIELDS: [&str; 5] = ["brightness", "state", "colour", "note", "limit"];
const DAY: u64 = 86_400;
/// Places in [`draw_fault`].
const STOP: usize = 4;
const RESTORE: usize = 18;

struct Draw {
    seed: u64,
    parts: u64,
}

impl Draw {
    /// A stream for one part of the plan.
    fn part(&mut self) -> Rng {
        self.parts += 1;
        Stream::Plan(self.parts).of(self.seed)
    }
}

fn one_in(rng: &mut Rng, n: usize) -> bool {
    rng.below(n) == 0
}

fn millis(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + rng.draw() % (to - from).max(1))
}

/// The plan of a seed.
pub fn plan(seed: u64) -> Plan {
    let mut draw = Draw { seed, parts: 0 };
    let mut shape = draw.part();
    let crowd = seed % CROWD_EVERY == CROWD_EVERY - 1;
    let hubs = if crowd { 50 } else { 2 + shape.below(6) };
    let clients = match shape.below(8) {
        _ if crowd => 4,
        0 => 0,
        1 => 8 + shape.below(23),
        _ => 1 + shape.below(5),
    };
    let calm = !crowd && seed % CALM_EVERY == CALM_EVERY - 1;
    let slower = if calm { CALM } else { 1 };
    let lasts = slower * millis(&mut shape, 15_000, if crowd { 60_000 } else { 180_000 });
    let lasts = if calm { 20 * lasts } else { lasts };
    let walls = draw_walls(&mut draw.part(), hubs);
    let mut plan = Plan {
        name: format!("seed-{seed}"),
        about: format!("drawn from seed {seed}"),
        seed,
        hubs: draw_hubs(&mut draw.part(), hubs, &walls),
        clients: draw_clients(&mut draw.part(), clients, hubs, slower),
        line: draw_line(&mut draw.part()),
        lines: Default::default(),
        walls,
        tuning: draw_tuning(&mut draw.part(), crowd, slower),
        domain: domain::draw(seed),
        events: Vec::new(),
        heal_at: lasts,
        expect: Vec::new(),
    };
    draw_retention(&mut Stream::Retention.of(seed), &mut plan.tuning, lasts);
    let decisions = draw_decisions(&mut Stream::Decisions.of(seed), hubs, lasts);
    let mut rough = draw.part();
    for _ in 0..rough.below(3) {
        let (a, b) = (rough.below(hubs), rough.below(hubs));
        let line = draw_line(&mut rough);
        if a != b {
            plan.lines.insert((Lane::Hub(a), Lane::Hub(b)), line);
        }
    }
    let events = draw_events(&mut draw.part(), &plan, crowd, slower);
    plan.events = events;
    domain::fit(seed, &plan.domain, &mut plan.events);
    plan.events.extend(decisions);
    draw_rot(&mut Stream::Rot.of(seed), &mut plan);
    draw_photos(&mut Stream::Photos.of(seed), &mut plan);
    plan.events.sort_by_key(|event| (event.at, event.number));
    plan
}

fn draw_clock(rng: &mut Rng) -> ClockPlan {
    let second = 1_000_000;
    let ahead_us = match rng.below(10) {
        0..=4 => 0,
        5 | 6 => rng.below(20) as i64 * second - 10 * second,
        7 => rng.below(7_200) as i64 * second - 3_600 * second,
        8 => 365 * DAY as i64 * second,
        _ => -(3_650 * DAY as i64) * second,
    };
    let drift_ppm = if one_in(rng, 3) {
        rng.below(200) as i32 - 100
    } else {
        0
    };
    ClockPlan { ahead_us, drift_ppm }
}

fn draw_hubs(rng: &mut Rng, hubs: usize, walls: &[(usize, usize)]) -> Vec<HubPlan> {
    // The first founds the home; each other knows one that is there before it.
    let mut seeds = |at: usize| {
        let seen: Vec<usize> = (0..at).filter(|before| !walls.contains(&(*before, at))).collect();
        seen.get(rng.below(seen.len().clamp(1, 3))).copied()
    };
    let seeds: Vec<Option<usize>> = (0..hubs).map(&mut seeds).collect();
    let late = one_in(rng, 3);
    (0..hubs)
        .map(|at| HubPlan {
            name: format!("hub{at}"),
            seeds: seeds[at].into_iter().collect(),
            clock: draw_clock(rng),
            starts_at: match at {
                0 => Duration::ZERO,
                _ if late && one_in(rng, 2) => millis(rng, 0, 30_000),
                _ => millis(rng, 0, 500),
            },
        })
        .collect()
}

fn draw_clients(rng: &mut Rng, clients: usize, hubs: usize, slower: u32) -> Vec<ClientPlan> {
    (0..clients)
        .map(|at| ClientPlan {
            name: format!("client{at}"),
            at: (!one_in(rng, 6)).then(|| rng.below(hubs)),
            sync_every: slower * millis(rng, 2_000, 30_000),
            clock: draw_clock(rng),
        })
        .collect()
}

fn draw_line(rng: &mut Rng) -> Line {
    let latency = match rng.below(4) {
        0 => (Duration::from_micros(200), Duration::from_millis(1)),
        1 => (Duration::from_millis(1), Duration::from_millis(30)),
        2 => (Duration::from_millis(20), Duration::from_millis(200)),
        _ => (Duration::from_micros(500), Duration::from_millis(8)),
    };
    let rate = |rng: &mut Rng, most: usize| if one_in(rng, 2) { rng.below(most) as u32 } else { 0 };
    Line {
        latency,
        bandwidth: if one_in(rng, 8) {
            4_000 + rng.draw() % 100_000
        } else {
            0
        },
        loss: rate(rng, 200),
        duplicate: rate(rng, 150),
        reorder: rate(rng, 150),
        corrupt: if one_in(rng, 4) { rng.below(30) as u32 } else { 0 },
        breaks: if one_in(rng, 3) { rng.below(40) as u32 } else { 0 },
    }
}

/// Pairs that never see each other: none, or all but a chain, a star, a ring, or two halves and a bridge.
fn draw_walls(rng: &mut Rng, hubs: usize) -> Vec<(usize, usize)> {
    let shape = rng.below(10);
    let half = hubs / 2;
    let sees = |a: usize, b: usize| match shape {
        0 => b == a + 1,
        1 => a == 0,
        2 => b == a + 1 || (a == 0 && b + 1 == hubs),
        3 => (a < half) == (b < half) || (a == 0 && b == half),
        _ => true,
    };
    let pairs = (0..hubs).flat_map(|a| (a + 1..hubs).map(move |b| (a, b)));
    pairs.filter(|(a, b)| !sees(*a, *b)).collect()
}

fn draw_tuning(rng: &mut Rng, crowd: bool, slower: u32) -> Tuning {
    let mut tuning = Tuning::default();
    if one_in(rng, 2) {
        tuning.page_records_max = 1 + rng.below(6);
        tuning.page_bytes_max = 400 + rng.below(4_000);
    }
    if one_in(rng, 2) {
        tuning.window_bytes_max = 500 + rng.below(6_000);
    }
    if one_in(rng, 3) {
        tuning.frame_bytes_max = 300 + rng.below(2_000);
    }
    if one_in(rng, 3) {
        tuning.group_records_max = 1 + rng.below(8);
        tuning.group_bytes_max = 500 + rng.below(4_000);
    }
    if one_in(rng, 2) {
        tuning.fanout = 1 + rng.below(3);
    }
    if one_in(rng, 4) || crowd {
        tuning.links_max = 2 + rng.below(4);
    }
    if one_in(rng, 2) {
        tuning.interval = millis(rng, 100, 3_000);
        tuning.dial_backoff_max = millis(rng, 1_000, 8_000);
        tuning.keepalive = millis(rng, 2_000, 9_000);
    }
    if slower > 1 {
        for time in [
            &mut tuning.interval,
            &mut tuning.quiet_interval,
            &mut tuning.probe_period,
            &mut tuning.suspect_timeout,
            &mut tuning.forget_down_after,
            &mut tuning.keepalive,
            &mut tuning.dial_backoff_max,
        ] {
            *time *= slower;
        }
    }
    tuning
}

/// What an owner decides: in a third of the homes other rules, once or twice; in a third that a hub is lost, and mostly
/// that it is back.
fn draw_decisions(rng: &mut Rng, hubs: usize, lasts: Duration) -> Vec<Event> {
    /// Beyond the numbers of all other events.
    const NUMBERS_FROM: u64 = 10_000;
    let lasts = lasts.as_millis() as u64;
    let mut whats = Vec::new();
    if one_in(rng, 3) {
        for drawn in 1..=1 + rng.below(2) as u64 {
            let hub = rng.below(hubs);
            whats.push((rng.draw() % lasts, Do::ChangePolicy { hub, drawn }));
        }
    }
    if one_in(rng, 3) {
        let other = rng.below(hubs);
        let another = |rng: &mut Rng| (other + 1 + rng.below(hubs - 1)) % hubs;
        let hub = another(rng);
        let at = rng.draw() % lasts;
        whats.push((
            at,
            Do::Fence {
                hub,
                other,
                fenced: true,
            },
        ));
        if !one_in(rng, 4) {
            let hub = another(rng);
            let back = at + rng.draw() % (lasts - at);
            whats.push((
                back,
                Do::Fence {
                    hub,
                    other,
                    fenced: false,
                },
            ));
        }
    }
    let event = |(number, (at, what))| Event {
        number,
        at: Duration::from_millis(at),
        what,
    };
    (NUMBERS_FROM..).zip(whats).map(event).collect()
}

/// How stores are compared and checked; and in a sixth of the homes a disk rots, once or a few times. There no disk is
/// replaced or goes back: what rotted would be lost with the last sound copy.
fn draw_rot(rng: &mut Rng, plan: &mut Plan) {
    /// Beyond the numbers of all other events.
    const NUMBERS_FROM: u64 = 20_000;
    let lasts = plan.heal_at.as_millis() as u64;
    let tuning = &mut plan.tuning;
    tuning.tree_cells = [0, 24, 64, 256][rng.below(4)];
    tuning.tree_keep_changes = 1 + rng.below(100);
    tuning.compare_interval = Duration::from_millis(2_000 + rng.draw() % (lasts / 2).max(1));
    tuning.check_period = Duration::from_millis(5_000 + rng.draw() % lasts.max(1));
    if !one_in(rng, 6) {
        return;
    }
    plan.events.retain(|event| {
        !matches!(
            event.what,
            Do::Wipe { .. }
                | Do::Restore { .. }
                | Do::CloneDisk { .. }
                | Do::DiskLies { .. }
                | Do::BitFlip { .. }
                | Do::Backup { .. }
        )
    });
    let hub = rng.below(plan.hubs.len());
    for number in 0..1 + rng.below(3) as u64 {
        plan.events.push(Event {
            number: NUMBERS_FROM + number,
            at: Duration::from_millis(rng.draw() % lasts),
            what: Do::Rot { hub },
        });
    }
}

/// In a quarter of the homes that have phones somebody takes photos: of some bytes, of some chunks.
fn draw_photos(rng: &mut Rng, plan: &mut Plan) {
    /// Beyond the numbers of all other events.
    const NUMBERS_FROM: u64 = 30_000;
    if plan.clients.is_empty() || plan.hubs.len() > 8 || !one_in(rng, 4) {
        return;
    }
    let lasts = plan.heal_at.as_millis() as u64;
    plan.tuning.blob_window_bytes_max = (1 + rng.below(4)) << 20;
    plan.tuning.blob_sync_bytes = (1 + rng.below(3)) << 20;
    let slow = |line: &Line| line.bandwidth > 0;
    let slow = slow(&plan.line) || plan.lines.values().any(slow) || plan.tuning.frame_bytes_max < 3_000;
    for number in 0..1 + rng.below(4) as u64 {
        let bytes = match rng.below(5) {
            0 => rng.below(300),
            1 => rng.below(20_000),
            _ if slow => 1_000,
            2 => (256 << 10) + rng.below(3),
            3 => (1 << 20) + rng.below(2) - 1,
            _ => rng.below(5 << 20),
        };
        let at = Duration::from_millis(rng.draw() % (lasts * 9 / 10).max(1));
        if one_in(rng, 2) {
            // While it comes, a hub ends, or its disk is full.
            let hub = rng.below(plan.hubs.len());
            let lasts = millis(rng, 2_000, 20_000);
            let what = match rng.below(3) {
                0 => Do::DiskFull { hub, lasts },
                1 => Do::PowerCut { hub, lasts },
                _ => Do::Kill { hub, lasts },
            };
            let soon = at + millis(rng, 500, 8_000);
            plan.events.push(Event {
                number: NUMBERS_FROM + 100 + number,
                at: soon.min(plan.heal_at),
                what,
            });
        }
        plan.events.push(Event {
            number: NUMBERS_FROM + number,
            at,
            what: Do::Attach {
                client: rng.below(plan.clients.len()),
                thing: THINGS[rng.below(THINGS.len())].to_owned(),
                bytes,
            },
        });
    }
    if one_in(rng, 2) {
        plan.tuning.chunks_garbled = 1 + rng.below(60);
    }
}

/// Half of the homes let replaced content go while the run lasts.
fn draw_retention(rng: &mut Rng, tuning: &mut Tuning, lasts: Duration) {
    if one_in(rng, 2) {
        let lasts = lasts.as_millis() as u64;
        tuning.content_min = Duration::from_millis(1 + rng.draw() % (lasts / 2).max(1));
        tuning.horizon_interval = Duration::from_millis(500 + rng.draw() % (lasts / 4).max(1));
    }
}

/// Which of `names` there are in this run.
fn subset(rng: &mut Rng, names: usize) -> Vec<usize> {
    let each = 2 + rng.below(4);
    (0..names).filter(|_| one_in(rng, each)).collect()
}

fn draw_events(rng: &mut Rng, plan: &Plan, crowd: bool, slower: u32) -> Vec<Event> {
    const FAULTS: usize = 21;
    let (hubs, clients) = (plan.hubs.len(), plan.clients.len());
    let faults = subset(rng, FAULTS);
    let edits = if crowd { 20 } else { 10 + rng.below(50) };
    let breaks = if faults.is_empty() { 0 } else { 3 + rng.below(25) };
    let lasts = plan.heal_at.as_millis() as u64;
    // Half of the runs have a tempest: everything at once, within a short time.
    let tempest = one_in(rng, 2).then(|| rng.draw() % lasts);
    let mut events = Vec::new();
    for number in 0..(edits + breaks) as u64 {
        let at = match tempest {
            Some(begin) if one_in(rng, 2) => begin + rng.draw() % 4_000,
            _ => rng.draw() % lasts,
        };
        let what = if number < edits as u64 {
            draw_edit(rng, hubs, clients)
        } else {
            draw_fault(
                rng,
                faults[rng.clone().below(faults.len())],
                hubs,
                clients,
                slower,
            )
        };
        let at = Duration::from_millis(at.min(lasts - 1));
        events.extend(what.map(|what| Event { number, at, what }));
    }
    if faults.contains(&STOP) && faults.contains(&RESTORE) {
        cold_copies(rng, &mut events, hubs, lasts);
    }
    events.sort_by_key(|event| (event.at, event.number));
    events
}

/// Some hubs that stop in order are copied while they are off, and the copy is put back later, marks and all, and pushed
/// to before it meets another hub: only then do two branches of one log go on with the same sequences.
fn cold_copies(rng: &mut Rng, events: &mut Vec<Event>, hubs: usize, lasts: u64) {
    let stops = events.iter().filter_map(|event| match event.what {
        Do::Stop { hub, .. } => Some((hub, event.at)),
        _ => None,
    });
    let mut more = Vec::new();
    for (hub, at) in stops {
        if !one_in(rng, 2) {
            continue;
        }
        more.push((at + Duration::from_millis(150), Do::Backup { hub }));
        let back = at + millis(rng, 8_000, 40_000);
        let with_marks = true;
        more.push((back, Do::Restore { hub, with_marks }));
        let alone = Do::Cut {
            from: vec![Lane::Hub(hub)],
            to: (0..hubs).filter(|to| *to != hub).map(Lane::Hub).collect(),
            one_way: false,
            lasts: millis(rng, 5_000, 15_000),
        };
        more.push((back, alone));
        for _ in 0..rng.below(6) {
            more.push((back + millis(rng, 3_100, 9_000), Do::Push { hub }));
        }
    }
    let number = events.len() as u64 + 1_000;
    let more = (number..)
        .zip(more)
        .map(|(number, (at, what))| Event { number, at, what });
    events.extend(more.filter(|event| event.at < Duration::from_millis(lasts)));
}

fn draw_edit(rng: &mut Rng, hubs: usize, clients: usize) -> Option<Do> {
    let hub = rng.below(hubs);
    if clients == 0 || one_in(rng, 3) {
        let other = (hub + 1 + rng.below(hubs - 1)) % hubs;
        return Some(if one_in(rng, 4) {
            Do::PushTwice { hub, other }
        } else {
            Do::Push { hub }
        });
    }
    let client = rng.below(clients);
    let thing = THINGS[rng.below(THINGS.len())].to_owned();
    Some(match rng.below(12) {
        0 => Do::Delete { client, thing },
        1 => Do::Place {
            client,
            thing: "lamp".to_owned(),
            room: ["room-a", "room-b"][rng.below(2)].to_owned(),
        },
        2 | 3 => Do::Go {
            client,
            to: (!one_in(rng, 3)).then_some(hub),
        },
        4 => Do::Sync { client },
        _ => {
            let mut things = vec![thing];
            while one_in(rng, 4) {
                things.push(THINGS[rng.below(THINGS.len())].to_owned());
            }
            things.sort();
            things.dedup();
            let field = FIELDS[rng.below(FIELDS.len())].to_owned();
            let said = match rng.below(3) {
                0 => Said::Flag(one_in(rng, 2)),
                1 => Said::Text(["on", "off", "auto"][rng.below(3)].to_owned()),
                _ => Said::Whole(rng.below(100) as i64),
            };
            Do::Edit {
                client,
                things,
                fields: vec![(field, said)],
            }
        }
    })
}

fn some_lanes(rng: &mut Rng, hubs: usize, clients: usize) -> (Vec<Lane>, Vec<Lane>) {
    let all = (0..hubs).map(Lane::Hub).chain((0..clients).map(Lane::Client));
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for lane in all {
        if one_in(rng, 2) {
            one.push(lane)
        } else {
            other.push(lane)
        }
    }
    (one, other)
}

fn draw_fault(rng: &mut Rng, fault: usize, hubs: usize, clients: usize, slower: u32) -> Option<Do> {
    let hub = rng.below(hubs);
    let other = (hub + 1 + rng.below(hubs - 1)) % hubs;
    let short = slower * millis(rng, 300, 6_000);
    let long = slower * millis(rng, 1_000, 45_000);
    let lasts = if one_in(rng, 2) { short } else { long };
    let day_us = DAY as i64 * 1_000_000;
    Some(match fault {
        0 => Do::Kill { hub, lasts: short },
        1 => Do::PowerCut { hub, lasts },
        2 | 3 => Do::CrashAfter {
            hub,
            effects: rng.below(60) as u32,
            power: fault == 3,
            lasts: short,
        },
        4 => Do::Stop { hub, lasts: short },
        5 => Do::Freeze { hub, lasts },
        6 => {
            let (from, to) = some_lanes(rng, hubs, clients);
            Do::Cut {
                from,
                to,
                one_way: false,
                lasts: long,
            }
        }
        7 => Do::Cut {
            from: vec![Lane::Hub(hub)],
            to: (0..hubs).filter(|to| *to != hub).map(Lane::Hub).collect(),
            one_way: one_in(rng, 2),
            lasts,
        },
        8 => Do::Cut {
            from: vec![Lane::Hub(hub)],
            to: vec![Lane::Hub(other)],
            one_way: true,
            lasts: long,
        },
        9 => Do::Clog { hub, other, lasts },
        10 => Do::Rough {
            hub,
            other,
            line: draw_line(rng),
            lasts: long,
        },
        11 => Do::ClockJump {
            hub,
            by_us: match rng.below(4) {
                0 => 3_600_000_000,
                1 => -7_200_000_000,
                2 => 365 * day_us,
                _ => -3_650 * day_us,
            },
        },
        12 => Do::ClockReset { hub, lasts: long },
        13 => Do::DiskFull { hub, lasts },
        14 => Do::DiskStall { hub, lasts },
        15 => Do::DiskError { hub },
        16 => Do::DiskLies { hub, lasts: long },
        17 => Do::BitFlip { hub },
        18 if one_in(rng, 2) => Do::Backup { hub },
        18 => Do::Restore {
            hub,
            with_marks: one_in(rng, 2),
        },
        19 if one_in(rng, 3) => Do::CloneDisk { hub },
        19 => Do::Wipe { hub },
        20 if clients > 0 => Do::Vanish {
            client: rng.below(clients),
            lasts,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_one_plan() {
        for seed in 0..40 {
            assert_eq!(plan(seed), plan(seed));
        }
        assert_ne!(plan(1), plan(2));
    }
}

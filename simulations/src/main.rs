//! The simulator by itself: builds in seconds, without RocksDB and actix.

use inbetweenies_simulations::{run, story, swarm};
use std::sync::Arc;

fn main() {
    let mut args = std::env::args().skip(1);
    let (from, to) = (
        args.next().unwrap().parse::<u64>().unwrap(),
        args.next().unwrap().parse::<u64>().unwrap(),
    );
    let full = args.next().is_some();
    run::catch_panics();
    let begin = std::time::Instant::now();
    let (mut events, mut faults, mut broken) = (0, 0, 0);
    let mut met = std::collections::BTreeMap::new();
    for seed in from..to {
        let plan = Arc::new(swarm::plan(seed));
        let t = std::time::Instant::now();
        let report = run::run(&plan, full);
        if t.elapsed().as_millis() > 2000 {
            println!(
                "seed {seed} took {:?} for {} events, {} hubs {} clients",
                t.elapsed(),
                report.tally.events,
                plan.hubs.len(),
                plan.clients.len()
            );
        }
        events += report.tally.events;
        faults += report.tally.faults();
        for (mark, n) in report.marks.met() {
            *met.entry(*mark).or_insert(0) += n;
        }
        if let Some(b) = &report.broken {
            broken += 1;
            if !full {
                println!(
                    "seed {seed}: {} at {:?} {:?}: {}",
                    b.promise, b.at, b.lane, b.text
                );
            }
        }
        if full {
            println!("{:#?}", plan.walls);
            for e in &plan.events {
                if e.what.is_fault() {
                    println!("{:?} {:?}", e.at, e.what);
                }
            }
            print!("{}", story::tell(&report, "x"));
            if std::env::var("MSG").is_ok() {
                let r = report.recording.as_ref().unwrap();
                for h in &r.happenings {
                    if let Some(l) = story::line(r, h) {
                        println!("{} {l}", story::clock(h.at));
                    } else {
                        if let inbetweenies_simulations::recording::What::Message(m) = &h.what {
                            if !m.chatter {
                                println!(
                                    "{} {}->{} {} {} {:?}",
                                    story::clock(h.at),
                                    r.lanes[m.from.0].name,
                                    r.lanes[m.to.0].name,
                                    m.name,
                                    m.detail,
                                    m.arrives
                                );
                            }
                        }
                    }
                }
            }
        }
    }
    println!(
        "{events} events, {faults} faults, {broken} broken in {:?}",
        begin.elapsed()
    );
    if std::env::var("MARKS").is_ok() {
        for (m, _) in inbetweenies_simulations::watch::MARKS {
            println!("{m}: {}", met.get(m).unwrap_or(&0));
        }
    }
}

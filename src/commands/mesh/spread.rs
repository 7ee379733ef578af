//! How records spread: the state of every hub, polled, and drawn as bars.

use std::cell::Cell;
use std::future::Future;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use inbetweenies_client::wire::Status;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::hubs::Hubs;
use crate::api::Hub;
use crate::commands::say::{self, Failure};

/// How often the hubs are asked.
pub const POLL: Duration = Duration::from_millis(50);
/// A hub that does not answer within this is shown as not answering.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_millis(500);

/// A hub's state, or nothing if it does not answer.
pub type Seen = Option<Status>;

/// Asks every hub at once.
pub async fn look(hubs: &Hubs) -> Vec<Seen> {
    let asked = hubs.all().iter().map(|hub| async {
        let hub = Hub::new(hub.url());
        let answer = actix_rt::time::timeout(ANSWER_WITHIN, hub.status()).await;
        answer.ok().and_then(Result::ok)
    });
    join_all(asked).await
}

/// Whether all answer and hold the same.
pub fn equal(seen: &[Seen]) -> bool {
    let same = |a: &Status, b: &Status| a.clock == b.clock && a.records == b.records;
    match seen.split_first() {
        Some((Some(first), rest)) => rest
            .iter()
            .all(|it| it.as_ref().is_some_and(|it| same(first, it))),
        _ => false,
    }
}

/// Draws how far every hub is while the import runs, and until all hold the same, for a bounded time. `planned` is how
/// many records the import will send, once it knows.
pub async fn watch<T>(
    hubs: &Hubs,
    planned: &Cell<usize>,
    importing: impl Future<Output = Result<T, Failure>>,
    within: Duration,
) -> Result<T, Failure> {
    let bars = Bars::new(hubs);
    let before = look(hubs).await;
    let records = |seen: &Seen| seen.as_ref().map_or(0, |status| status.records);
    let base = before.iter().map(records).max().unwrap_or(0);
    let total = || base + planned.get() as u64;
    let drawing = async {
        loop {
            let seen = look(hubs).await;
            bars.draw(hubs, &seen, total());
            actix_rt::time::sleep(POLL).await;
        }
    };
    let done = tokio::select! {
        done = importing => done?,
        () = drawing => return Err(Failure::new("nothing watches the import any more")),
    };
    let deadline = Instant::now() + within;
    loop {
        let seen = look(hubs).await;
        bars.draw(hubs, &seen, total());
        if equal(&seen) {
            bars.finish(hubs, &seen);
            return Ok(done);
        }
        if Instant::now() >= deadline {
            bars.finish(hubs, &seen);
            let seconds = within.as_secs();
            return Err(Failure::new(format!(
                "the hubs do not hold the same {seconds} s after the import"
            )));
        }
        actix_rt::time::sleep(POLL).await;
    }
}

/// One bar for each hub, or lines where there is no terminal.
struct Bars {
    bars: Vec<ProgressBar>,
    terminal: bool,
    last: Cell<Option<Instant>>,
}

impl Bars {
    fn new(hubs: &Hubs) -> Bars {
        let together = MultiProgress::new();
        let style = ProgressStyle::with_template("  {prefix:10} {bar:40} {pos}/{len} records")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bars = hubs.all().iter().map(|hub| {
            let bar = together.add(ProgressBar::new(0));
            bar.set_style(style.clone());
            bar.set_prefix(hub.name);
            bar
        });
        Bars {
            bars: bars.collect(),
            terminal: std::io::stderr().is_terminal(),
            last: Cell::new(None),
        }
    }

    fn draw(&self, hubs: &Hubs, seen: &[Seen], total: u64) {
        for (bar, seen) in self.bars.iter().zip(seen) {
            let records = seen.as_ref().map_or(0, |status| status.records);
            bar.set_length(total.max(records));
            bar.set_position(records);
        }
        let due = self.last.get().is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if !self.terminal && due {
            self.last.set(Some(Instant::now()));
            say::line(&in_a_line(hubs, seen));
        }
    }

    fn finish(&self, hubs: &Hubs, seen: &[Seen]) {
        for (bar, seen) in self.bars.iter().zip(seen) {
            let records = seen.as_ref().map_or(0, |status| status.records);
            bar.set_length(records);
            bar.set_position(records);
            bar.abandon();
        }
        if !self.terminal {
            say::line(&in_a_line(hubs, seen));
        }
    }
}

fn in_a_line(hubs: &Hubs, seen: &[Seen]) -> String {
    let parts = hubs.all().iter().zip(seen).map(|(hub, seen)| match seen {
        Some(status) => format!("{} {}", hub.name, status.records),
        None => format!("{} does not answer", hub.name),
    });
    format!("  records: {}", parts.collect::<Vec<_>>().join(", "))
}

//! A run in words: what people did, what broke, what hubs found, and how it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::plan::{Expect, Plan};
use crate::recording::{FaultKind, Happening, LaneId, LaneKind, Recording, What};
use crate::run::Report;
use crate::watch::MARKS;

/// Lines of a story at most; a longer one leaves out its middle.
const LINES_MAX: usize = 60;
/// What led to a broken promise: so many lines before it.
const LED_TO_MAX: usize = 16;

/// A time as people say it: `2d 03:15:07.250`.
pub fn clock(at: Duration) -> String {
    let (secs, millis) = (at.as_secs(), at.subsec_millis());
    let (days, hours, minutes, seconds) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60, secs % 60);
    if days > 0 {
        format!("{days}d {hours:02}:{minutes:02}:{seconds:02}")
    } else {
        format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
    }
}

/// A span as people say it.
pub fn span(of: Duration) -> String {
    let rounded = if of >= Duration::from_secs(10) {
        Duration::from_secs(of.as_secs())
    } else {
        Duration::from_millis(of.as_millis() as u64)
    };
    humantime::format_duration(rounded).to_string()
}

fn name(recording: &Recording, lane: LaneId) -> &str {
    recording.lanes.get(lane.0).map_or("?", |lane| lane.name.as_str())
}

fn names(recording: &Recording, lanes: &[LaneId]) -> String {
    let names: Vec<&str> = lanes.iter().map(|lane| name(recording, *lane)).collect();
    match names.split_last() {
        None => "nobody".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// One happening in words; None for what stories leave out.
pub fn line(recording: &Recording, happening: &Happening) -> Option<String> {
    let of = |lane: &LaneId| name(recording, *lane);
    Some(match &happening.what {
        What::Message(_) | What::State { .. } => return None,
        What::Action { lane, text } | What::Note { lane, text } | What::Fault { lane, text, .. } => {
            format!("{} {text}", of(lane))
        }
        What::Parted {
            from, to, one_way, ..
        } => {
            let (from, to) = (names(recording, from), names(recording, to));
            if *one_way {
                format!("nothing from {from} reaches {to} any more")
            } else {
                format!("{from} and {to} cannot reach each other any more")
            }
        }
        What::Joined { .. } => "they can reach each other again".to_owned(),
        What::Healed => "everything is mended".to_owned(),
        What::Broken { promise, text, lane } => match lane {
            Some(lane) => format!("{promise} is broken at {}: {text}", of(lane)),
            None => format!("{promise} is broken: {text}"),
        },
    })
}

/// The lanes that a happening is about.
fn lanes(what: &What) -> Vec<LaneId> {
    match what {
        What::Action { lane, .. }
        | What::Note { lane, .. }
        | What::Fault { lane, .. }
        | What::State { lane, .. } => {
            vec![*lane]
        }
        What::Parted { from, to, .. } => from.iter().chain(to).copied().collect(),
        What::Message(sent) => vec![sent.from, sent.to],
        What::Broken { lane, .. } => lane.iter().copied().collect(),
        What::Joined { .. } | What::Healed => Vec::new(),
    }
}

/// Hubs that differ for longer are worth a line when they are equal again.
const APART: Duration = Duration::from_secs(5);

/// All that is worth a line, in the order of time, and when hubs have become equal again.
fn lines(recording: &Recording) -> Vec<String> {
    let hubs: Vec<LaneId> = (0..recording.lanes.len())
        .map(LaneId)
        .filter(|lane| recording.lanes[lane.0].kind == LaneKind::Hub)
        .collect();
    let mut states: BTreeMap<LaneId, u64> = BTreeMap::new();
    let mut apart: Option<Duration> = Some(Duration::ZERO);
    let mut lines = Vec::new();
    for happening in &recording.happenings {
        if let What::State { lane, hash, entries } = &happening.what
            && hubs.contains(lane)
        {
            states.insert(*lane, *hash);
            let equal = states.len() == hubs.len() && states.values().all(|state| state == hash);
            match apart {
                Some(since) if equal => {
                    if happening.at >= since + APART {
                        let at = clock(happening.at);
                        lines.push(format!(
                            "  {at}  all hubs hold the same again: {entries} change sets"
                        ));
                    }
                    apart = None;
                }
                None if !equal => apart = Some(happening.at),
                _ => {}
            }
        }
        lines.extend(line(recording, happening).map(|line| format!("  {}  {line}", clock(happening.at))));
    }
    lines
}

/// An expectation in words.
fn expected(expect: &Expect) -> String {
    match expect {
        Expect::Field { thing, field, is } => format!("{field} of {thing} is {is} everywhere"),
        Expect::Deleted { thing } => format!("{thing} is deleted everywhere"),
        Expect::Versions { thing, count } => format!("every hub holds {count} versions of {thing}"),
        Expect::Heads { thing, count: 1 } => format!("one version of {thing} follows all others"),
        Expect::Heads { thing, count } => format!("{count} versions of {thing} stand beside each other"),
        Expect::Queued(0) => "nothing waits for a person".to_owned(),
        Expect::Queued(1) => "one conflict waits for a person".to_owned(),
        Expect::Queued(count) => format!("{count} conflicts wait for a person"),
        Expect::Records(count) => format!("{count} versions are held"),
        Expect::Met(mark) => {
            let means = MARKS
                .iter()
                .find(|(name, _)| name == mark)
                .map(|(_, means)| *means);
            means.unwrap_or(mark).to_owned()
        }
    }
}

/// Tells a run.
pub fn tell(plan: &Plan, report: &Report, replay: &str) -> String {
    let mut text = String::new();
    let Some(recording) = &report.recording else {
        if let Some(broken) = &report.broken {
            let _ = writeln!(text, "{} was broken: {}", broken.promise, broken.text);
            let _ = writeln!(text, "Play it again: {replay}");
        }
        return text;
    };
    let _ = writeln!(text, "{}: {}", recording.title, recording.about);
    match &report.broken {
        None => {
            let lines = lines(recording);
            let left_out = lines.len().saturating_sub(LINES_MAX);
            let half = if left_out > 0 { LINES_MAX / 2 } else { lines.len() };
            for line in &lines[..half] {
                let _ = writeln!(text, "{line}");
            }
            if left_out > 0 {
                let _ = writeln!(text, "  … {left_out} more …");
                for line in &lines[lines.len() - (LINES_MAX - half)..] {
                    let _ = writeln!(text, "{line}");
                }
            }
            if !plan.expect.is_empty() {
                let met: Vec<String> = plan.expect.iter().map(expected).collect();
                let _ = writeln!(text, "As expected: {}.", met.join("; "));
            }
            let took = report.tally.converged_in.map_or_else(|| "?".to_owned(), span);
            let _ = writeln!(
                text,
                "Every promise held. {} of virtual time, {} faults; equal {took} after everything was mended, within {}.",
                span(recording.until),
                report.tally.faults(),
                span(report.bound)
            );
        }
        Some(broken) => {
            let _ = writeln!(text, "\nBROKEN: {} ({})", broken.promise, broken.says);
            let _ = writeln!(text, "  at {}: {}", clock(broken.at), broken.text);
            let _ = writeln!(text, "\nWhat led to it:");
            for line in led_to(recording) {
                let _ = writeln!(text, "  {line}");
            }
            let _ = writeln!(text, "\nPlay it again: {replay}");
        }
    }
    text
}

/// Tells all that was planned and all that happened, messages included.
pub fn explain(plan: &Plan, report: &Report, replay: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} (seed {}): {}", plan.name, plan.seed, plan.about);
    let hubs: Vec<&str> = plan.hubs.iter().map(|hub| hub.name.as_str()).collect();
    let clients: Vec<&str> = plan.clients.iter().map(|client| client.name.as_str()).collect();
    let _ = writeln!(text, "hubs: {}", hubs.join(", "));
    let _ = writeln!(
        text,
        "clients: {}",
        if clients.is_empty() {
            "none".to_owned()
        } else {
            clients.join(", ")
        }
    );
    for (a, b) in &plan.walls {
        let _ = writeln!(text, "{} and {} never see each other", hubs[*a], hubs[*b]);
    }
    let _ = writeln!(
        text,
        "events: {}, the last at {}; mended at {}",
        plan.events.len(),
        clock(plan.events.last().map_or(Duration::ZERO, |event| event.at)),
        clock(plan.heal_at)
    );
    if let Some(recording) = &report.recording {
        let _ = writeln!(text, "\nWhat happened:");
        for happening in &recording.happenings {
            let words = match &happening.what {
                What::Message(sent) if sent.chatter => continue,
                What::Message(sent) => {
                    let (from, to) = (name(recording, sent.from), name(recording, sent.to));
                    let ends = match sent.arrives {
                        Some(at) => format!("arrives {}", clock(at)),
                        None => "never arrives".to_owned(),
                    };
                    format!(
                        "  {from} → {to}: {} ({}; {} bytes, {ends})",
                        sent.name, sent.detail, sent.bytes
                    )
                }
                _ => match line(recording, happening) {
                    Some(line) => line,
                    None => continue,
                },
            };
            let _ = writeln!(text, "  {}  {words}", clock(happening.at));
        }
    }
    let met: Vec<&str> = report.marks.met().keys().copied().collect();
    let _ = writeln!(text, "\nrare states met: {}", met.join(", "));
    if report.broken.is_some() {
        text.push('\n');
        text.push_str(&tell(plan, report, replay));
    } else {
        let _ = writeln!(text, "every promise held; hash {:016x}", report.hash);
    }
    text
}

/// The last things that happened to the lane concerned, and to all: faults and what hubs found before edits.
fn led_to(recording: &Recording) -> Vec<String> {
    let concerned = recording
        .happenings
        .iter()
        .rev()
        .find_map(|happening| match &happening.what {
            What::Broken { lane, .. } => Some(*lane),
            _ => None,
        });
    let concerned = concerned.flatten();
    let weight = |what: &What| match what {
        What::Message(_) | What::State { .. } | What::Broken { .. } => 0,
        What::Fault {
            kind: FaultKind::Started,
            ..
        }
        | What::Joined { .. } => 1,
        What::Action { .. } => 2,
        What::Healed => 9,
        // Clients complain while hubs are away: that is no cause.
        What::Note { lane, .. }
            if recording
                .lanes
                .get(lane.0)
                .is_some_and(|lane| lane.kind == LaneKind::Client) =>
        {
            1
        }
        What::Note { .. } | What::Fault { .. } | What::Parted { .. } => 3,
    };
    let mut picked: Vec<(usize, usize)> = recording
        .happenings
        .iter()
        .enumerate()
        .map(|(at, happening)| {
            let about = concerned.is_some_and(|lane| lanes(&happening.what).contains(&lane));
            (weight(&happening.what) * 2 + usize::from(about) * 3, at)
        })
        .filter(|(weight, at)| *weight > 0 && weight_counts(&recording.happenings[*at].what))
        .collect();
    // The weightiest, and of equal ones the latest; what is said again and again counts once.
    picked.sort_by(|a, b| b.cmp(a));
    let mut said = BTreeSet::new();
    picked.retain(|(_, at)| said.insert(line(recording, &recording.happenings[*at])));
    picked.truncate(LED_TO_MAX);
    picked.sort_by_key(|(_, at)| *at);
    picked
        .into_iter()
        .filter_map(|(_, at)| {
            let happening = &recording.happenings[at];
            Some(format!(
                "{}  {}",
                clock(happening.at),
                line(recording, happening)?
            ))
        })
        .collect()
}

fn weight_counts(what: &What) -> bool {
    !matches!(what, What::Message(_) | What::State { .. } | What::Broken { .. })
}

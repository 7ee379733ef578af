//! What a mesh looks like, in words.

use std::path::Path;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::hash::Digest;

use super::edit::Note;
use super::hubs::Hubs;
use super::spread::Seen;
use crate::commands::say;

/// A row for each hub.
pub fn table(hubs: &Hubs, seen: &[Seen]) -> String {
    let heads = ["hub", "address", "process", "records", "entities", "clock", "lag"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let clocks: Vec<&Clock> = seen.iter().flatten().map(|status| &status.clock).collect();
    for (hub, seen) in hubs.all().iter().zip(seen) {
        let mut row = vec![hub.name.to_owned(), hub.address.to_string(), hub.pid.to_string()];
        match seen {
            Some(status) => row.extend([
                status.records.to_string(),
                status.entities.to_string(),
                short(&status.clock),
                lag(&status.clock, &clocks),
            ]),
            None => row.extend(["-", "-", "-", "does not answer"].map(str::to_owned)),
        }
        rows.push(row);
    }
    say::table(&rows)
}

/// A clock in eight hex digits: equal clocks have equal ones.
fn short(clock: &Clock) -> String {
    let mut bytes = Vec::new();
    for (replica, point) in clock.iter() {
        bytes.extend_from_slice(&replica.0);
        bytes.extend_from_slice(&point.sequence.to_be_bytes());
        bytes.extend_from_slice(&point.check.map_or([0; 8], |check| check.0));
    }
    Digest::of(&bytes).short()
}

/// What a hub lacks that another holds, and what it holds that another lacks, counted in change sets.
fn lag(clock: &Clock, all: &[&Clock]) -> String {
    let count = |from: &Clock, to: &Clock| -> u64 {
        to.iter()
            .map(|(replica, point)| point.sequence.saturating_sub(from.sequence(replica)))
            .sum()
    };
    let behind = all.iter().map(|other| count(clock, other)).max().unwrap_or(0);
    let ahead = all.iter().map(|other| count(other, clock)).max().unwrap_or(0);
    match (behind, ahead) {
        (0, 0) => "none".to_owned(),
        (behind, 0) => format!("{behind} behind"),
        (0, ahead) => format!("{ahead} ahead"),
        (behind, ahead) => format!("{behind} behind, {ahead} ahead"),
    }
}

/// Commands that work when they are pasted into another terminal.
pub fn what_next(hubs: &Hubs, note: &Note) -> String {
    let program = quoted(hubs.program());
    let (first, last) = (&hubs.all()[0], &hubs.all()[hubs.all().len() - 1]);
    let other = hubs.all().get(1).unwrap_or(first);
    let mine = quoted(&hubs.ground().dir().join("me"));
    let client = format!("{program} client --store {mine}");
    let mut lines = vec![
        "What to try next, in another terminal:".to_owned(),
        String::new(),
        format!("  # the state of {}", other.name),
        format!("  {program} status --hub {}", other.url()),
        format!("  # a client of your own, at {}", other.name),
        format!("  {client} --hub {} init --user me", other.url()),
        format!(
            "  {client} --hub {} create --type note --name 'Bins go out on Tuesday'",
            other.url()
        ),
        format!("  {client} list --type note"),
        format!("  {client} get {}", note.id),
        format!("  # the same client goes on at {}", last.name),
        format!("  {client} --hub {} sync", last.url()),
    ];
    if hubs.all().len() > 1 {
        lines.extend([
            format!(
                "  # kill {}, write at {}, start it again: it catches up",
                last.name, first.name
            ),
            format!("  kill -9 {}", last.pid),
            format!(
                "  {client} --hub {} create --type note --name 'Written while one was away'",
                first.url()
            ),
            format!("  {}", last.start_command(hubs.program())),
        ]);
    }
    lines.join("\n")
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%,".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inbetweenies_core::id::ReplicaId;

    fn clock(points: &[(u8, u64)]) -> Clock {
        let mut clock = Clock::new();
        points
            .iter()
            .for_each(|(replica, sequence)| clock.set(ReplicaId([*replica; 16]), *sequence, None));
        clock
    }

    #[test]
    fn lag_is_told_both_ways() {
        let (a, b, c) = (
            clock(&[(1, 5), (2, 1)]),
            clock(&[(1, 3)]),
            clock(&[(1, 3), (2, 4)]),
        );
        let all = [&a, &b, &c];
        assert_eq!(lag(&a, &all), "3 behind, 3 ahead");
        assert_eq!(lag(&b, &all), "4 behind");
        assert_eq!(lag(&a, &[&a]), "none");
        assert_ne!(short(&a), short(&b));
        assert_eq!(short(&a), short(&clock(&[(2, 1), (1, 5)])));
    }

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted(Path::new("/tmp/a-b_1.toml")), "/tmp/a-b_1.toml");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }
}

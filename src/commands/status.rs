//! `status`: a hub's state, for people or as it says it.

use std::process::ExitCode;

use inbetweenies_client::wire::{PeerRow, Status};
use inbetweenies_core::value::Value;

use super::say::{self, Failure, clean, count};
use crate::api::{Hub, HubUrl};

/// The state of a hub.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The hub, as http://127.0.0.1:7420
    #[arg(long, value_name = "URL")]
    hub: String,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    match actix_rt::System::new().block_on(act(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}

async fn act(args: &Args) -> Result<(), Failure> {
    let url: HubUrl = args.hub.parse()?;
    let status = Hub::new(url.clone()).status().await?;
    say::answer(args.json, &status.document, &words(&status, &url));
    Ok(())
}

fn words(status: &Status, url: &HubUrl) -> String {
    let text = |key: &str| status.document.get(key).and_then(Value::as_text).map(clean);
    let row = |key: &str, value: String| vec![format!("  {key}"), value];
    let mut rows = vec![
        row("hub", clean(&status.hub_id)),
        row(
            "home",
            status
                .home_id
                .as_deref()
                .map_or("none yet: it looks for its seeds".to_owned(), clean),
        ),
        row("software", clean(&status.software)),
        row("up", up(status.document.get("uptime_s"))),
        row(
            "holds",
            format!(
                "{} in {} and {}",
                count(status.records as usize, "record"),
                count(status.entities as usize, "entity"),
                count(status.relationships as usize, "relationship")
            ),
        ),
        row(
            "conflicts",
            match status.conflicts {
                0 => "none waits for a person".to_owned(),
                some => format!("{some} wait for a person"),
            },
        ),
    ];
    if let Some(replica) = text("replica") {
        let life = status.document.get("life").and_then(Value::as_int).unwrap_or(0);
        rows.push(row("replica", format!("{replica}, life {life}")));
    }
    for (replica, point) in status.clock.iter() {
        rows.push(row("clock", format!("{replica} {}", point.sequence)));
    }
    if let Some(root) = text("merkle_root") {
        rows.push(row("root", root));
    }
    if let Some(how) = text("policy_differs") {
        rows.push(row("policy", how));
    }
    rows.extend(status.peers.iter().map(|peer| row("peer", in_a_line(peer))));
    if let Some(events) = status.document.get("events").and_then(Value::as_list) {
        for event in events.iter().filter_map(Value::as_map) {
            let part = |key: &str| {
                event
                    .get(key)
                    .and_then(Value::as_text)
                    .map(clean)
                    .unwrap_or_default()
            };
            rows.push(row(
                "event",
                format!("{} {}: {}", part("at"), part("code"), part("detail")),
            ));
        }
    }
    format!("{} at {url}\n{}", clean(&status.name), say::table(&rows))
}

fn up(seconds: Option<&Value>) -> String {
    let seconds = match seconds {
        Some(Value::Int(seconds)) => *seconds as f64,
        Some(Value::Float(seconds)) => *seconds,
        _ => return "unknown".to_owned(),
    };
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

fn in_a_line(peer: &PeerRow) -> String {
    let address = peer.address.as_deref().unwrap_or("no address");
    let mut line = format!(
        "{} at {}: {}",
        clean(&peer.name),
        clean(address),
        clean(&peer.state)
    );
    if let Some(seen) = peer.last_seen_ms {
        line += &format!(", heard {seen} ms ago");
    }
    match (peer.behind, peer.ahead) {
        (Some(0), Some(0)) => line += ", holds the same",
        (Some(behind), Some(ahead)) => line += &format!(", {behind} behind, {ahead} ahead"),
        _ => {}
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        for (seconds, words) in [
            (0.25, "0.2 s"),
            (75.0, "1 min 15 s"),
            (7_260.0, "2 h 1 min"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(up(Some(&Value::Float(seconds))), words);
        }
        assert_eq!(up(None), "unknown");
    }
}

//! `mesh prove`: asks every hub of a home for its root; where they differ, which records do and who holds which.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use inbetweenies_core::value::{Map, Value};
use serde_json::json;

use crate::api::{Hub, HubUrl};
use crate::commands::say::{self, Failure, clean, count};

/// How long hubs that still write to each other have to come to one clock.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often they are asked.
const LOOK: Duration = Duration::from_millis(250);
/// Differing records that are told.
const TOLD_MAX: usize = 100;

/// Ask every hub of the home whether all hold the same.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Any hub of the home, as http://127.0.0.1:7420
    #[arg(long, value_name = "URL")]
    hub: String,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

struct Member {
    name: String,
    hub: Hub,
    root: Option<String>,
    clock: BTreeMap<String, i64>,
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    match actix_rt::System::new().block_on(act(args)) {
        Ok(code) => code,
        Err(failure) => failure.exit(),
    }
}

fn text(row: &Map, key: &str) -> Option<String> {
    row.get(key).and_then(Value::as_text).map(str::to_owned)
}

fn list<'v>(row: &'v Value, key: &str) -> &'v [Value] {
    let found = row.as_map().and_then(|row| row.get(key)?.as_list());
    found.unwrap_or_default()
}

/// All hubs of the home that have not left and are not fenced, the one asked first.
async fn members(url: &HubUrl) -> Result<Vec<Member>, Failure> {
    let first = Hub::new(url.clone());
    let status = first.status().await?;
    let mut all = vec![Member {
        name: status.name.clone(),
        hub: first,
        root: None,
        clock: BTreeMap::new(),
    }];
    let document = all[0].hub.members().await?;
    for row in list(&document, "members").iter().filter_map(Value::as_map) {
        let counts = !matches!(text(row, "state").as_deref(), Some("left" | "fenced"));
        if !counts || text(row, "hub_id").as_deref() == Some(&status.hub_id) {
            continue;
        }
        let name = text(row, "name").unwrap_or_default();
        let Some(address) = text(row, "address") else {
            return Err(Failure::new(format!(
                "{} has told nobody where it is: nothing can be said of it",
                clean(&name)
            )));
        };
        all.push(Member {
            name,
            hub: Hub::new(format!("http://{address}").parse()?),
            root: None,
            clock: BTreeMap::new(),
        });
    }
    Ok(all)
}

async fn ask(member: &mut Member) -> Result<(), Failure> {
    let status = member.hub.status().await.map_err(|error| {
        Failure::new(format!(
            "{} does not answer, so nothing is proven: {error}",
            clean(&member.name)
        ))
    })?;
    member.root = text(&status.document, "merkle_root");
    let clock = status.document.get("merkle_clock").and_then(Value::as_map);
    let points = clock.into_iter().flatten();
    member.clock = points
        .filter_map(|(replica, at)| Some((replica.clone(), at.as_int()?)))
        .collect();
    Ok(())
}

async fn act(args: &Args) -> Result<ExitCode, Failure> {
    let url: HubUrl = args.hub.parse()?;
    let mut members = members(&url).await?;
    let started = Instant::now();
    loop {
        for member in &mut members {
            ask(member).await?;
        }
        let first = &members[0];
        let equal = |member: &Member| member.root == first.root && member.clock == first.clock;
        if first.root.is_some() && members.iter().all(equal) {
            return proven(args, &members);
        }
        if started.elapsed() > PATIENCE {
            return differing(args, &members).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn proven(args: &Args, members: &[Member]) -> Result<ExitCode, Failure> {
    let first = &members[0];
    let root = first.root.clone().unwrap_or_default();
    let names: Vec<String> = members.iter().map(|member| clean(&member.name)).collect();
    let clock: Vec<String> = first
        .clock
        .iter()
        .map(|(replica, at)| format!("{} {at}", clean(replica)))
        .collect();
    let document = json!({"equal": true, "hubs": names, "merkle_root": root, "merkle_clock": first.clock});
    let words = format!(
        "all {} equal: {}\nat clock {}\nroot {}",
        count(members.len(), "hub"),
        names.join(", "),
        clock.join(" · "),
        clean(&root)
    );
    say::answer(args.json, &document, &words);
    Ok(ExitCode::SUCCESS)
}

/// One record, and which hubs hold it so.
struct Differs {
    id: String,
    version: String,
    digest: String,
    order_time: i64,
    holders: Vec<String>,
}

async fn differing(args: &Args, members: &[Member]) -> Result<ExitCode, Failure> {
    let mut found: BTreeMap<String, Differs> = BTreeMap::new();
    let mut prefixes = vec![String::new()];
    while let Some(prefix) = prefixes.pop() {
        let mut answers = Vec::with_capacity(members.len());
        for member in members {
            answers.push(member.hub.leaves(&prefix).await?);
        }
        let digest = |answer: &Value| answer.as_map().and_then(|answer| text(answer, "digest"));
        if answers.iter().all(|answer| digest(answer) == digest(&answers[0])) {
            continue;
        }
        // Where one tells records and another nodes, the nodes' are asked for until all tell records.
        let whole = |answer: &Value| list(answer, "nodes").is_empty();
        if answers.iter().all(whole) {
            for (member, answer) in members.iter().zip(&answers) {
                for row in list(answer, "records_below").iter().filter_map(Value::as_map) {
                    let leaf = text(row, "leaf").unwrap_or_default();
                    let differs = found.entry(leaf).or_insert_with(|| Differs {
                        id: text(row, "id").unwrap_or_default(),
                        version: text(row, "version").unwrap_or_default(),
                        digest: text(row, "digest").unwrap_or_default(),
                        order_time: row.get("order_time").and_then(Value::as_int).unwrap_or(0),
                        holders: Vec::new(),
                    });
                    differs.holders.push(member.name.clone());
                }
            }
        } else {
            prefixes.extend((0..16).map(|digit| format!("{prefix}{digit:x}")));
        }
    }
    found.retain(|_, differs| differs.holders.len() < members.len());
    let behind = |member: &Member| {
        let sum: i64 = member.clock.values().sum();
        format!("{} at {sum}", clean(&member.name))
    };
    let clocks: Vec<String> = members.iter().map(behind).collect();
    let rows: Vec<_> = found
        .values()
        .take(TOLD_MAX)
        .map(|row| {
            json!({"id": row.id, "version": row.version, "digest": row.digest, "order_time": row.order_time,
                "held_by": row.holders})
        })
        .collect();
    let document = json!({"equal": false, "hubs": clocks, "differing": found.len(), "records": rows});
    let mut lines = vec![format!("not equal: {}", clocks.join(", "))];
    for row in found.values().take(TOLD_MAX) {
        lines.push(format!(
            "  {} {} ({}) only at {}",
            clean(&row.id),
            clean(&row.version),
            &row.digest.get(..8).unwrap_or_default(),
            row.holders
                .iter()
                .map(|name| clean(name))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    if found.len() > TOLD_MAX {
        lines.push(format!("  … and {} more", found.len() - TOLD_MAX));
    }
    say::answer(args.json, &document, &lines.join("\n"));
    let what = match found.len() {
        0 => "the records are the same and the clocks or trees are not: wait, or check with `verify --hub`"
            .to_owned(),
        some => format!("{} held by some hubs and not by all", count(some, "record")),
    };
    Err(Failure::new(what))
}

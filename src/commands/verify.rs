//! `verify`: holds a store against itself, offline; or has a running hub check its own and compare it with others.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use inbetweenies_core::blob::chunks_of;
use inbetweenies_core::merkle::chain;
use inbetweenies_core::merkle::mirror::Mirror;
use inbetweenies_core::merkle::tree::Tree;
use inbetweenies_core::store::{
    Family, HeldRow, OfBlob, StoreError, blob_kind, blob_of, decode_row, read_meta, scan_prefix,
};
use inbetweenies_core::transfer::{WorkError, read_verified};
use inbetweenies_core::value::{Map, Value};
use serde_json::json;

use super::say::{self, Failure, clean, count};
use crate::api::{Hub, HubUrl};
use crate::store::{self, BlobStore, RocksStore, StoreOptions};

/// How long all hubs have to be found equal.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often a hub is asked how far it is.
const LOOK: Duration = Duration::from_millis(200);
/// Entries of the log read in one go.
const RUN: usize = 4_096;

/// Check every record, tree and log of a store, or compare running hubs and repair.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["data", "hub"]))]
pub struct Args {
    /// The data folder of a hub that does not run
    #[arg(long, value_name = "DIR", conflicts_with = "against")]
    data: Option<PathBuf>,
    /// A running hub, as http://127.0.0.1:7420: it checks its store, compares it with its peers and repairs
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    /// Compare with this peer alone: its name or its id
    #[arg(long, value_name = "HUB", requires = "hub")]
    against: Option<String>,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.data {
        Some(data) => offline(args, data),
        None => actix_rt::System::new().block_on(running(args)),
    };
    match done {
        Ok(code) => code,
        Err(failure) => failure.exit(),
    }
}

/// What was found in a store.
struct Found {
    rows: u64,
    records: u64,
    blobs: usize,
    damaged: Vec<String>,
    root: Option<String>,
}

fn offline(args: &Args, data: &std::path::Path) -> Result<ExitCode, Failure> {
    let options = StoreOptions {
        init: false,
        cache_bytes: 16 << 20,
        write_buffer_bytes: 16 << 20,
        headroom_bytes: 0,
    };
    let opened = RocksStore::open(data, &options).map_err(|error| Failure::new(error.to_string()))?;
    let reader = opened.reader();
    let mut found = examine(&reader).map_err(|error| Failure::io(error.to_string()))?;
    let mut files = BlobStore::look(data, &reader);
    let (blobs, damaged) =
        examine_blobs(&reader, &mut files).map_err(|error| Failure::io(error.to_string()))?;
    found.blobs = blobs;
    found.damaged.extend(damaged);
    reader.quiet();
    let document = json!({
        "sound": found.damaged.is_empty(), "rows": found.rows, "records": found.records, "blobs": found.blobs,
        "merkle_root": found.root,
        "damaged": found.damaged,
    });
    let mut words = format!(
        "{} and {} in {}: every block, every record, every log, the tree and every chunk were read",
        count(found.records as usize, "record"),
        count(found.blobs, "blob"),
        data.display()
    );
    if let Some(root) = &found.root {
        words += &format!("\nroot {root}");
    }
    say::answer(args.json, &document, &words);
    if found.damaged.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for what in &found.damaged {
        say::line(&format!("damaged: {what}"));
    }
    Err(Failure::new(format!(
        "{}: start the hub, and it takes again what others hold of them",
        count(found.damaged.len(), "damaged place")
    )))
}

fn examine(reader: &crate::store::StoreReader) -> Result<Found, StoreError> {
    let rows = store::verify(reader)?.rows;
    let snapshot = reader.snapshot();
    let mut damaged = Vec::new();
    let mut kept = Mirror::open(Tree::depth_within(4 << 20), 4_096, &snapshot)?;
    let mut from = Some(kept.frontier().unwrap_or(0));
    let rebuilt = kept.is_rebuilding();
    let mut records = 0;
    while let Some(at) = from {
        let strip = kept.read_strip(&snapshot, at, RUN)?;
        records += strip.records as u64;
        let bytes = strip.damaged.iter();
        damaged.extend(bytes.map(|(id, digest)| format!("the bytes of record {} of {id}", digest.short())));
        if strip.differs {
            damaged.push(format!(
                "rows at positions from {at:06x} on are not those that were written"
            ));
        }
        from = strip.next;
    }
    let mut at = None;
    loop {
        let run = chain::read_run(&snapshot, at, RUN)?;
        let holes = run.holes.iter();
        damaged
            .extend(holes.map(|dot| format!("entry {} of {}, or a record of it", dot.sequence, dot.replica)));
        match run.next {
            Some(next) => at = Some(next),
            None => break,
        }
    }
    if let Some(meta) = read_meta(&snapshot)?
        && meta.records != records
    {
        damaged.push(format!("{} records where {} were counted", records, meta.records));
    }
    let root = kept.root().filter(|_| !rebuilt || kept.key().is_some());
    Ok(Found {
        rows,
        records,
        blobs: 0,
        damaged,
        root: root.map(|root| root.to_string()),
    })
}

/// Reads every chunk that counts as held, and holds it against its blob's name.
fn examine_blobs(
    reader: &store::StoreReader,
    files: &mut BlobStore,
) -> Result<(usize, Vec<String>), WorkError> {
    let snapshot = reader.snapshot();
    let (mut held, mut failed) = (Vec::new(), None);
    scan_prefix(
        &snapshot,
        Family::Blobs,
        &blob_kind(OfBlob::Held),
        &mut |key, row| {
            match decode_row::<HeldRow>(Family::Blobs, row) {
                Ok(row) => held.extend(blob_of(key).map(|id| (id, row))),
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        },
    )?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let mut damaged = Vec::new();
    for (id, row) in &held {
        let chunks = (0..chunks_of(row.size)).filter(|index| row.whole || row.have.has(*index));
        for index in chunks {
            if read_verified(files, &snapshot, *id, index)?.is_none() {
                damaged.push(format!("chunk {index} of blob {id}"));
            }
        }
    }
    Ok((held.len(), damaged))
}

fn map(value: Option<&Value>) -> Option<&Map> {
    value.and_then(Value::as_map)
}

fn number(row: Option<&Map>, key: &str) -> i64 {
    row.and_then(|row| row.get(key)?.as_int()).unwrap_or(0)
}

/// What comparing with a peer came to so far, as the status tells it.
fn compared<'s>(status: &'s Map, hub_id: &str) -> Option<&'s Map> {
    let peers = status.get("peers").and_then(Value::as_list)?;
    let is_it = |peer: &&Map| peer.get("hub_id").and_then(Value::as_text) == Some(hub_id);
    let peer = peers.iter().filter_map(Value::as_map).find(is_it)?;
    map(peer.get("compared"))
}

async fn running(args: &Args) -> Result<ExitCode, Failure> {
    let url: HubUrl = args.hub.as_deref().unwrap_or_default().parse()?;
    let hub = Hub::new(url.clone());
    let before = hub.status().await?.document;
    let begun = hub.verify(args.against.as_deref()).await?;
    let checks = number(begun.as_map(), "checks");
    let against = map(Some(&begun)).and_then(|begun| begun.get("against")?.as_list());
    let against: Vec<String> = against
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_text)
        .map(str::to_owned)
        .collect();
    let started = Instant::now();
    let status = loop {
        tokio::time::sleep(LOOK).await;
        let status = hub.status().await?.document;
        let done = number(map(status.get("checked")), "checks") > checks;
        let settled = |hub_id: &String| {
            let now = compared(&status, hub_id);
            let equal = now
                .and_then(|row| row.get("equal"))
                .is_some_and(|equal| *equal == Value::Bool(true));
            equal && number(now, "checks") > checks
        };
        if done && against.iter().all(settled) {
            break status;
        }
        if started.elapsed() > PATIENCE {
            return Err(Failure::new(format!(
                "after {} s {url} is not yet equal to all of them: `status --hub {url}` tells what was found",
                PATIENCE.as_secs()
            )));
        }
    };
    let took = started.elapsed();
    let checked = map(status.get("checked"));
    let mut lines = vec![format!(
        "{} read and held against the tree and the logs: {}",
        count(number(checked, "records") as usize, "record"),
        match number(checked, "damaged") {
            0 => "nothing is damaged".to_owned(),
            some => count(some as usize, "damaged place"),
        }
    )];
    let mut rows = Vec::new();
    for hub_id in &against {
        let (now, then) = (compared(&status, hub_id), compared(&before, hub_id));
        let since = |key: &str| number(now, key) - number(then, key);
        let (found, here, there) = (since("found"), since("mended_here"), since("mended_there"));
        lines.push(format!(
            "equal to {}: {}",
            clean(&name_of(&status, hub_id)),
            match found {
                0 => "no difference".to_owned(),
                _ => format!(
                    "{} found, {here} rows mended here, {there} there",
                    count(found as usize, "difference")
                ),
            }
        ));
        rows.push(json!({"hub_id": hub_id, "equal": true, "found": found, "mended_here": here, "mended_there": there}));
    }
    if let Some(root) = status.get("merkle_root").and_then(Value::as_text) {
        lines.push(format!("root {}", clean(root)));
    }
    lines.push(format!("{:.2} s", took.as_secs_f64()));
    let document = json!({
        "records": number(checked, "records"), "damaged": number(checked, "damaged"),
        "merkle_root": status.get("merkle_root").and_then(Value::as_text), "compared": rows, "took_s": took.as_secs_f64(),
    });
    say::answer(args.json, &document, &lines.join("\n"));
    Ok(ExitCode::SUCCESS)
}

fn name_of(status: &Map, hub_id: &str) -> String {
    let peers = status.get("peers").and_then(Value::as_list).unwrap_or_default();
    let is_it = |peer: &&Map| peer.get("hub_id").and_then(Value::as_text) == Some(hub_id);
    let peer = peers.iter().filter_map(Value::as_map).find(is_it);
    let name = peer.and_then(|peer| peer.get("name")?.as_text());
    name.unwrap_or(hub_id).to_owned()
}

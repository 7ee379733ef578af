//! `client fetch`: the bytes of what a thing refers to, into files.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use inbetweenies_client::{Replica, Store};
use inbetweenies_core::blob::{BlobId, BlobRef, Hasher, refs};
use inbetweenies_core::id::Id;
use serde_json::json;

use super::shelf::Shelf;
use crate::api::Hub;
use crate::commands::client::{Desk, find};
use crate::commands::say::{self, Failure, count};

/// How often a broken download goes on without a byte more.
const TRIES: u32 = 6;
const NAME_CHARS_MAX: usize = 120;

/// Fetch what is attached to a thing.
#[derive(Debug, clap::Args)]
pub struct Fetch {
    /// A thing, what is attached to it, or the 64 digits of a blob
    what: String,
    /// Where to: a file, or a folder (one that ends with / is made); the working directory where nothing is said
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    /// Replace a file of that name
    #[arg(long)]
    force: bool,
}

/// `fetch`.
pub async fn fetch(desk: &Desk, store: Store, wish: Fetch) -> Result<ExitCode, Failure> {
    let wanted = wanted(store.replica(), &wish.what)?;
    let shelf = Shelf::of(store.dir());
    let hub = desk.wanted_hub().map(|url| Hub::new(url.clone()));
    let into = wish.out.clone().unwrap_or_else(|| PathBuf::from("."));
    let folder = into.is_dir() || into.as_os_str().to_string_lossy().ends_with('/');
    if wanted.len() > 1 && !folder {
        let names: Vec<String> = wanted.values().map(file_name).collect();
        return Err(Failure::usage(format!(
            "{} refers to {} blobs ({}): name a folder with --out, or one of them",
            wish.what,
            wanted.len(),
            names.join(", ")
        )));
    }
    if folder {
        std::fs::create_dir_all(&into)
            .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", into.display())))?;
    }
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for (id, blob) in wanted {
        let path = if folder {
            into.join(file_name(&blob))
        } else {
            into.clone()
        };
        if path.exists() && !wish.force && hash(&path).ok() != Some(id) {
            return Err(Failure::new(format!(
                "{} is there and is something else: --force replaces it",
                path.display()
            )));
        }
        let resumed = one(&shelf, hub.as_ref(), id, &path).await?;
        rows.push(json!({"blob_id": id.to_string(), "file": path, "bytes_resumed": resumed}));
        lines.push(format!("fetched {}", path.display()));
    }
    let words = format!("{}\n{}", lines.join("\n"), count(rows.len(), "file"));
    say::answer(desk.json, &json!({"fetched": rows}), &words);
    Ok(ExitCode::SUCCESS)
}

/// What a word stands for: a blob, a thing that refers to some, or a thing to which such are attached.
fn wanted(replica: &Replica, word: &str) -> Result<BTreeMap<BlobId, BlobRef>, Failure> {
    if let Some(id) = BlobId::parse(word) {
        let bare = BlobRef {
            id,
            size: None,
            content_type: None,
            file_name: None,
        };
        return Ok(BTreeMap::from([(id, bare)]));
    }
    let policy = replica.policy();
    let view = find::shown(replica, &policy, word)?;
    let mut found: BTreeMap<BlobId, BlobRef> = BTreeMap::new();
    let mut add = |id: &Id| {
        let view = replica.view(id, &policy).filter(|view| !view.record.deleted);
        for blob in view.iter().flat_map(|view| refs(&view.record)) {
            found.entry(blob.id).or_insert(blob);
        }
    };
    add(&view.record.id);
    for edge in replica.edges(&policy) {
        let attached = matches!(
            edge.relationship_type.as_str(),
            "has_photo" | "has_blob" | "documented_by"
        );
        if attached && edge.from == view.record.id {
            add(&edge.to);
        }
    }
    if found.is_empty() {
        let what = find::label(&view.record);
        return Err(Failure::new(format!("nothing is attached to {what}")));
    }
    Ok(found)
}

/// A name that is safe to give a file, whatever the record says.
fn file_name(blob: &BlobRef) -> String {
    let name = blob.file_name.as_deref().unwrap_or_default();
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect();
    let clean = clean.trim_start_matches('.').trim().to_owned();
    if clean.is_empty() {
        blob.id.to_string()
    } else {
        clean
    }
}

fn hash(path: &Path) -> io::Result<BlobId> {
    let (mut file, mut piece, mut hasher) = (File::open(path)?, vec![0; 1 << 20], Hasher::default());
    loop {
        let len = file.read(&mut piece)?;
        if len == 0 {
            return Ok(hasher.finish().id);
        }
        hasher.update(&piece[..len]);
    }
}

/// Fetches one; how many bytes of it were here from an earlier attempt.
async fn one(shelf: &Shelf, hub: Option<&Hub>, id: BlobId, path: &Path) -> Result<u64, Failure> {
    let io = |error: io::Error| Failure::io(format!("{}: {error}", path.display()));
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let own = shelf.path(id);
    let resumed = if own.exists() {
        fs::copy(&own, &part).map_err(io)?;
        0
    } else {
        let hub =
            hub.ok_or_else(|| Failure::new("the bytes are not on this device: name a hub with --hub URL"))?;
        download(hub, id, &part, path).await?
    };
    if hash(&part).map_err(io)? != id {
        drop(fs::remove_file(&part));
        return Err(Failure::new(format!(
            "what came is not the blob {id}; it was thrown away: fetch it again, from another hub if that goes on"
        )));
    }
    File::open(&part).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&part, path).map_err(io)?;
    Ok(resumed)
}

async fn download(hub: &Hub, id: BlobId, part: &Path, path: &Path) -> Result<u64, Failure> {
    let io = |error: io::Error| Failure::io(format!("{}: {error}", part.display()));
    let resumed = fs::metadata(part).map_or(0, |file| file.len());
    let bar = super::bar(0, &path.display().to_string());
    let mut tries = 0;
    loop {
        let there = fs::metadata(part).map_or(0, |file| file.len());
        let fetched = async {
            let mut download = match hub.download(id, there).await {
                Ok(download) => download,
                // All of it may be here already, or more than there is.
                Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 416) => {
                    return Ok(Ok(true));
                }
                Err(error) => return Ok(Err(error)),
            };
            let mut options = OpenOptions::new();
            let mut file = options.create(true).truncate(false).write(true).open(part)?;
            file.set_len(download.from)?;
            io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
            bar.set_length(download.size);
            bar.set_position(download.from);
            bar.reset_eta();
            loop {
                match hub.next_bytes(&mut download).await {
                    Ok(Some(bytes)) => {
                        file.write_all(&bytes)?;
                        tries = 0;
                        bar.inc(bytes.len() as u64);
                    }
                    Ok(None) if file.metadata()?.len() < download.size => {
                        return Ok(Ok(false)); // the hub ended early: it goes on from here
                    }
                    Ok(None) => {
                        bar.finish_and_clear();
                        return Ok(Ok(true));
                    }
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        match fetched.await.map_err(io)? {
            Ok(true) => return Ok(resumed),
            Ok(false) if tries < TRIES => tries += 1,
            Ok(false) => return Err(Failure::new("the hub ends the download early, again and again")),
            Err(error) if error.refusal().is_some() => return Err(error.into()),
            Err(error) if tries >= TRIES => return Err(error.into()),
            Err(_) => {
                actix_rt::time::sleep(Duration::from_millis(250 << tries)).await;
                tries += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_made_safe() {
        let of = |name: &str| {
            file_name(&BlobRef {
                id: BlobId::of(b""),
                size: None,
                content_type: None,
                file_name: Some(name.to_owned()),
            })
        };
        assert_eq!(of("../../etc/passwd"), "passwd");
        assert_eq!(of("..\\..\\boot.ini"), "boot.ini");
        assert_eq!(of(".bashrc\u{7}"), "bashrc");
        assert_eq!(of("/"), BlobId::of(b"").to_string());
        assert_eq!(of(&"ä".repeat(500)).chars().count(), 120);
    }
}

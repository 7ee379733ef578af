//! `client attach`: a thing for the file, a relationship to it, and the bytes on their way.

use std::path::PathBuf;
use std::process::ExitCode;

use inbetweenies_client::{Draft, Frame, Store, wall_clock};
use inbetweenies_core::limits::NAME_BYTES_MAX;
use inbetweenies_core::value::{Map, Value};
use serde_json::json;

use super::shelf::{Kept, Shelf};
use super::{bring, media};
use crate::api::Hub;
use crate::commands::client::sync::{Pushed, code, push, troubles};
use crate::commands::client::{Desk, find};
use crate::commands::say::{self, Failure, count};

/// Attach files to a thing.
#[derive(Debug, clap::Args)]
pub struct Attach {
    /// To what: an id, the beginning of one, or a name
    what: String,
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What each becomes: photo, manual, blob, …; by what is in the file where nothing is said
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// What people call it; the file's name where nothing is said
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// `attach`.
pub async fn attach(desk: &Desk, mut store: Store, wish: Attach) -> Result<ExitCode, Failure> {
    let policy = store.replica().policy();
    let to = find::shown(store.replica(), &policy, &wish.what)?.record.id;
    let shelf = Shelf::of(store.dir());
    let (mut drafts, mut rows) = (Vec::new(), Vec::new());
    for file in &wish.files {
        if file.is_dir() {
            return Err(Failure::usage(format!(
                "{} is a folder: name files",
                file.display()
            )));
        }
        let file_name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = wish.name.clone().unwrap_or_else(|| file_name.clone());
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Failure::usage(format!("a name has 1 to {NAME_BYTES_MAX} bytes")));
        }
        // The bytes are on this device's disk before the edit is.
        let (id, size, first) = shelf.take(file)?;
        let content_type = media::content_type(&file_name, &first);
        shelf.keep(&Kept {
            blob_id: id.to_string(),
            size,
            content_type: content_type.to_owned(),
            file_name: file_name.clone(),
            uploads: Default::default(),
        })?;
        let kind = wish
            .r#type
            .as_deref()
            .unwrap_or_else(|| media::kind(content_type));
        let text = |text: &str| Value::Text(text.to_owned());
        let content = Map::from([
            ("blob_id".to_owned(), text(&id.to_string())),
            (
                "size".to_owned(),
                Value::Int(i64::try_from(size).unwrap_or(i64::MAX)),
            ),
            ("content_type".to_owned(), text(content_type)),
            ("file_name".to_owned(), text(&file_name)),
        ]);
        let (thing, edge) = (find::fresh()?, find::fresh()?);
        rows.push(json!({"id": thing, "type": kind, "name": name, "blob_id": id.to_string(), "size": size}));
        drafts.push(Draft::entity(thing.clone(), kind, Some(name), "manual", content));
        drafts.push(Draft::relationship(
            edge,
            to.clone(),
            media::relation(kind),
            thing,
            Map::new(),
        ));
    }
    let edited = store.replica().stamp(drafts, wall_clock())?;
    store.keep(&Frame::Edited(edited))?;
    let mut words = format!("attached {}", count(rows.len(), "file"));
    let (mut exit, mut error, mut waiting) = (ExitCode::SUCCESS, None, shelf.all().len());
    match push(&mut store, desk.wanted_hub()).await? {
        Pushed::NotAsked => words += "; kept here, `sync --hub URL` sends it",
        Pushed::Waiting(why) => {
            words += &format!("; kept here until `sync` finds a hub: {why}");
            error = Some(why);
        }
        Pushed::Done(summary) => {
            words += &troubles(&summary);
            exit = code(&summary);
            if let Some(url) = desk.wanted_hub() {
                let brought = bring(&store, &Hub::new(url.clone())).await?;
                waiting = brought.waiting.len();
                if waiting == 0 {
                    words += &format!("; on disk at {}", say::clean(&summary.hub));
                }
                for (id, why) in &brought.waiting {
                    words += &format!("\nkept here: {id}: {}", say::clean(why));
                    error = Some(why.clone());
                }
            }
        }
    }
    let document = json!({"attached": rows, "kept_here": waiting, "sync_error": error});
    say::answer(desk.json, &document, &words);
    Ok(exit)
}

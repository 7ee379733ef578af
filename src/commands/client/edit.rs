//! `client create`, `edit`, `delete`, `link`, `unlink`: an edit is on this device's disk first, then on its way.

use std::process::ExitCode;

use inbetweenies_client::{Draft, Edge, Frame, Store, wall_clock};
use inbetweenies_core::id::Id;
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::value::Map;
use inbetweenies_core::view::{Policy, View};
use serde_json::json;

use super::fields::{Fields, unset};
use super::sync::{Pushed, code, document, push, troubles};
use super::{Desk, find};
use crate::commands::say::{self, Failure, count};

/// Make a thing.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// Its type, as device, room, note
    #[arg(long, value_name = "TYPE")]
    r#type: String,
    /// What people call it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its id; drawn where none is given
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    fields: Fields,
}

/// Change a thing.
#[derive(Debug, clap::Args)]
pub struct Edit {
    /// An id, the beginning of one, or a name
    what: String,
    /// A new name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Take a field away; /a/b is a field within a field
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    #[command(flatten)]
    fields: Fields,
}

/// Delete a thing or a relationship.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// An id, the beginning of one, or a name
    what: String,
}

/// Relate two things.
#[derive(Debug, clap::Args)]
pub struct Link {
    /// Where it starts: an id, the beginning of one, or a name
    from: String,
    /// Its type, as located_in, controls
    r#type: String,
    /// Where it ends
    to: String,
    #[command(flatten)]
    fields: Fields,
}

/// Take a relationship away.
#[derive(Debug, clap::Args)]
pub struct Unlink {
    /// Its id, or FROM TYPE, or FROM TYPE TO
    #[arg(num_args = 1..=3, required = true, value_name = "ID | FROM TYPE [TO]")]
    what: Vec<String>,
}

/// `create`.
pub async fn create(desk: &Desk, mut store: Store, wish: Create) -> Result<ExitCode, Failure> {
    let (replica, policy) = (store.replica(), store.replica().policy());
    let id = match &wish.id {
        Some(text) => find::id(text)?,
        None => find::fresh()?,
    };
    if replica.view(&id, &policy).is_some() {
        return Err(Failure::new(format!(
            "there is something called {id} already: `edit` changes it"
        )));
    }
    let mut content = Map::new();
    wish.fields.apply(&mut content)?;
    let draft = Draft::entity(id, &wish.r#type, wish.name, "manual", content);
    carry_out(desk, &mut store, vec![draft], "created").await
}

/// `edit`.
pub async fn edit(desk: &Desk, mut store: Store, wish: Edit) -> Result<ExitCode, Failure> {
    let policy = store.replica().policy();
    let view = find::shown(store.replica(), &policy, &wish.what)?;
    let mut draft = Draft::on(&view);
    match (&mut draft.kind, wish.name) {
        (_, None) => {}
        (Kind::Entity { name, .. }, Some(new)) => *name = Some(new),
        (Kind::Relationship { .. }, Some(_)) => return Err(Failure::usage("a relationship has no name")),
    }
    wish.fields.apply(&mut draft.content)?;
    for key in &wish.unset {
        unset(&mut draft.content, key)?;
    }
    // With several heads an edit that changes no field still settles them.
    if view.heads.len() == 1 && draft.kind == view.record.kind && draft.content == view.record.content {
        return nothing_to_do(desk, &view.record.id, "nothing to change: it is so already");
    }
    carry_out(desk, &mut store, vec![draft], "changed").await
}

/// `delete`.
pub async fn delete(desk: &Desk, mut store: Store, wish: Delete) -> Result<ExitCode, Failure> {
    let policy = store.replica().policy();
    let view = find::shown(store.replica(), &policy, &wish.what)?;
    let mut drafts = vec![deleted(&view)];
    if view.record.is_entity() {
        // Edges to what is gone lead nowhere; all of it is one change set.
        let edges = store.replica().edges(&policy);
        let around = edges.iter().filter(|edge| edge.touches(&view.record.id));
        drafts.extend(around.map(|edge| deleted(&edge.view)));
    }
    carry_out(desk, &mut store, drafts, "deleted").await
}

/// `link`.
pub async fn link(desk: &Desk, mut store: Store, wish: Link) -> Result<ExitCode, Failure> {
    let (replica, policy) = (store.replica(), store.replica().policy());
    let (from, to) = (
        find::end(replica, &policy, &wish.from)?,
        find::end(replica, &policy, &wish.to)?,
    );
    let single = policy.manifest.is_single(&wish.r#type);
    let known = if single {
        replica.view(&Id::single(&from, &wish.r#type), &policy)
    } else {
        let same = |edge: &Edge| edge.from == from && edge.to == to && edge.relationship_type == wish.r#type;
        replica
            .edges(&policy)
            .into_iter()
            .find(same)
            .map(|edge| edge.view)
    };
    let Some(view) = known else {
        let id = if single {
            Id::single(&from, &wish.r#type)
        } else {
            find::fresh()?
        };
        let mut properties = Map::new();
        wish.fields.apply(&mut properties)?;
        let draft = Draft::relationship(id, from, &wish.r#type, to, properties);
        return carry_out(desk, &mut store, vec![draft], "linked").await;
    };
    let mut draft = Draft::on(&view);
    draft.deleted = false;
    draft.kind = Kind::Relationship {
        from,
        to,
        relationship_type: wish.r#type,
    };
    wish.fields.apply(&mut draft.content)?;
    let same = draft.kind == view.record.kind && draft.content == view.record.content;
    if same && !view.record.deleted && view.heads.len() == 1 {
        let words = "nothing to change: they are linked so already";
        return nothing_to_do(desk, &view.record.id, words);
    }
    carry_out(desk, &mut store, vec![draft], "linked").await
}

/// `unlink`.
pub async fn unlink(desk: &Desk, mut store: Store, wish: Unlink) -> Result<ExitCode, Failure> {
    let policy = store.replica().policy();
    let view = match &wish.what[..] {
        [id] => find::shown(store.replica(), &policy, id)?,
        [from, kind, to @ ..] => one_edge(&store, &policy, from, kind, to.first())?,
        [] => return Err(Failure::usage("unlink what? give an id, or FROM TYPE [TO]")),
    };
    if view.record.is_entity() {
        let label = find::label(&view.record);
        return Err(Failure::usage(format!("{label} is no relationship: `delete` it")));
    }
    carry_out(desk, &mut store, vec![deleted(&view)], "unlinked").await
}

fn one_edge(
    store: &Store,
    policy: &Policy,
    from: &str,
    kind: &str,
    to: Option<&String>,
) -> Result<View, Failure> {
    let replica = store.replica();
    let from = find::end(replica, policy, from)?;
    let to = to.map(|to| find::end(replica, policy, to)).transpose()?;
    let mut found = replica.edges(policy).into_iter().filter(|edge| {
        edge.from == from && edge.relationship_type == kind && to.as_ref().is_none_or(|to| edge.to == *to)
    });
    match (found.next(), found.next()) {
        (None, _) => Err(Failure::new(format!("{from} has no {kind} like that here"))),
        (Some(edge), None) => Ok(edge.view),
        (Some(_), Some(_)) => Err(Failure::new(format!(
            "{from} has several {kind}: say where it ends, or give its id"
        ))),
    }
}

/// A tombstone keeps the content: it says one thing, that this is deleted.
fn deleted(view: &View) -> Draft {
    Draft {
        deleted: true,
        ..Draft::on(view)
    }
}

fn nothing_to_do(desk: &Desk, id: &Id, words: &str) -> Result<ExitCode, Failure> {
    let document =
        json!({"id": id, "version": null, "records": 0, "pending": false, "sync": null, "sync_error": null});
    say::answer(desk.json, &document, words);
    Ok(ExitCode::SUCCESS)
}

/// Puts one change set on disk, sends it if a hub is named, and tells of it. The first draft is what it is about.
pub(super) async fn carry_out(
    desk: &Desk,
    store: &mut Store,
    drafts: Vec<Draft>,
    did: &str,
) -> Result<ExitCode, Failure> {
    let edited = store.replica().stamp(drafts, wall_clock())?;
    let set = edited.set;
    store.keep(&Frame::Edited(edited))?;
    let records: Vec<Record> = store
        .replica()
        .pending()
        .filter(|(number, _)| *number == set)
        .flat_map(|(_, set)| set.records.iter().map(|sealed| sealed.record.clone()))
        .collect();
    let Some(first) = records.first() else {
        return Err(Failure::new("an edit without records"));
    };
    let pushed = push(store, desk.wanted_hub()).await?;
    let pending = store.replica().pending().any(|(number, _)| number == set);
    let mut words = format!("{did} {}", find::label(first));
    if records.len() > 1 {
        words += &format!(" and {}", count(records.len() - 1, "relationship"));
    }
    let (mut exit, mut sync, mut error) = (ExitCode::SUCCESS, None, None);
    match pushed {
        Pushed::NotAsked => words += "; kept here, `sync --hub URL` sends it",
        Pushed::Waiting(why) => {
            words += &format!("; kept here until `sync` finds a hub: {why}");
            error = Some(why);
        }
        Pushed::Done(summary) => {
            let ours = |id: &str| records.iter().any(|record| record.id.as_str() == id);
            if !pending && !summary.refused.iter().any(|row| ours(&row.id)) {
                words += &format!("; on disk at {}", say::clean(&summary.hub));
            }
            words += &troubles(&summary);
            exit = code(&summary);
            sync = Some(document(&summary, store.replica()));
        }
    }
    let document = json!({
        "id": first.id, "version": first.version, "records": records.len(), "pending": pending,
        "sync": sync, "sync_error": error,
    });
    say::answer(desk.json, &document, &words);
    Ok(exit)
}

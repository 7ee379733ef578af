//! The steps of an import: read the folder, look at the hub, plan, push.

use std::path::Path;

use inbetweenies_client::{Frame, Options, RefusedRow, Summary, wall_clock};

use super::graph::{Graph, Memory, settled};
use crate::api::{Hub, Keeper, sync};
use crate::commands::say::Failure;
use crate::import::home_assistant::{Plan, plan, read, wanted};

/// Records of one change set. An import is no single edit: in sets of this size it moves along on every hub, and a set
/// that is refused takes little with it.
const SET_RECORDS_MAX: usize = 500;
/// A hub that is started anew meanwhile is waited for.
const RETRIES: usize = 10;

/// What to import.
pub struct Wish<'a> {
    /// The Home Assistant folder.
    pub dir: &'a Path,
    /// The source that ids are derived from.
    pub source: &'a str,
    /// What to call the home if it is new.
    pub name: Option<&'a str>,
    /// Whether to plan only.
    pub dry_run: bool,
}

/// What an import did, or would do.
pub struct Imported {
    /// The hub's name.
    pub hub: String,
    /// The home's name in the folder.
    pub home: String,
    /// What was to be done.
    pub plan: Plan,
    /// Wanted things and edges that needed nothing.
    pub unchanged: (usize, usize),
    /// What the person should know.
    pub notes: Vec<String>,
    /// What the hub refused.
    pub refused: Vec<RefusedRow>,
    /// Ids whose import is kept and not shown.
    pub lost: Vec<String>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many records of the hub were read.
    Read(usize),
    /// So many records were sent, of so many.
    Sent(usize, usize),
}

/// Imports a folder. `consent` is asked before most of what came from the source would be deleted.
pub async fn work(
    hub: &Hub,
    wish: &Wish<'_>,
    progress: &mut dyn FnMut(Step),
    consent: &dyn Fn(&str) -> Result<(), Failure>,
) -> Result<Imported, Failure> {
    let folder = read(wish.dir).map_err(|error| Failure::new(error.to_string()))?;
    let home = wish.name.unwrap_or(&folder.name).to_owned();
    let wanted = settled(wanted(&folder.registries, wish.source, &home))?;

    let options = Options {
        heads_only: true,
        retries: RETRIES,
        ..Options::default()
    };
    let mut memory = Memory::new()?;
    let mut looking = |summary: &Summary| progress(Step::Read(summary.records_received));
    let looked = sync(&mut memory, hub, options, &mut looking).await?;
    let graph = Graph::read(memory.replica(), hub).await?;
    let plan = plan(&wanted, &graph.known(), wish.source);

    let mut imported = Imported {
        hub: looked.hub,
        home,
        unchanged: (
            wanted.entities.len() - plan.create.entities.len() - plan.edit.entities.len(),
            wanted.relationships.len() - plan.create.relationships.len() - plan.edit.relationships.len(),
        ),
        notes: wanted.notes.iter().chain(&plan.notes).cloned().collect(),
        plan,
        refused: Vec::new(),
        lost: Vec::new(),
    };
    if imported.plan.is_empty() || wish.dry_run {
        return Ok(imported);
    }
    if let Some(warning) = &imported.plan.warning {
        consent(warning)?;
    }

    let drafts = graph.drafts(&imported.plan)?;
    let total = drafts.len();
    let mut drafts = drafts.into_iter();
    loop {
        let set: Vec<_> = drafts.by_ref().take(SET_RECORDS_MAX).collect();
        if set.is_empty() {
            break;
        }
        let edited = memory.replica().stamp(set, wall_clock())?;
        memory.keep(&Frame::Edited(edited))?;
    }
    progress(Step::Sent(0, total));
    let mut pushing = |summary: &Summary| progress(Step::Sent(summary.records_sent, total));
    let pushed = sync(&mut memory, hub, options, &mut pushing).await?;
    imported.lost = pushed.lost_ids().into_iter().map(str::to_owned).collect();
    imported.refused = pushed.refused;
    Ok(imported)
}

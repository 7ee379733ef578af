//! `client conflicts`: what waits for a person, and what stands against what.

use std::collections::BTreeSet;
use std::process::ExitCode;

use inbetweenies_core::view::{Node, Path, View, by_rank, paths, value_at};
use serde_json::json;

use super::show::shown;
use super::sight::{Sight, moment, who};
use super::{fields, find};
use crate::commands::say::{self, Failure, clean, count};

/// `conflicts`.
pub fn conflicts(sight: &Sight, json: bool) -> Result<ExitCode, Failure> {
    let replica = sight.replica();
    let queue = replica.queue(&sight.policy);
    let rows: Vec<_> = queue.iter().map(|view| shown(replica, view)).collect();
    let mut words: String = queue.iter().map(|view| in_words(sight, view)).collect();
    words += &match queue.len() {
        0 => "no conflict waits for a person".to_owned(),
        1 => "1 conflict waits for a person".to_owned(),
        many => format!("{many} conflicts wait for a person"),
    };
    say::answer(json, &json!({"conflicts": rows}), &words);
    Ok(ExitCode::SUCCESS)
}

/// One conflict: each head, the newest first, with what it says otherwise than the others.
fn in_words(sight: &Sight, view: &View) -> String {
    let graph = sight.replica().graph(&view.record.id);
    let mut heads = graph.heads();
    heads.sort_by(|a, b| by_rank(b, a));
    let how = if view.record.deleted {
        "a deletion against an edit; it is shown as deleted"
    } else {
        "the last write is shown"
    };
    let mut words = format!(
        "{}: {}, {how} until somebody answers\n",
        find::label(&view.record),
        count(heads.len(), "head")
    );
    let differ = differ(&heads);
    for head in heads {
        let record = &head.sealed.record;
        words += &format!(
            "  {}  {} by {}  {}\n",
            head.sealed.digest.short(),
            moment(head.order_time),
            who(record.user_id.as_deref()),
            clean(record.version.as_str())
        );
        if record.deleted {
            words += "    deleted\n";
            continue;
        }
        for path in &differ {
            let value =
                value_at(record, path).map_or_else(|| "not there".to_owned(), |value| fields::value(&value));
            words += &format!("    {}: {}\n", clean(&fields::key(path)), clean(&value));
        }
    }
    words
}

/// Where heads do not all say the same.
fn differ(heads: &[&Node]) -> Vec<Path> {
    let all: BTreeSet<Path> = heads.iter().flat_map(|head| paths(&head.sealed.record)).collect();
    let said = |head: &Node, path: &Path| value_at(&head.sealed.record, path);
    let differs = |path: &Path| heads.iter().any(|head| said(head, path) != said(heads[0], path));
    all.into_iter().filter(differs).collect()
}

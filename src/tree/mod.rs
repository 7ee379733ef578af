//! Drawing the versions of one id: as a graph for a terminal, and as a picture.
//!
//! Invariant: a drawing is a total, pure function of the page, whatever stands in it. Every version is drawn exactly
//! once, above what it replaces; an edge for which there is no room is told in words.

mod svg;
mod text;

#[cfg(test)]
mod tests;

pub use svg::svg;
pub use text::text;

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::conflict::read::{TreePage, TreeRow};

use crate::commands::{clean, count};

/// Lanes that lead down to a version, at most: a graph wider than this is no graph to a reader. One more is for
/// versions that no lane leads to.
const LANES_MAX: usize = 16;
/// Parents that one line names in words, at most.
const NAMED_MAX: usize = 3;
/// Hex digits of a digest that people see.
const DIGEST_LEN: usize = 8;
/// The longest user's name and the longest version in a drawing, in characters.
const USER_LEN_MAX: usize = 24;
const VERSION_LEN_MAX: usize = 72;
const TIME_LEN_MAX: usize = 40;

/// A set of lanes, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lanes(u32);

impl Lanes {
    fn has(self, lane: usize) -> bool {
        self.0 & (1 << lane) != 0
    }

    fn put(&mut self, lane: usize) {
        self.0 |= 1 << lane;
    }

    fn all(self) -> impl Iterator<Item = usize> {
        (0..=LANES_MAX).filter(move |lane| self.has(*lane))
    }

    /// Lanes from the leftmost to the last that is in use.
    fn width(self) -> usize {
        (u32::BITS - self.0.leading_zeros()) as usize
    }
}

/// One version where it stands.
#[derive(Debug)]
struct Row<'p> {
    version: &'p TreeRow,
    /// Its lane.
    lane: usize,
    /// Lanes that come from above, its own among them if something leads to it.
    above: Lanes,
    /// Lanes that go on below.
    below: Lanes,
    /// Of these, the ones that lead to its parents.
    links: Lanes,
    /// Parents that no lane leads to, by digest.
    untold: Vec<&'p str>,
}

/// All versions where they stand.
#[derive(Debug)]
struct Plan<'p> {
    rows: Vec<Row<'p>>,
    /// How many lanes are in use anywhere.
    width: usize,
}

impl<'p> Plan<'p> {
    /// Lays out a page from the top. A lane leads to one version, and whoever replaces that version joins it: a
    /// thousand forks of one version need two lanes. O(V log V + E · lanes).
    fn of(page: &'p TreePage) -> Plan<'p> {
        let mut waiting: [Option<&str>; LANES_MAX] = [None; LANES_MAX];
        let mut drawn: BTreeSet<&str> = BTreeSet::new();
        let (mut rows, mut width) = (Vec::with_capacity(page.nodes.len()), 0);
        let used = |waiting: &[Option<&str>]| {
            let mut lanes = Lanes::default();
            let used = waiting.iter().enumerate().filter(|(_, target)| target.is_some());
            used.for_each(|(lane, _)| lanes.put(lane));
            lanes
        };
        for version in in_order(page) {
            let above = used(&waiting);
            let leads = |waiting: &[Option<&str>], target: &str| {
                waiting.iter().position(|waits| *waits == Some(target))
            };
            let free = |waiting: &[Option<&str>]| waiting.iter().position(Option::is_none);
            let own = leads(&waiting, &version.digest);
            let lane = own.or_else(|| free(&waiting)).unwrap_or(LANES_MAX);
            if own.is_some() {
                waiting[lane] = None;
            }
            drawn.insert(&version.digest);
            let (mut links, mut untold) = (Lanes::default(), Vec::new());
            let mut told = BTreeSet::new();
            for parent in &version.parents {
                if !told.insert(parent) {
                    continue;
                }
                let straight = || waiting.get(lane).is_some_and(Option::is_none).then_some(lane);
                let place = leads(&waiting, parent)
                    .or_else(straight)
                    .or_else(|| free(&waiting));
                match place.filter(|_| !drawn.contains(parent.as_str())) {
                    Some(place) => {
                        waiting[place] = Some(parent);
                        links.put(place);
                    }
                    None => untold.push(parent.as_str()),
                }
            }
            let below = used(&waiting);
            width = width.max(lane + 1).max(below.width());
            rows.push(Row {
                version,
                lane,
                above,
                below,
                links,
                untold,
            });
        }
        Plan { rows, width }
    }

    /// Lanes that lead on to versions that the page leaves out.
    fn left(&self) -> Lanes {
        self.rows.last().map_or(Lanes::default(), |row| row.below)
    }
}

/// The newest first, as the page has them, but never a parent above a child: a hub that met the child first may have
/// given the parent the later time.
fn in_order(page: &TreePage) -> Vec<&TreeRow> {
    let nodes = &page.nodes;
    let places: BTreeMap<&str, usize> = (0..).zip(nodes).map(|(at, node)| (&*node.digest, at)).collect();
    let parents = |at: usize| {
        let parents: BTreeSet<&str> = nodes[at].parents.iter().map(String::as_str).collect();
        parents
            .into_iter()
            .filter_map(|digest| places.get(digest).copied())
    };
    let mut children = vec![0usize; nodes.len()];
    for at in 0..nodes.len() {
        parents(at).for_each(|parent| children[parent] += 1);
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|at| children[*at] == 0).collect();
    let mut left: BTreeSet<usize> = (0..nodes.len()).collect();
    let mut order = Vec::with_capacity(nodes.len());
    // Versions in a circle, which no hub tells of, come in the page's order.
    while let Some(at) = ready.pop_first().or_else(|| left.first().copied()) {
        left.remove(&at);
        order.push(&nodes[at]);
        for parent in parents(at) {
            children[parent] = children[parent].saturating_sub(1);
            if children[parent] == 0 && left.contains(&parent) {
                ready.insert(parent);
            }
        }
    }
    order
}

/// What became of a version, as drawings tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Head,
    Lost,
    Superseded,
    Forgotten,
}

impl Look {
    fn of(row: &TreeRow) -> Look {
        match row.state {
            "head" => Look::Head,
            "lost" => Look::Lost,
            "forgotten" => Look::Forgotten,
            _ => Look::Superseded,
        }
    }

    /// What it means to a reader.
    fn meaning(self) -> &'static str {
        match self {
            Look::Head => "head",
            Look::Lost => "lost, at least in part, and kept",
            Look::Superseded => "replaced by a later one",
            Look::Forgotten => "forgotten: its content was let go",
        }
    }

    const ALL: [Look; 4] = [Look::Head, Look::Lost, Look::Superseded, Look::Forgotten];
}

/// What both drawings say above the versions.
fn headline(page: &TreePage) -> [String; 2] {
    let versions = page.nodes.len() + page.left_out;
    if versions == 0 {
        return [
            format!("{}: no versions", clip(&page.id, VERSION_LEN_MAX)),
            String::new(),
        ];
    }
    let heads = page.nodes.iter().filter(|node| node.children.is_empty()).count();
    let mut words = format!(
        "{}: {}",
        clip(&page.id, VERSION_LEN_MAX),
        count(versions, "version")
    );
    if heads > 1 {
        let how = if page.conflict {
            " that differ"
        } else {
            " that say the same"
        };
        words += &format!(", {}{how}, shown by {}", count(heads, "head"), page.strategy);
    }
    let shown = clip(&page.version, VERSION_LEN_MAX);
    [words, format!("readers see {shown}")]
}

/// What both drawings say of one version, after its mark.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    digest: String,
    time: String,
    user: String,
    words: String,
}

impl Told {
    fn of(row: &Row) -> Told {
        let version = row.version;
        // As it can be given back to `--at`.
        let time = match version.order_time.strip_suffix("+00:00") {
            Some(time) => format!("{time}Z"),
            None => version.order_time.clone(),
        };
        let mut words = Vec::new();
        if version.deleted {
            words.push("deleted".to_owned());
        }
        if version.parents.len() > 1 {
            words.push(format!("merge of {}", version.parents.len()));
        }
        match Look::of(version) {
            Look::Lost => words.push("lost".to_owned()),
            Look::Forgotten => words.push("forgotten".to_owned()),
            Look::Head | Look::Superseded => {}
        }
        if !row.untold.is_empty() {
            let named = row.untold.iter().take(NAMED_MAX).map(|digest| short(digest));
            let mut named: Vec<String> = named.collect();
            if row.untold.len() > NAMED_MAX {
                named.push(format!("{} more", row.untold.len() - NAMED_MAX));
            }
            words.push(format!("after {} too", named.join(" ")));
        }
        Told {
            digest: short(&version.digest),
            time: clip(&time, TIME_LEN_MAX),
            user: version
                .user_id
                .as_deref()
                .map_or_else(|| "somebody".to_owned(), |user| clip(user, USER_LEN_MAX)),
            words: words.join(", "),
        }
    }
}

/// What both drawings say below, if the page is not the whole.
fn left_out(page: &TreePage) -> Option<String> {
    match page.left_out {
        0 => None,
        1 => Some("1 older version is left out".to_owned()),
        many => Some(format!("{many} older versions are left out")),
    }
}

fn short(digest: &str) -> String {
    clean(&digest.chars().take(DIGEST_LEN).collect::<String>())
}

fn clip(text: &str, most: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

use inbetweenies_core::conflict::read::{TreePage, TreeRow};
use proptest::prelude::*;

use super::{DIGEST_LEN, LANES_MAX, Plan, svg, text};

/// A version whose digest begins with its name; written so many seconds after ten.
fn row(name: &str, second: u32, parents: &[&str]) -> TreeRow {
    TreeRow {
        version: format!("2026-06-15T10:00:{second:02}.000000+00:00-000001-alice"),
        digest: digest(name),
        user_id: Some("alice".to_owned()),
        order_time: format!("2026-06-15T10:00:{second:02}.000000+00:00"),
        parents: parents.iter().map(|parent| digest(parent)).collect(),
        children: Vec::new(),
        state: "superseded",
        deleted: false,
    }
}

fn digest(name: &str) -> String {
    format!("{name:0<64}")
}

/// Versions of one id, given the newest first; heads are what nothing replaces.
fn page(mut nodes: Vec<TreeRow>) -> TreePage {
    let edges: Vec<(String, Vec<String>)> = nodes
        .iter()
        .map(|node| (node.digest.clone(), node.parents.clone()))
        .collect();
    for node in &mut nodes {
        let of = edges.iter().filter(|(_, parents)| parents.contains(&node.digest));
        node.children = of.map(|(child, _)| child.clone()).collect();
        if node.children.is_empty() {
            node.state = "head";
        }
    }
    TreePage {
        id: "lamp".to_owned(),
        version: nodes
            .first()
            .map_or_else(String::new, |node| node.version.clone()),
        strategy: "merge",
        conflict: nodes.iter().filter(|node| node.children.is_empty()).count() > 1,
        nodes,
        left_out: 0,
    }
}

/// The lines of the versions: graph and digest, and what is said at the end of the line.
fn drawn(page: &TreePage) -> Vec<String> {
    let text = text(page);
    let lines = text.lines().skip(2);
    let bare = |line: &str| {
        line.replace("2026-06-15T10:00:", "")
            .replace(".000000Z  alice", "")
    };
    let mut lines: Vec<String> = lines.map(bare).map(|line| line.trim_end().to_owned()).collect();
    lines.pop(); // the legend
    lines
}

#[test]
fn a_line_is_drawn_whole() {
    let mut page = page(vec![row("c", 3, &["b"]), row("b", 2, &["a"]), row("a", 1, &[])]);
    page.nodes[1].user_id = Some("bob\u{1b}[2J".to_owned());
    page.nodes[2].user_id = None;
    page.nodes[2].state = "forgotten";
    assert_eq!(
        text(&page),
        "\
lamp: 3 versions
readers see 2026-06-15T10:00:03.000000+00:00-000001-alice
●  c0000000  2026-06-15T10:00:03.000000Z  alice
○  b0000000  2026-06-15T10:00:02.000000Z  bob·[2J
◌  a0000000  2026-06-15T10:00:01.000000Z  somebody  forgotten
● head · ✗ lost, at least in part, and kept · ○ replaced by a later one · ◌ forgotten: its content was let go"
    );
    page.nodes.clear();
    assert_eq!(text(&page), "lamp: no versions");
    assert!(svg(&page).contains("lamp: no versions"));
}

#[test]
fn a_fork_joins_the_lane_of_what_both_replace() {
    let mut page = page(vec![row("c", 3, &["a"]), row("b", 2, &["a"]), row("a", 1, &[])]);
    page.nodes[1].state = "lost";
    assert_eq!(
        drawn(&page),
        [
            "●    c0000000  03",
            "├─✗  b0000000  02  lost",
            "○    a0000000  01"
        ]
    );
    assert!(text(&page).starts_with("lamp: 3 versions, 2 heads that differ, shown by merge\n"));
}

#[test]
fn a_merge_of_two_closes_the_fork() {
    let page = page(vec![
        row("d", 4, &["b", "c"]),
        row("c", 3, &["a"]),
        row("b", 2, &["a"]),
        row("a", 1, &[]),
    ]);
    assert_eq!(
        drawn(&page),
        [
            "●─╮  d0000000  04  merge of 2",
            "│ ○  c0000000  03",
            "○─┤  b0000000  02",
            "  ○  a0000000  01",
        ]
    );
}

#[test]
fn a_criss_cross_meets_both_lanes() {
    let page = page(vec![
        row("e", 5, &["b", "c"]),
        row("d", 4, &["b", "c"]),
        row("c", 3, &["a"]),
        row("b", 2, &["a"]),
        row("a", 1, &[]),
    ]);
    assert_eq!(
        drawn(&page),
        [
            "●─╮    e0000000  05  merge of 2",
            "├─┼─●  d0000000  04  merge of 2",
            "│ ○    c0000000  03",
            "○─┤    b0000000  02",
            "  ○    a0000000  01",
        ]
    );
}

#[test]
fn an_octopus_has_as_many_arms_as_it_has_parents_and_an_edge_passes_by_others_lanes() {
    let page = page(vec![
        row("f", 6, &["b", "c", "d"]),
        row("e", 5, &["d"]),
        row("d", 4, &["a"]),
        row("c", 3, &["a"]),
        row("b", 2, &["a"]),
        row("a", 1, &[]),
    ]);
    assert_eq!(
        drawn(&page),
        [
            "●─┬─╮    f0000000  06  merge of 3",
            "│ │ ├─●  e0000000  05",
            "│ │ ○    d0000000  04",
            "│ ○─┤    c0000000  03",
            "○───┤    b0000000  02",
            "    ○    a0000000  01",
        ]
    );
    let passing = self::page(vec![
        row("d", 5, &["a"]),
        row("c", 4, &["b"]),
        row("e", 3, &["a"]),
        row("b", 2, &[]),
        row("a", 1, &[]),
    ]);
    assert_eq!(
        drawn(&passing),
        [
            "●      d0000000  05",
            "│ ●    c0000000  04",
            "├─│─●  e0000000  03",
            "│ ○    b0000000  02",
            "○      a0000000  01",
        ]
    );
}

#[test]
fn a_deletion_is_marked() {
    let mut page = page(vec![row("b", 2, &["a"]), row("a", 1, &[])]);
    page.nodes[0].deleted = true;
    assert_eq!(drawn(&page), ["●  b0000000  02  deleted", "○  a0000000  01"]);
}

#[test]
fn a_parent_with_the_later_time_stands_below_its_child_all_the_same() {
    let page = page(vec![row("a", 9, &[]), row("b", 2, &["a"])]);
    assert_eq!(drawn(&page), ["●  b0000000  02", "○  a0000000  09"]);
}

#[test]
fn lanes_to_what_is_left_out_stay_open() {
    let mut page = page(vec![row("d", 4, &["b", "c"]), row("c", 3, &["a"])]);
    page.left_out = 2;
    assert_eq!(
        drawn(&page),
        [
            "●─╮  d0000000  04  merge of 2",
            "│ ○  c0000000  03",
            "┆ ┆  2 older versions are left out",
        ]
    );
    assert!(text(&page).starts_with("lamp: 4 versions\n"));
    assert!(svg(&page).contains("2 older versions are left out"));
}

#[test]
fn a_thousand_forks_need_two_lanes_and_a_thousand_arms_are_told_in_words() {
    let names: Vec<String> = (0..1000).map(|n| format!("f{n:07}")).collect();
    let mut forks: Vec<TreeRow> = names.iter().map(|name| row(name, 2, &["a"])).collect();
    forks.push(row("a", 1, &[]));
    assert_eq!(Plan::of(&page(forks.clone())).width, 2);

    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    forks.insert(0, row("e", 3, &all));
    let octopus = page(forks);
    assert_eq!(Plan::of(&octopus).width, LANES_MAX);
    let lines = drawn(&octopus);
    assert!(
        lines[0].ends_with("merge of 1000, after f0000016 f0000017 f0000018 981 more too"),
        "{}",
        lines[0]
    );
    assert_eq!(lines.len(), 1002);
}

#[test]
fn a_picture_holds_nothing_but_itself_and_text_is_text() {
    let mut page = page(vec![row("b", 2, &["a"]), row("a", 1, &[])]);
    page.id = "<script>alert('x')</script>\u{0}".to_owned();
    page.nodes[0].user_id = Some("\"&\u{ffff}".to_owned());
    page.nodes[0].version = "]]><image href=\"http://example.org/\"/>".to_owned();
    let svg = svg(&page);
    assert!(
        svg.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;·"),
        "{svg}"
    );
    assert!(svg.contains("&quot;&amp;·"), "{svg}");
    for banned in [
        "<script", "<image", "href=\"", "url(", "@import", "onload", "\u{0}",
    ] {
        assert!(!svg.contains(banned), "{banned} in {svg}");
    }
    for wanted in [
        "<title id=\"title\">",
        "<desc id=\"about\">",
        "prefers-color-scheme: dark",
    ] {
        assert!(svg.contains(wanted), "{wanted}");
    }
}

/// Any versions with any parents above them, in any order, some of which the page leaves out.
fn pages() -> impl Strategy<Value = TreePage> {
    let version = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        any::<bool>(),
        0..4usize,
    );
    let versions = prop::collection::vec(version, 0..60);
    (versions, any::<u64>(), 0..5usize).prop_map(|(versions, seed, left_out)| {
        let name = |n: usize| format!("{n:0DIGEST_LEN$x}");
        let mut nodes: Vec<TreeRow> = Vec::new();
        for (n, (parents, deleted, state)) in versions.iter().enumerate() {
            // The oldest may replace what is left out.
            let parents = parents.iter().map(|parent| parent.index(n + left_out + 1));
            let parents = parents.map(|parent| {
                if parent < n {
                    name(parent)
                } else {
                    name(1000 + parent - n)
                }
            });
            let parents: Vec<String> = parents.filter(|_| n > 0 || left_out > 0).collect();
            let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
            let mut node = row(&name(n), 1, &parents);
            (node.deleted, node.state) = (*deleted, ["head", "lost", "superseded", "forgotten"][*state]);
            nodes.push(node);
        }
        // The order in which a hub tells of them is that of their times, whatever those are.
        nodes.sort_by_key(|node| {
            let number = u64::from_str_radix(&node.digest[..DIGEST_LEN], 16).unwrap_or(0);
            (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        TreePage {
            id: "lamp".to_owned(),
            version: "v".to_owned(),
            strategy: "merge",
            conflict: false,
            nodes,
            left_out,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_versions_are_each_drawn_once_and_above_what_they_replace(page in pages()) {
        let (text, svg) = (text(&page), svg(&page));
        let shorts: Vec<String> = page.nodes.iter().map(|node| node.digest[..DIGEST_LEN].to_owned()).collect();
        let lines: Vec<&str> = text.lines().collect();
        let marks = |line: &&&str| line.contains(['●', '✗', '○', '◌']) && line.contains("2026-");
        prop_assert_eq!(lines.iter().skip(2).filter(marks).count(), page.nodes.len(), "{}", text);
        let graph = Plan::of(&page).width * 2 + 1;
        let digests: Vec<String> = lines
            .iter()
            .map(|line| line.chars().skip(graph).take(DIGEST_LEN).collect())
            .collect();
        let place = |short: &String| digests.iter().rposition(|digest| digest == short);
        for (node, short) in page.nodes.iter().zip(&shorts) {
            let own = place(short);
            prop_assert!(own.is_some(), "{} in\n{}", short, text);
            for parent in &node.parents {
                let parent = place(&parent[..DIGEST_LEN].to_owned());
                prop_assert!(parent.is_none() || parent > own, "{}", text);
            }
            prop_assert_eq!(svg.matches(&format!(">{short}</text>")).count(), 1);
        }
        prop_assert!(lines.iter().all(|line| line.chars().count() <= 190), "{}", text);
    }

    /// Every edge is a lane that leads down to the parent, or told in words: nothing is lost, nothing made up.
    #[test]
    fn lanes_lead_where_they_should(page in pages()) {
        let plan = Plan::of(&page);
        for (at, row) in plan.rows.iter().enumerate() {
            let mut reached: Vec<&str> = row.untold.clone();
            for lane in row.links.all() {
                let end = plan.rows[at + 1..].iter().find(|below| below.lane == lane);
                let parent = end.map(|end| end.version.digest.as_str());
                prop_assert!(parent.is_some() || plan.left().has(lane));
                reached.extend(parent);
            }
            for parent in &row.version.parents {
                let here = page.nodes.iter().any(|node| node.digest == *parent);
                prop_assert!(!here || reached.contains(&parent.as_str()));
            }
            for digest in reached {
                prop_assert!(row.version.parents.iter().any(|parent| parent == digest));
            }
        }
    }
}

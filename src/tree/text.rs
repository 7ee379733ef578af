//! The graph for a terminal: one line a version, the newest first.

use std::fmt::Write;

use inbetweenies_core::conflict::read::TreePage;

use super::{Lanes, Look, Plan, Row, Told, headline, left_out};

/// Draws a page. Lines are at most some 190 characters wide, whatever stands in it; the last has no line's end.
pub fn text(page: &TreePage) -> String {
    let plan = Plan::of(page);
    let [about, shown] = headline(page);
    let mut out = about;
    if page.nodes.is_empty() {
        return out;
    }
    out += &format!("\n{shown}\n");
    let told: Vec<Told> = plan.rows.iter().map(Told::of).collect();
    let user_width = told
        .iter()
        .map(|told| told.user.chars().count())
        .max()
        .unwrap_or(0);
    for (row, told) in plan.rows.iter().zip(&told) {
        let line = format!(
            "{}  {}  {}  {:user_width$}  {}",
            graph(row, plan.width),
            told.digest,
            told.time,
            told.user,
            told.words
        );
        writeln!(out, "{}", line.trim_end()).expect("a string takes all");
    }
    if let Some(words) = left_out(page) {
        writeln!(out, "{}  {words}", open_ends(plan.left(), plan.width)).expect("a string takes all");
    }
    let legend = Look::ALL.map(|look| format!("{} {}", mark(look), look.meaning()));
    out + &legend.join(" · ")
}

fn mark(look: Look) -> char {
    match look {
        Look::Head => '●',
        Look::Lost => '✗',
        Look::Superseded => '○',
        Look::Forgotten => '◌',
    }
}

/// A lane and the gap right of it take two columns.
fn graph(row: &Row, width: usize) -> String {
    let first = row.links.all().next().unwrap_or(row.lane).min(row.lane);
    let last = row.links.all().last().unwrap_or(row.lane).max(row.lane);
    let mut out = String::new();
    for lane in 0..width {
        if lane > 0 {
            // Between two lanes that an edge spans.
            out.push(if lane > first && lane <= last { '─' } else { ' ' });
        }
        let spanned = lane > first && lane < last;
        out.push(if lane == row.lane {
            mark(Look::of(row.version))
        } else if row.links.has(lane) {
            corner(row.above.has(lane), lane == first, lane == last)
        } else if row.above.has(lane) {
            // A lane that the edge passes by is not broken; one that it meets is a cross.
            '│'
        } else if spanned {
            '─'
        } else {
            ' '
        });
    }
    out
}

/// Where an edge meets a lane, which comes from above or begins here.
fn corner(from_above: bool, leftmost: bool, rightmost: bool) -> char {
    match (from_above, leftmost, rightmost) {
        (true, true, _) => '├',
        (true, false, true) => '┤',
        (true, false, false) => '┼',
        (false, true, _) => '╭',
        (false, false, true) => '╮',
        (false, false, false) => '┬',
    }
}

fn open_ends(lanes: Lanes, width: usize) -> String {
    let cells: Vec<&str> = (0..width)
        .map(|lane| if lanes.has(lane) { "┆" } else { " " })
        .collect();
    cells.join(" ")
}

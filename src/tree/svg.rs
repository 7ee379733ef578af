//! The picture: one file, no scripts, nothing from elsewhere, readable on light and on dark.

use std::fmt::Write;

use inbetweenies_core::conflict::read::TreePage;

use super::{Look, Plan, Row, Told, headline, left_out};

/// Writes into the sheet; writing to a string cannot fail.
macro_rules! put {
    ($out:expr, $($words:tt)*) => {
        writeln!($out, $($words)*).expect("a string takes all")
    };
}

/// From version to version, from lane to lane, and around all of it.
const ROW: f64 = 28.0;
const LANE: f64 = 22.0;
const MARGIN: f64 = 24.0;
/// Where the graph begins, below the headline.
const TOP: f64 = 92.0;
/// A generous width of one character in the three fonts: no renderer is asked, so some room is lost.
const MONO: f64 = 7.6;
const SANS: f64 = 7.2;
const BOLD: f64 = 9.8;
const GAP: f64 = 20.0;
/// The legend stands in one line.
const WIDTH_MIN: f64 = 720.0;

/// Draws a page. O(versions · lanes + edges).
pub fn svg(page: &TreePage) -> String {
    let plan = Plan::of(page);
    let told: Vec<Told> = plan.rows.iter().map(Told::of).collect();
    let widest = |of: fn(&Told) -> &String, each: f64| {
        let widest = told.iter().map(|told| of(told).chars().count()).max();
        widest.unwrap_or(0) as f64 * each
    };
    let digests = MARGIN + LANE * plan.width.max(1) as f64 + 8.0;
    let times = digests + widest(|told| &told.digest, MONO) + GAP;
    let users = times + widest(|told| &told.time, MONO) + GAP;
    let words = users + widest(|told| &told.user, SANS) + GAP;
    let [about, shown] = headline(page);
    let head = about.chars().count() as f64 * BOLD;
    let second = shown.chars().count() as f64 * SANS;
    let width = (words + widest(|told| &told.words, SANS))
        .max(head)
        .max(second)
        .max(WIDTH_MIN)
        + MARGIN;
    let rest = left_out(page);
    let bottom = TOP + ROW * (told.len() + usize::from(rest.is_some())) as f64;
    let height = bottom + 56.0;

    let mut body = String::new();
    put!(body, r#"<rect class="paper" width="100%" height="100%"/>"#);
    put!(
        body,
        r#"<text class="title" x="{MARGIN}" y="38">{}</text>"#,
        xml(&about)
    );
    put!(
        body,
        r#"<text class="faint" x="{MARGIN}" y="60">{}</text>"#,
        xml(&shown)
    );
    ways(&mut body, &plan, rest.is_some());
    for (at, (row, told)) in plan.rows.iter().zip(&told).enumerate() {
        let (x, y) = (x(row.lane), y(at));
        put!(body, "<g><title>{}</title>", xml(&hint(row)));
        mark(&mut body, Look::of(row.version), x, y);
        let line = y + 4.0;
        put!(
            body,
            r#"<text class="mono" x="{digests:.0}" y="{line:.0}">{}</text>"#,
            xml(&told.digest)
        );
        put!(
            body,
            r#"<text class="mono faint" x="{times:.0}" y="{line:.0}">{}</text>"#,
            xml(&told.time)
        );
        put!(
            body,
            r#"<text x="{users:.0}" y="{line:.0}">{}</text>"#,
            xml(&told.user)
        );
        if !told.words.is_empty() {
            let class = if Look::of(row.version) == Look::Lost {
                "lost"
            } else {
                "said"
            };
            put!(
                body,
                r#"<text class="{class}" x="{words:.0}" y="{line:.0}">{}</text>"#,
                xml(&told.words)
            );
        }
        put!(body, "</g>");
    }
    if let Some(rest) = rest {
        let line = y(told.len()) + 4.0;
        put!(
            body,
            r#"<text class="faint" x="{digests:.0}" y="{line:.0}">{rest}</text>"#
        );
    }
    legend(&mut body, bottom + 28.0);

    let style = include_str!("svg.css").trim_end();
    let (title, desc) = (xml(&about), xml(&description(&shown, &told)));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img" aria-labelledby="title about">
<title id="title">{title}</title>
<desc id="about">{desc}</desc>
<style>
{style}
</style>
{body}</svg>
"#
    )
}

fn x(lane: usize) -> f64 {
    MARGIN + LANE * (lane as f64 + 0.5)
}

fn y(row: usize) -> f64 {
    TOP + ROW * (row as f64 + 0.5)
}

/// The edges, under the marks: straight down where a lane goes on, a bend where a version joins or opens one.
fn ways(body: &mut String, plan: &Plan, more: bool) {
    let mut path = String::new();
    let mut open = String::new();
    for (at, row) in plan.rows.iter().enumerate() {
        let (from, to) = (y(at), y(at + 1));
        let last = at + 1 == plan.rows.len();
        // What leads on to versions that are left out fades.
        let way = if last { &mut open } else { &mut path };
        if last && !more {
            break;
        }
        for lane in row.below.all() {
            let end = x(lane);
            if row.above.has(lane) && lane != row.lane {
                write!(way, "M{end:.0} {from:.0}V{to:.0}").expect("a string takes all");
            }
            if !row.links.has(lane) {
                continue;
            }
            let start = x(row.lane);
            if lane == row.lane {
                write!(way, "M{end:.0} {from:.0}V{to:.0}").expect("a string takes all");
            } else {
                let middle = (from + to) / 2.0;
                write!(
                    way,
                    "M{start:.0} {from:.0}C{start:.0} {middle:.0} {end:.0} {middle:.0} {end:.0} {to:.0}"
                )
                .expect("a string takes all");
            }
        }
    }
    for (class, path) in [("way", path), ("way open", open)] {
        if !path.is_empty() {
            put!(body, r#"<path class="{class}" d="{path}"/>"#);
        }
    }
}

/// Marks differ in shape, not in colour alone.
fn mark(body: &mut String, look: Look, x: f64, y: f64) {
    match look {
        Look::Head => put!(body, r#"<circle class="head" cx="{x:.0}" cy="{y:.0}" r="6"/>"#),
        Look::Lost => {
            put!(body, r#"<circle class="paper" cx="{x:.0}" cy="{y:.0}" r="7"/>"#);
            let (left, top) = (x - 5.0, y - 5.0);
            put!(
                body,
                r#"<path class="cross" d="M{left:.0} {top:.0}l10 10m-10 0l10 -10"/>"#
            );
        }
        Look::Superseded => put!(body, r#"<circle class="past" cx="{x:.0}" cy="{y:.0}" r="5"/>"#),
        Look::Forgotten => put!(
            body,
            r#"<circle class="past gone" cx="{x:.0}" cy="{y:.0}" r="5"/>"#
        ),
    }
}

fn legend(body: &mut String, y: f64) {
    let mut x = MARGIN + 6.0;
    for look in Look::ALL {
        mark(body, look, x, y);
        let words = look.meaning();
        put!(
            body,
            r#"<text class="key" x="{:.0}" y="{:.0}">{words}</text>"#,
            x + 13.0,
            y + 4.0
        );
        x += 13.0 + words.len() as f64 * 6.4 + 24.0;
    }
}

/// What a pointer over a version is told.
fn hint(row: &Row) -> String {
    let version = row.version;
    let mut words = format!("{}\n{}\n{}", version.version, version.digest, version.state);
    for (at, parent) in version.parents.iter().enumerate() {
        words += if at == 0 { "\nreplaces " } else { ", " };
        words += parent;
    }
    words
}

/// The picture for those who do not see it, as far as one listens.
fn description(shown: &str, told: &[Told]) -> String {
    const SAID_MAX: usize = 20;
    let mut words = format!("{shown}. The newest first: ");
    let said = told.iter().take(SAID_MAX).map(|told| {
        let more = if told.words.is_empty() {
            String::new()
        } else {
            format!(", {}", told.words)
        };
        format!("{} by {} at {}{more}", told.digest, told.user, told.time)
    });
    words += &said.collect::<Vec<_>>().join("; ");
    if told.len() > SAID_MAX {
        words += &format!("; and {} before these", told.len() - SAID_MAX);
    }
    words + "."
}

/// Text for content and attributes: markup is escaped, and what XML does not allow is shown as a dot.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            '\u{fffe}' | '\u{ffff}' => out.push('·'),
            letter if letter.is_control() => out.push('·'),
            letter => out.push(letter),
        }
    }
    out
}

//! The static drawing: the same picture as the page's, with nothing to click on, so the legend says it all.
//!
//! A label that would cover another is left out; the important are placed first.

use std::fmt::Write;

use crate::recording::LaneKind;

use super::SVG_MESSAGES_MAX;
use super::axis::Axis;
use super::html::kept;
use super::picture::{LaneView, Message, Picture};
use super::words::xml;

/// Writes into the sheet; writing to a string cannot fail.
macro_rules! put {
    ($sheet:expr, $($words:tt)*) => {
        writeln!($sheet.out, $($words)*).expect("a string takes all")
    };
}

mod around;
mod labels;
mod room;

use room::{Areas, Line};

/// Paper of the time axis: a document shows a picture of some two screens, not of a hundred.
const HEIGHT_MAX: f64 = 2200.0;
/// The column of times.
const LEFT: f64 = 118.0;
/// Lanes nearer than this have their names upright and no words beside them.
const STEP_ROOMY: f64 = 84.0;
/// More messages than this are drawn faintly.
const CROWDED: usize = 2500;
/// Signs of quiet times nearer than this are left out.
const BREAK_GAP: f64 = 16.0;

/// The SVG of a picture.
pub fn svg(picture: &Picture) -> String {
    Sheet::new(picture).draw()
}

/// The messages drawn: all, or as many as there is room for.
fn drawn<'a>(picture: &'a Picture<'a>) -> impl Iterator<Item = &'a Message<'a>> {
    let total = picture.messages.len() as u64 - picture.chatter;
    let talk = (0..).zip(picture.messages.iter().filter(|message| !message.sent.chatter));
    talk.filter(move |(n, _)| kept(*n, total, SVG_MESSAGES_MAX as u64))
        .map(|(_, message)| message)
}

/// The sheet while it is drawn.
struct Sheet<'a> {
    picture: &'a Picture<'a>,
    axis: Axis,
    out: String,
    areas: Areas,
    width: f64,
    /// From lane to lane.
    step: f64,
    /// Half the width of a lane's line.
    thick: f64,
    /// Where the axis begins.
    top: f64,
}

impl<'a> Sheet<'a> {
    fn new(picture: &'a Picture<'a>) -> Sheet<'a> {
        let lanes = picture.lanes.len().max(1) as f64;
        let step = (880.0 / lanes).clamp(24.0, 190.0);
        // The last lane's words stand right of it, too.
        let width = (LEFT + step * lanes + if step >= STEP_ROOMY { 90.0 } else { 16.0 }).max(560.0);
        Sheet {
            picture,
            axis: picture.axis_within(HEIGHT_MAX),
            out: String::new(),
            areas: Areas::default(),
            width,
            step,
            thick: (step / 10.0).clamp(2.5, 4.5),
            top: 0.0,
        }
    }

    fn x(&self, lane: f64) -> f64 {
        LEFT + self.step * (lane + 0.5)
    }

    fn y(&self, at: u64) -> f64 {
        self.top + self.axis.y(at)
    }

    fn bottom(&self) -> f64 {
        self.top + self.axis.height
    }

    fn draw(mut self) -> String {
        self.words_above();
        let head_top = self.top;
        let tall = self.step < STEP_ROOMY;
        self.top += if tall { 110.0 } else { 34.0 };
        self.grounds();
        // Where messages are so many that they would cover all, they pass behind the lanes, and faintly.
        let crowded = drawn(self.picture).count() > CROWDED;
        if crowded {
            self.walls();
            put!(self, r#"<g class="crowd">"#);
            self.messages(false);
            put!(self, "</g>");
            self.lanes();
        } else {
            self.lanes();
            self.walls();
            self.messages(true);
        }
        self.bars();
        self.marks();
        self.message_names();
        self.times();
        self.heads(head_top, tall);
        let height = self.bottom() + 44.0;
        let (width, body) = (self.width, &self.out);
        let (title, about) = (xml(self.picture.title), xml(self.picture.about));
        let style = include_str!("svg/svg.css").trim_end();
        format!(
            r##"<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img" aria-labelledby="title about">
<title id="title">{title}</title>
<desc id="about">{about}</desc>
<style>
{style}
</style>
<rect width="100%" height="100%" fill="#fff"/>
{body}</svg>
"##
        )
    }

    /// What lies behind the lanes: quiet times and the sides of partitions.
    fn grounds(&mut self) {
        let (width, right) = (self.width - LEFT, self.width);
        put!(
            self,
            r#"<rect class="margin" x="0" y="{:.1}" width="{:.0}" height="{:.1}"/>"#,
            self.top,
            LEFT - 8.0,
            self.axis.height
        );
        let mut last = f64::NEG_INFINITY;
        for quiet in self.axis.breaks.clone() {
            let (y, x) = (self.top + quiet.y, LEFT - 8.0);
            if y - last < BREAK_GAP {
                continue;
            }
            last = y;
            put!(
                self,
                r#"<rect class="strip" x="{LEFT}" y="{:.1}" width="{width:.0}" height="8"/>"#,
                y - 4.0
            );
            put!(
                self,
                r#"<path class="break" d="M{:.1} {:.1}l6 3l-6 3l6 3l-6 3"/>"#,
                x - 3.0,
                y - 6.0
            );
        }
        for parting in &self.picture.partings {
            let (y, high) = (self.y(parting.from), self.y(parting.until) - self.y(parting.from));
            for (side, class) in [(&parting.near, "near"), (&parting.far, "far")] {
                for lane in side {
                    let x = self.x(*lane as f64) - self.step / 2.0;
                    let wide = self.step.min(right - x);
                    put!(
                        self,
                        r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{wide:.1}" height="{high:.1}"/>"#
                    );
                }
            }
        }
    }

    fn lanes(&mut self) {
        for (number, lane) in self.picture.lanes.iter().enumerate() {
            self.lane(number, lane);
        }
    }

    fn lane(&mut self, number: usize, lane: &LaneView) {
        let kind = if lane.kind == LaneKind::Hub {
            "hub"
        } else {
            "client"
        };
        let (x, wide) = (self.x(number as f64) - self.thick, self.thick * 2.0);
        put!(
            self,
            r#"<g class="lane {kind}"><title>{}</title>"#,
            xml(lane.name)
        );
        let mut notches = String::new();
        for (i, span) in lane.spans.iter().enumerate() {
            let from = if i == 0 { self.top } else { self.y(span.from) };
            let to = lane
                .spans
                .get(i + 1)
                .map_or(self.bottom(), |next| self.y(next.from));
            let (colour, high) = (&self.picture.colours[span.colour], to - from);
            // Thinner than a hair nobody sees, and a long run has many; the last at a place is what counts there.
            if high < 0.2 {
                continue;
            }
            put!(
                self,
                r#"<rect x="{x:.1}" y="{from:.1}" width="{wide:.1}" height="{:.1}" fill="{colour}"/>"#,
                high + 0.3
            );
            if i > 0 {
                write!(notches, "M{x:.1} {from:.1}h{wide:.1}").expect("a string takes all");
            }
        }
        put!(self, r#"<path class="notch" d="{notches}"/>"#);
        for pause in &lane.pauses {
            let (from, to) = (self.y(pause.from), self.y(pause.until));
            let class = if pause.frozen { "hollow frozen" } else { "hollow" };
            put!(
                self,
                r#"<rect class="{class}" x="{x:.1}" y="{from:.1}" width="{wide:.1}" height="{:.1}"/>"#,
                to - from
            );
        }
        put!(self, "</g>");
    }

    fn walls(&mut self) {
        let picture = self.picture;
        for parting in &picture.partings {
            let (y0, y1) = (self.y(parting.from), self.y(parting.until));
            for wall in &parting.walls {
                let x = self.x(*wall) + parting.shift as f64 * 14.0 - 5.0;
                put!(
                    self,
                    r#"<rect class="wall" x="{x:.1}" y="{y0:.1}" width="10" height="{:.1}"/>"#,
                    y1 - y0
                );
                let mut hatch = String::new();
                let mut y = y0;
                while y + 10.0 <= y1 {
                    write!(hatch, "M{x:.1} {:.1}l10 -10", y + 10.0).expect("a string takes all");
                    y += 8.0;
                }
                put!(self, r#"<path class="hatch" d="{hatch}"/>"#);
            }
        }
    }

    /// From where to where a message goes on the paper.
    fn way(&self, message: &Message) -> Line {
        let (from, ends) = (message.sent.from.0 as f64, message.ends);
        let y = self.y(message.at);
        // A lost one ends a little below where it began.
        let y1 = message
            .arrives
            .map_or(y + (9.0 * (ends - from).abs() + 3.0).min(12.0), |at| self.y(at));
        Line {
            x0: self.x(from),
            y0: y,
            x1: self.x(ends),
            y1,
        }
    }

    /// One path a class: ten thousand elements would be slow to open.
    fn messages(&mut self, with_heads: bool) {
        let (mut wires, mut heads, mut lost, mut crosses) =
            (String::new(), String::new(), String::new(), String::new());
        for message in drawn(self.picture) {
            let Line { x0, y0, x1, y1 } = self.way(message);
            if message.arrives.is_none() {
                write!(lost, "M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}").expect("a string takes all");
                let (x, y) = (x1 - 4.0, y1 - 4.0);
                write!(crosses, "M{x:.1} {y:.1}l8 8m-8 0l8 -8").expect("a string takes all");
                continue;
            }
            write!(wires, "M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}").expect("a string takes all");
            if !with_heads {
                continue;
            }
            let length = (x1 - x0).hypot(y1 - y0).max(1.0);
            let (ux, uy) = ((x1 - x0) / length, (y1 - y0) / length);
            let gap = self.thick + 1.0;
            let (x, y) = (x1 - ux * gap, y1 - uy * gap);
            let (bx, by) = (x - ux * 7.0, y - uy * 7.0);
            let (sx, sy) = (uy * 3.2, ux * 3.2);
            write!(
                heads,
                "M{x:.1} {y:.1}L{:.1} {:.1}L{:.1} {:.1}Z",
                bx - sx,
                by + sy,
                bx + sx,
                by - sy
            )
            .expect("a string takes all");
        }
        for (class, path) in [
            ("wire", wires),
            ("head", heads),
            ("lost", lost),
            ("cross", crosses),
        ] {
            if !path.is_empty() {
                put!(self, r#"<path class="{class}" d="{path}"/>"#);
            }
        }
    }
}

//! What stands around the diagram: title and legend above, times beside, names on top and what is held below.

use std::fmt::Write;

use crate::draw::SVG_MESSAGES_MAX;
use crate::draw::symbols::{left_out, legend};
use crate::draw::words::{axis_moment, count, xml};
use crate::recording::LaneKind;

use super::Sheet;
use super::room::{shorten, width_of, wrap};

impl Sheet<'_> {
    /// Title, summary and legend.
    pub fn words_above(&mut self) {
        let picture = self.picture;
        let room = self.width - 32.0;
        put!(
            self,
            r#"<text class="title" x="16" y="30">{}</text>"#,
            xml(&shorten(picture.title, 20.0, room))
        );
        let mut y = 52.0;
        for line in wrap(picture.about, 13.0, room, 3)
            .iter()
            .filter(|line| !line.is_empty())
        {
            put!(self, r#"<text class="about" x="16" y="{y}">{}</text>"#, xml(line));
            y += 18.0;
        }
        let mut summary = vec![picture.summary()];
        summary.extend(left_out(picture, SVG_MESSAGES_MAX, None));
        for line in wrap(&summary.join(" · "), 13.0, room, 2) {
            put!(
                self,
                r#"<text class="summary" x="16" y="{y}">{}</text>"#,
                xml(&line)
            );
            y += 18.0;
        }
        let (good, verdict) = picture.verdict();
        if !verdict.is_empty() {
            let (wide, class) = (width_of(&verdict, 13.5) + 24.0, if good { "ok" } else { "ill" });
            put!(
                self,
                r#"<rect class="{class}" x="16" y="{:.0}" width="{wide:.0}" height="22" rx="11"/>"#,
                y - 10.0
            );
            put!(
                self,
                r#"<text class="verdict" x="28" y="{:.0}">{}</text>"#,
                y + 5.5,
                xml(&verdict)
            );
            y += 30.0;
        }
        // The legend, in columns as wide as its longest words.
        let keys = legend(picture);
        let column = keys
            .iter()
            .map(|key| width_of(&key.words, 12.0))
            .fold(60.0, f64::max)
            + 62.0;
        let columns = ((room / column) as usize).max(1);
        let lines = keys.len().div_ceil(columns);
        let y0 = y;
        put!(
            self,
            r#"<rect class="margin" x="16" y="{y0:.0}" width="{room:.0}" height="{:.0}" rx="6"/>"#,
            lines as f64 * 24.0 + 12.0
        );
        for (i, key) in keys.iter().enumerate() {
            let (x, y) = (
                28.0 + (i % columns) as f64 * column,
                y0 + 9.0 + (i / columns) as f64 * 24.0,
            );
            put!(
                self,
                r#"<g transform="translate({x:.1} {y:.1})">{}</g>"#,
                key.drawing
            );
            put!(
                self,
                r#"<text class="key" x="{:.1}" y="{:.1}">{}</text>"#,
                x + 44.0,
                y + 13.0,
                xml(&key.words)
            );
        }
        self.top = y0 + lines as f64 * 24.0 + 28.0;
    }

    /// The times of bursts, and how long the quiet between them was.
    pub fn times(&mut self) {
        let mut last = f64::NEG_INFINITY;
        let until = self.picture.until;
        let first = self.axis.knots[0];
        let mut words = vec![(self.top + first.y, "moment", axis_moment(first.at, until))];
        for quiet in &self.axis.breaks {
            words.push((self.top + quiet.y, "later", quiet.words.clone()));
            words.push((self.y(quiet.next), "moment", axis_moment(quiet.next, until)));
        }
        words.push((self.y(until), "moment", axis_moment(until, until)));
        for (y, class, text) in words {
            if y - last >= 13.0 {
                put!(
                    self,
                    r#"<text class="{class}" x="8" y="{:.1}">{}</text>"#,
                    y + 4.0,
                    xml(&text)
                );
                last = y;
            }
        }
    }

    /// The lanes' names above, and below what each holds in the end.
    pub fn heads(&mut self, y: f64, tall: bool) {
        let bottom = self.bottom();
        put!(
            self,
            r#"<text class="later" x="8" y="{:.1}">time since</text>"#,
            self.top - 20.0
        );
        put!(
            self,
            r#"<text class="later" x="8" y="{:.1}">the beginning</text>"#,
            self.top - 7.0
        );
        for (number, lane) in self.picture.lanes.iter().enumerate() {
            let x = self.x(number as f64);
            let kind = if lane.kind == LaneKind::Hub {
                "hub"
            } else {
                "client"
            };
            if tall {
                let name = xml(&shorten(lane.name, 12.0, 92.0));
                let (x, y) = (x + 4.0, self.top - 6.0);
                put!(
                    self,
                    r#"<g class="{kind}"><text class="turned" transform="translate({x:.1} {y:.1}) rotate(-90)">{name}</text></g>"#
                );
                continue;
            }
            let name = xml(&shorten(lane.name, 14.0, self.step - 8.0));
            put!(
                self,
                r#"<g class="{kind}"><text class="name" x="{x:.1}" y="{:.1}">{name}</text></g>"#,
                y + 22.0
            );
            let Some((span, hash)) = lane.spans.last().and_then(|span| Some((span, span.hash?))) else {
                continue;
            };
            let held = count(span.entries, "change set", "change sets");
            put!(
                self,
                r#"<text class="foot" x="{x:.1}" y="{:.1}">{held}</text>"#,
                bottom + 18.0
            );
            put!(
                self,
                r#"<text class="foot" x="{x:.1}" y="{:.1}">{:.4}</text>"#,
                bottom + 33.0,
                format!("{hash:016x}")
            );
        }
    }
}

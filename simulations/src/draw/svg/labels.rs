//! The words and signs on the sheet, the important first: what would cover another is left out.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::room::{Area, Areas, Line, shorten, strips_of, width_of, wrap};
use super::{LEFT, STEP_ROOMY, Sheet, drawn};
use crate::draw::picture::{LINE_HEIGHT, Mark, Message, Parting, Row, Tell};
use crate::draw::symbols::badge;
use crate::draw::words::xml;

impl Sheet<'_> {
    /// The tag that names a partition.
    fn tag(&mut self, parting: &Parting) {
        let text = shorten(&parting.text, 12.0, (self.width - LEFT - 40.0).min(480.0));
        let wide = width_of(&text, 13.5) + 20.0;
        let middle = parting
            .walls
            .first()
            .map_or((LEFT + self.width) / 2.0, |wall| self.x(*wall));
        let x = (middle - wide / 2.0).min(self.width - wide - 6.0).max(LEFT + 4.0);
        for row in 0..3 {
            let y = self.y(parting.from) - 24.0 - f64::from(row) * 22.0;
            if self.areas.take(Area {
                x0: x,
                y0: y,
                x1: x + wide,
                y1: y + 20.0,
            }) {
                put!(
                    self,
                    r#"<rect class="tag" x="{x:.1}" y="{:.1}" width="{wide:.1}" height="18" rx="9"/>"#,
                    y + 1.0
                );
                put!(
                    self,
                    r#"<text class="white" text-anchor="middle" x="{:.1}" y="{:.1}">{}</text>"#,
                    x + wide / 2.0,
                    y + 14.0,
                    xml(&text)
                );
                break;
            }
        }
    }

    /// Lines across all lanes: promises broken, the healing, the agreement that lasts. Then the tags of partitions.
    pub fn bars(&mut self) {
        let picture = self.picture;
        let across = picture
            .rows
            .iter()
            .filter(|row| matches!(row.tell, Tell::Healed | Tell::Broken));
        let mut bars: Vec<Row> = across.cloned().collect();
        if let Some((at, text)) = picture.agreement() {
            bars.push(Row {
                at,
                tell: Tell::Agreed,
                lane: None,
                text,
            });
        }
        for bar in &bars {
            self.bar(bar);
        }
        for parting in &picture.partings {
            self.tag(parting);
        }
    }

    fn bar(&mut self, bar: &Row) {
        let (y, right) = (self.y(bar.at), self.width);
        let broken = bar.tell == Tell::Broken;
        let place = (0..3).map(|row| y - 24.0 - f64::from(row) * 22.0).find(|top| {
            self.areas.take(Area {
                x0: LEFT,
                y0: *top,
                x1: right,
                y1: top + 20.0,
            })
        });
        let name = bar.lane.map_or(String::new(), |lane| {
            format!("{}: ", self.picture.lanes[lane].name)
        });
        let text = xml(&shorten(
            &format!("{name}{}", bar.text),
            12.5,
            right - LEFT - 24.0,
        ));
        if broken {
            put!(
                self,
                r#"<rect class="broken" x="{LEFT}" y="{:.1}" width="{:.1}" height="4"/>"#,
                y - 4.0,
                right - LEFT
            );
            if let Some(lane) = bar.lane {
                let (x, wide) = (self.x(lane as f64) - self.thick - 6.0, self.thick * 2.0 + 12.0);
                put!(
                    self,
                    r#"<rect class="around" x="{x:.1}" y="{:.1}" width="{wide:.1}" height="14"/>"#,
                    y - 4.0
                );
            }
            if let Some(top) = place {
                put!(
                    self,
                    r#"<rect class="broken" x="{LEFT}" y="{top:.1}" width="{:.1}" height="20"/>"#,
                    right - LEFT
                );
            }
        } else {
            let class = if bar.tell == Tell::Healed {
                "healed"
            } else {
                "agreed"
            };
            put!(self, r#"<path class="{class}" d="M{LEFT} {y:.1}H{right:.1}"/>"#);
        }
        if let Some(top) = place {
            let class = match bar.tell {
                Tell::Broken => "white",
                Tell::Healed => "line healed-words",
                _ => "line agreed-words",
            };
            put!(
                self,
                r#"<text class="{class}" x="{:.1}" y="{:.1}">{text}</text>"#,
                LEFT + 10.0,
                top + 14.5
            );
        }
    }

    pub fn marks(&mut self) {
        let picture = self.picture;
        let lanes = picture.lanes.len();
        let place = |sheet: &Sheet, mark: &Mark| {
            (
                sheet.x(mark.lane as f64) + mark.slot as f64 * 17.0,
                sheet.y(mark.at),
            )
        };
        for mark in &picture.marks {
            let (x, y) = place(self, mark);
            put!(
                self,
                r#"<g transform="translate({x:.1} {y:.1})">{}</g>"#,
                badge(mark.sign)
            );
            self.areas.put(Area {
                x0: x - 8.0,
                y0: y - 6.0,
                x1: x + 8.0,
                y1: y + 6.0,
            });
        }
        if self.step < STEP_ROOMY {
            return;
        }
        for mark in &picture.marks {
            let (x, y) = place(self, mark);
            let room = if mark.lane + 1 == lanes {
                self.width - x - 18.0
            } else {
                self.step - 26.0
            };
            let lines = wrap(&mark.text, 12.0, room, 2);
            let wide = lines.iter().map(|line| width_of(line, 12.0)).fold(0.0, f64::max);
            let (x0, high) = (x + 12.0, lines.len() as f64 * 14.0);
            // Above its sign, where the axis kept room for it; higher up if that is taken.
            for row in 0..2 + 2 * mark.slot {
                let y1 = y - 2.0 - row as f64 * LINE_HEIGHT;
                if self.areas.take(Area {
                    x0,
                    y0: y1 - high,
                    x1: x0 + wide,
                    y1,
                }) {
                    for (i, line) in lines.iter().enumerate() {
                        let y = y1 - high + 11.0 + i as f64 * 14.0;
                        put!(
                            self,
                            r#"<text class="label" x="{x0:.1}" y="{y:.1}">{}</text>"#,
                            xml(line)
                        );
                    }
                    break;
                }
            }
        }
    }

    /// The names of messages, where neither another line nor a lane runs through: else one could not tell whose they are.
    pub fn message_names(&mut self) {
        if self.step < STEP_ROOMY {
            return;
        }
        let lines: Vec<(&Message, Line)> = drawn(self.picture)
            .map(|message| (message, self.way(message)))
            .collect();
        let mut strips: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (number, (_, line)) in lines.iter().enumerate() {
            for strip in strips_of(line.y0, line.y1) {
                strips.entry(strip).or_default().push(number);
            }
        }
        for (number, (message, line)) in lines.iter().enumerate() {
            let (name, long) = (message.sent.name, (line.x1 - line.x0).abs());
            let wide = width_of(name, 11.0);
            if wide + 26.0 > long || (line.y1 - line.y0).abs() > long {
                continue;
            }
            let near = ((wide / 2.0 + 20.0) / long).min(0.5);
            let high = 11.0 + line.slope().abs() * wide;
            // Near the sender if it can be, above the line or below it.
            let shares = [near, 1.0 - near, 0.5, 0.35, 0.65];
            let spots = shares
                .into_iter()
                .flat_map(|share| [(share, 0.0), (share, high + 3.0)]);
            for (share, below) in spots {
                let x = line.x0 + (line.x1 - line.x0) * share;
                let y = line.y0 + (line.y1 - line.y0) * share;
                let y1 = y - 2.0 + below;
                let area = Area {
                    x0: x - wide / 2.0,
                    y0: y1 - high,
                    x1: x + wide / 2.0,
                    y1,
                };
                let mut others = Areas::strips(&area)
                    .filter_map(|strip| strips.get(&strip))
                    .flatten();
                let crossed = others.any(|other| *other != number && lines[*other].1.crosses(&area));
                if crossed || self.lane_within(&area) || !self.areas.take(area) {
                    continue;
                }
                let class = if message.arrives.is_none() {
                    "word gone"
                } else {
                    "word"
                };
                let (angle, dy) = (
                    line.slope().atan().to_degrees(),
                    if below > 0.0 { 12 } else { -4 },
                );
                put!(
                    self,
                    r#"<text class="{class}" transform="translate({x:.1} {y:.1}) rotate({angle:.1})" y="{dy}">{}</text>"#,
                    xml(name)
                );
                break;
            }
        }
    }

    fn lane_within(&self, area: &Area) -> bool {
        let lane = (((area.x0 + area.x1) / 2.0 - LEFT) / self.step - 0.5).round();
        self.x(lane) + self.thick > area.x0 && self.x(lane) - self.thick < area.x1
    }
}

//! Room for words: how wide they are, and which places are taken.

use std::collections::BTreeMap;

/// A letter's mean width as a share of the font's size, on the safe side.
const LETTER: f64 = 0.56;
/// How wide text is, estimated: there is no font here to ask.
pub fn width_of(text: &str, size: f64) -> f64 {
    // Letters outside the Latin, Greek and Cyrillic blocks may be twice as wide.
    text.chars()
        .map(|c| if (c as u32) < 0x530 { LETTER } else { 2.0 * LETTER })
        .sum::<f64>()
        * size
}

/// Cuts text that is wider than this.
pub fn shorten(text: &str, size: f64, width: f64) -> String {
    if width_of(text, size) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if width_of(&out, size) + 2.0 * LETTER * size > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Breaks text into at most this many lines.
pub fn wrap(text: &str, size: f64, width: f64, lines_max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let longer = if lines[last].is_empty() {
            word.to_owned()
        } else {
            format!("{} {word}", lines[last])
        };
        if width_of(&longer, size) <= width || lines[last].is_empty() || lines.len() == lines_max {
            lines[last] = longer;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| shorten(line, size, width)).collect()
}

/// What a label covers.
#[derive(Clone, Copy)]
pub struct Area {
    pub x0: f64,
    pub y0: f64,
    pub x1: f64,
    pub y1: f64,
}

/// A message on the paper.
#[derive(Clone, Copy)]
pub struct Line {
    pub x0: f64,
    pub y0: f64,
    pub x1: f64,
    pub y1: f64,
}

impl Line {
    pub fn slope(&self) -> f64 {
        (self.y1 - self.y0) / (self.x1 - self.x0)
    }

    pub fn crosses(&self, area: &Area) -> bool {
        let (a, b) = (
            area.x0.max(self.x0.min(self.x1)),
            area.x1.min(self.x0.max(self.x1)),
        );
        let at = |x: f64| self.y0 + (x - self.x0) * self.slope();
        a < b && at(a).max(at(b)) > area.y0 + 2.0 && at(a).min(at(b)) < area.y1
    }
}

/// Strips of the paper, by which what is near is found.
pub fn strips_of(y0: f64, y1: f64) -> std::ops::RangeInclusive<i64> {
    (y0 / 64.0).floor() as i64..=(y1 / 64.0).floor() as i64
}

/// The areas that labels cover, by strips, so that looking for a free place is quick.
#[derive(Default)]
pub struct Areas(BTreeMap<i64, Vec<Area>>);

impl Areas {
    pub fn strips(area: &Area) -> std::ops::RangeInclusive<i64> {
        strips_of(area.y0, area.y1)
    }

    pub fn put(&mut self, area: Area) {
        for strip in Areas::strips(&area) {
            self.0.entry(strip).or_default().push(area);
        }
    }

    /// Takes the area if it is free.
    pub fn take(&mut self, area: Area) -> bool {
        let free = Areas::strips(&area).all(|strip| {
            self.0.get(&strip).into_iter().flatten().all(|other| {
                area.x1 <= other.x0 || other.x1 <= area.x0 || area.y1 <= other.y0 || other.y1 <= area.y0
            })
        });
        if free {
            self.put(area);
        }
        free
    }
}

//! Where a moment is on the paper: time is warped, since a run of a year has bursts of milliseconds.
//!
//! Between two moments at which something happens the distance grows with the logarithm of the time between; a quiet
//! span is cut to a strip with a break sign. Later is never above earlier, and labels get the room they ask for.

use std::collections::BTreeMap;

use super::words::{Micros, span};

/// A span without happenings of at least this long is cut short and marked.
const QUIET_MIN: Micros = 5_000_000;
/// The strip of a quiet span of [`QUIET_MIN`], in pixels: room for the break sign and its words.
const QUIET_HEIGHT: f64 = 46.0;
/// Pixels for each factor of ten that a quiet span is longer.
const QUIET_DECADE: f64 = 4.0;
/// Pixels for each factor of e, counted from a millisecond, below that.
const BUSY_HEIGHT: f64 = 6.0;
/// Paper above the first happening and below the last.
const MARGIN: f64 = 26.0;

/// A moment at which something happens, and its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Knot {
    /// When.
    pub at: Micros,
    /// Pixels from the top, at a zoom of one.
    pub y: f64,
}

/// A quiet span, cut short.
#[derive(Debug, Clone, PartialEq)]
pub struct Break {
    /// Where its sign stands.
    pub y: f64,
    /// The moment after it: a burst begins, worth a time of its own on the axis.
    pub next: Micros,
    /// `2 days later`.
    pub words: String,
}

/// The warped axis of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// In the order of time; the first is the beginning, the last the end.
    pub knots: Vec<Knot>,
    /// In the order of time.
    pub breaks: Vec<Break>,
    /// Of the whole paper.
    pub height: f64,
}

impl Axis {
    /// An axis for these moments, each with the room it needs above it for labels, from zero to `until`; no higher than
    /// `height_max`, for which all is drawn smaller if it must.
    pub fn new(moments: &BTreeMap<Micros, f64>, until: Micros, height_max: f64) -> Axis {
        let room = |at: &Micros| moments.get(at).copied().unwrap_or(0.0);
        let mut knots = vec![Knot {
            at: 0,
            y: MARGIN + room(&0),
        }];
        let mut breaks = Vec::new();
        let rest = moments.keys().copied().filter(|at| *at > 0 && *at < until);
        for at in rest.chain((until > 0).then_some(until)) {
            let last = knots[knots.len() - 1];
            let gap = at - last.at;
            let y = if gap >= QUIET_MIN {
                let strip = QUIET_HEIGHT + QUIET_DECADE * (gap as f64 / QUIET_MIN as f64).log10();
                let words = format!("{} later", span(gap));
                breaks.push(Break {
                    y: last.y + strip / 2.0,
                    next: at,
                    words,
                });
                last.y + strip + room(&at)
            } else {
                last.y + (BUSY_HEIGHT * (gap as f64 / 1000.0).ln_1p()).max(room(&at))
            };
            knots.push(Knot { at, y });
        }
        let height = knots[knots.len() - 1].y + MARGIN;
        let shrink = (height_max / height).min(1.0);
        // Rounded, so that the last digit of a logarithm, which machines may see differently, is never printed.
        let place = |y: f64| (y * shrink * 100.0).round() / 100.0;
        knots.iter_mut().for_each(|knot| knot.y = place(knot.y));
        breaks.iter_mut().for_each(|quiet| quiet.y = place(quiet.y));
        Axis {
            knots,
            breaks,
            height: place(height),
        }
    }

    /// Where a moment is; between two knots in proportion, after the last at the last.
    pub fn y(&self, at: Micros) -> f64 {
        let after = self.knots.partition_point(|knot| knot.at < at);
        let Some(next) = self.knots.get(after) else {
            return self.knots[self.knots.len() - 1].y;
        };
        if next.at == at || after == 0 {
            return next.y;
        }
        let last = self.knots[after - 1];
        let share = (at - last.at) as f64 / (next.at - last.at) as f64;
        last.y + share * (next.y - last.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Micros = 365 * 86_400 * 1_000_000;

    /// Bursts of milliseconds, hours and days apart, over a year.
    fn year() -> BTreeMap<Micros, f64> {
        let bursts = (0..40u64).map(|n| n * n * YEAR / 1700);
        bursts
            .flat_map(|at| (0..25).map(move |step| (at + step * step * 311, (step % 5) as f64 * 7.0)))
            .collect()
    }

    #[test]
    fn later_is_never_above_earlier() {
        for height_max in [f64::INFINITY, 800.0] {
            let axis = Axis::new(&year(), YEAR, height_max);
            assert!(axis.height <= height_max);
            assert!(
                axis.knots
                    .windows(2)
                    .all(|pair| pair[0].at < pair[1].at && pair[0].y <= pair[1].y)
            );
            let mut last = 0.0;
            for step in 0..5000 {
                let y = axis.y(step * (YEAR / 4999));
                assert!(y >= last && y <= axis.height, "{step}: {y} after {last}");
                last = y;
            }
        }
    }

    #[test]
    fn a_quiet_year_is_cut_to_a_strip_and_a_burst_keeps_its_shape() {
        let axis = Axis::new(
            &BTreeMap::from([(1000, 0.0), (6000, 0.0), (YEAR - 20_000, 0.0)]),
            YEAR,
            1e9,
        );
        let [start, sent, arrived, again, end] = axis.knots[..] else {
            panic!("{:?}", axis.knots)
        };
        assert_eq!((start.at, end.at), (0, YEAR));
        assert!(arrived.y - sent.y > 8.0, "five milliseconds are seen: {axis:?}");
        assert!(
            again.y - arrived.y < 90.0,
            "a year is no longer than that: {axis:?}"
        );
        assert_eq!(axis.breaks.len(), 1);
        assert_eq!(axis.breaks[0].words, "365 days later");
        assert!(axis.breaks[0].y > arrived.y && axis.breaks[0].y < again.y);
    }

    #[test]
    fn labels_get_their_room_and_an_empty_run_has_an_axis() {
        let axis = Axis::new(&BTreeMap::from([(1000, 0.0), (1001, 40.0)]), 2000, 1e9);
        assert!(axis.knots[2].y - axis.knots[1].y >= 40.0);
        assert_eq!(Axis::new(&BTreeMap::new(), 0, 1e9).knots.len(), 1);
    }
}

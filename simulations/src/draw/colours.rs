//! A colour for every state: two states that exist at one time never share one.
//!
//! A state lives from the first moment a lane holds it to the last; those lives are intervals, so handing out colours
//! greedily in order of birth needs no more than there are states at one time. A state shared at the end is green.

use std::collections::{BTreeMap, BTreeSet};

use super::words::Micros;

/// Before a lane has told what it holds.
pub const UNKNOWN: usize = 0;
/// What all hubs hold at the end; no other state is green.
pub const AGREED: usize = 1;
const FIRST: usize = 2;

/// Grey, then the bluish green of Okabe and Ito, kept for the end.
const FIXED: [(u8, u8, u8); FIRST] = [(0xa3, 0xa9, 0xb0), (0x00, 0x9e, 0x73)];

/// Told apart with any kind of colour sight, after Okabe and Ito; their vermilion is left out since red means broken.
const BASE: [(u8, u8, u8); 7] = [
    (0xe6, 0x9f, 0x00), // orange
    (0x00, 0x72, 0xb2), // blue
    (0xcc, 0x79, 0xa7), // pink
    (0x56, 0xb4, 0xe9), // sky
    (0x8c, 0x51, 0x0a), // brown
    (0xf0, 0xe4, 0x42), // yellow
    (0x5e, 0x3c, 0x99), // violet
];

/// When a state is held by anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// First held.
    pub from: Micros,
    /// Last held.
    pub until: Micros,
}

/// Which colour each state has, and the colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colours {
    /// By the state's hash.
    pub of: BTreeMap<u64, usize>,
    /// As `#rrggbb`, by number.
    pub palette: Vec<String>,
}

impl Colours {
    /// Colours for these states; `agreed` is the one all hubs hold at the end.
    pub fn new(lives: &BTreeMap<u64, Life>, agreed: Option<u64>) -> Colours {
        let mut births: Vec<(Micros, u64)> = lives.iter().map(|(hash, life)| (life.from, *hash)).collect();
        births.sort_unstable();
        let mut of: BTreeMap<u64, usize> = agreed.map(|hash| (hash, AGREED)).into_iter().collect();
        let mut used: BTreeSet<(Micros, usize)> = BTreeSet::new(); // by when they get free
        let mut free: BTreeSet<(usize, u64, usize)> = BTreeSet::new(); // nearest to the base, then the longest free
        let mut colours = FIRST;
        let mut turn = 0;
        for (from, hash) in births {
            // A state that ends as the next begins is still in sight: it keeps its colour for this step.
            while let Some(&(until, colour)) = used.first().filter(|(until, _)| *until < from) {
                used.remove(&(until, colour));
                turn += 1;
                free.insert(((colour - FIRST) / BASE.len(), turn, colour));
            }
            if agreed == Some(hash) {
                continue;
            }
            // The seven told apart best are all in play before any is used again.
            let fresh = (colours - FIRST) / BASE.len();
            let colour = match free.first().copied().filter(|(tier, ..)| *tier < fresh) {
                Some(known) => {
                    free.remove(&known);
                    known.2
                }
                None => {
                    colours += 1;
                    colours - 1
                }
            };
            used.insert((lives[&hash].until, colour));
            of.insert(hash, colour);
        }
        Colours {
            of,
            palette: (0..colours).map(hex).collect(),
        }
    }
}

/// The base colours first, then the same darker and lighter, then hues all around except near green and red.
fn hex(number: usize) -> String {
    if number < FIRST {
        let (r, g, b) = FIXED[number];
        return format!("#{r:02x}{g:02x}{b:02x}");
    }
    let (tier, index) = ((number - FIRST) / BASE.len(), (number - FIRST) % BASE.len());
    let (r, g, b) = BASE[index];
    let shade = |c: u8| match tier {
        0 => u32::from(c),
        1 => u32::from(c) * 11 / 20,
        _ => 255 - (255 - u32::from(c)) * 9 / 20,
    };
    if tier < 3 {
        return format!("#{:02x}{:02x}{:02x}", shade(r), shade(g), shade(b));
    }
    // The golden angle keeps hues apart however many there are; 20..=100 and 190..=330 are neither green nor red.
    let turn = (number as u32 * 137) % 222;
    let hue = if turn <= 80 { 20 + turn } else { 190 + turn - 81 };
    let lightness = [46, 64, 32][(number / 3) % 3];
    let (r, g, b) = rgb(hue, lightness);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// From hue in degrees and lightness in percent at a saturation of 65 %, in whole numbers: equal on every machine.
fn rgb(hue: u32, lightness: u32) -> (u32, u32, u32) {
    let (hue, lightness) = (hue as i32, lightness as i32);
    let reach = 65 * lightness.min(100 - lightness) / 100;
    let part = |n: i32| {
        let k = (n * 30 + hue) % 360; // 30 degrees are one twelfth
        let slope = (k - 90).min(270 - k).clamp(-30, 30); // -1..=1, in degrees
        ((lightness * 30 - reach * slope) * 255 / 3000) as u32
    };
    (part(0), part(8), part(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_one_time_differ_and_the_last_is_green() {
        // Thirty states whose lives overlap in all sorts of ways, the last one agreed on.
        let lives: BTreeMap<u64, Life> = (0..30)
            .map(|n| {
                (
                    n * 7919 % 101,
                    Life {
                        from: n * 10,
                        until: n * 10 + n * n % 97 + 1,
                    },
                )
            })
            .collect();
        let agreed = 29 * 7919 % 101;
        let colours = Colours::new(&lives, Some(agreed));
        assert_eq!(colours.of[&agreed], AGREED);
        for (a, x) in &lives {
            for (b, y) in &lives {
                let together = x.from <= y.until && y.from <= x.until;
                assert!(
                    a == b || !together || colours.of[a] != colours.of[b],
                    "{a} and {b}: {x:?} {y:?}"
                );
                assert!(*a == agreed || colours.of[a] != AGREED);
            }
        }
    }

    #[test]
    fn the_first_hundred_colours_are_all_different() {
        let all: BTreeSet<String> = (0..100).map(hex).collect();
        assert_eq!(all.len(), 100);
        assert_eq!(rgb(0, 50), (209, 45, 45));
    }
}

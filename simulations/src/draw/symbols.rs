//! The signs of the picture and what they mean, once for the page and the SVG.
//!
//! A sign is a path in a box of 16 by 16, which both an SVG and a canvas can fill (by the even-odd rule).

use crate::recording::FaultKind;

use super::picture::{Picture, Tell};
use super::words::count;

/// What stands on a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Somebody does something.
    Action,
    /// A lane has something to tell.
    Note,
    /// Something broke or was mended.
    Fault(FaultKind),
}

/// All signs, in the order of the legend.
pub const SIGNS: [Sign; 12] = [
    Sign::Action,
    Sign::Note,
    Sign::Fault(FaultKind::PowerCut),
    Sign::Fault(FaultKind::Killed),
    Sign::Fault(FaultKind::Stopped),
    Sign::Fault(FaultKind::Aborted),
    Sign::Fault(FaultKind::Started),
    Sign::Fault(FaultKind::Frozen),
    Sign::Fault(FaultKind::Thawed),
    Sign::Fault(FaultKind::Disk),
    Sign::Fault(FaultKind::Clock),
    Sign::Fault(FaultKind::Line),
];

/// How a sign is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// On the lane without a ground of its own.
    Plain,
    /// Light on dark: it goes down, or fails.
    Bad,
    /// Dark on light: it comes back, or merely changes.
    Good,
}

impl Sign {
    /// Its place in [`SIGNS`], by which the page knows it.
    pub fn number(self) -> usize {
        SIGNS
            .iter()
            .position(|sign| *sign == self)
            .expect("SIGNS has every sign")
    }

    /// Its shape.
    pub fn path(self) -> &'static str {
        match self {
            Sign::Action => "M8 3.4A4.6 4.6 0 1 1 7.99 3.4Z",
            Sign::Note => "M2 2.5H14V11H8.5L5 14.5V11H2Z",
            Sign::Fault(kind) => match kind {
                FaultKind::PowerCut => "M9.6 .8L3.2 9H7.3L6 15.2L12.8 6.4H8.6Z",
                FaultKind::Killed => {
                    "M3.7 2L8 6.3L12.3 2L14 3.7L9.7 8L14 12.3L12.3 14L8 9.7L3.7 14L2 12.3L6.3 8L2 3.7Z"
                }
                FaultKind::Stopped => "M3.2 3.2H12.8V12.8H3.2Z",
                FaultKind::Aborted => "M6.6 1.5H9.4L9 10H7ZM8 11.3A1.6 1.6 0 1 1 7.99 11.3Z",
                FaultKind::Started => "M4.6 2L14 8L4.6 14Z",
                FaultKind::Frozen => "M3.5 2.5H6.8V13.5H3.5ZM9.2 2.5H12.5V13.5H9.2Z",
                FaultKind::Thawed => "M2 2.5H4.6V13.5H2ZM6.4 2.5L14.4 8L6.4 13.5Z",
                FaultKind::Disk => {
                    "M2.2 4A5.8 2.6 0 0 1 13.8 4V12A5.8 2.6 0 0 1 2.2 12ZM3.8 4.2A4.2 1.2 0 0 0 12.2 4.2A4.2 1.2 0 0 0 3.8 4.2Z"
                }
                FaultKind::Clock => {
                    "M8 1A7 7 0 1 1 7.99 1ZM8 2.8A5.2 5.2 0 1 0 8.01 2.8ZM7.2 4.2H8.8V7.5L11.4 9.2L10.5 10.5L7.2 8.4Z"
                }
                FaultKind::Line => {
                    "M.8 6.8H6L5 9.2H.8ZM15.2 6.8H11L10 9.2H15.2ZM8.6 2.5L10 3L8.6 6.2L7.6 5.8ZM7.4 9.8L8.4 10.2L7 13.5L5.8 13Z"
                }
            },
        }
    }

    /// How it is filled.
    pub fn tone(self) -> Tone {
        match self {
            Sign::Action | Sign::Note => Tone::Plain,
            Sign::Fault(kind) => match kind {
                FaultKind::PowerCut
                | FaultKind::Killed
                | FaultKind::Stopped
                | FaultKind::Aborted
                | FaultKind::Frozen => Tone::Bad,
                FaultKind::Started
                | FaultKind::Thawed
                | FaultKind::Disk
                | FaultKind::Clock
                | FaultKind::Line => Tone::Good,
            },
        }
    }

    /// Its meaning in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Sign::Action => "somebody does something",
            Sign::Note => "something to tell",
            Sign::Fault(kind) => match kind {
                FaultKind::PowerCut => "power cut",
                FaultKind::Killed => "killed",
                FaultKind::Stopped => "stopped in order",
                FaultKind::Aborted => "gives up by itself",
                FaultKind::Started => "started",
                FaultKind::Frozen => "frozen",
                FaultKind::Thawed => "goes on",
                FaultKind::Disk => "disk",
                FaultKind::Clock => "clock",
                FaultKind::Line => "line",
            },
        }
    }
}

/// One entry of the legend: a small drawing and its meaning.
pub struct Key {
    /// SVG elements in a box of 34 by 18; colours come from classes and `currentColor`.
    pub drawing: String,
    /// Its meaning.
    pub words: String,
}

/// What a reader must know, and of that only what is in this picture.
pub fn legend(picture: &Picture) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut key = |drawing: String, words: &str| {
        keys.push(Key {
            drawing,
            words: words.to_owned(),
        })
    };
    let bar = |x: u32, width: u32, fill: &str| {
        format!(r#"<rect x="{x}" y="4" width="{width}" height="10" rx="2" fill="{fill}"/>"#)
    };

    let held: Vec<&str> = picture
        .colours
        .iter()
        .skip(2)
        .take(3)
        .map(String::as_str)
        .collect();
    if !held.is_empty() {
        let swatches = held
            .iter()
            .zip([1, 12, 23])
            .map(|(fill, x)| bar(x, 10, fill))
            .collect();
        key(swatches, "at one moment, equal colour is equal data");
    }
    if picture.agreed_at_end {
        key(
            bar(1, 32, &picture.colours[super::colours::AGREED]),
            "what all hubs hold at the end",
        );
    }
    if picture.lanes.iter().any(|lane| !lane.pauses.is_empty()) {
        let hollow = r#"<rect x="1.5" y="5" width="31" height="8" class="hollow"/>"#;
        key(hollow.to_owned(), "down, or frozen");
    }
    if picture
        .messages
        .iter()
        .any(|message| message.arrives.is_some() && !message.sent.chatter)
    {
        let arrow =
            r#"<path d="M2 4L28 13" class="wire"/><path d="M33 14.8L25.5 15.4L27.4 10Z" class="head"/>"#;
        key(arrow.to_owned(), "a message: leaves, arrives");
    }
    if picture.lost > 0 {
        let lost = r#"<path d="M2 5L22 11" class="lost"/><path d="M20 7L28 15M28 7L20 15" class="cross"/>"#;
        key(lost.to_owned(), "a message that never arrives");
    }
    if !picture.partings.is_empty() {
        let wall = r#"<rect x="13" y="0" width="8" height="18" class="wall"/><path d="M13 8L21 2M13 14L21 8" class="hatch"/>"#;
        key(wall.to_owned(), "parted: nothing gets through");
    }
    for sign in SIGNS {
        if picture.marks.iter().any(|mark| mark.sign == sign) {
            key(
                format!(r#"<g transform="translate(17 9)">{}</g>"#, badge(sign)),
                sign.words(),
            );
        }
    }
    if !picture.axis.breaks.is_empty() {
        let zigzag = r#"<rect x="0" y="5" width="34" height="8" class="strip"/><path d="M2 9L7 5L12 13L17 5L22 13L27 5L32 9" class="break"/>"#;
        key(zigzag.to_owned(), "a quiet time, cut short");
    }
    if picture.rows.iter().any(|row| row.tell == Tell::Healed) {
        key(
            r#"<path d="M1 9H33" class="healed"/>"#.to_owned(),
            "all is mended from here on",
        );
    }
    if picture.broken > 0 {
        key(
            r#"<rect x="1" y="5" width="32" height="8" class="broken"/>"#.to_owned(),
            "a promise is broken",
        );
    }
    keys
}

/// A sign as SVG elements around the origin.
pub fn badge(sign: Sign) -> String {
    let ground = match sign.tone() {
        Tone::Plain => "",
        Tone::Bad => r#"<circle r="8.5" class="bad"/>"#,
        Tone::Good => r#"<circle r="8.5" class="good"/>"#,
    };
    let (scale, class) = match sign.tone() {
        Tone::Plain => (0.9, "plain"),
        Tone::Bad => (0.66, "light"),
        Tone::Good => (0.66, "dark"),
    };
    let shift = -8.0 * scale;
    format!(
        r#"{ground}<path class="{class}" fill-rule="evenodd" transform="translate({shift:.2} {shift:.2}) scale({scale})" d="{}"/>"#,
        sign.path()
    )
}

/// What the picture leaves out, in words; empty if it is complete.
pub fn left_out(picture: &Picture, messages_max: usize, chatter_max: Option<usize>) -> Vec<String> {
    let mut words = Vec::new();
    let (talk, chatter) = (picture.messages.len() as u64 - picture.chatter, picture.chatter);
    if talk > messages_max as u64 {
        let max = count(messages_max as u64, "message", "messages");
        words.push(format!("{max} of {} are drawn", super::words::thousands(talk)));
    }
    match chatter_max {
        None if chatter + picture.chatter_untold > 0 => {
            let all = count(chatter + picture.chatter_untold, "heartbeat is", "heartbeats are");
            words.push(format!("{all} not drawn"));
        }
        None => {}
        Some(max) => {
            if chatter > max as u64 {
                let kept = super::words::thousands(max as u64);
                words.push(format!(
                    "{kept} of {} are in this page",
                    count(chatter, "heartbeat", "heartbeats")
                ));
            }
            if picture.chatter_untold > 0 {
                let more = count(picture.chatter_untold, "heartbeat was", "heartbeats were");
                words.push(format!("{more} counted and not recorded"));
            }
        }
    }
    words
}

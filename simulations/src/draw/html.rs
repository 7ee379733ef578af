//! The page: `page/page.html` with the styles, the script and the picture as data put in.
//!
//! Data is JSON in a script element, its `<` escaped, so that no name can end the element; the script sets text only as
//! text. A policy in the page forbids it every request.

use serde_json::{Value, json};

use crate::recording::LaneKind;

use super::picture::{Picture, Row, Tell};
use super::symbols::{SIGNS, Tone, left_out, legend};
use super::words::xml;
use super::{PAGE_CHATTER_MAX, PAGE_MESSAGES_MAX};

/// One script, in the order in which its parts build on each other.
const SCRIPT: &str = concat!(
    include_str!("page/data.js"),
    "\n",
    include_str!("page/view.js"),
    "\n",
    include_str!("page/labels.js"),
    "\n",
    include_str!("page/paint.js"),
    "\n",
    include_str!("page/map.js"),
    "\n",
    include_str!("page/pointer.js"),
    "\n",
    include_str!("page/time.js"),
    "\n",
    include_str!("page/list.js"),
    "\n",
    include_str!("page/begin.js"),
);
/// Paper of a page at a zoom of one, in pixels.
pub const HEIGHT_MAX: f64 = 1e6;
/// Characters of a text that are embedded; a longer one ends in "…".
const TEXT_MAX: usize = 1000;

/// The page of a picture.
pub fn page(picture: &Picture) -> String {
    let (good, verdict) = picture.verdict();
    let keys = legend(picture).into_iter().map(|key| {
        let svg = format!(
            r#"<svg class="key" viewBox="0 0 34 18" aria-hidden="true">{}</svg>"#,
            key.drawing
        );
        let class = if key.words.len() > 15 {
            r#" class="wide""#
        } else {
            ""
        };
        format!("<li{class}>{svg}{}</li>\n", xml(&key.words))
    });
    let mut summary = vec![picture.summary()];
    summary.extend(left_out(picture, PAGE_MESSAGES_MAX, Some(PAGE_CHATTER_MAX)));
    let data = data(picture).to_string().replace('<', "\\u003c");
    fill(
        include_str!("page/page.html"),
        &[
            ("title", &xml(picture.title)),
            ("about", &xml(picture.about)),
            ("summary", &xml(&summary.join(" · "))),
            ("verdict", &verdict),
            ("ending", if good { "good" } else { "bad" }),
            ("legend", &keys.collect::<String>()),
            ("css", include_str!("page/page.css")),
            ("data", &data),
            ("js", SCRIPT),
        ],
    )
}

/// Puts values in place of `{{name}}`, in one pass: what a value contains is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut parts = template.split("{{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").expect("the template closes what it opens");
        let value = values.iter().find(|(known, _)| *known == name);
        out.push_str(
            value
                .unwrap_or_else(|| panic!("the template asks for {name:?}"))
                .1,
        );
        out.push_str(rest);
    }
    out
}

/// Keeps at most `max` of `total` things, evenly spread: whether to keep the one of this number.
pub fn kept(number: u64, total: u64, max: u64) -> bool {
    total <= max || (number + 1) * max / total > number * max / total
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Strings by number, each kept once.
#[derive(Default)]
struct Table<'a> {
    numbers: std::collections::BTreeMap<&'a str, usize>,
    texts: Vec<String>,
}

impl<'a> Table<'a> {
    fn number(&mut self, text: &'a str) -> usize {
        *self.numbers.entry(text).or_insert_with(|| {
            self.texts.push(clip(text));
            self.texts.len() - 1
        })
    }
}

fn data(picture: &Picture) -> Value {
    let (mut names, mut details) = (Table::default(), Table::default());
    let talk = picture.messages.len() as u64 - picture.chatter;
    let mut seen = [0_u64; 2];
    let mut messages = Vec::new();
    for message in &picture.messages {
        let (sent, chatter) = (message.sent, usize::from(message.sent.chatter));
        let (total, max) = [
            (talk, PAGE_MESSAGES_MAX as u64),
            (picture.chatter, PAGE_CHATTER_MAX as u64),
        ][chatter];
        seen[chatter] += 1;
        if !kept(seen[chatter] - 1, total, max) {
            continue;
        }
        messages.push(json!([
            sent.from.0,
            sent.to.0,
            message.at,
            message.arrives.map_or(json!(-1), |at| json!(at)),
            names.number(sent.name),
            sent.bytes,
            details.number(&sent.detail),
            (message.ends * 100.0).round() / 100.0,
            chatter,
        ]));
    }
    let lanes: Vec<Value> = picture
        .lanes
        .iter()
        .map(|lane| {
            let spans = lane.spans.iter().map(|span| {
                let hash = span.hash.map_or(String::new(), |hash| format!("{hash:016x}"));
                json!([span.from, span.colour, hash, span.entries])
            });
            let pauses = lane
                .pauses
                .iter()
                .map(|pause| json!([pause.from, pause.until, pause.frozen]));
            json!({
                "name": clip(lane.name),
                "hub": lane.kind == LaneKind::Hub,
                "spans": spans.collect::<Vec<_>>(),
                "pauses": pauses.collect::<Vec<_>>(),
            })
        })
        .collect();
    let marks = picture.marks.iter();
    let marks = marks.map(|mark| {
        json!([
            mark.at,
            mark.lane,
            mark.sign.number(),
            clip(&mark.text),
            mark.slot
        ])
    });
    let partings = picture.partings.iter().map(|parting| {
        json!({
            "from": parting.from, "until": parting.until, "near": parting.near, "far": parting.far,
            "oneWay": parting.one_way, "walls": parting.walls, "shift": parting.shift, "text": clip(&parting.text),
        })
    });
    let signs = SIGNS.iter().map(|sign| {
        let tone = match sign.tone() {
            Tone::Plain => "plain",
            Tone::Bad => "bad",
            Tone::Good => "good",
        };
        json!({"path": sign.path(), "tone": tone, "words": sign.words()})
    });
    let axis = &picture.axis;
    json!({
        "title": picture.title,
        "until": picture.until,
        "lanes": lanes,
        "colours": picture.colours,
        "signs": signs.collect::<Vec<_>>(),
        "names": names.texts,
        "details": details.texts,
        "messages": messages,
        "marks": marks.collect::<Vec<_>>(),
        "partings": partings.collect::<Vec<_>>(),
        "rows": picture.rows.iter().map(row).collect::<Vec<_>>(),
        "agreed": picture.agreement().map(|(since, text)| json!([since, text])),
        "height": axis.height,
        "knots": axis.knots.iter().map(|knot| json!([knot.at, knot.y])).collect::<Vec<_>>(),
        "breaks": axis.breaks.iter().map(|quiet| json!([quiet.y, quiet.next, quiet.words])).collect::<Vec<_>>(),
    })
}

fn row(row: &Row) -> Value {
    let (tell, sign) = match row.tell {
        Tell::Mark(sign) => ("mark", Some(sign.number())),
        Tell::Parted => ("parted", None),
        Tell::Joined => ("joined", None),
        Tell::Agreed => ("agreed", None),
        Tell::Healed => ("healed", None),
        Tell::Broken => ("broken", None),
    };
    json!([row.at, tell, row.lane, clip(&row.text), sign])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        assert_eq!(fill("a{{x}}b{{y}}", &[("x", "{{y}}"), ("y", "1")]), "a{{y}}b1");
    }

    #[test]
    fn thinning_keeps_as_many_as_it_may_and_spreads_them() {
        let left: Vec<u64> = (0..100).filter(|n| kept(*n, 100, 7)).collect();
        assert_eq!(left.len(), 7);
        assert!(
            left.windows(2)
                .all(|pair| (14..=15).contains(&(pair[1] - pair[0])))
        );
        assert_eq!((0..5).filter(|n| kept(*n, 5, 7)).count(), 5);
    }
}

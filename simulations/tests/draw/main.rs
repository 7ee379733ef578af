//! Pictures of made-up runs: well-formed whatever the names are, equal for equal runs, and working in a browser.
//!
//! The pictures are left in the target folder, under `tmp/pictures`. Without node or chromium the browser's part says
//! SKIPPED and why, which `cargo test -- --nocapture` shows.

mod runs;

use std::path::{Path, PathBuf};
use std::process::Command;

use inbetweenies_simulations::draw;
use inbetweenies_simulations::recording::{Recording, What};
use serde_json::Value;

fn all() -> Vec<(&'static str, Recording)> {
    vec![
        ("nothing", runs::nothing()),
        ("hostile", runs::hostile()),
        ("weekend", runs::weekend()),
        ("year", runs::year()),
    ]
}

/// The data of a page, as its script reads it.
fn data(page: &str) -> Value {
    let (_, rest) = page
        .split_once(r#"<script type="application/json" id="data">"#)
        .expect("the page has data");
    let (json, _) = rest.split_once("</script>").expect("the data ends");
    assert!(!json.contains('<'), "no markup in the data");
    serde_json::from_str(json).expect("the data is JSON")
}

fn messages(recording: &Recording) -> usize {
    recording
        .happenings
        .iter()
        .filter(|happening| matches!(happening.what, What::Message(_)))
        .count()
}

/// Reads XML as far as a drawing needs it: elements close in order, attributes are quoted once, text has no bare markup.
fn well_formed(xml: &str) -> Result<usize, String> {
    let mut rest = xml
        .strip_prefix(r#"<?xml version="1.0" encoding="UTF-8"?>"#)
        .ok_or("no declaration")?;
    let mut open: Vec<&str> = Vec::new();
    let mut elements = 0;
    let plain = |text: &str| {
        if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\n') {
            return Err(format!("a control character {c:?} in {text:?}"));
        }
        for part in text.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
            if !known.iter().any(|entity| part.starts_with(entity)) {
                return Err(format!("a bare & in {text:?}"));
            }
        }
        Ok(())
    };
    while let Some((text, tail)) = rest.split_once('<') {
        plain(text)?;
        if open.is_empty() && !text.trim().is_empty() {
            return Err(format!("text outside: {text:?}"));
        }
        // No value has a > in it: it is escaped.
        let (tag, tail) = tail.split_once('>').ok_or("a tag never ends")?;
        rest = tail;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes another"));
            }
            continue;
        }
        elements += 1;
        let (body, closed) = tag.strip_suffix('/').map_or((tag, false), |body| (body, true));
        let name = body.split(' ').next().unwrap_or_default();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("an element named {name:?}"));
        }
        let mut attributes = body[name.len()..].trim_start();
        let mut seen = Vec::new();
        while !attributes.is_empty() {
            let (key, tail) = attributes
                .split_once("=\"")
                .ok_or_else(|| format!("an attribute in {tag:?}"))?;
            let (value, tail) = tail
                .split_once('"')
                .ok_or_else(|| format!("a value in {tag:?}"))?;
            plain(value)?;
            if seen.contains(&key) || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Err(format!("{key:?} in {tag:?}"));
            }
            seen.push(key);
            attributes = tail.trim_start();
        }
        if !closed {
            open.push(name);
        }
    }
    if !open.is_empty() || !rest.trim().is_empty() {
        return Err(format!("not closed: {open:?}, or left over: {rest:?}"));
    }
    Ok(elements)
}

#[test]
fn drawings_are_well_formed_whatever_the_names_are() {
    assert!(well_formed("<?xml version=\"1.0\" encoding=\"UTF-8\"?><a><b></a></b>").is_err());
    for (name, recording) in all() {
        let svg = draw::svg(&recording);
        let elements = well_formed(&svg).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(elements > 5, "{name}");
        assert!(
            !svg.contains("NaN") && !svg.contains("inf\""),
            "{name}: a place that is none"
        );
        assert!(!svg.contains("<script") && !svg.contains("<img"), "{name}");
    }
}

#[test]
fn pages_hold_hostile_names_as_text() {
    let page = draw::page(&runs::hostile());
    let scripts = page.matches("<script").count();
    assert_eq!(scripts, 2, "the data and the page's own");
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("<b onclick") && !page.contains("<img"));
    let data = data(&page);
    assert!(
        data["lanes"][0]["name"]
            .as_str()
            .expect("a name")
            .starts_with("</script><b")
    );
    assert!(
        data["details"].to_string().contains("{{data}}"),
        "what a name contains is not filled in"
    );
}

#[test]
fn pages_fetch_nothing() {
    for (name, recording) in all() {
        let page = draw::page(&recording);
        let (shell, _) = page.split_once(r#"id="data">"#).expect("the page has data");
        for address in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!shell.contains(address), "{name}: {address}");
        }
        assert!(shell.contains("default-src 'none'"));
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    for ((name, one), (_, other)) in all().into_iter().zip(all()) {
        assert!(draw::page(&one) == draw::page(&other), "{name}");
        assert!(draw::svg(&one) == draw::svg(&other), "{name}");
    }
}

#[test]
fn every_lane_and_every_message_is_there() {
    for (name, recording) in all() {
        let svg = draw::svg(&recording);
        assert_eq!(
            svg.matches(r#"<g class="lane "#).count(),
            recording.lanes.len(),
            "{name}"
        );
        let data = data(&draw::page(&recording));
        assert_eq!(
            data["lanes"].as_array().expect("lanes").len(),
            recording.lanes.len(),
            "{name}"
        );
        let embedded = data["messages"].as_array().expect("messages").len();
        let chatter = recording
            .happenings
            .iter()
            .filter(|happening| matches!(&happening.what, What::Message(sent) if sent.chatter));
        let left_out = chatter.count().saturating_sub(draw::PAGE_CHATTER_MAX);
        assert_eq!(embedded, messages(&recording) - left_out, "{name}");
    }
}

#[test]
fn a_page_says_what_it_leaves_out() {
    let year = draw::page(&runs::year());
    assert!(year.contains("20,000 of 30,000 heartbeats are in this page"));
    let weekend = draw::page(&runs::weekend());
    assert!(weekend.contains("17,000 heartbeats were counted and not recorded"));
    assert!(draw::svg(&runs::weekend()).contains("17,144 heartbeats are not drawn"));
}

#[test]
fn hubs_that_agree_at_the_end_are_green() {
    let data = data(&draw::page(&runs::weekend()));
    for hub in 0..3 {
        let spans = data["lanes"][hub]["spans"].as_array().expect("spans");
        assert_eq!(spans.last().expect("a span")[1], 1, "hub {hub}");
        assert!(
            spans[..spans.len() - 1].iter().all(|span| span[1] != 1),
            "hub {hub} is green before the end"
        );
    }
    let held_apart = |lane: usize| data["lanes"][lane]["spans"].as_array().expect("spans")[3][1].clone();
    assert_ne!(
        held_apart(0),
        held_apart(2),
        "the parted sides have different colours"
    );
}

/// Where the pictures of the tests are left, to be looked at.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&folder).expect("a folder for the pictures");
    folder
}

#[test]
fn pages_work_in_a_browser() {
    let script = Path::new("../scripts/check-page.mjs"); // of the package: there cargo runs tests
    let mut files = Vec::new();
    for (name, recording) in all() {
        for (ending, text) in [("html", draw::page(&recording)), ("svg", draw::svg(&recording))] {
            let file = folder().join(format!("{name}.{ending}"));
            std::fs::write(&file, text).expect("the picture is written");
            files.push(file);
        }
    }
    let output = match Command::new("node").arg(script).args(&files).output() {
        Ok(output) => output,
        Err(error) => {
            println!("SKIPPED: the pages were not opened in a browser: node: {error}");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        // 77, as automake has it: the check could not be made, and what it said begins with SKIPPED.
        Some(0 | 77) => print!("{said}"),
        _ => panic!("{said}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

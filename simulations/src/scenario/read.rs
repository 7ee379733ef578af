//! Reading a file into a plan.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;

use super::domain::domain;
use super::events::{Cast, event, expect};
use super::parts::{CLIENT, HUB, LINE, Names, client, hub, line, tuning};
use super::table::{Fields, Item, Read, Source, items};
use super::{ScenarioError, bounds};
use crate::plan::{Do, Event, Lane, Line, Plan, Tuning};

const KNOWN: [&str; 14] = [
    "name", "about", "seed", "runs_for", "tuning", "domain", "rule", "lines", "hub", "client", "line",
    "wall", "event", "expect",
];

/// Reads a scenario; `path` is how errors name the file. Complete or, with an error, not at all.
pub fn read(text: &str, path: &str) -> Result<Plan, ScenarioError> {
    let source = Source { path, text };
    if text.len() > bounds::FILE_BYTES_MAX {
        return source.error(
            0,
            format!(
                "the file has {} bytes, and a scenario {} at most",
                text.len(),
                bounds::FILE_BYTES_MAX
            ),
        );
    }
    match DeTable::parse(text) {
        Ok(table) => plan(&source, table.get_ref()),
        Err(error) => {
            let reason: Vec<&str> = error.message().lines().collect();
            let at = error.span().map_or(0, |span| span.start);
            source.error(at, format!("this is not TOML: {}", reason.join(", ")))
        }
    }
}

pub(super) fn tables<'a>(fields: &mut Fields<'a>, key: &str, most: usize) -> Read<Vec<Item<'a>>> {
    fields.or(key, Vec::new(), |item| item.tables(most))
}

fn plan<'a>(source: &'a Source<'a>, table: &'a DeTable<'a>) -> Read<Plan> {
    let mut fields = Fields::new(source, "a scenario", 0, items(source, table), &KNOWN)?;
    let name = fields.need("name", "\"partition-weekend\"")?.name()?.to_owned();
    let about = fields
        .or("about", "", |item| item.text(bounds::TEXT_BYTES_MAX))?
        .to_owned();
    let seed = fields.or("seed", 1, |item| item.whole(0..=u64::MAX))?;
    let heal_at = fields.need("runs_for", "\"10m\"")?.time(bounds::RUNS_FOR)?;
    let tuning = fields.or("tuning", Tuning::default(), tuning)?;
    let domain = domain(&mut fields)?;
    let usual = fields.or("lines", Line::default(), |item| {
        line(&mut item.fields("[lines]", &LINE)?, Line::default())
    })?;

    let mut names = Names::default();
    let mut hubs = Vec::new();
    for item in tables(&mut fields, "hub", bounds::HUBS_MAX)? {
        let mut fields = item.fields("a hub", &HUB)?;
        hubs.push((names.add(&mut fields, true)?, fields));
    }
    if hubs.is_empty() {
        return source.error(0, "a home has at least one hub: add [[hub]] with a name");
    }
    let mut clients = Vec::new();
    for item in tables(&mut fields, "client", bounds::CLIENTS_MAX)? {
        let mut fields = item.fields("a client", &CLIENT)?;
        clients.push((names.add(&mut fields, false)?, fields));
    }
    let hubs = hubs.into_iter().enumerate();
    let hubs: Vec<_> = hubs
        .map(|(at, (name, mut fields))| hub(&mut fields, at, name, &names))
        .collect::<Read<_>>()?;
    let clients = clients.into_iter();
    let clients = clients
        .map(|(name, mut fields)| client(&mut fields, name, &names))
        .collect::<Read<_>>()?;

    let lines = read_lines(&mut fields, &names, usual)?;
    let walls = read_walls(source, &mut fields, &names, hubs.len())?;
    let cast = Cast {
        source,
        names: &names,
        line: usual,
        heal_at,
    };
    let events = read_events(&cast, &mut fields)?;
    let expects = tables(&mut fields, "expect", bounds::EXPECTS_MAX)?.into_iter();
    let expect = expects.map(|item| expect(source, item)).collect::<Read<_>>()?;
    Ok(Plan {
        name,
        about,
        seed,
        hubs,
        clients,
        line: usual,
        lines,
        walls,
        tuning,
        domain,
        events,
        heal_at,
        expect,
    })
}

fn read_lines<'a>(
    fields: &mut Fields<'a>,
    names: &Names<'a>,
    usual: Line,
) -> Read<BTreeMap<(Lane, Lane), Line>> {
    let known: Vec<&str> = ["between"].into_iter().chain(LINE).collect();
    let mut lines = BTreeMap::new();
    for item in tables(fields, "line", bounds::EVENTS_MAX)? {
        let mut fields = item.fields("a line", &known)?;
        let between = fields.need("between", "[\"kitchen\", \"garage\"]")?;
        let [one, other] = between.two()?;
        let ends = (names.lane(one)?, names.lane(other)?);
        if lines.insert(ends, line(&mut fields, usual)?).is_some() {
            return between
                .error("there are two lines between these: for the way back name them in the other order");
        }
    }
    Ok(lines)
}

fn read_walls<'a>(
    source: &Source<'a>,
    fields: &mut Fields<'a>,
    names: &Names<'a>,
    hubs: usize,
) -> Read<Vec<(usize, usize)>> {
    let mut walls = Vec::new();
    let mut last = 0;
    for item in tables(fields, "wall", bounds::EVENTS_MAX)? {
        let mut fields = item.fields("a wall", &["between"])?;
        let between = fields.need("between", "[\"attic\", \"garage\"]")?;
        let [one, other] = between.two()?;
        walls.push((names.hub(one)?, names.hub(other)?));
        last = between.at();
    }
    let mut seen = BTreeSet::from([0]);
    let mut front = vec![0];
    while let Some(at) = front.pop() {
        for to in 0..hubs {
            if !walls.contains(&(at, to)) && !walls.contains(&(to, at)) && seen.insert(to) {
                front.push(to);
            }
        }
    }
    if seen.len() < hubs {
        return source.error(
            last,
            "the walls part the home in two that could never be equal: leave one of them out",
        );
    }
    Ok(walls)
}

fn read_events<'a>(cast: &Cast<'a, '_>, fields: &mut Fields<'a>) -> Read<Vec<Event>> {
    let (mut events, mut numbers, mut clones) = (Vec::new(), BTreeSet::new(), 0);
    for (place, item) in tables(fields, "event", bounds::EVENTS_MAX)?
        .into_iter()
        .enumerate()
    {
        let (event, number_at) = event(cast, item, place)?;
        if !numbers.insert(event.number) {
            let what = format!(
                "two events have the number {}: where nothing is said it is an event's place, from 0",
                event.number
            );
            return cast.source.error(number_at, what);
        }
        clones += usize::from(matches!(event.what, Do::CloneDisk { .. }));
        if clones > bounds::CLONES_MAX {
            return item.error(format!(
                "\"clone-disk\" may happen {} times at most",
                bounds::CLONES_MAX
            ));
        }
        events.push(event);
    }
    // Of one time they stay in the order of the file.
    events.sort_by_key(|event| event.at);
    Ok(events)
}

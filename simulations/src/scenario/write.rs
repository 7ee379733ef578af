//! Writing a plan: as short as it reads back, for what the shrinker leaves.

use std::fmt::Write as _;
use std::time::Duration;

use inbetweenies_core::domain::{Decision, Rule};

use super::length;
use super::parts::{NOWHERE, SYNC_EVERY, Setting, settings};
use crate::domain::{Domain, TYPES};
use crate::plan::{ClockPlan, Do, Event, Expect, Lane, Line, Plan, Said, Tuning};

/// Writes a plan whose names are unique and whose events are in the order of their time: reading gives it back.
pub fn write(plan: &Plan) -> String {
    let mut writer = Writer {
        plan,
        text: String::new(),
    };
    writer.all();
    writer.text
}

struct Writer<'p> {
    plan: &'p Plan,
    text: String,
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        // A key in quotes stands in one line.
        let escaped = serde_json::Value::from(name).to_string();
        escaped.replace('\u{7f}', "\\u007F")
    }
}

fn lasting(of: Duration) -> String {
    quoted(&length::write(of))
}

fn said(what: &Said) -> String {
    match what {
        Said::Flag(flag) => flag.to_string(),
        Said::Whole(number) => number.to_string(),
        Said::Text(text) => quoted(text),
        Said::List(elements) => {
            let elements: Vec<String> = elements.iter().map(said).collect();
            format!("[{}]", elements.join(", "))
        }
    }
}

fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(quoted).collect();
    format!("[{}]", quoted.join(", "))
}

fn one_or_list(names: &[&str]) -> String {
    match names {
        [name] => quoted(name),
        names => list(names.iter().copied()),
    }
}

fn latency((from, to): (Duration, Duration)) -> String {
    let (from, to) = (length::write(from), length::write(to));
    quoted(&if from == to { from } else { format!("{from}..{to}") })
}

/// What of a line is not as usual.
fn line_parts(line: &Line, usual: &Line) -> Vec<(&'static str, String)> {
    let mut parts = Vec::new();
    if line.latency != usual.latency {
        parts.push(("latency", latency(line.latency)));
    }
    let numbers = [
        ("bandwidth", line.bandwidth, usual.bandwidth),
        ("loss", line.loss.into(), usual.loss.into()),
        ("duplicate", line.duplicate.into(), usual.duplicate.into()),
        ("reorder", line.reorder.into(), usual.reorder.into()),
        ("corrupt", line.corrupt.into(), usual.corrupt.into()),
        ("breaks", line.breaks.into(), usual.breaks.into()),
    ];
    let differ = numbers.into_iter().filter(|(_, number, usual)| number != usual);
    parts.extend(differ.map(|(name, number, _)| (name, number.to_string())));
    parts
}

impl Writer<'_> {
    fn head(&mut self, head: &str) {
        let _ = writeln!(self.text, "\n{head}");
    }

    fn put(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.text, "{key} = {value}");
    }

    fn hub(&self, hub: usize) -> &str {
        &self.plan.hubs[hub].name
    }

    fn client(&self, client: usize) -> &str {
        &self.plan.clients[client].name
    }

    fn place(&self, at: Option<usize>) -> String {
        quoted(at.map_or(NOWHERE, |hub| self.hub(hub)))
    }

    fn lane(&self, lane: Lane) -> &str {
        match lane {
            Lane::Hub(hub) => self.hub(hub),
            Lane::Client(client) => self.client(client),
        }
    }

    fn lanes(&self, lanes: &[Lane]) -> String {
        list(lanes.iter().map(|lane| self.lane(*lane)))
    }

    fn two(&self, one: usize, other: usize) -> String {
        list([self.hub(one), self.hub(other)])
    }

    fn all(&mut self) {
        let plan = self.plan;
        self.put("name", quoted(&plan.name));
        if !plan.about.is_empty() {
            self.put("about", quoted(&plan.about));
        }
        self.put("seed", plan.seed);
        self.put("runs_for", lasting(plan.heal_at));
        self.tuning();
        self.domain();
        let usual = line_parts(&plan.line, &Line::default());
        if !usual.is_empty() {
            self.head("[lines]");
            usual.into_iter().for_each(|(key, value)| self.put(key, value));
        }
        self.hubs();
        for client in &plan.clients {
            self.head("[[client]]");
            self.put("name", quoted(&client.name));
            self.put("at", self.place(client.at));
            if client.sync_every != SYNC_EVERY {
                self.put("sync_every", lasting(client.sync_every));
            }
            self.clock(client.clock);
        }
        for ((from, to), line) in &plan.lines {
            self.head("[[line]]");
            self.put("between", self.lanes(&[*from, *to]));
            for (key, value) in line_parts(line, &plan.line) {
                self.put(key, value);
            }
        }
        for (one, other) in &plan.walls {
            self.head("[[wall]]");
            self.put("between", self.two(*one, *other));
        }
        for (place, event) in plan.events.iter().enumerate() {
            self.event(place, event);
        }
        plan.expect.iter().for_each(|expect| self.expect(expect));
    }

    fn tuning(&mut self) {
        let (mut tuning, mut usual) = (self.plan.tuning.clone(), Tuning::default());
        if tuning == usual {
            return;
        }
        self.head("[tuning]");
        for ((name, setting), (_, usual)) in settings(&mut tuning).into_iter().zip(settings(&mut usual)) {
            match (setting, usual) {
                (Setting::Count(count, _), Setting::Count(usual, _)) if count != usual => {
                    self.put(name, count)
                }
                (Setting::Bytes(bytes), Setting::Bytes(usual)) if bytes != usual => self.put(name, bytes),
                (Setting::Time(time), Setting::Time(usual)) if time != usual => {
                    self.put(name, lasting(*time))
                }
                _ => {}
            }
        }
    }

    fn domain(&mut self) {
        let (plan, usual) = (self.plan, Domain::default());
        let other: Vec<(&str, &Decision)> = TYPES
            .into_iter()
            .filter_map(|name| Some((name, plan.domain.of(name)?)))
            .filter(|(name, decision)| {
                usual
                    .of(name)
                    .is_none_or(|usual| usual.strategy != decision.strategy)
            })
            .collect();
        if !other.is_empty() {
            self.head("[domain]");
        }
        for (name, decision) in other {
            self.put(name, quoted(decision.strategy.name()));
        }
        for name in TYPES {
            for (field, rule) in plan.domain.of(name).iter().flat_map(|of| &of.rules) {
                self.head("[[rule]]");
                self.put("of", quoted(name));
                self.put(
                    "field",
                    one_or_list(&field.iter().map(String::as_str).collect::<Vec<_>>()),
                );
                self.put("rule", quoted(rule.name()));
                if let Rule::Prefer(values) = rule {
                    let values: Vec<Said> = values.iter().filter_map(Said::of).collect();
                    self.put("values", said(&Said::List(values)));
                }
            }
        }
    }

    fn hubs(&mut self) {
        let plan = self.plan;
        for (at, hub) in plan.hubs.iter().enumerate() {
            self.head("[[hub]]");
            self.put("name", quoted(&hub.name));
            let usual: &[usize] = if at == 0 { &[] } else { &[0] };
            if hub.seeds != usual {
                let seeds = list(hub.seeds.iter().map(|seed| self.hub(*seed)));
                self.put("seeds", seeds);
            }
            self.clock(hub.clock);
            if !hub.starts_at.is_zero() {
                self.put("starts_at", lasting(hub.starts_at));
            }
        }
    }

    fn clock(&mut self, clock: ClockPlan) {
        if clock.ahead_us != 0 {
            self.put("clock", quoted(&length::write_signed(clock.ahead_us)));
        }
        if clock.drift_ppm != 0 {
            self.put("drift_ppm", clock.drift_ppm);
        }
    }

    fn event(&mut self, place: usize, event: &Event) {
        self.head("[[event]]");
        self.put("at", lasting(event.at));
        if event.number != place as u64 {
            self.put("number", event.number);
        }
        let what = &event.what;
        self.put(what.name(), self.object(what));
        match what {
            Do::Edit { client, fields, .. } => {
                self.put("by", quoted(self.client(*client)));
                let fields = fields
                    .iter()
                    .map(|(field, is)| format!("{} = {}", key(field), said(is)));
                let fields: Vec<String> = fields.collect();
                self.put("set", format!("{{ {} }}", fields.join(", ")));
            }
            Do::Delete { client, .. } => self.put("by", quoted(self.client(*client))),
            Do::Attach { client, bytes, .. } => {
                self.put("by", quoted(self.client(*client)));
                self.put("bytes", bytes);
            }
            Do::Place { client, room, .. } => {
                self.put("in", quoted(room));
                self.put("by", quoted(self.client(*client)));
            }
            Do::Go { to, .. } => self.put("to", self.place(*to)),
            Do::Cut { to, one_way, .. } => {
                self.put("from", self.lanes(to));
                if *one_way {
                    self.put("one_way", true);
                }
            }
            Do::Rough { line, .. } => {
                let parts = line_parts(line, &self.plan.line).into_iter();
                let parts: Vec<String> = parts.map(|(key, value)| format!("{key} = {value}")).collect();
                self.put("line", format!("{{ {} }}", parts.join(", ")));
            }
            Do::CrashAfter { effects, power, .. } => {
                self.put("effects", effects);
                if *power {
                    self.put("power", true);
                }
            }
            Do::ClockJump { by_us, .. } => self.put("by", quoted(&length::write_signed(*by_us))),
            Do::ChangePolicy { drawn, .. } => self.put("drawn", drawn),
            Do::Restore { with_marks: true, .. } => self.put("with_marks", true),
            _ => {}
        }
        if let Some(lasts) = what.lasts() {
            self.put("lasts", lasting(lasts));
        }
    }

    /// What the verb is said of.
    fn object(&self, what: &Do) -> String {
        match what {
            Do::Edit { things, .. } => one_or_list(&things.iter().map(String::as_str).collect::<Vec<_>>()),
            Do::Delete { thing, .. } | Do::Place { thing, .. } | Do::Attach { thing, .. } => quoted(thing),
            Do::Cut { from, .. } => self.lanes(from),
            Do::PushTwice { hub, other }
            | Do::Fence { hub, other, .. }
            | Do::Rough { hub, other, .. }
            | Do::Clog { hub, other, .. } => self.two(*hub, *other),
            other => {
                let client = other.client().map(|client| self.client(client));
                let hub = other.hubs().first().map(|hub| self.hub(*hub));
                quoted(client.or(hub).unwrap_or(NOWHERE))
            }
        }
    }

    fn expect(&mut self, expect: &Expect) {
        self.head("[[expect]]");
        match expect {
            Expect::Field { thing, field, is } => {
                self.put("thing", quoted(thing));
                self.put("field", quoted(field));
                self.put("is", said(is));
            }
            Expect::Deleted { thing } => {
                self.put("thing", quoted(thing));
                self.put("deleted", true);
            }
            Expect::Versions { thing, count } => {
                self.put("thing", quoted(thing));
                self.put("versions", count);
            }
            Expect::Heads { thing, count } => {
                self.put("thing", quoted(thing));
                self.put("heads", count);
            }
            Expect::Queued(queued) => self.put("queued", queued),
            Expect::Records(records) => self.put("records", records),
            Expect::Met(mark) => self.put("met", quoted(mark)),
        }
    }
}

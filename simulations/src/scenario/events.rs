//! What happens and what must be so in the end.

use std::time::Duration;

use super::parts::{EVERYBODY, LINE, Names, line};
use super::table::{Fields, Item, Read, Source, list, nearest, unknown};
use super::{bounds, verbs};
use crate::plan::{Do, Event, Expect, Lane, Line, Said};
use crate::watch::MARKS;

/// The keys of every event.
const ALWAYS: [&str; 2] = ["at", "number"];
const A_LENGTH: &str = "\"10s\"";

/// What an event can name.
pub struct Cast<'a, 'n> {
    /// The file.
    pub source: &'a Source<'a>,
    /// Who there is.
    pub names: &'n Names<'a>,
    /// How messages travel where nothing else is said.
    pub line: Line,
    /// The end.
    pub heal_at: Duration,
}

/// One event: when, which verb, and what is said with it.
pub fn event<'a>(cast: &Cast<'a, '_>, item: Item<'a>, place: usize) -> Read<(Event, usize)> {
    let all = item.entries("an event")?;
    let verbs: Vec<&Item<'a>> = all
        .iter()
        .filter(|item| verbs::find(item.key).is_some())
        .collect();
    let verb = match verbs[..] {
        [verb] => *verb,
        [] => return no_verb(cast.source, item.at(), &all),
        [one, other, ..] => {
            let what = format!(
                "an event has one verb: {:?} and {:?} are two events",
                one.key, other.key
            );
            return cast.source.error(other.key_at, what);
        }
    };
    let with = verbs::find(verb.key).map_or(&[][..], |verb| verb.with);
    let known: Vec<&str> = ALWAYS
        .into_iter()
        .chain([verb.key])
        .chain(with.iter().copied())
        .collect();
    let what = verbs::find(verb.key).map_or("", |verb| verb.name);
    let mut fields = Fields::new(cast.source, what, item.at(), all, &known)?;
    let at = fields.need("at", "\"10s\", after the beginning")?;
    let number = fields.take("number");
    let number_at = number.map_or(item.at(), |item| item.at());
    let event = Event {
        number: number.map_or(Ok(place as u64), |item| item.whole(bounds::NUMBERS))?,
        at: at.time(bounds::LENGTH)?,
        what: happening(cast, verb.key, &mut fields)?,
    };
    if event.at > cast.heal_at {
        return at.error("an event after the end: let it be earlier, or \"runs_for\" longer");
    }
    Ok((event, number_at))
}

fn no_verb<T>(source: &Source<'_>, at: usize, all: &[Item<'_>]) -> Read<T> {
    let others = verbs::VERBS.iter().flat_map(|verb| verb.with).chain(&ALWAYS);
    let others: Vec<&str> = others.copied().collect();
    let meant = all
        .iter()
        .filter(|item| !others.contains(&item.key))
        .find_map(|item| Some((item, nearest(item.key, verbs::names())?)));
    match meant {
        Some((item, near)) => source.error(
            item.key_at,
            format!("the verb {:?} is not known; did you mean {near:?}?", item.key),
        ),
        None => source.error(
            at,
            format!("an event needs a verb, one of: {}", list(verbs::names())),
        ),
    }
}

fn lasts(fields: &mut Fields<'_>) -> Read<Duration> {
    fields.need("lasts", A_LENGTH)?.time(bounds::LENGTH)
}

fn happening<'a>(cast: &Cast<'a, '_>, verb: &'a str, fields: &mut Fields<'a>) -> Read<Do> {
    let names = cast.names;
    let object = fields.need(verb, "its object")?;
    let hub = || names.hub(object);
    let two = || -> Read<(usize, usize)> {
        let [one, other] = object.two()?;
        Ok((names.hub(one)?, names.hub(other)?))
    };
    let by = |fields: &mut Fields<'a>| names.client(fields.need("by", "a client's name")?);
    Ok(match verb {
        "edit" => Do::Edit {
            things: things(object)?,
            client: by(fields)?,
            fields: said(fields.need("set", "{ brightness = 80 }")?)?,
        },
        "delete" => Do::Delete {
            thing: object.thing()?,
            client: by(fields)?,
        },
        "place" => Do::Place {
            thing: object.thing()?,
            client: by(fields)?,
            room: fields.need("in", "\"room-a\"")?.thing()?,
        },
        "attach" => Do::Attach {
            thing: object.thing()?,
            client: by(fields)?,
            bytes: fields.need("bytes", "2000000")?.whole(bounds::BLOB_BYTES)? as usize,
        },
        "push" => Do::Push { hub: hub()? },
        "push-twice" => {
            let (hub, other) = two()?;
            Do::PushTwice { hub, other }
        }
        "go" => Do::Go {
            client: names.client(object)?,
            to: names.place(fields.need("to", "a hub's name, or \"nowhere\"")?)?,
        },
        "sync" => Do::Sync {
            client: names.client(object)?,
        },
        "vanish" => Do::Vanish {
            client: names.client(object)?,
            lasts: lasts(fields)?,
        },
        "cut" => {
            let from = names.lanes(object)?;
            let others = fields.need("from", "\"everybody\", or a list of names")?;
            let to = if others.alone() == Some(EVERYBODY) {
                names.all().filter(|lane| !from.contains(lane)).collect()
            } else {
                apart(names.lanes(others)?, &from, others)?
            };
            Do::Cut {
                from,
                to,
                one_way: fields.or("one_way", false, |item| item.flag())?,
                lasts: lasts(fields)?,
            }
        }
        "rough" => {
            let (hub, other) = two()?;
            let how = fields.need("line", "{ loss = 100 }")?;
            Do::Rough {
                hub,
                other,
                line: line(&mut how.fields("a line", &LINE)?, cast.line)?,
                lasts: lasts(fields)?,
            }
        }
        "clog" => {
            let (hub, other) = two()?;
            let lasts = lasts(fields)?;
            Do::Clog { hub, other, lasts }
        }
        "fence" | "unfence" => {
            let (hub, other) = two()?;
            let fenced = verb == "fence";
            Do::Fence { hub, other, fenced }
        }
        "change-policy" => Do::ChangePolicy {
            hub: hub()?,
            drawn: fields.need("drawn", "1")?.whole(bounds::NUMBERS)?,
        },
        "crash-after" => Do::CrashAfter {
            hub: hub()?,
            effects: fields.need("effects", "20")?.whole(bounds::EFFECTS)? as u32,
            power: fields.or("power", false, |item| item.flag())?,
            lasts: lasts(fields)?,
        },
        "clock-jump" => Do::ClockJump {
            hub: hub()?,
            by_us: fields.need("by", "\"+1h\"")?.ahead()?,
        },
        "restore" => Do::Restore {
            hub: hub()?,
            with_marks: fields.or("with_marks", false, |item| item.flag())?,
        },
        "disk-error" => Do::DiskError { hub: hub()? },
        "bit-flip" => Do::BitFlip { hub: hub()? },
        "rot" => Do::Rot { hub: hub()? },
        "backup" => Do::Backup { hub: hub()? },
        "clone-disk" => Do::CloneDisk { hub: hub()? },
        "wipe" => Do::Wipe { hub: hub()? },
        _ => {
            let (hub, lasts) = (hub()?, lasts(fields)?);
            match verb {
                "kill" => Do::Kill { hub, lasts },
                "power-cut" => Do::PowerCut { hub, lasts },
                "stop" => Do::Stop { hub, lasts },
                "freeze" => Do::Freeze { hub, lasts },
                "clock-reset" => Do::ClockReset { hub, lasts },
                "disk-full" => Do::DiskFull { hub, lasts },
                "disk-stall" => Do::DiskStall { hub, lasts },
                "disk-lies" => Do::DiskLies { hub, lasts },
                other => unreachable!("{other} is in the list of verbs"),
            }
        }
    })
}

/// Nobody is cut off from itself.
fn apart(to: Vec<Lane>, from: &[Lane], item: Item<'_>) -> Read<Vec<Lane>> {
    if to.iter().any(|lane| from.contains(lane)) {
        return item.error("nobody is cut off from itself: a name stands on both sides");
    }
    Ok(to)
}

fn things(item: Item<'_>) -> Read<Vec<String>> {
    let each = item.each("a thing or a list of things such as [\"lamp\", \"fan\"]")?;
    if each.is_empty() || each.len() > bounds::EDIT_MAX {
        return item.error(format!("an edit is of 1 to {} things", bounds::EDIT_MAX));
    }
    each.into_iter().map(|item| item.thing()).collect()
}

fn said(item: Item<'_>) -> Read<Vec<(String, Said)>> {
    let all = item.entries("what fields become, as in { brightness = 80 }")?;
    if all.len() > bounds::EDIT_MAX {
        return item.error(format!("an edit sets {} fields at most", bounds::EDIT_MAX));
    }
    let one = |item: Item<'_>| match item.key.len() {
        1..=bounds::NAME_BYTES_MAX => Ok((item.key.to_owned(), item.said()?)),
        _ => item.error(format!(
            "a field's name has 1 to {} bytes",
            bounds::NAME_BYTES_MAX
        )),
    };
    all.into_iter().map(one).collect()
}

/// One expectation.
pub fn expect<'a>(source: &'a Source<'a>, item: Item<'a>) -> Read<Expect> {
    const KNOWN: [&str; 9] = [
        "thing", "field", "is", "deleted", "versions", "heads", "queued", "records", "met",
    ];
    const OF_A_THING: [&str; 5] = ["field", "is", "deleted", "versions", "heads"];
    const COUNT: std::ops::RangeInclusive<u64> = 0..=1_000_000_000;
    const KINDS: [&str; 4] = ["thing", "queued", "records", "met"];
    let all = item.entries("an expectation")?;
    let kinds: Vec<Item<'a>> = all
        .iter()
        .filter(|item| KINDS.contains(&item.key))
        .copied()
        .collect();
    let mut fields = Fields::new(source, "an expectation", item.at(), all, &KNOWN)?;
    let kind = match kinds[..] {
        [kind] => kind,
        [] => return item.error(format!("an expectation is about one of: {}", list(KINDS))),
        [_, other, ..] => {
            return source.error(
                other.key_at,
                "an expectation is about one thing: write two [[expect]]",
            );
        }
    };
    let said = OF_A_THING.map(|key| fields.take(key));
    if kind.key != "thing"
        && let Some(other) = said.into_iter().flatten().next()
    {
        return source.error(other.key_at, format!("{:?} is said of a \"thing\"", other.key));
    }
    Ok(match kind.key {
        "queued" => Expect::Queued(kind.whole(COUNT)? as usize),
        "records" => Expect::Records(kind.whole(COUNT)? as usize),
        "met" => {
            let name = kind.name()?;
            let marks = MARKS.iter().map(|(mark, _)| *mark);
            if !marks.clone().any(|mark| mark == name) {
                return kind.error(unknown("the mark", name, marks));
            }
            Expect::Met(name.to_owned())
        }
        _ => match said {
            [Some(field), Some(is), None, None, None] => Expect::Field {
                thing: kind.thing()?,
                field: field.name()?.to_owned(),
                is: is.said()?,
            },
            [None, None, Some(deleted), None, None] if deleted.flag()? => {
                Expect::Deleted { thing: kind.thing()? }
            }
            [None, None, None, Some(count), None] => Expect::Versions {
                thing: kind.thing()?,
                count: count.whole(COUNT)? as usize,
            },
            [None, None, None, None, Some(count)] => Expect::Heads {
                thing: kind.thing()?,
                count: count.whole(COUNT)? as usize,
            },
            _ => {
                return item.error(
                    "of a thing it is expected either field = \"brightness\" and is = 80, or deleted = true, or versions = 7, \
                     or heads = 1",
                );
            }
        },
    })
}

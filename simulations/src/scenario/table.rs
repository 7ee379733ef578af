//! Tables, keys and values of a file, each with its place, and what can be wrong with them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use inbetweenies_core::id::Id;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ScenarioError, bounds, length};
use crate::plan::Said;

/// A text for people, cut where it is long.
const QUOTED_MAX: usize = 40;

/// The file.
pub struct Source<'a> {
    /// As it was named.
    pub path: &'a str,
    /// All of it.
    pub text: &'a str,
}

/// What is read, or where it is wrong.
pub type Read<T> = Result<T, ScenarioError>;

impl Source<'_> {
    /// Refuses what stands at an offset.
    pub fn error<T>(&self, at: usize, what: impl Into<String>) -> Read<T> {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Err(ScenarioError {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            what: what.into(),
        })
    }
}

/// A key's value.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    source: &'a Source<'a>,
    /// The key.
    pub key: &'a str,
    /// Where the key stands.
    pub key_at: usize,
    value: &'a Spanned<DeValue<'a>>,
}

/// A table whose keys are known: what is in it and was not asked for yet.
pub struct Fields<'a> {
    source: &'a Source<'a>,
    /// As in "a hub".
    what: &'static str,
    /// Where it begins.
    pub at: usize,
    items: BTreeMap<&'a str, Item<'a>>,
}

/// Of known names the one that was probably meant.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let most = 1 + name.chars().count() / 4;
    let all = known.into_iter().map(|known| (distance(name, known), known));
    all.min()
        .filter(|(distance, _)| *distance <= most)
        .map(|(_, known)| known)
}

/// Letters to change, leave out or put in (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = corner + usize::from(letter != *other);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Names in a sentence: `"a", "b"`.
pub fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    names.join(", ")
}

/// A name that is not known, with the one that was probably meant or else all there are.
pub fn unknown<'n>(what: &str, name: &str, known: impl IntoIterator<Item = &'n str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("{what} {:?} is not known; did you mean {near:?}?", quote(name)),
        None => format!(
            "{what} {:?} is not known; there are: {}",
            quote(name),
            list(known)
        ),
    }
}

fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTED_MAX).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    quoted
}

/// The items of a table in the order of the file.
pub fn items<'a>(source: &'a Source<'a>, table: &'a DeTable<'a>) -> Vec<Item<'a>> {
    let mut items: Vec<Item<'a>> = table
        .iter()
        .map(|(key, value)| Item {
            source,
            key: key.get_ref().as_ref(),
            key_at: key.span().start,
            value,
        })
        .collect();
    items.sort_by_key(|item| item.key_at);
    items
}

impl<'a> Fields<'a> {
    /// A table that may have these keys.
    pub fn new(
        source: &'a Source<'a>,
        what: &'static str,
        at: usize,
        all: Vec<Item<'a>>,
        known: &[&str],
    ) -> Read<Fields<'a>> {
        if let Some(item) = all.iter().find(|item| !known.contains(&item.key)) {
            let says = unknown("the key", item.key, known.iter().copied());
            return source.error(item.key_at, format!("in {what}, {says}"));
        }
        let items = all.into_iter().map(|item| (item.key, item)).collect();
        Ok(Fields {
            source,
            what,
            at,
            items,
        })
    }

    /// The value of a key, if it is there.
    pub fn take(&mut self, key: &str) -> Option<Item<'a>> {
        self.items.remove(key)
    }

    /// The value of a key that must be there; `example` is what could be written.
    pub fn need(&mut self, key: &str, example: &str) -> Read<Item<'a>> {
        match self.take(key) {
            Some(item) => Ok(item),
            None => self.source.error(
                self.at,
                format!("{} needs {key:?}: write {key} = {example}", self.what),
            ),
        }
    }

    /// Reads the value of a key, if it is there.
    pub fn or<T>(&mut self, key: &str, default: T, read: impl FnOnce(Item<'a>) -> Read<T>) -> Read<T> {
        self.take(key).map_or(Ok(default), read)
    }
}

impl<'a> Item<'a> {
    /// Where the value stands.
    pub fn at(&self) -> usize {
        self.value.span().start
    }

    /// Refuses the value.
    pub fn error<T>(&self, what: impl Into<String>) -> Read<T> {
        self.source.error(self.at(), what)
    }

    fn wrong<T>(&self, expected: &str) -> Read<T> {
        let found = match self.value.get_ref() {
            DeValue::String(text) => format!("the text {:?}", quote(text)),
            DeValue::Integer(number) => format!("the number {}", quote(number.as_str())),
            DeValue::Float(number) => format!("the number {}", quote(number.as_str())),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        self.error(format!("{:?} is {expected}, not {found}", self.key))
    }

    fn beyond<T>(&self, from: impl ToString, to: impl ToString) -> Read<T> {
        let (from, to) = (from.to_string(), to.to_string());
        self.error(format!("{:?} may be from {from} to {to}", self.key))
    }

    fn number(&self, expected: &str) -> Read<i128> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            return self.wrong(expected);
        };
        match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Ok(number),
            Err(_) => self.error(format!("{:?} is too large a number", self.key)),
        }
    }

    /// A whole number.
    pub fn whole(&self, bounds: RangeInclusive<u64>) -> Read<u64> {
        let number = self.number("a whole number")?;
        match u64::try_from(number) {
            Ok(number) if bounds.contains(&number) => Ok(number),
            _ => self.beyond(bounds.start(), bounds.end()),
        }
    }

    /// A whole number that may be negative.
    pub fn signed(&self, bounds: RangeInclusive<i64>) -> Read<i64> {
        let number = self.number("a whole number")?;
        match i64::try_from(number) {
            Ok(number) if bounds.contains(&number) => Ok(number),
            _ => self.beyond(bounds.start(), bounds.end()),
        }
    }

    /// Bytes: a number of them, or `"64KiB"`.
    pub fn bytes(&self, bounds: RangeInclusive<u64>) -> Read<u64> {
        const EXPECTED: &str = "a size such as 4096 or \"64KiB\"";
        let bytes = match self.value.get_ref() {
            DeValue::String(text) => {
                let text = text.trim();
                let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
                let unit: u64 = match text[digits.len()..].trim() {
                    "B" => 1,
                    "KiB" => 1 << 10,
                    "MiB" => 1 << 20,
                    "GiB" => 1 << 30,
                    _ => return self.wrong(EXPECTED),
                };
                match digits.parse::<u64>() {
                    Ok(number) => i128::from(number) * i128::from(unit),
                    Err(_) => return self.wrong(EXPECTED),
                }
            }
            _ => self.number(EXPECTED)?,
        };
        match u64::try_from(bytes) {
            Ok(bytes) if bounds.contains(&bytes) => Ok(bytes),
            _ => self.beyond(bounds.start(), bounds.end()),
        }
    }

    /// Yes or no.
    pub fn flag(&self) -> Read<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => self.wrong("true or false"),
        }
    }

    fn word(&self, expected: &str) -> Read<&'a str> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => self.wrong(expected),
        }
    }

    /// A text of so many bytes at most.
    pub fn text(&self, bytes_max: usize) -> Read<&'a str> {
        let text = self.word("a text")?;
        if text.len() > bytes_max {
            return self.error(format!("{:?} is longer than {bytes_max} bytes", self.key));
        }
        Ok(text)
    }

    /// A name in one line.
    pub fn name(&self) -> Read<&'a str> {
        let name = self.word("a name")?;
        if name.trim().is_empty() || name.len() > bounds::NAME_BYTES_MAX || name.contains(char::is_control) {
            return self.error(format!(
                "{:?} is a name of 1 to {} bytes in one line",
                self.key,
                bounds::NAME_BYTES_MAX
            ));
        }
        Ok(name)
    }

    /// What a thing is called.
    pub fn thing(&self) -> Read<String> {
        let name = self.name()?;
        match Id::new(name) {
            Ok(_) => Ok(name.to_owned()),
            Err(error) => self.error(error.to_string()),
        }
    }

    /// A length of time.
    pub fn time(&self, bounds: RangeInclusive<Duration>) -> Read<Duration> {
        const EXPECTED: &str = "a length of time such as \"2d 3h\" or \"250ms\"";
        match length::read(self.word(EXPECTED)?) {
            Some(length) => self.within(length, &bounds),
            None => self.wrong(EXPECTED),
        }
    }

    fn within(&self, length: Duration, bounds: &RangeInclusive<Duration>) -> Read<Duration> {
        if bounds.contains(&length) {
            return Ok(length);
        }
        self.beyond(length::write(*bounds.start()), length::write(*bounds.end()))
    }

    /// A length of time, or two with dots between them.
    pub fn times(&self, bounds: RangeInclusive<Duration>) -> Read<(Duration, Duration)> {
        const EXPECTED: &str = "a length of time such as \"5ms\" or \"2ms..8ms\"";
        let text = self.word(EXPECTED)?;
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (Some(from), Some(to)) = (length::read(from), length::read(to)) else {
            return self.wrong(EXPECTED);
        };
        if from > to {
            return self.error(format!(
                "{:?} begins with the shorter: write the two in their order",
                self.key
            ));
        }
        Ok((self.within(from, &bounds)?, self.within(to, &bounds)?))
    }

    /// By how much a clock is wrong, in microseconds.
    pub fn ahead(&self) -> Read<i64> {
        const EXPECTED: &str =
            "a time ahead such as \"+3m\" or behind such as \"-10y\", in whole microseconds";
        let Some((by_us, length)) = length::read_signed(self.word(EXPECTED)?) else {
            return self.wrong(EXPECTED);
        };
        self.within(length, &bounds::CLOCK)?;
        Ok(by_us)
    }

    /// A value that a person gives a field.
    pub fn said(&self) -> Read<Said> {
        match self.value.get_ref() {
            DeValue::Boolean(flag) => Ok(Said::Flag(*flag)),
            DeValue::Integer(_) => Ok(Said::Whole(self.signed(i64::MIN..=i64::MAX)?)),
            DeValue::String(_) => Ok(Said::Text(self.text(bounds::TEXT_BYTES_MAX)?.to_owned())),
            DeValue::Array(_) => self
                .list()?
                .into_iter()
                .map(Item::element)
                .collect::<Read<_>>()
                .map(Said::List),
            _ => self.wrong("true or false, a whole number, a text or a list of such"),
        }
    }

    fn element(self) -> Read<Said> {
        match self.value.get_ref() {
            DeValue::Array(_) => self.wrong("a list without lists in it"),
            _ => self.said(),
        }
    }

    /// What stands in a list.
    pub fn list(&self) -> Read<Vec<Item<'a>>> {
        match self.value.get_ref() {
            DeValue::Array(values) if values.len() <= bounds::LIST_MAX => {
                Ok(values.iter().map(|value| Item { value, ..*self }).collect())
            }
            DeValue::Array(_) => self.error(format!(
                "{:?} has {} elements at most",
                self.key,
                bounds::LIST_MAX
            )),
            _ => self.wrong("a list"),
        }
    }

    /// The text alone, if it is one.
    pub fn alone(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    /// One text, or a list of them.
    pub fn each(&self, expected: &str) -> Read<Vec<Item<'a>>> {
        match self.value.get_ref() {
            DeValue::String(_) => Ok(vec![*self]),
            DeValue::Array(values) => Ok(values.iter().map(|value| Item { value, ..*self }).collect()),
            _ => self.wrong(expected),
        }
    }

    /// Two different ones.
    pub fn two(&self) -> Read<[Item<'a>; 2]> {
        const EXPECTED: &str = "a list of two names such as [\"kitchen\", \"garage\"]";
        match self.each(EXPECTED)?[..] {
            [one, other] => {
                if one.word("a name")? == other.word("a name")? {
                    return other.error(format!("{:?} names two different ones", self.key));
                }
                Ok([one, other])
            }
            _ => self.wrong(EXPECTED),
        }
    }

    /// A table with these keys.
    pub fn fields(&self, what: &'static str, known: &[&str]) -> Read<Fields<'a>> {
        let items = self.entries(what)?;
        Fields::new(self.source, what, self.at(), items, known)
    }

    /// A table with any keys, in the order of the file.
    pub fn entries(&self, what: &str) -> Read<Vec<Item<'a>>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(items(self.source, table)),
            _ => self.wrong(&format!("{what}: a table")),
        }
    }

    /// Tables in double brackets.
    pub fn tables(&self, most: usize) -> Read<Vec<Item<'a>>> {
        let DeValue::Array(values) = self.value.get_ref() else {
            let key = self.key;
            return self.error(format!("write [[{key}]], with two brackets, for each {key}"));
        };
        if values.len() > most {
            return self.error(format!(
                "there may be {most} of [[{}]] at most, not {}",
                self.key,
                values.len()
            ));
        }
        Ok(values.iter().map(|value| Item { value, ..*self }).collect())
    }
}

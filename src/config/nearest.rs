//! What somebody who misspelt a name probably meant.

use super::keys::KEYS;

/// A longer name is not misspelt but something else, and comparing it would take long.
const NAME_BYTES_MAX: usize = 64;

/// The sections there are, in the table's order.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&'static str> = KEYS.iter().map(|key| key.section).collect();
    sections.dedup();
    sections
}

/// For a section that does not exist: the nearest, or all there are.
pub(super) fn section_hint(name: &str) -> String {
    let sections = sections();
    match nearest(name, sections.iter().map(|section| (*section).to_owned())) {
        Some(section) => format!("did you mean `{section}`?"),
        None => format!("the sections are {}", sections.join(", ")),
    }
}

/// For a key that does not exist, in a section that does: the nearest there, else the key of that name
/// elsewhere, else all that the section has.
pub(super) fn key_hint(section: &str, name: &str) -> String {
    let here: Vec<String> = KEYS
        .iter()
        .filter(|key| key.section == section)
        .map(|key| key.name.to_owned())
        .collect();
    if let Some(name) = nearest(name, here.iter().cloned()) {
        return format!("did you mean `{section}.{name}`?");
    }
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return format!("did you mean `{}`?", key.path());
    }
    format!("[{section}] has {}", here.join(", "))
}

/// For a variable that sets no key: the nearest that does.
pub(super) fn variable_hint(name: &str) -> String {
    match nearest(name, KEYS.iter().map(super::table::Key::variable)) {
        Some(variable) => format!("did you mean `{variable}`?"),
        None => "`config show` lists the keys".to_owned(),
    }
}

/// The candidate with the fewest letters to change, if these are few; the first of several.
fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let few = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (distance(name, &candidate), candidate))
        .filter(|(distance, _)| *distance <= few)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped, changed or swapped with their neighbour to make one of the other:
/// the optimal string alignment distance, in O(|a|·|b|).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("address", "adress", 1),
            ("address", "addresss", 1),
            ("found", "fuond", 1),
            ("level", "label", 2),
            ("ca", "abc", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn hints_name_what_was_meant() {
        assert_eq!(key_hint("listen", "adress"), "did you mean `listen.address`?");
        assert_eq!(key_hint("hub", "address"), "did you mean `listen.address`?");
        assert_eq!(key_hint("log", "colour"), "[log] has level, format");
        assert_eq!(section_hint("gosip"), "did you mean `gossip`?");
        assert_eq!(
            section_hint("colours"),
            "the sections are hub, listen, storage, mesh, gossip, sync, conflict, merkle, blobs, retention, limits, log, metrics"
        );
        assert_eq!(
            variable_hint("INBETWEENIES__LISTEN__ADRESS"),
            "did you mean `INBETWEENIES__LISTEN__ADDRESS`?"
        );
        assert_eq!(
            variable_hint(&"A".repeat(1_000_000)),
            "`config show` lists the keys"
        );
    }
}

//! What an import has to tell besides its result: counted, in a fixed order, each kind of finding in one
//! line.

use std::collections::BTreeMap;

use super::ENTITIES_PER_DEVICE_MAX;

/// What a mapping could not believe or left out.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Rows whose id an earlier row has.
    pub(super) twice: usize,
    /// Areas on a floor that is not there.
    pub(super) no_floor: usize,
    /// Things in an area that is not there.
    pub(super) no_area: usize,
    /// Entities of a device that is not there.
    pub(super) no_device: usize,
    /// Devices reached through, or part of, a device that is not there.
    pub(super) no_via: usize,
    /// Entities beyond [`ENTITIES_PER_DEVICE_MAX`].
    pub(super) beyond_bound: usize,
    /// Things of no device and no area.
    pub(super) unplaced: usize,
    /// Entities that are nothing in a home, by domain.
    pub(super) left_out: BTreeMap<String, usize>,
}

impl Counts {
    /// One line for each kind of finding.
    pub(super) fn into_notes(self) -> Vec<String> {
        let bound = format!("beyond the {ENTITIES_PER_DEVICE_MAX} that are listed of a device left out");
        let domains: Vec<&str> = self.left_out.keys().map(String::as_str).collect();
        let helpers = format!(
            "left out that stand for no thing in the home ({})",
            domains.join(", ")
        );
        let no_floor = "a floor that does not exist: taken as on none";
        let no_area = "an area that does not exist: taken as in none";
        let no_device = "a device that does not exist: taken as of none";
        let no_via = "another that does not exist: left unconnected";
        let findings = [
            (
                self.twice,
                ["row stands", "rows stand"],
                "twice in a file: the first counts",
            ),
            (self.no_floor, ["area names", "areas name"], no_floor),
            (self.no_area, ["thing names", "things name"], no_area),
            (self.no_device, ["entity names", "entities name"], no_device),
            (self.no_via, ["device names", "devices name"], no_via),
            (self.beyond_bound, ENTITIES, &bound),
            (self.unplaced, ENTITIES, "of no device and no area left out"),
            (self.left_out.values().sum(), ENTITIES, &helpers),
        ];
        findings
            .into_iter()
            .filter_map(|(count, words, rest)| counted(count, words, rest))
            .collect()
    }
}

const ENTITIES: [&str; 2] = ["entity", "entities"];

/// "1 thing was rest", "2 things were rest", and nothing where there is nothing to count; `words` are those
/// of one and of many.
pub(super) fn counted(count: usize, [one, many]: [&str; 2], rest: &str) -> Option<String> {
    let words = if count == 1 { one } else { many };
    (count > 0).then(|| format!("{count} {words} {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_verbs_agree_and_nought_is_silent() {
        assert_eq!(Counts::default().into_notes(), [""; 0]);
        let counts = Counts {
            no_area: 1,
            no_floor: 2,
            left_out: BTreeMap::from([("sun".to_owned(), 1), ("person".to_owned(), 2)]),
            ..Counts::default()
        };
        let expected = [
            "2 areas name a floor that does not exist: taken as on none",
            "1 thing names an area that does not exist: taken as in none",
            "3 entities left out that stand for no thing in the home (person, sun)",
        ];
        assert_eq!(counts.into_notes(), expected);
    }
}

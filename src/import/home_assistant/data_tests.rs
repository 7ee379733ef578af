//! Whole homes: the sample home of the demo, and real folders where they are at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::plan_tests::{applied, imported};
use super::*;

const HOMES: &str = "../shared/data/home-assistant";
const SAMPLE: &str = "demo/sample-home";
const HOUSE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config/domains/house.toml"));
const SOURCE: &str = "ha";

/// The real homes by name; none, and a word about it, where the folder is not there.
fn homes() -> BTreeMap<String, Wanted> {
    let Ok(dir) = std::fs::read_dir(HOMES) else {
        println!("skipped for the real homes: {HOMES} is not there");
        return BTreeMap::new();
    };
    let paths: Vec<PathBuf> = dir
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    paths
        .iter()
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                graph(path),
            )
        })
        .collect()
}

fn graph(dir: &Path) -> Wanted {
    let folder = read(dir).unwrap();
    wanted(&folder.registries, SOURCE, &folder.name)
}

/// The sample home and the real ones.
fn all() -> BTreeMap<String, Wanted> {
    let mut all = homes();
    all.insert("sample-home".into(), graph(Path::new(SAMPLE)));
    all
}

fn live(known: &Known) -> (BTreeMap<&str, &str>, BTreeMap<&str, &str>) {
    let entities = known.entities.iter().filter(|it| !it.deleted);
    let edges = known.relationships.iter().filter(|it| !it.deleted);
    (
        entities.map(|it| (&*it.id, &*it.name)).collect(),
        edges.map(|it| (&*it.id, &*it.to)).collect(),
    )
}

#[test]
fn the_sample_home_is_the_one_that_the_demo_tells_of() {
    let sample = graph(Path::new(SAMPLE));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entity in &sample.entities {
        *counts.entry(&entity.entity_type).or_default() += 1;
    }
    let expected = [
        ("automation", 7),
        ("device", 64),
        ("door", 1),
        ("home", 1),
        ("procedure", 3),
        ("room", 14),
        ("schedule", 2),
        ("window", 1),
        ("zone", 3),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!((sample.entities.len(), sample.relationships.len()), (96, 125));
    assert_eq!(
        sample.notes,
        ["2 entities left out that stand for no thing in the home (input_boolean, sun)"]
    );
    assert!(
        sample
            .entities
            .iter()
            .any(|it| it.entity_type == "home" && it.name == "sample-home")
    );
}

#[test]
fn every_home_is_whole_and_sorted_and_says_nothing_twice() {
    for (name, home) in all() {
        let ids: BTreeSet<_> = home.entities.iter().map(|it| &it.id).collect();
        assert_eq!(ids.len(), home.entities.len(), "{name}");
        let edges: BTreeSet<_> = home.relationships.iter().map(|it| &it.id).collect();
        assert_eq!(edges.len(), home.relationships.len(), "{name}");
        let placed: BTreeSet<_> = home.relationships.iter().map(|it| &it.from).collect();
        for edge in &home.relationships {
            assert!(
                ids.contains(&edge.from) && ids.contains(&edge.to),
                "{name}: {edge:?}"
            );
        }
        assert!(
            home.entities
                .iter()
                .all(|it| it.entity_type == "home" || placed.contains(&it.id)),
            "{name}"
        );
        assert!(
            home.entities.is_sorted_by_key(|it| (&it.entity_type, &it.id)),
            "{name}"
        );
        assert!(
            home.relationships
                .is_sorted_by_key(|it| (&it.relationship_type, &it.id)),
            "{name}"
        );
        if name != "sample-home" {
            assert_eq!(home.notes, [""; 0], "{name}");
        }
    }
}

#[test]
fn every_home_obeys_the_domain_house() {
    let house: toml::Table = HOUSE.parse().unwrap();
    for (name, home) in all() {
        let types: BTreeMap<_, _> = home
            .entities
            .iter()
            .map(|it| (&it.id, it.entity_type.as_str()))
            .collect();
        for entity in &home.entities {
            assert!(
                house["entity"].get(&entity.entity_type).is_some(),
                "{name}: {}",
                entity.entity_type
            );
        }
        for edge in &home.relationships {
            let rule = &house["relationship"][edge.relationship_type.as_str()];
            for (end, id) in [("from", &edge.from), ("to", &edge.to)] {
                let allowed = rule[end].as_array().unwrap();
                assert!(
                    allowed.iter().any(|it| it.as_str() == Some(types[id])),
                    "{name}: {end} of {edge:?}"
                );
            }
            let single = rule.get("single").is_some_and(|it| it.as_bool() == Some(true));
            assert_eq!(
                single,
                edge.id == ids::single(&edge.from, &edge.relationship_type),
                "{name}: {edge:?}"
            );
        }
    }
}

#[test]
fn planning_again_after_a_plan_was_carried_out_plans_nothing() {
    for (name, home) in all() {
        assert_eq!(plan(&home, &imported(&home), SOURCE), Plan::default(), "{name}");
    }
}

/// Eight months later, back again, and a Home Assistant of another year: what differs is planned, and then
/// nothing is.
#[test]
fn a_home_that_changed_brings_what_differs_and_nothing_else() {
    let homes = homes();
    let year_later = homes
        .iter()
        .filter_map(|(name, home)| Some((name, home, homes.get(&format!("{name}-later"))?)));
    let older = homes
        .get("family-farmhouse-us-2024")
        .zip(homes.get("family-farmhouse-us"));
    let pairs = year_later.map(|(name, before, after)| (name.as_str(), before, after));
    for (name, before, after) in pairs.chain(older.map(|(before, after)| ("2024", before, after))) {
        let known = imported(before);
        let change = plan(after, &known, SOURCE);
        assert!(!change.edit.is_empty() && change.warning.is_none(), "{name}");
        let equal = |it: &WantedEntity| {
            before
                .entities
                .iter()
                .any(|old| old.id == it.id && old.content == it.content)
        };
        assert!(
            !change.edit.entities.iter().any(equal),
            "{name}: an equal thing is edited"
        );
        let existed = |it: &WantedEntity| before.entities.iter().any(|old| old.id == it.id);
        assert!(!change.create.entities.iter().any(existed), "{name}");
        let wanted = |it: &WantedEntity| after.entities.iter().any(|new| new.id == it.id);
        assert!(!change.delete.entities.iter().any(wanted), "{name}");

        let changed = applied(&known, &change);
        assert!(plan(after, &changed, SOURCE).is_empty(), "{name}");
        // A home's name is given when it is created, so the two differ by that alone.
        let (mut shown, fresh) = (live(&changed), imported(after));
        let mut fresh = live(&fresh);
        let home = ids::entity(SOURCE, "home", "home");
        assert!(shown.0.remove(home.as_str()).is_some() && fresh.0.remove(home.as_str()).is_some());
        assert_eq!(
            shown, fresh,
            "{name}: an import on top shows what a fresh one does"
        );

        let back = plan(before, &changed, SOURCE);
        let returned = applied(&changed, &back);
        assert_eq!(live(&returned), live(&known), "{name}: and back again");
        assert!(plan(before, &returned, SOURCE).is_empty(), "{name}");
    }
}

/// Whatever people did in between, an import ends: once it is carried out, it plans nothing more.
#[test]
fn whatever_people_did_an_import_comes_to_an_end() {
    let homes = all();
    for (name, home) in &homes {
        let later = homes.get(&format!("{name}-later")).unwrap_or(home);
        for seed in 0..20_u64 {
            let mut draw = Draw(seed * 7_919 + 1);
            let mut known = imported(home);
            for entity in &mut known.entities {
                match draw.below(10) {
                    0 => entity.name = "renamed".into(),
                    1 => entity.deleted = true,
                    2 => entity.content.clear(),
                    _ => {}
                }
            }
            let rooms: Vec<String> = known.entities.iter().map(|it| it.id.clone()).collect();
            for edge in &mut known.relationships {
                match draw.below(10) {
                    0 => edge.to = rooms[draw.below(rooms.len())].clone(),
                    1 => edge.deleted = true,
                    2 => edge.properties.clear(),
                    _ => {}
                }
            }
            for next in [later, home, later] {
                let change = plan(next, &known, SOURCE);
                known = applied(&known, &change);
                assert!(plan(next, &known, SOURCE).is_empty(), "{name}, seed {seed}");
            }
        }
    }
}

/// A small generator (Knuth's linear congruence), so that a seed names its run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound as u64) as usize
    }
}

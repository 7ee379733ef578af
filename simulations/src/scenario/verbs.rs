//! The verbs of events: what each is said of and what else is said with it.

/// One verb.
pub struct Verb {
    /// As in `Do::name`.
    pub name: &'static str,
    /// What may be said with it.
    pub with: &'static [&'static str],
}

const fn verb(name: &'static str, with: &'static [&'static str]) -> Verb {
    Verb { name, with }
}

/// All of them, in the order of `Do`.
pub const VERBS: [Verb; 32] = [
    verb("edit", &["by", "set"]),
    verb("delete", &["by"]),
    verb("place", &["by", "in"]),
    verb("attach", &["by", "bytes"]),
    verb("push", &[]),
    verb("push-twice", &[]),
    verb("go", &["to"]),
    verb("sync", &[]),
    verb("vanish", &["lasts"]),
    verb("cut", &["from", "one_way", "lasts"]),
    verb("rough", &["line", "lasts"]),
    verb("clog", &["lasts"]),
    verb("kill", &["lasts"]),
    verb("power-cut", &["lasts"]),
    verb("crash-after", &["effects", "power", "lasts"]),
    verb("stop", &["lasts"]),
    verb("freeze", &["lasts"]),
    verb("clock-jump", &["by"]),
    verb("clock-reset", &["lasts"]),
    verb("disk-full", &["lasts"]),
    verb("disk-stall", &["lasts"]),
    verb("disk-error", &[]),
    verb("disk-lies", &["lasts"]),
    verb("bit-flip", &[]),
    verb("rot", &[]),
    verb("backup", &[]),
    verb("restore", &["with_marks"]),
    verb("clone-disk", &[]),
    verb("fence", &[]),
    verb("unfence", &[]),
    verb("change-policy", &["drawn"]),
    verb("wipe", &[]),
];

/// The verb of this name.
pub fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

/// The names of all.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    VERBS.iter().map(|verb| verb.name)
}

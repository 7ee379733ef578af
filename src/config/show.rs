//! `config show`: every key with its value, origin and meaning.

use serde_json::{Value, json};

use super::keys::{Config, KEYS};
use super::load::Resolved;

impl Resolved {
    /// One line for each key, in the table's order: `key = value  # origin  meaning (bound)`. What comes out
    /// is itself a config file that sets the same.
    pub fn show(&self) -> String {
        let rows: Vec<[String; 3]> = KEYS
            .iter()
            .zip(self.origins.iter())
            .map(|(key, origin)| {
                let bound = key.bound().map(|bound| format!(" ({bound})")).unwrap_or_default();
                [
                    format!("{} = {}", key.path(), key.value(&self.config)),
                    origin.to_string(),
                    format!("{}{bound}", key.meaning),
                ]
            })
            .collect();
        let width = |column: usize| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let (values, origins) = (width(0), width(1));
        rows.iter()
            .map(|[value, origin, meaning]| format!("{value:values$}  # {origin:origins$}  {meaning}\n"))
            .collect()
    }

    /// The same as one JSON document: `{"keys":[{"key","value","default","origin","meaning","bound"}]}`,
    /// where `origin` has a `kind` (`default`, `file`, `environment`, `flag`) and what there is of `file`,
    /// `line`, `column` and `variable`.
    pub fn show_json(&self) -> String {
        use super::origin::Origin;

        let defaults = Config::default();
        let keys: Vec<Value> = KEYS
            .iter()
            .zip(self.origins.iter())
            .map(|(key, origin)| {
                let origin = match origin {
                    Origin::Default | Origin::Flag => json!({"kind": origin.kind()}),
                    Origin::File { path, line, column } => json!({
                        "kind": origin.kind(), "file": path.to_string_lossy(), "line": line, "column": column,
                    }),
                    Origin::Environment(name) => json!({"kind": origin.kind(), "variable": name}),
                };
                json!({
                    "key": key.path(),
                    "value": key.value(&self.config),
                    "default": key.value(&defaults),
                    "origin": origin,
                    "meaning": key.meaning,
                    "bound": key.bound(),
                })
            })
            .collect();
        format!("{:#}", json!({ "keys": keys }))
    }
}

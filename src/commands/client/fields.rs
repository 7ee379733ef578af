//! `--set KEY=VALUE`, `--unset KEY` and `--content JSON`, read and carried out.
//!
//! A key is one key, dots and all; one that begins with `/` is a JSON pointer (RFC 6901) to a field below others. A
//! value is JSON if it reads as JSON, else text: `--set 'code="007"'` is text too.

use inbetweenies_core::domain::{CONTENT, ENVELOPE, EXTRA};
use inbetweenies_core::limits::Limits;
use inbetweenies_core::value::{Budget, Map, Refusal, Value, decode};
use inbetweenies_core::view::DELETED;

use crate::commands::say::Failure;

/// What the content of a relationship is called in requests and answers.
const PROPERTIES: &str = "properties";
/// Levels of a request's body above the content of a record.
const LEVELS_ABOVE: usize = 5;

/// What to change in free-form fields.
#[derive(Debug, Default, clap::Args)]
pub struct Fields {
    /// Set a field; the value is JSON, or text if it is none; /a/b is a field within a field
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// All fields as one JSON object, before any --set
    #[arg(long, value_name = "JSON")]
    content: Option<String>,
}

impl Fields {
    /// Carries it out on fields that are there.
    pub fn apply(&self, fields: &mut Map) -> Result<(), Failure> {
        if let Some(text) = &self.content {
            *fields = match json(text) {
                Ok(Value::Map(map)) => map,
                Ok(other) => {
                    return Err(Failure::usage(format!(
                        "--content is {}, not a map",
                        other.kind()
                    )));
                }
                Err(refusal) => return Err(Failure::usage(format!("--content: {}", refusal.detail))),
            };
        }
        for text in &self.set {
            let (path, value) = parse_set(text)?;
            set(fields, &path, value).map_err(|why| Failure::usage(format!("--set {text}: {why}")))?;
        }
        Ok(())
    }
}

/// Takes a field away.
pub fn unset(fields: &mut Map, key: &str) -> Result<(), Failure> {
    let missing = || Failure::new(format!("--unset {key}: there is no such field"));
    let path = pointer(key)?;
    let (last, above) = path.split_last().ok_or_else(missing)?;
    let mut map = fields;
    for step in above {
        match map.get_mut(step) {
            Some(Value::Map(inner)) => map = inner,
            _ => return Err(missing()),
        }
    }
    map.remove(last).map(drop).ok_or_else(missing)
}

fn parse_set(text: &str) -> Result<(Vec<String>, Value), Failure> {
    let usage = |why: String| Failure::usage(format!("--set {text}: {why}"));
    let Some((key, value)) = text.split_once('=') else {
        return Err(usage("write it as KEY=VALUE".to_owned()));
    };
    let path = pointer(key)?;
    let value = match json(value) {
        Ok(value) => value,
        Err(refusal) if refusal.code == "malformed" => Value::from(value),
        Err(refusal) => return Err(usage(refusal.detail)),
    };
    Ok((path, value))
}

/// One JSON value that fills the text.
fn json(text: &str) -> Result<Value, Refusal> {
    let limits = Limits::default();
    let budget = Budget::new(limits.depth_max - LEVELS_ABOVE, limits.elements_max);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = decode(&mut deserializer, &budget)?;
    deserializer.end().map_err(|error| Refusal {
        code: "malformed",
        detail: error.to_string(),
    })?;
    Ok(value)
}

/// The keys of a path; never none.
fn pointer(key: &str) -> Result<Vec<String>, Failure> {
    match key.strip_prefix('/') {
        _ if key.is_empty() => Err(Failure::usage("a field's key is empty: write it as KEY=VALUE")),
        None => Ok(vec![key.to_owned()]),
        Some(rest) => Ok(rest
            .split('/')
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect()),
    }
}

fn set(map: &mut Map, path: &[String], value: Value) -> Result<(), String> {
    match path {
        [] => Ok(()),
        [last] => {
            map.insert(last.clone(), value);
            Ok(())
        }
        [step, rest @ ..] => match map.entry(step.clone()).or_insert_with(|| Value::Map(Map::new())) {
            Value::Map(inner) => set(inner, rest, value),
            other => Err(format!(
                "{step} is {}, not a map with fields of its own",
                other.kind()
            )),
        },
    }
}

/// Every leaf of free-form fields with the key that `--set` takes for it, and its value as JSON.
pub fn leaves(fields: &Map) -> Vec<(String, String)> {
    fn walk(path: &mut Vec<String>, map: &Map, out: &mut Vec<(String, String)>) {
        for (key, value) in map {
            path.push(key.clone());
            match value {
                Value::Map(inner) if !inner.is_empty() => walk(path, inner, out),
                leaf => out.push((written(path), serde_json::to_string(leaf).unwrap_or_default())),
            }
            path.pop();
        }
    }
    let mut out = Vec::new();
    walk(&mut Vec::new(), fields, &mut out);
    out
}

/// The key that a person knows the field of a record by, from its path.
pub fn key(path: &[String]) -> String {
    match path {
        [place, below @ ..] if place == CONTENT || place == PROPERTIES => match below {
            // A field of the content that bears the name of one of the envelope's.
            [only] if only == DELETED || ENVELOPE.contains(&only.as_str()) => written(path),
            _ => written(below),
        },
        [place, below @ ..] if place == EXTRA => written(below),
        _ => written(path),
    }
}

/// A value in words: as JSON.
pub fn value(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn written(path: &[String]) -> String {
    match path {
        [only] if !only.starts_with('/') => only.clone(),
        _ => path
            .iter()
            .map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1")))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(set: &[&str], content: Option<&str>) -> Result<String, Failure> {
        let fields = Fields {
            set: set.iter().map(|text| (*text).to_owned()).collect(),
            content: content.map(str::to_owned),
        };
        let mut map = Map::from([("old".to_owned(), Value::Int(1))]);
        fields.apply(&mut map)?;
        Ok(serde_json::to_string(&map).unwrap())
    }

    #[test]
    fn values_are_json_or_else_text() {
        let set = [
            "n=40",
            "f=0.5",
            "t=40 W",
            "b=true",
            "s=\"007\"",
            "e=",
            "x=a=b",
            "l=[1,2]",
            "z=null",
        ];
        let expected =
            r#"{"b":true,"e":"","f":0.5,"l":[1,2],"n":40,"old":1,"s":"007","t":"40 W","x":"a=b","z":null}"#;
        assert_eq!(after(&set, None).unwrap(), expected);
    }

    #[test]
    fn a_dotted_key_is_one_key_and_a_pointer_a_path() {
        let set = ["a.b=1", "/light/color=red", "/light/x~1y=2"];
        let expected = r#"{"a.b":1,"light":{"color":"red","x/y":2}}"#;
        assert_eq!(after(&set, Some("{}")).unwrap(), expected);
        assert!(after(&["/old/x=1"], None).is_err(), "a number has no fields");
    }

    #[test]
    fn what_cannot_be_said_is_wrong_usage() {
        for set in ["novalue", "=1", "n=9007199254740993"] {
            assert!(after(&[set], None).is_err(), "{set}");
        }
        for content in ["[1]", "{", "{\"a\":1,\"a\":2}"] {
            assert!(after(&[], Some(content)).is_err(), "{content}");
        }
        let deep = format!("d={}1{}", "[".repeat(40), "]".repeat(40));
        assert!(after(&[&deep], None).is_err());
    }

    #[test]
    fn a_field_is_told_by_the_key_that_sets_it() {
        let told = |path: &[&str]| key(&path.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>());
        assert_eq!(told(&["content", "watts"]), "watts");
        assert_eq!(told(&["properties", "light", "color"]), "/light/color");
        assert_eq!(told(&["extra", "icon"]), "icon");
        assert_eq!(told(&["name"]), "name");
        assert_eq!(told(&["content", "name"]), "/content/name");
    }

    #[test]
    fn fields_are_taken_away_by_the_key_they_are_shown_with() {
        let Ok(Value::Map(mut map)) = json(r#"{"a.b":1,"/c":2,"d":{"e~f":3,"g":{}}}"#) else {
            panic!("a map")
        };
        let keys: Vec<String> = leaves(&map).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["/~1c", "a.b", "/d/e~0f", "/d/g"]);
        for key in &keys {
            unset(&mut map, key).unwrap();
            assert!(unset(&mut map, key).is_err(), "{key} is gone");
        }
        assert_eq!(leaves(&map), [("d".to_owned(), "{}".to_owned())]);
    }
}

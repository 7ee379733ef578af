//! The `home_assistant` subtree: all that the source says of one thing or one edge, and nothing else.

use serde_json::{Map, Value};

use super::SUBTREE;

/// A subtree in the making. What is absent, blank or empty leaves no key, so an empty field and a missing one
/// are equal.
#[derive(Debug, Default)]
pub(super) struct Subtree(Map<String, Value>);

impl Subtree {
    /// The subtree of an edge: `source` alone.
    pub(super) fn of_edge(source: &str) -> Self {
        Self(Map::from_iter([("source".to_owned(), source.into())]))
    }

    /// The subtree of a thing: where it comes from and what it is called there.
    pub(super) fn of_thing(source: &str, kind: &str, id: &str) -> Self {
        Self::of_edge(source)
            .text("kind", Some(kind))
            .text("id", Some(id))
    }

    /// Adds a text, if there is one.
    pub(super) fn text(self, key: &str, value: Option<&str>) -> Self {
        self.value(key, value.map(Value::from))
    }

    /// Adds a value, if there is one.
    pub(super) fn value(mut self, key: &str, value: Option<Value>) -> Self {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value);
        }
        self
    }

    /// Adds what the source keeps as a set: sorted, each element once.
    pub(super) fn set<T: Clone + Ord + Into<Value>>(self, key: &str, elements: &[T]) -> Self {
        let mut sorted = elements.to_vec();
        sorted.sort();
        sorted.dedup();
        self.list(key, sorted.into_iter().map(Into::into).collect())
    }

    /// Adds a list in the order given, if it has elements.
    pub(super) fn list(self, key: &str, elements: Vec<Value>) -> Self {
        let some = (!elements.is_empty()).then_some(Value::Array(elements));
        self.value(key, some)
    }

    /// The fields alone.
    pub(super) fn into_fields(self) -> Map<String, Value> {
        self.0
    }

    /// A whole `content` or `properties` with the subtree as its only key.
    pub(super) fn into_content(self) -> Map<String, Value> {
        Map::from_iter([(SUBTREE.to_owned(), Value::Object(self.0))])
    }
}

/// The subtree of a content or of properties, if there is one.
pub(super) fn subtree(content: &Map<String, Value>) -> Option<&Map<String, Value>> {
    content.get(SUBTREE)?.as_object()
}

/// `url` without a user and password: `http://admin:secret@bridge/` becomes `http://bridge/`.
pub(super) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_empty_leaves_no_key_and_sets_are_sorted() {
        let none: [String; 0] = [];
        let content = Subtree::of_thing("s", "area", "a")
            .text("name", None)
            .set("aliases", &none)
            .set("labels", &["z", "a", "z"])
            .into_content();
        let expected =
            json!({"home_assistant": {"source": "s", "kind": "area", "id": "a", "labels": ["a", "z"]}});
        assert_eq!(Value::Object(content), expected);
    }

    #[test]
    fn no_password_leaves_a_url() {
        assert_eq!(
            without_credentials("http://admin:p@ss@10.0.0.2:80/a@b"),
            "http://10.0.0.2:80/a@b"
        );
        assert_eq!(without_credentials("http://10.0.0.2?x=@"), "http://10.0.0.2?x=@");
        assert_eq!(
            without_credentials("homeassistant://hassio"),
            "homeassistant://hassio"
        );
        assert_eq!(without_credentials("no url"), "no url");
    }
}

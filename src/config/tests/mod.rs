//! The config as a whole: what is refused and in which words, which layer wins, and the files we ship.

mod bad;
mod files;
mod layers;

use std::path::PathBuf;

use super::{Config, ConfigErrors, Resolved};

/// Loads a file with this text over the defaults; messages name it `hub.toml`.
fn load_text(text: &str) -> Result<Resolved, ConfigErrors> {
    load(Some(text), &[], &[])
}

/// Loads all layers.
fn load(text: Option<&str>, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Resolved, ConfigErrors> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("hub.toml");
    let file = text.map(|text| {
        std::fs::write(&path, text).expect("the file is written");
        path.as_path()
    });
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let flags: Vec<(&str, String)> = flags
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()))
        .collect();
    Config::load(file, env, &flags)
}

/// What is printed for a file with this text, which must be bad, without the folder before `hub.toml`.
fn messages(text: &str) -> String {
    let errors = load_text(text).expect_err(text).to_string();
    let short = |line: &str| match line.find("hub.toml:") {
        Some(start) => line[start..].to_owned(),
        None => line.to_owned(),
    };
    errors.lines().map(short).collect::<Vec<_>>().join("\n")
}

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(path) // cargo runs tests in the package's folder
}

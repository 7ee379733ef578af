//! What commands say: words for people, one JSON document for programs, and why one failed.

use std::io::Write as _;
use std::process::ExitCode;

use inbetweenies_client::{DraftError, NotFound, RestoreError, StoreError};
use inbetweenies_core::conflict::answer::AnswerError;
use serde::Serialize;

use super::fail;
use crate::api::{AddressError, ApiError, SyncError};

/// Why a command failed, and the code it ends with.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    why: String,
}

impl Failure {
    /// It failed: exit 1.
    pub fn new(why: impl Into<String>) -> Failure {
        Failure {
            code: 1,
            why: why.into(),
        }
    }

    /// Wrong usage: exit 2.
    pub fn usage(why: impl Into<String>) -> Failure {
        Failure {
            code: 2,
            why: why.into(),
        }
    }

    /// An I/O error: exit 74.
    pub fn io(why: impl Into<String>) -> Failure {
        Failure {
            code: 74,
            why: why.into(),
        }
    }

    /// The last line of stderr, and the exit code.
    pub fn exit(self) -> ExitCode {
        fail(self.code, self.why)
    }
}

macro_rules! failures {
    ($($error:ty => $code:expr),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                let code: fn(&$error) -> u8 = $code;
                Failure { code: code(&error), why: error.to_string() }
            }
        })*
    };
}

failures! {
    AddressError => |_| 2,
    AnswerError => |_| 1,
    RestoreError => |_| 1,
    ApiError => |_| 1,
    DraftError => |_| 1,
    NotFound => |_| 1,
    StoreError => |error| if error.is_io() { 74 } else { 1 },
    SyncError => |error| match error {
        SyncError::Store(error) if error.is_io() => 74,
        _ => 1,
    },
}

/// Prints text and a line's end. A reader that has gone away (`| head`) is no failure.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Takes the last lines off a terminal, so that others can stand there.
pub fn erase(lines: usize) {
    let mut out = std::io::stdout().lock();
    drop(write!(out, "\u{1b}[{lines}A\u{1b}[J").and_then(|()| out.flush()));
}

/// Prints words, or one JSON document.
pub fn answer(json: bool, document: &impl Serialize, words: &str) {
    if json {
        match serde_json::to_string_pretty(document) {
            Ok(text) => line(&text),
            Err(error) => eprintln!("inbetweenies: the answer cannot be written as JSON: {error}"),
        }
    } else {
        line(words);
    }
}

/// `1 record`, `2 records`.
pub fn count(number: usize, one: &str) -> String {
    match (number, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {one}s"),
    }
}

/// Text of others, fit for a terminal: what would steer it is shown as a dot.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { '·' } else { letter })
        .collect()
}

/// Rows in columns as wide as their widest cell; the last column is left as it is.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}  "));
        let text: String = cells.collect();
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out.truncate(out.trim_end_matches('\n').len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_columns_read_well() {
        assert_eq!(count(1, "entity"), "1 entity");
        assert_eq!(count(0, "entity"), "0 entities");
        assert_eq!(count(2, "record"), "2 records");
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a·[2Jb·c");
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["größe", "x"]), row(["a", ""])]), "größe  x\na");
    }
}

//! What tells two states apart, in 64 bits.
//!
//! The checker itself keeps 64 bits of each state, so parts of a state need no more. Everything that a machine will
//! ever look at goes in: of stores all rows and marks, of machines their whole `Debug` form, which names every field
//! (`Digest` shows 32 of its bits there: some dozens of digests are about in one model). Two states with one print are
//! so one state, but for a chance of about n² / 2⁶⁵ with n states. Nothing is left out of the form that a machine would
//! not look at, so that equal futures may be visited twice; that costs time and no soundness.

use std::fmt::{self, Debug, Write};
use std::hash::{DefaultHasher, Hasher};

#[derive(Default)]
pub struct Print(DefaultHasher);

impl Print {
    pub fn number(&mut self, number: u64) {
        self.0.write_u64(number);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.write(bytes);
    }

    pub fn shown(&mut self, what: &impl Debug) {
        write!(self, "{what:?}").unwrap_or_else(|error| panic!("{error}"));
        self.0.write_u8(0xff);
    }

    pub fn end(self) -> u64 {
        self.0.finish()
    }
}

impl Write for Print {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0.write(part.as_bytes());
        Ok(())
    }
}

//! What others have published for the same question, on the same sets. Each asserts that it finds what was planted.

pub mod negentropy;
pub mod riblt;
pub mod tree;

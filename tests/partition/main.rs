//! A hub cut off from the others, and what holds when the wire is whole again.

#[path = "../support/process.rs"]
mod process;

mod conflicts;
mod home;
mod wires;

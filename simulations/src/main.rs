//! The simulator by itself: builds in seconds, without RocksDB and actix.

fn main() {}

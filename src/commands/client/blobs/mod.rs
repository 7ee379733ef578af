//! `client attach` and `client fetch`, and the bytes that this device keeps until a hub has them.

mod attach;
mod bring;
mod fetch;
mod media;
mod shelf;

pub use attach::{Attach, attach};
pub use bring::{Brought, bring};
pub use fetch::{Fetch, fetch};
pub use shelf::Shelf;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of bytes, with rate and time left; hidden where nobody looks.
fn bar(size: u64, name: &str) -> ProgressBar {
    let bar = ProgressBar::new(size);
    let style =
        ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(crate::commands::say::clean(name));
    bar
}

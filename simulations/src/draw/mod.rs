//! Pictures of a run: a page to explore it and a drawing for documents, both of the same [`Recording`].
//!
//! A picture is made of the recording alone: no clock, no chance, no network, so that equal runs give equal bytes.
//!
//! ```text
//! recording ─reader─► picture (who, what, when; colours) ─► axis (when becomes how far down) ─┬─► html: page/
//!                                                                                            └─► svg
//! ```
//!
//! Lanes stand side by side and time goes down. A lane's colour is what it holds, so one sees hubs drift apart and come
//! together again without reading a word.

mod axis;
mod colours;
mod html;
mod picture;
mod reader;
mod svg;
mod symbols;
mod words;

use crate::recording::Recording;

/// Chatter embedded in a page: more is thinned out evenly, and the page says so. Each is some 60 bytes.
pub const PAGE_CHATTER_MAX: usize = 20_000;

/// Messages embedded in a page, chatter apart: more are thinned out evenly, and the page says so.
pub const PAGE_MESSAGES_MAX: usize = 100_000;

/// Messages drawn in an SVG: more are thinned out evenly, and the legend says so.
pub const SVG_MESSAGES_MAX: usize = 10_000;

/// A run as one HTML page that needs nothing else: it opens from a file and asks no network.
///
/// # Panics
///
/// If the recording names a lane it does not have.
pub fn page(recording: &Recording) -> String {
    html::page(&picture::Picture::new(recording))
}

/// A run as one static SVG on a light ground, legend included, for documents.
///
/// # Panics
///
/// If the recording names a lane it does not have.
pub fn svg(recording: &Recording) -> String {
    svg::svg(&picture::Picture::new(recording))
}

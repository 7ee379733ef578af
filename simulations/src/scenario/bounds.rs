//! What a scenario may say at most: beyond it a file was made by mistake, or a run would not end.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes of a file.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Hubs, without the copies of their disks.
pub const HUBS_MAX: usize = 64;
/// Clients.
pub const CLIENTS_MAX: usize = 200;
/// Events.
pub const EVENTS_MAX: usize = 20_000;
/// Copies of disks that run as hubs: each is one more hub.
pub const CLONES_MAX: usize = 32;
/// Expectations.
pub const EXPECTS_MAX: usize = 1_000;
/// Numbers of events: hubs' own reasons to be off are named above.
pub const NUMBERS: RangeInclusive<u64> = 0..=1_000_000_000;
/// Bytes of a name.
pub const NAME_BYTES_MAX: usize = 60;
/// Bytes of what a scenario is about, and of a text that a person gives a field.
pub const TEXT_BYTES_MAX: usize = 4_000;
/// Things of one edit, and fields.
pub const EDIT_MAX: usize = 100;
/// Elements of a list.
pub const LIST_MAX: usize = 100;
/// Rules for fields.
pub const RULES_MAX: usize = 200;
/// How long a scenario runs.
pub const RUNS_FOR: RangeInclusive<Duration> = Duration::from_secs(1)..=years(10);
/// How long anything lasts, or when it is.
pub const LENGTH: RangeInclusive<Duration> = Duration::ZERO..=years(10);
/// How often a client syncs, or a hub does anything: oftener, nothing else would happen.
pub const PERIOD: RangeInclusive<Duration> = Duration::from_millis(10)..=years(10);
/// How long a message takes.
pub const LATENCY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3_600);
/// How wrong a clock is, either way.
pub const CLOCK: RangeInclusive<Duration> = Duration::ZERO..=years(200);
/// How much too fast a clock runs, either way.
pub const DRIFT_PPM: RangeInclusive<i64> = -100_000..=100_000;
/// Mishaps, in a thousand messages.
pub const PER_MILLE: RangeInclusive<u64> = 0..=1_000;
/// Bytes a second.
pub const BANDWIDTH: RangeInclusive<u64> = 0..=1 << 40;
/// Effects until a crash.
pub const BLOB_BYTES: RangeInclusive<u64> = 0..=64_000_000;
/// Effects of a hub's rooms.
pub const EFFECTS: RangeInclusive<u64> = 0..=1_000_000;
/// Records of a page or a commit.
pub const RECORDS: RangeInclusive<u64> = 1..=1_000_000;
/// Bytes of a page, a frame, a window or a commit.
pub const BYTES: RangeInclusive<u64> = 100..=1 << 30;
/// Peers and links.
pub const PEERS: RangeInclusive<u64> = 1..=1_000;

const fn years(years: u64) -> Duration {
    Duration::from_secs(years * 366 * 86_400)
}

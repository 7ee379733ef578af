//! The table: every key with its type, default, bound and meaning.
//!
//! Invariant: nothing about a key stands anywhere else, but in `config/hub.toml`, which a test compares.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::bounds::{self, Any, Dialable, bytes, items, protocol, within};
use super::input;
use super::table::{Key, table};
use super::units::{Duration, Size};
use super::values::{BlobPolicy, HostPort, LogFilter, LogFormat};

/// The least of a time-out or an interval: below it a busy machine would miss it without any fault.
const TICK: Duration = Duration::millis(10);
/// The least of a time-out of the HTTP server, whose own clock ticks every 500 ms: below it, requests that came at once
/// would be refused as late.
const HEAD_MIN: Duration = Duration::seconds(1);

table! {
    /// Who this hub is to people.
    hub: Hub {
        name: String = "hub".to_owned(), bytes(1, 64),
            "A label for people, shown in the status and in the peers' lists; nothing depends on it.";
    }

    /// Where clients and other hubs reach this one.
    listen: Listen {
        address: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 7420)), Any,
            "The address and port to listen on; port 0 takes a free one, which the ready line tells.";
        open: bool = false, Any,
            "Whether other machines may connect: loopback only unless true, since hubs have no keys yet.";
        advertise: Option<SocketAddr> = None, Dialable,
            "What peers are told to dial; when empty, the address listened on.";
        connections_max: usize = 1024, within(1, 65_535),
            "Connections open at once; more are kept waiting.";
        head_timeout: Duration = Duration::seconds(5), within(HEAD_MIN, Duration::minutes(10)),
            "How long a client may take to send the head of a request.";
        body_timeout: Duration = Duration::seconds(30), within(TICK, Duration::hours(1)),
            "How long a client may take to send the body of a request.";
        workers: usize = 2, within(1, 64),
            "Threads that serve sockets.";
    }

    /// The store on disk.
    storage: Storage {
        path: PathBuf = PathBuf::from("./data"), Any,
            "The folder of the store; when relative, to the current directory.";
        cache_max: Size = Size::mib(16), within(Size::mib(1), Size::gib(256)),
            "Memory for blocks read from disk.";
        write_buffer_max: Size = Size::mib(32), within(Size::mib(1), Size::gib(4)),
            "Memory for writes that are in the log on disk but not yet sorted into files.";
        headroom_min: Size = Size::mib(64), within(Size::mib(1), Size::gib(1024)),
            "Changes are not taken, from clients or peers, while the disk has less than this free.";
        group_max: usize = 4096, within(1, 65_536),
            "Records that go to disk in one synced write; a larger change set goes alone.";
        group_bytes_max: Size = Size::mib(8), within(Size::kib(64), Size::mib(256)),
            "Bytes that go to disk in one synced write; a larger change set goes alone.";
    }

    /// The hubs of this home.
    mesh: Mesh {
        found: bool = false, Any,
            "Whether this hub founds the home when its store is new: true on exactly one hub of a home.";
        seeds: Vec<HostPort> = Vec::new(), items(0, 64),
            "Hubs to dial first, as host:port; one that answers tells of the others.";
        links_max: usize = 16, within(1, 1024),
            "Links to other hubs that this one opens; in a larger home, half as many.";
        dial_timeout: Duration = Duration::seconds(5), within(TICK, Duration::minutes(5)),
            "How long to wait for a hub that is dialled to answer.";
        dial_backoff_min: Duration = Duration::millis(250), within(TICK, Duration::hours(1)),
            "How long to wait before a hub is dialled again for the first time; it doubles from there.";
        dial_backoff_max: Duration = Duration::seconds(30), within(TICK, Duration::hours(1)),
            "The longest wait before a hub is dialled again.";
    }

    /// How hubs tell each other what is new and who is there.
    gossip: Gossip {
        fanout: usize = 4, within(1, 64),
            "Peers that a new entry is pushed to at once; they pass it on.";
        interval: Duration = Duration::seconds(1), within(TICK, Duration::hours(1)),
            "How often a clock that changed is told to a peer, which finds whatever a push has missed.";
        quiet_interval: Duration = Duration::seconds(30), within(TICK, Duration::hours(24)),
            "How often a clock that did not change is told all the same, so that a lost message costs no more.";
        probe_period: Duration = Duration::seconds(1), within(TICK, Duration::minutes(10)),
            "How often a peer is asked whether it is alive.";
        probe_timeout: Duration = Duration::millis(500), within(TICK, Duration::minutes(10)),
            "How long to wait for its answer before others are asked to try; at most half the period.";
        suspect_timeout: Duration = Duration::seconds(5), within(TICK, Duration::hours(1)),
            "How long a silent peer is suspected before it counts as down.";
        forget_down_after: Duration = Duration::minutes(10),
            within(Duration::seconds(1), Duration::hours(720)),
            "How long a peer that is down stays listed.";
        keepalive: Duration = Duration::seconds(10), within(TICK, Duration::hours(1)),
            "How often a peer is asked on its link; one that does not answer for three of these is cut.";
        window_bytes_max: Size = Size::mib(8), within(Size::kib(64), Size::gib(1)),
            "Bytes queued for one peer before pushes to it are dropped and left to reconciliation.";
        compress_min: Size = Size::new(512), within(Size::new(0), Size::mib(4)),
            "Messages of at least this size are compressed.";
    }

    /// Exchanges with clients.
    sync: Sync {
        page_records_max: usize = 1000, within(1, 10_000),
            "Records in one page, for a client or a peer, exceeded by at most one change set.";
        page_bytes_max: Size = Size::mib(1), within(Size::kib(4), Size::mib(32)),
            "Bytes in one page, for a client or a peer, exceeded by at most one change set.";
        requests_max: usize = 256, within(1, 65_536),
            "Sync requests in hand at once; above it the answer is 503 busy.";
        retry_after: Duration = Duration::seconds(1), within(TICK, Duration::hours(1)),
            "When a client that was told to come back should do so.";
    }

    /// How conflicts are resolved.
    conflict: Conflict {
        domain: PathBuf = PathBuf::from("config/domains/house.toml"), Any,
            "The domain manifest that seeds a new home's policy; when relative, to the current directory.";
    }

    /// How hubs find out whether their stores hold the same.
    merkle: Merkle {
        interval: Duration = Duration::minutes(5), within(Duration::seconds(1), Duration::hours(24)),
            "How often roots are compared with each linked hub, beside once when a link stands.";
        check_period: Duration = Duration::hours(24), within(Duration::seconds(1), Duration::hours(24 * 365)),
            "How long a check of all records against the tree takes; it goes a few at a time.";
        memory_max: Size = Size::mib(4), within(Size::kib(16), Size::mib(256)),
            "Memory for the tree; the deepest that fits is kept (11 KiB, 171 KiB, 2.7 MiB or 43 MiB).";
        sketch_cells: usize = 4096, within(0, 65_536),
            "Cells of the sketch that finds few differences in one answer, 16 bytes each; 0 goes without.";
        keep_changes: usize = 50_000, within(1, 10_000_000),
            "Changed records after which the tree is written to disk; a start reads it and what came after.";
    }

    /// Photos, manuals and other binaries.
    blobs: Blobs {
        policy: BlobPolicy = BlobPolicy::All, Any,
            "Which blobs this hub fetches by itself: all, those of pin_types (pinned), or when somebody reads them (on_demand).";
        pin_types: Vec<String> = Vec::new(), items(0, 64),
            "Types of things whose blobs are always fetched and never let go.";
        budget_max: Size = Size::new(0), within(Size::new(0), Size::gib(1 << 20)),
            "Bytes of blobs above which those read least lately are let go, if two other hubs keep them; 0 for no bound.";
        size_max: Size = Size::gib(16), within(Size::new(1), Size::gib(64)),
            "Bytes of one blob that a client may bring.";
        reserve_min: Size = Size::mib(192), within(Size::new(0), Size::gib(1024)),
            "Free disk that blobs leave to records, beyond storage.headroom_min.";
        uploads_max: usize = 64, within(1, 4096),
            "Uploads from clients that are under way at once.";
        upload_expiry: Duration = Duration::hours(24), within(Duration::seconds(1), Duration::hours(24 * 365)),
            "How long an upload that does not go on is kept.";
        unreferenced_min: Duration = Duration::hours(24 * 7), within(Duration::seconds(1), Duration::hours(24 * 3650)),
            "How long a blob that no record refers to is kept at least.";
        check_period: Duration = Duration::hours(24 * 30), within(Duration::seconds(1), Duration::hours(24 * 3650)),
            "All that is held is read and verified once in this time; what is damaged is fetched again from other hubs.";
        window_bytes_max: Size = Size::mib(8), within(Size::mib(1), Size::mib(32)),
            "Bytes of chunks asked of one hub at a time.";
        workers: usize = 2, within(1, 64),
            "Threads that verify and write chunks.";
    }

    /// How long the content of replaced versions is kept. Their skeletons stay for ever.
    retention: Retention {
        forget: bool = true, Any,
            "Whether this hub proposes that replaced content may go; others of the home may all the same.";
        content_min: Duration = Duration::hours(24 * 365), within(Duration::seconds(1), Duration::hours(24 * 36_500)),
            "How long replaced content is kept at least, once every hub that is not fenced holds what replaced it.";
        check_interval: Duration = Duration::hours(24), within(Duration::seconds(1), Duration::hours(24 * 365)),
            "How often it is looked whether some may go.";
    }

    /// What is taken from outside; each may be lowered, but not raised above the protocol's limit.
    limits: Limits {
        body_max: Size = Size::mib(32), protocol(Size::kib(4), Size::mib(32)),
            "Bytes of a request's body.";
        frame_max: Size = Size::mib(4), protocol(Size::mib(1), Size::mib(4)),
            "Bytes of a frame that this hub sends to others; a longer message goes in several.";
        set_records_max: usize = 10_000, protocol(1, 10_000),
            "Records of one change set.";
        set_bytes_max: Size = Size::mib(32), protocol(Size::kib(4), Size::mib(32)),
            "Bytes of one change set.";
        content_max: Size = Size::kib(256), protocol(Size::kib(1), Size::kib(256)),
            "Bytes of one record's content in canonical form.";
        elements_max: usize = 200_000, protocol(1, 200_000),
            "Values in one document, counted at every depth.";
        depth_max: usize = 32, protocol(1, 32),
            "Maps and lists within each other.";
        clock_entries_max: usize = 1024, protocol(1, 1024),
            "Replicas in a vector clock.";
        parents_max: usize = 1024, protocol(2, 1024),
            "Parents of one record; an answer to a conflict names at least two.";
    }

    /// What the hub writes to stderr.
    log: Log {
        level: LogFilter = LogFilter::default(), Any,
            "error, warn, info, debug, trace or off, or a list by module such as info,inbetweenies=debug.";
        format: LogFormat = LogFormat::Text, Any,
            "text for people, json for machines.";
    }

    /// What the hub counts.
    metrics: Metrics {
        enabled: bool = true, Any,
            "Whether /metrics answers.";
    }
}

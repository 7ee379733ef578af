//! A plan: who there is, how they are connected, and what happens when. A scenario file is read into one; the swarm
//! draws one; the shrinker leaves parts of one out.
//!
//! Hubs and clients are named by their place in the lists. An event's number is its stream of chance: it keeps it when
//! others are left out.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use inbetweenies_core::value::Value;

use crate::domain::Domain;

/// Everything that a run needs beside its seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// For people, and for files.
    pub name: String,
    /// In a sentence.
    pub about: String,
    /// Of all chance.
    pub seed: u64,
    /// At least one; the first founds the home.
    pub hubs: Vec<HubPlan>,
    /// Phones.
    pub clients: Vec<ClientPlan>,
    /// How messages travel where nothing else is said.
    pub line: Line,
    /// Between two lanes, whoever sends.
    pub lines: BTreeMap<(Lane, Lane), Line>,
    /// Pairs of hubs that never see each other: a chain, a bridge.
    pub walls: Vec<(usize, usize)>,
    /// What a hub's config would say.
    pub tuning: Tuning,
    /// What the home is founded with.
    pub domain: Domain,
    /// In the order of their time.
    pub events: Vec<Event>,
    /// When the breaking ends: from here on everything is mended and hubs must become equal.
    pub heal_at: Duration,
    /// What must be so in the end, beside the promises.
    pub expect: Vec<Expect>,
}

/// A hub or a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// By its place in the plan.
    Hub(usize),
    /// By its place in the plan.
    Client(usize),
}

/// One hub.
#[derive(Debug, Clone, PartialEq)]
pub struct HubPlan {
    /// For people.
    pub name: String,
    /// Hubs that it dials first.
    pub seeds: Vec<usize>,
    /// How its wall clock runs.
    pub clock: ClockPlan,
    /// When it is switched on.
    pub starts_at: Duration,
}

/// How a wall clock runs beside the true time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockPlan {
    /// Ahead, in microseconds; negative is behind.
    pub ahead_us: i64,
    /// Too fast, in parts of a million.
    pub drift_ppm: i32,
}

/// One phone.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientPlan {
    /// For people, and the user in its versions.
    pub name: String,
    /// The hub that it talks to first; None while it is out.
    pub at: Option<usize>,
    /// How often it syncs by itself.
    pub sync_every: Duration,
    /// How its clock runs.
    pub clock: ClockPlan,
}

/// How messages travel in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// From, to.
    pub latency: (Duration, Duration),
    /// Bytes a second; 0 for no bound.
    pub bandwidth: u64,
    /// Messages lost, in a thousand.
    pub loss: u32,
    /// Messages that come twice, in a thousand.
    pub duplicate: u32,
    /// Messages that let later ones pass, in a thousand.
    pub reorder: u32,
    /// Messages with a flipped bit, in a thousand.
    pub corrupt: u32,
    /// Messages on which the connection breaks, in a thousand.
    pub breaks: u32,
}

impl Default for Line {
    /// A home's network on a good day.
    fn default() -> Line {
        Line {
            latency: (Duration::from_micros(500), Duration::from_millis(4)),
            bandwidth: 0,
            loss: 0,
            duplicate: 0,
            reorder: 0,
            corrupt: 0,
            breaks: 0,
        }
    }
}

impl Line {
    /// The same way without what goes wrong on it.
    pub fn mended(self) -> Line {
        Line {
            latency: self.latency,
            bandwidth: self.bandwidth,
            ..Line::default()
        }
    }
}

/// What a hub's config would say, for all hubs alike. The names are those of `hub.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// Records of a page.
    pub page_records_max: usize,
    /// Bytes of a page.
    pub page_bytes_max: usize,
    /// Bytes of a frame.
    pub frame_bytes_max: usize,
    /// Bytes pushed to a peer beyond what it confirmed.
    pub window_bytes_max: usize,
    /// Records of a commit.
    pub group_records_max: usize,
    /// Bytes of a commit.
    pub group_bytes_max: usize,
    /// Peers that news is pushed to at once.
    pub fanout: usize,
    /// Links that a hub dials.
    pub links_max: usize,
    /// How often a clock that changed is told.
    pub interval: Duration,
    /// How often one that did not change is told all the same.
    pub quiet_interval: Duration,
    /// How long replaced content is kept at least; zero: for ever.
    pub content_min: Duration,
    /// How often a hub looks whether some may go.
    pub horizon_interval: Duration,
    /// How often a hub compares its root with each peer's.
    pub compare_interval: Duration,
    /// How long a check of all records takes.
    pub check_period: Duration,
    /// Cells of the sketch; 0: none.
    pub tree_cells: usize,
    /// Changes after which the tree is kept again.
    pub tree_keep_changes: usize,
    /// Bytes of chunks asked of one peer at a time.
    pub blob_window_bytes_max: usize,
    /// Bytes of a blob after which what came of it is synced.
    pub blob_sync_bytes: usize,
    /// Messages with chunks of a thousand in which a bit has flipped before they were sent.
    pub chunks_garbled: usize,
    /// Of the failure detector.
    pub probe_period: Duration,
    /// Of the failure detector.
    pub probe_timeout: Duration,
    /// Of the failure detector.
    pub suspect_timeout: Duration,
    /// Of the failure detector.
    pub forget_down_after: Duration,
    /// Silence after which a link is asked.
    pub keepalive: Duration,
    /// Between attempts to dial.
    pub dial_backoff_min: Duration,
    /// Between attempts to dial.
    pub dial_backoff_max: Duration,
    /// After which an attempt to dial has failed.
    pub dial_timeout: Duration,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            page_records_max: 1_000,
            page_bytes_max: 1 << 20,
            frame_bytes_max: 4 << 20,
            window_bytes_max: 8 << 20,
            group_records_max: 4_096,
            group_bytes_max: 8 << 20,
            fanout: 4,
            links_max: 16,
            interval: Duration::from_secs(1),
            quiet_interval: Duration::from_secs(30),
            content_min: Duration::ZERO,
            horizon_interval: Duration::from_secs(24 * 3_600),
            compare_interval: Duration::from_secs(300),
            check_period: Duration::from_secs(24 * 3_600),
            tree_cells: 256,
            tree_keep_changes: 1_000,
            blob_window_bytes_max: 4 << 20,
            blob_sync_bytes: 2 << 20,
            chunks_garbled: 0,
            probe_period: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(400),
            suspect_timeout: Duration::from_secs(5),
            forget_down_after: Duration::from_secs(600),
            keepalive: Duration::from_secs(10),
            dial_backoff_min: Duration::from_millis(250),
            dial_backoff_max: Duration::from_secs(10),
            dial_timeout: Duration::from_secs(5),
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its stream of chance.
    pub number: u64,
    /// When.
    pub at: Duration,
    /// What.
    pub what: Do,
}

/// A value that a person gives a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A text.
    Text(String),
    /// A list of such, none of them a list.
    List(Vec<Said>),
}

impl Said {
    /// As it is written.
    pub fn value(&self) -> Value {
        match self {
            Said::Flag(flag) => Value::Bool(*flag),
            Said::Whole(number) => Value::Int(*number),
            Said::Text(text) => Value::Text(text.clone()),
            Said::List(list) => Value::List(list.iter().map(Said::value).collect()),
        }
    }

    /// A value, if it is one that a person gives.
    pub fn of(value: &Value) -> Option<Said> {
        match value {
            Value::Bool(flag) => Some(Said::Flag(*flag)),
            Value::Int(number) => Some(Said::Whole(*number)),
            Value::Text(text) => Some(Said::Text(text.clone())),
            Value::List(list) => list.iter().map(Said::of).collect::<Option<_>>().map(Said::List),
            Value::Null | Value::Float(_) | Value::Map(_) => None,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Flag(flag) => write!(f, "{flag}"),
            Said::Whole(number) => write!(f, "{number}"),
            Said::Text(text) => write!(f, "{text:?}"),
            Said::List(list) => {
                let list: Vec<String> = list.iter().map(Said::to_string).collect();
                write!(f, "[{}]", list.join(", "))
            }
        }
    }
}

/// What can happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Do {
    /// A client changes fields of things, in one change set, on top of what it sees.
    Edit {
        /// Who.
        client: usize,
        /// Which things; those that are not there yet are made.
        things: Vec<String>,
        /// Fields and what they become.
        fields: Vec<(String, Said)>,
    },
    /// A client deletes a thing.
    Delete {
        /// Who.
        client: usize,
        /// Which thing.
        thing: String,
    },
    /// A client says where a thing stands.
    Place {
        /// Who.
        client: usize,
        /// Which thing.
        thing: String,
        /// Which room.
        room: String,
    },
    /// A client attaches a photo to a thing: its phone has the bytes until a hub has them and knows what they are for.
    Attach {
        /// Who.
        client: usize,
        /// To which thing.
        thing: String,
        /// Of the photo.
        bytes: usize,
    },
    /// A script pushes change sets of every kind, good and odd, to a hub and forgets them.
    Push {
        /// To whom.
        hub: usize,
    },
    /// The same sets reach two hubs.
    PushTwice {
        /// First,
        hub: usize,
        /// and then.
        other: usize,
    },
    /// A client walks to another hub, or out of reach.
    Go {
        /// Who.
        client: usize,
        /// Where.
        to: Option<usize>,
    },
    /// A client syncs now.
    Sync {
        /// Who.
        client: usize,
    },
    /// A client's battery dies: it forgets what it was doing, not what it has.
    Vanish {
        /// Who.
        client: usize,
        /// How long.
        lasts: Duration,
    },
    /// Some cannot reach some.
    Cut {
        /// These cannot send
        from: Vec<Lane>,
        /// to these.
        to: Vec<Lane>,
        /// Whether the way back still works.
        one_way: bool,
        /// How long.
        lasts: Duration,
    },
    /// Between two hubs messages travel otherwise.
    Rough {
        /// One,
        hub: usize,
        /// and the other.
        other: usize,
        /// How they travel.
        line: Line,
        /// How long.
        lasts: Duration,
    },
    /// Everything between two hubs is held up and comes at once in the end.
    Clog {
        /// One,
        hub: usize,
        /// and the other.
        other: usize,
        /// How long.
        lasts: Duration,
    },
    /// The process is killed.
    Kill {
        /// Which.
        hub: usize,
        /// Until it is started again.
        lasts: Duration,
    },
    /// The power fails.
    PowerCut {
        /// Which.
        hub: usize,
        /// Until it is back.
        lasts: Duration,
    },
    /// The process is killed, or the power fails, just after so many more effects of its rooms.
    CrashAfter {
        /// Which.
        hub: usize,
        /// How many.
        effects: u32,
        /// Whether it is the power.
        power: bool,
        /// Until it is back.
        lasts: Duration,
    },
    /// It stops in order.
    Stop {
        /// Which.
        hub: usize,
        /// Until it is started again.
        lasts: Duration,
    },
    /// It is frozen (SIGSTOP) and goes on.
    Freeze {
        /// Which.
        hub: usize,
        /// How long.
        lasts: Duration,
    },
    /// Its wall clock jumps.
    ClockJump {
        /// Which.
        hub: usize,
        /// By how much, in microseconds.
        by_us: i64,
    },
    /// Its wall clock says 1970, as after a dead battery.
    ClockReset {
        /// Which.
        hub: usize,
        /// Until it has the time again.
        lasts: Duration,
    },
    /// Its disk has no room but the headroom.
    DiskFull {
        /// Which.
        hub: usize,
        /// How long.
        lasts: Duration,
    },
    /// Its disk hangs.
    DiskStall {
        /// Which.
        hub: usize,
        /// How long.
        lasts: Duration,
    },
    /// Its next sync of the disk fails.
    DiskError {
        /// Which.
        hub: usize,
    },
    /// Its disk says that it synced and did not.
    DiskLies {
        /// Which.
        hub: usize,
        /// How long.
        lasts: Duration,
    },
    /// A bit of its disk flips: a row cannot be read any more.
    BitFlip {
        /// Which.
        hub: usize,
    },
    /// Rows of its disk vanish, change or come from nowhere, and nothing says so.
    Rot {
        /// Which.
        hub: usize,
    },
    /// A copy of its disk is put in a drawer.
    Backup {
        /// Which.
        hub: usize,
    },
    /// The last copy is put back, while the hub is off for a moment.
    Restore {
        /// Which.
        hub: usize,
        /// Whether the marks beside the store come from the copy too: then the hub cannot notice by itself.
        with_marks: bool,
    },
    /// A copy of its disk runs as one more hub.
    CloneDisk {
        /// Which.
        hub: usize,
    },
    /// An owner says at one hub that another is lost, or back.
    Fence {
        /// Where it is said.
        hub: usize,
        /// Which.
        other: usize,
        /// Lost.
        fenced: bool,
    },
    /// An owner gives the home other rules: drawn ones.
    ChangePolicy {
        /// Where.
        hub: usize,
        /// Which of the drawn ones.
        drawn: u64,
    },
    /// Its disk is replaced by an empty one.
    Wipe {
        /// Which.
        hub: usize,
    },
}

impl Do {
    /// Its name in scenario files and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Do::Edit { .. } => "edit",
            Do::Delete { .. } => "delete",
            Do::Place { .. } => "place",
            Do::Attach { .. } => "attach",
            Do::Push { .. } => "push",
            Do::PushTwice { .. } => "push-twice",
            Do::Go { .. } => "go",
            Do::Sync { .. } => "sync",
            Do::Vanish { .. } => "vanish",
            Do::Cut { .. } => "cut",
            Do::Rough { .. } => "rough",
            Do::Clog { .. } => "clog",
            Do::Kill { .. } => "kill",
            Do::PowerCut { .. } => "power-cut",
            Do::CrashAfter { .. } => "crash-after",
            Do::Stop { .. } => "stop",
            Do::Freeze { .. } => "freeze",
            Do::ClockJump { .. } => "clock-jump",
            Do::ClockReset { .. } => "clock-reset",
            Do::DiskFull { .. } => "disk-full",
            Do::DiskStall { .. } => "disk-stall",
            Do::DiskError { .. } => "disk-error",
            Do::DiskLies { .. } => "disk-lies",
            Do::BitFlip { .. } => "bit-flip",
            Do::Rot { .. } => "rot",
            Do::Backup { .. } => "backup",
            Do::Restore { .. } => "restore",
            Do::CloneDisk { .. } => "clone-disk",
            Do::Fence { fenced: true, .. } => "fence",
            Do::Fence { fenced: false, .. } => "unfence",
            Do::ChangePolicy { .. } => "change-policy",
            Do::Wipe { .. } => "wipe",
        }
    }

    /// Whether it is a fault rather than what people do.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Do::Edit { .. }
                | Do::Delete { .. }
                | Do::Place { .. }
                | Do::Attach { .. }
                | Do::Push { .. }
                | Do::PushTwice { .. }
                | Do::Go { .. }
                | Do::Sync { .. }
                | Do::Fence { .. }
                | Do::ChangePolicy { .. }
                | Do::Backup { .. }
        )
    }

    /// How long it lasts, if it is something that ends.
    pub fn lasts(&self) -> Option<Duration> {
        match self {
            Do::Vanish { lasts, .. }
            | Do::Cut { lasts, .. }
            | Do::Rough { lasts, .. }
            | Do::Clog { lasts, .. }
            | Do::Kill { lasts, .. }
            | Do::PowerCut { lasts, .. }
            | Do::CrashAfter { lasts, .. }
            | Do::Stop { lasts, .. }
            | Do::Freeze { lasts, .. }
            | Do::ClockReset { lasts, .. }
            | Do::DiskFull { lasts, .. }
            | Do::DiskStall { lasts, .. }
            | Do::DiskLies { lasts, .. } => Some(*lasts),
            _ => None,
        }
    }

    /// The hubs that it names.
    pub fn hubs(&self) -> Vec<usize> {
        let of = |lanes: &[Lane]| {
            let hub = |lane: &Lane| match lane {
                Lane::Hub(hub) => Some(*hub),
                Lane::Client(_) => None,
            };
            lanes.iter().filter_map(hub).collect::<Vec<_>>()
        };
        match self {
            Do::Edit { .. }
            | Do::Delete { .. }
            | Do::Place { .. }
            | Do::Attach { .. }
            | Do::Sync { .. }
            | Do::Vanish { .. } => Vec::new(),
            Do::Go { to, .. } => to.iter().copied().collect(),
            Do::Cut { from, to, .. } => [of(from), of(to)].concat(),
            Do::PushTwice { hub, other }
            | Do::Fence { hub, other, .. }
            | Do::Rough { hub, other, .. }
            | Do::Clog { hub, other, .. } => {
                vec![*hub, *other]
            }
            Do::ChangePolicy { hub, .. } => vec![*hub],
            Do::Push { hub }
            | Do::Kill { hub, .. }
            | Do::PowerCut { hub, .. }
            | Do::CrashAfter { hub, .. }
            | Do::Stop { hub, .. }
            | Do::Freeze { hub, .. }
            | Do::ClockJump { hub, .. }
            | Do::ClockReset { hub, .. }
            | Do::DiskFull { hub, .. }
            | Do::DiskStall { hub, .. }
            | Do::DiskError { hub }
            | Do::DiskLies { hub, .. }
            | Do::BitFlip { hub }
            | Do::Rot { hub }
            | Do::Backup { hub }
            | Do::Restore { hub, .. }
            | Do::CloneDisk { hub }
            | Do::Wipe { hub } => vec![*hub],
        }
    }

    /// The client that it names.
    pub fn client(&self) -> Option<usize> {
        match self {
            Do::Edit { client, .. }
            | Do::Delete { client, .. }
            | Do::Place { client, .. }
            | Do::Attach { client, .. }
            | Do::Go { client, .. }
            | Do::Sync { client }
            | Do::Vanish { client, .. } => Some(*client),
            _ => None,
        }
    }
}

/// What must be so in the end.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// Readers of every hub see this field of this thing.
    Field {
        /// Which thing.
        thing: String,
        /// Which field.
        field: String,
        /// Its value.
        is: Said,
    },
    /// Readers of every hub see the thing deleted.
    Deleted {
        /// Which thing.
        thing: String,
    },
    /// So many versions of a thing are held, by every hub.
    Versions {
        /// Which thing.
        thing: String,
        /// How many.
        count: usize,
    },
    /// So many versions of a thing are followed by no other.
    Heads {
        /// Which thing.
        thing: String,
        /// How many.
        count: usize,
    },
    /// So many things wait in the queue for a person.
    Queued(usize),
    /// So many records that are not hubs' own.
    Records(usize),
    /// Something rare was met: the name of a mark.
    Met(String),
}

//! Who there is and how they are connected: hubs, clients, lines, walls, tuning.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bounds;
use super::table::{Fields, Item, Read, unknown};
use crate::plan::{ClientPlan, ClockPlan, HubPlan, Lane, Line, Tuning};

/// In the place of a hub, for a client that is out; no hub's name.
pub const NOWHERE: &str = "nowhere";
/// In the place of a list; nobody's name.
pub const EVERYBODY: &str = "everybody";
/// The keys of a hub.
pub const HUB: [&str; 5] = ["name", "seeds", "clock", "drift_ppm", "starts_at"];
/// The keys of a client.
pub const CLIENT: [&str; 5] = ["name", "at", "sync_every", "clock", "drift_ppm"];
/// The keys of how messages travel.
pub const LINE: [&str; 7] = [
    "latency",
    "bandwidth",
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "breaks",
];
/// How often a client syncs where nothing is said.
pub const SYNC_EVERY: Duration = Duration::from_secs(15 * 60);

/// Who is called what.
#[derive(Default)]
pub struct Names<'a> {
    lanes: BTreeMap<&'a str, Lane>,
    hubs: Vec<&'a str>,
    clients: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// One more hub or client, whose table this is.
    pub fn add(&mut self, fields: &mut Fields<'a>, hub: bool) -> Read<String> {
        let item = fields.need("name", if hub { "\"kitchen\"" } else { "\"anna\"" })?;
        let name = item.name()?;
        if [NOWHERE, EVERYBODY].contains(&name) {
            return item.error(format!("{name:?} is a word of the grammar: take another name"));
        }
        let (list, lane): (_, fn(usize) -> Lane) = if hub {
            (&mut self.hubs, Lane::Hub)
        } else {
            (&mut self.clients, Lane::Client)
        };
        let lane = lane(list.len());
        list.push(name);
        if self.lanes.insert(name, lane).is_some() {
            return item.error(format!(
                "two are called {name:?}: give each hub and client its own name"
            ));
        }
        Ok(name.to_owned())
    }

    /// The hub of this name.
    pub fn hub(&self, item: Item<'a>) -> Read<usize> {
        let name = item.name()?;
        match self.lanes.get(name) {
            Some(Lane::Hub(hub)) => Ok(*hub),
            Some(Lane::Client(_)) => item.error(format!("{name:?} is a client; {:?} names a hub", item.key)),
            None => item.error(unknown("the hub", name, self.hubs.iter().copied())),
        }
    }

    /// The hub of this name, or none for [`NOWHERE`].
    pub fn place(&self, item: Item<'a>) -> Read<Option<usize>> {
        if item.alone() == Some(NOWHERE) {
            return Ok(None);
        }
        self.hub(item).map(Some)
    }

    /// The client of this name.
    pub fn client(&self, item: Item<'a>) -> Read<usize> {
        let name = item.name()?;
        match self.lanes.get(name) {
            Some(Lane::Client(client)) => Ok(*client),
            Some(Lane::Hub(_)) => item.error(format!("{name:?} is a hub; {:?} names a client", item.key)),
            None if self.clients.is_empty() => item.error("there are no clients: add a [[client]]"),
            None => item.error(unknown("the client", name, self.clients.iter().copied())),
        }
    }

    /// The hub or client of this name.
    pub fn lane(&self, item: Item<'a>) -> Read<Lane> {
        let name = item.name()?;
        match self.lanes.get(name) {
            Some(lane) => Ok(*lane),
            None => {
                let all = self.hubs.iter().chain(&self.clients).copied();
                item.error(unknown("the hub or client", name, all))
            }
        }
    }

    /// Hubs and clients, one or a list.
    pub fn lanes(&self, item: Item<'a>) -> Read<Vec<Lane>> {
        let each = item.each("a name or a list of names such as [\"kitchen\", \"anna\"]")?;
        each.into_iter().map(|item| self.lane(item)).collect()
    }

    /// All hubs and clients.
    pub fn all(&self) -> impl Iterator<Item = Lane> {
        let hubs = (0..self.hubs.len()).map(Lane::Hub);
        hubs.chain((0..self.clients.len()).map(Lane::Client))
    }
}

fn clock(fields: &mut Fields<'_>) -> Read<ClockPlan> {
    Ok(ClockPlan {
        ahead_us: fields.or("clock", 0, |item| item.ahead())?,
        drift_ppm: fields.or("drift_ppm", 0, |item| item.signed(bounds::DRIFT_PPM))? as i32,
    })
}

/// The rest of a hub.
pub fn hub<'a>(fields: &mut Fields<'a>, at: usize, name: String, names: &Names<'a>) -> Read<HubPlan> {
    let default = if at == 0 { Vec::new() } else { vec![0] };
    let seeds = fields.or("seeds", default, |item| {
        let each = item.each("a list of hubs such as [\"kitchen\"]")?;
        let hub = |item: Item<'a>| match names.hub(item)? {
            hub if hub == at => item.error(format!("{name:?} cannot be its own seed: name another hub")),
            hub => Ok(hub),
        };
        each.into_iter().map(hub).collect()
    })?;
    Ok(HubPlan {
        seeds,
        clock: clock(fields)?,
        starts_at: fields.or("starts_at", Duration::ZERO, |item| item.time(bounds::LENGTH))?,
        name,
    })
}

/// The rest of a client.
pub fn client<'a>(fields: &mut Fields<'a>, name: String, names: &Names<'a>) -> Read<ClientPlan> {
    Ok(ClientPlan {
        at: names.place(fields.need("at", "a hub's name, or \"nowhere\"")?)?,
        sync_every: fields.or("sync_every", SYNC_EVERY, |item| item.time(bounds::PERIOD))?,
        clock: clock(fields)?,
        name,
    })
}

/// How messages travel; what is not said is as in `default`.
pub fn line(fields: &mut Fields<'_>, default: Line) -> Read<Line> {
    let mut rate = |key: &str, default: u32| {
        let read = |item: Item<'_>| item.whole(bounds::PER_MILLE);
        fields.or(key, u64::from(default), read).map(|rate| rate as u32)
    };
    let (loss, duplicate) = (rate("loss", default.loss)?, rate("duplicate", default.duplicate)?);
    let (reorder, corrupt) = (
        rate("reorder", default.reorder)?,
        rate("corrupt", default.corrupt)?,
    );
    let breaks = rate("breaks", default.breaks)?;
    Ok(Line {
        latency: fields.or("latency", default.latency, |item| item.times(bounds::LATENCY))?,
        bandwidth: fields.or("bandwidth", default.bandwidth, |item| {
            item.bytes(bounds::BANDWIDTH)
        })?,
        loss,
        duplicate,
        reorder,
        corrupt,
        breaks,
    })
}

/// One setting of a hub's config.
pub enum Setting<'t> {
    /// A number of records or peers.
    Count(&'t mut usize, std::ops::RangeInclusive<u64>),
    /// A number of bytes.
    Bytes(&'t mut usize),
    /// A length of time.
    Time(&'t mut Duration),
}

/// All settings, by name.
pub fn settings(tuning: &mut Tuning) -> [(&'static str, Setting<'_>); 27] {
    use Setting::{Bytes, Count, Time};
    [
        (
            "page_records_max",
            Count(&mut tuning.page_records_max, bounds::RECORDS),
        ),
        ("page_bytes_max", Bytes(&mut tuning.page_bytes_max)),
        ("frame_bytes_max", Bytes(&mut tuning.frame_bytes_max)),
        ("window_bytes_max", Bytes(&mut tuning.window_bytes_max)),
        (
            "group_records_max",
            Count(&mut tuning.group_records_max, bounds::RECORDS),
        ),
        ("group_bytes_max", Bytes(&mut tuning.group_bytes_max)),
        ("fanout", Count(&mut tuning.fanout, bounds::PEERS)),
        ("links_max", Count(&mut tuning.links_max, bounds::PEERS)),
        ("interval", Time(&mut tuning.interval)),
        ("quiet_interval", Time(&mut tuning.quiet_interval)),
        ("content_min", Time(&mut tuning.content_min)),
        ("horizon_interval", Time(&mut tuning.horizon_interval)),
        ("compare_interval", Time(&mut tuning.compare_interval)),
        ("check_period", Time(&mut tuning.check_period)),
        ("tree_cells", Count(&mut tuning.tree_cells, 0..=65_536)),
        (
            "tree_keep_changes",
            Count(&mut tuning.tree_keep_changes, bounds::RECORDS),
        ),
        ("blob_window_bytes_max", Bytes(&mut tuning.blob_window_bytes_max)),
        ("blob_sync_bytes", Bytes(&mut tuning.blob_sync_bytes)),
        ("chunks_garbled", Count(&mut tuning.chunks_garbled, 0..=1_000)),
        ("probe_period", Time(&mut tuning.probe_period)),
        ("probe_timeout", Time(&mut tuning.probe_timeout)),
        ("suspect_timeout", Time(&mut tuning.suspect_timeout)),
        ("forget_down_after", Time(&mut tuning.forget_down_after)),
        ("keepalive", Time(&mut tuning.keepalive)),
        ("dial_backoff_min", Time(&mut tuning.dial_backoff_min)),
        ("dial_backoff_max", Time(&mut tuning.dial_backoff_max)),
        ("dial_timeout", Time(&mut tuning.dial_timeout)),
    ]
}

/// What a hub's config would say.
pub fn tuning(item: Item<'_>) -> Read<Tuning> {
    let mut tuning = Tuning::default();
    let known = settings(&mut tuning).map(|(name, _)| name);
    let mut fields = item.fields("[tuning]", &known)?;
    for (name, setting) in settings(&mut tuning) {
        let Some(item) = fields.take(name) else { continue };
        match setting {
            Setting::Count(count, bounds) => *count = item.whole(bounds)? as usize,
            Setting::Bytes(bytes) => *bytes = item.bytes(bounds::BYTES)? as usize,
            Setting::Time(time) => *time = item.time(bounds::PERIOD)?,
        }
    }
    if tuning.dial_backoff_min > tuning.dial_backoff_max {
        return item.error("\"dial_backoff_min\" is longer than \"dial_backoff_max\"");
    }
    Ok(tuning)
}

//! `GET /api/v2/status`, read.

use inbetweenies_core::clock::Clock;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::wire::clock_from_wire;

use super::failure::Malformed;
use super::fields::Fields;

/// The state of a hub, as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which hub.
    pub hub_id: String,
    /// Its name for people.
    pub name: String,
    /// Its home, once it has one.
    pub home_id: Option<String>,
    /// The version of its software.
    pub software: String,
    /// Records held, old versions included.
    pub records: u64,
    /// Entities shown.
    pub entities: u64,
    /// Relationships shown.
    pub relationships: u64,
    /// Conflicts that wait for a person.
    pub conflicts: u64,
    /// How far it holds each log, with checks.
    pub clock: Clock,
    /// The hubs it knows of.
    pub peers: Vec<PeerRow>,
    /// All that it said.
    pub document: Map,
}

/// Another hub, as the one asked sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// Which hub.
    pub hub_id: String,
    /// Its name for people.
    pub name: String,
    /// Where it is dialled.
    pub address: Option<String>,
    /// `alive`, or what it is instead.
    pub state: String,
    /// Milliseconds since it was last heard.
    pub last_seen_ms: Option<u64>,
    /// Change sets that it lacks and the hub asked holds.
    pub behind: Option<u64>,
    /// Change sets that it holds and the hub asked lacks.
    pub ahead: Option<u64>,
}

impl Status {
    /// Reads the decoded document.
    pub fn read(value: Value) -> Result<Status, Malformed> {
        let document = value.as_map().cloned().unwrap_or_default();
        let mut fields = Fields::of(value, "the status")?;
        let (clock, checks) = (fields.any("vector_clock"), fields.any("clock_checks"));
        let clock = clock_from_wire(clock, checks, &Limits::default())
            .map_err(|problem| Malformed(problem.detail))?;
        let peers = fields.list("peers")?;
        Ok(Status {
            hub_id: fields.text("hub_id")?,
            name: fields.text_if("name")?.unwrap_or_default(),
            home_id: fields.text_if("home_id")?,
            software: fields.text_if("software")?.unwrap_or_default(),
            records: fields.whole("records")?,
            entities: fields.whole("entities")?,
            relationships: fields.whole("relationships")?,
            conflicts: fields.whole_if("conflicts")?.unwrap_or(0),
            clock,
            peers: peers.into_iter().map(PeerRow::read).collect::<Result<_, _>>()?,
            document,
        })
    }
}

impl PeerRow {
    fn read(value: Value) -> Result<PeerRow, Malformed> {
        let mut fields = Fields::of(value, "a peer")?;
        Ok(PeerRow {
            hub_id: fields.text_if("hub_id")?.unwrap_or_default(),
            name: fields.text_if("name")?.unwrap_or_default(),
            address: fields.text_if("address")?,
            state: fields.text_if("state")?.unwrap_or_default(),
            last_seen_ms: fields.whole_if("last_seen_ms")?,
            behind: fields.whole_if("behind")?,
            ahead: fields.whole_if("ahead")?,
        })
    }
}

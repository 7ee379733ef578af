//! Who can be reached: links, who is dialled, who is alive. Membership itself is replicated records, not decided here.
//!
//! Invariant: at most one link per hub stands up; a link stands up only between hubs of one home that have said hello.

mod dial;
mod link;
mod swim;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use dial::Dialler;
use link::LinkState;
use swim::Swim;

use crate::clock::Clock;
use crate::id::{HomeId, HubId};
use crate::limits::Limits;
use crate::machine::{Identity, Link, Machine, Member};
use crate::store::{Snapshot, StoreError};
use crate::time::{Micros, Now};
use crate::wire::Message;
use crate::zoo::{self, Bug};

/// What peers is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Who this hub is.
    Identity(Identity),
    /// How far everything is held: for hellos.
    Clock(Clock),
    /// The hubs of this home, as its records say.
    Members(Vec<Member>),
    /// Somebody has connected.
    Incoming {
        /// The new link.
        link: Link,
    },
    /// What we dialled answered.
    Connected {
        /// As dialled.
        address: String,
        /// The new link.
        link: Link,
    },
    /// What we dialled did not answer.
    DialFailed {
        /// As dialled.
        address: String,
    },
    /// A link is gone.
    Closed {
        /// Which.
        link: Link,
    },
    /// One of: hello, swim, ping, pong, bye.
    Message {
        /// From where.
        link: Link,
        /// What.
        message: Message,
    },
    /// A datagram came.
    Datagram {
        /// Its bytes.
        data: Vec<u8>,
    },
}

/// What peers wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Open a link.
    Dial {
        /// `host:port`.
        address: String,
    },
    /// Send on a link.
    Send {
        /// Where.
        link: Link,
        /// What.
        message: Message,
    },
    /// End a link, after what was sent on it.
    Cut {
        /// Which.
        link: Link,
        /// Stable.
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// Send a datagram.
    Datagram {
        /// To.
        to: SocketAddr,
        /// Its bytes.
        data: Vec<u8>,
    },
    /// A link stands up.
    LinkUp {
        /// Which.
        link: Link,
        /// To whom.
        hub_id: HubId,
        /// What they hold.
        clock: Clock,
        /// Whether they unpack LZ4.
        lz4: bool,
        /// Whether they understand messages about blobs.
        blobs: bool,
    },
    /// A hub on a link that stands says what its wall clock shows.
    Wall {
        /// Which.
        hub_id: HubId,
        /// Its clock.
        wall: Micros,
    },
    /// A link that stood up is gone.
    LinkDown {
        /// Which.
        link: Link,
    },
    /// This hub has met its home.
    Join {
        /// Whose.
        home_id: HomeId,
    },
    /// Another live hub answers under our name.
    Twin {
        /// The name: several links tell of one twin, and only the first of them when it is still ours.
        of: HubId,
    },
    /// Who is there has changed.
    Peers(Vec<PeerStatus>),
}

/// One other hub, for the status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Which hub.
    pub hub_id: HubId,
    /// Its name.
    pub name: String,
    /// Where it was last known to be.
    pub address: Option<SocketAddr>,
    /// `alive`, `suspect`, `down` or `unknown`.
    pub state: &'static str,
    /// The link that stands, if one does.
    pub link: Option<Link>,
    /// When it was last heard, on the monotonic clock.
    pub heard_at: Option<Duration>,
}

/// How this room behaves; from the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bounds.
    pub limits: Limits,
    /// Version of the software, for hellos.
    pub software: String,
    /// Where to begin: `host:port`.
    pub seeds: Vec<String>,
    /// Where we can be dialled.
    pub address: Option<SocketAddr>,
    /// Links this hub dials at most.
    pub links_max: usize,
    /// Waits between attempts, growing from the first to the second.
    pub backoff: (Duration, Duration),
    /// How often the failure detector probes somebody.
    pub probe_period: Duration,
    /// How long it waits for an answer before it asks others.
    pub probe_timeout: Duration,
    /// How long a suspect has to speak up.
    pub suspect_timeout: Duration,
    /// When a hub that is down is forgotten by the detector (not by the home).
    pub forget_down_after: Duration,
    /// Silence after which a link is asked; after three of these it is cut.
    pub keepalive: Duration,
    /// Drawn when the process started.
    pub boot: u64,
    /// For the detector's choices.
    pub seed: u64,
}

/// The machine.
pub struct Peers {
    settings: Settings,
    identity: Identity,
    clock: Clock,
    members: BTreeMap<HubId, Member>,
    links: BTreeMap<Link, LinkState>,
    dialler: Dialler,
    swim: Option<Swim>,
    last_status: Vec<PeerStatus>,
    nonces: u64,
}

impl Peers {
    /// Starts knowing the seeds and what the store says of members.
    pub fn new(
        settings: Settings,
        identity: Identity,
        clock: Clock,
        members: Vec<Member>,
        now: Now,
    ) -> Peers {
        let swim = settings
            .address
            .map(|address| Swim::new(&settings, identity.hub_id, address, now));
        Peers {
            dialler: Dialler::new(&settings),
            swim,
            identity,
            clock,
            members: members
                .into_iter()
                .map(|member| (member.hub_id, member))
                .collect(),
            links: BTreeMap::new(),
            last_status: Vec::new(),
            nonces: 0,
            settings,
        }
    }

    fn message(&mut self, now: Now, link: Link, message: Message, out: &mut Vec<Output>) {
        match message {
            Message::Hello(hello) => self.heard_hello(now, link, *hello, out),
            Message::Swim { data } => {
                if let (Some(swim), Some(_)) =
                    (&mut self.swim, self.links.get(&link).filter(|state| state.up))
                {
                    swim.handle(&data, now);
                }
            }
            Message::Ping { nonce, wall } => {
                self.told_wall(link, wall, out);
                out.push(Output::Send {
                    link,
                    message: Message::Pong {
                        nonce,
                        wall: now.wall,
                    },
                });
                self.heard(now, link);
            }
            Message::Pong { nonce, wall } => {
                self.told_wall(link, wall, out);
                self.heard(now, link);
                self.challenge_answered(now, link, nonce, out);
            }
            Message::Bye { code, .. } => {
                let state = self.links.get(&link);
                let hello = state.and_then(|state| state.hello.as_ref());
                let of_our_home =
                    hello.is_some_and(|h| h.home_id.is_some() && h.home_id == self.identity.home_id);
                if code == "twin" && of_our_home && !zoo::planted(Bug::TwinIgnored) {
                    // It is about the name that we said on this link: links of an earlier one are gone.
                    let of = self.identity.hub_id;
                    out.push(Output::Twin { of });
                } else if code == "other_home" {
                    self.dialler.avoid(
                        self.links.get(&link).and_then(|state| state.dialled.as_deref()),
                        now.mono,
                    );
                }
            }
            other => panic!("{} is not for this room", other.name()),
        }
    }

    fn told_wall(&self, link: Link, wall: Micros, out: &mut Vec<Output>) {
        let state = self.links.get(&link).filter(|state| state.up);
        if let Some(hello) = state.and_then(|state| state.hello.as_ref()) {
            let hub_id = hello.hub_id;
            out.push(Output::Wall { hub_id, wall });
        }
    }

    fn heard(&mut self, now: Now, link: Link) {
        if let Some(state) = self.links.get_mut(&link) {
            state.heard_at = now.mono;
        }
    }

    fn identity_changed(&mut self, now: Now, identity: Identity, out: &mut Vec<Output>) {
        let other_hub = identity.hub_id != self.identity.hub_id;
        self.identity = identity;
        if other_hub && let Some(address) = self.settings.address {
            self.swim = Some(Swim::new(&self.settings, self.identity.hub_id, address, now));
        }
        let links: Vec<Link> = self.links.keys().copied().collect();
        for link in links {
            if other_hub {
                // The other end knows this link by the name that was said on it, and a hello can be lost: it would go on
                // answering for a name that is another hub's by now. Nobody answers on a link that is gone.
                let detail = "this hub goes by another name now: dial again".to_owned();
                self.cut(now, link, "renamed", detail, out);
            } else {
                // Everybody is told again: a link that waited for a home may stand up now.
                self.say_hello(now, link, out);
                self.settle(now, link, out);
            }
        }
    }

    fn status(&self) -> Vec<PeerStatus> {
        let mut peers: BTreeMap<HubId, PeerStatus> = BTreeMap::new();
        for member in self
            .members
            .values()
            .filter(|member| member.hub_id != self.identity.hub_id)
        {
            let state = self
                .swim
                .as_ref()
                .and_then(|swim| swim.state(member.hub_id))
                .unwrap_or("unknown");
            peers.insert(
                member.hub_id,
                PeerStatus {
                    hub_id: member.hub_id,
                    name: member.name.clone(),
                    address: member.address,
                    state,
                    link: None,
                    heard_at: None,
                },
            );
        }
        for (link, state) in self.links.iter().filter(|(_, state)| state.up) {
            let Some(hello) = &state.hello else { continue };
            let peer = peers.entry(hello.hub_id).or_insert_with(|| PeerStatus {
                hub_id: hello.hub_id,
                name: hello.name.clone(),
                address: hello.address,
                state: "alive",
                link: None,
                heard_at: None,
            });
            peer.state = "alive";
            peer.link = Some(*link);
            peer.heard_at = Some(state.heard_at);
        }
        peers.into_values().collect()
    }
}

impl Machine for Peers {
    type Input = Input;
    type Output = Output;

    fn step(
        &mut self,
        now: Now,
        _store: &dyn Snapshot,
        inputs: Vec<Input>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        for input in inputs {
            match input {
                Input::Identity(identity) => self.identity_changed(now, identity, out),
                Input::Clock(clock) => self.clock = clock,
                Input::Members(members) => {
                    self.members = members
                        .into_iter()
                        .map(|member| (member.hub_id, member))
                        .collect();
                }
                Input::Incoming { link } => self.opened(now, link, None, out),
                Input::Connected { address, link } => self.opened(now, link, Some(address), out),
                Input::DialFailed { address } => self.dialler.failed(&address, now.mono),
                Input::Closed { link } => self.closed(now, link, out),
                Input::Message { link, message } => self.message(now, link, message, out),
                Input::Datagram { data } => {
                    if let (Some(swim), Some(home_id)) = (&mut self.swim, self.identity.home_id) {
                        swim.handle_datagram(&data, home_id, now);
                    }
                }
            }
        }
        self.keep_links(now, out);
        self.run_swim(now, out);
        self.dial(now, out);
        let status = self.status();
        let view = |peers: &[PeerStatus]| {
            peers
                .iter()
                .map(|peer| {
                    (
                        peer.hub_id,
                        peer.name.clone(),
                        peer.address,
                        peer.state,
                        peer.link,
                    )
                })
                .collect::<Vec<_>>()
        };
        if view(&status) != view(&self.last_status) {
            self.last_status.clone_from(&status);
            out.push(Output::Peers(status));
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Duration> {
        let swim = self.swim.as_ref().and_then(Swim::wake_at);
        [swim, self.dialler.wake_at(), self.links_wake_at()]
            .into_iter()
            .flatten()
            .min()
    }
}

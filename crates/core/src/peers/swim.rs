//! The failure detector: SWIM (Das et al. 2002) by the `foca` crate, run as one more pure state machine.
//!
//! It says who can be reached and nothing else; who belongs to the home is in its records.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, Foca, NoCustomBroadcast, Notification, PostcardCodec, Runtime, State, Timer};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Output, Peers, Settings};
use crate::id::{HomeId, HubId};
use crate::rng::Rng;
use crate::time::Now;
use crate::wire::Message;

/// Bytes of one datagram at most: within an Ethernet frame, with the home's id in front.
const DATAGRAM_MAX: usize = 1_200;
/// How often seeds without a link are asked by datagram, in periods of probing.
const ANNOUNCE: u32 = 5;

/// A hub as the detector knows it. A later generation of one address takes the place of an earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Node {
    address: SocketAddr,
    hub: [u8; 16],
    /// The wall clock when the process started, and leaps beyond it.
    generation: u64,
    /// How often this process was held for dead.
    renewals: u8,
}

/// The longest leap: 71 years of microseconds, of which there is room for some eight thousand.
const LEAP_BITS_MAX: u8 = 51;

impl foca::Identity for Node {
    type Addr = SocketAddr;

    /// Each leap is twice the last: an earlier process of this address may have had a clock far ahead of ours, and is
    /// passed in a few dozen steps, each of which costs every hub a message.
    fn renew(&self) -> Option<Node> {
        let leap = 1 << self.renewals.min(LEAP_BITS_MAX);
        Some(Node {
            generation: self.generation.saturating_add(leap),
            renewals: self.renewals.saturating_add(1),
            ..self.clone()
        })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, other: &Node) -> bool {
        (self.generation, self.renewals, self.hub) > (other.generation, other.renewals, other.hub)
    }
}

/// What the detector wants done, kept until the step ends.
#[derive(Default)]
struct Wanted {
    sends: Vec<(Node, Vec<u8>)>,
    timers: Vec<(Timer<Node>, Duration)>,
}

impl Runtime<Node> for Wanted {
    fn notify(&mut self, _notification: Notification<'_, Node>) {}

    fn send_to(&mut self, to: Node, data: &[u8]) {
        self.sends.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Node>, after: Duration) {
        self.timers.push((event, after));
    }
}

pub(super) struct Swim {
    foca: Foca<Node, PostcardCodec, Rng, NoCustomBroadcast>,
    timers: BTreeMap<(Duration, u64), Timer<Node>>,
    sends: Vec<(Node, Vec<u8>)>,
    count: u64,
    announce_at: Duration,
}

impl Swim {
    pub fn new(settings: &Settings, hub_id: HubId, address: SocketAddr, now: Now) -> Swim {
        let node = Node {
            address,
            hub: *hub_id.0.as_bytes(),
            generation: now.wall.0,
            renewals: 0,
        };
        let config = Config {
            probe_period: settings.probe_period,
            probe_rtt: settings.probe_timeout.min(settings.probe_period / 2),
            num_indirect_probes: NonZeroUsize::MIN.saturating_add(2),
            max_transmissions: NonZeroU8::MIN.saturating_add(9),
            suspect_to_down_after: settings.suspect_timeout,
            remove_down_after: Some(settings.forget_down_after),
            max_packet_size: NonZeroUsize::MIN.saturating_add(DATAGRAM_MAX - 1),
            notify_down_members: true,
            periodic_announce: None,
            periodic_announce_to_down_members: None,
            periodic_gossip: None,
        };
        let foca = Foca::new(node, config, Rng::new(settings.seed, 2), PostcardCodec);
        Swim {
            foca,
            timers: BTreeMap::new(),
            sends: Vec::new(),
            count: 0,
            announce_at: Duration::ZERO,
        }
    }

    /// Runs the detector and keeps what it wants. Its errors are other hubs' noise: malformed packets, late timers.
    fn run(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Foca<Node, PostcardCodec, Rng, NoCustomBroadcast>, &mut Wanted),
    ) {
        let mut wanted = Wanted::default();
        act(&mut self.foca, &mut wanted);
        self.sends.append(&mut wanted.sends);
        for (timer, after) in wanted.timers {
            self.count += 1;
            self.timers.insert((now.mono + after, self.count), timer);
        }
    }

    pub fn handle(&mut self, data: &[u8], now: Now) {
        self.run(now, |foca, wanted| drop(foca.handle_data(data, wanted)));
    }

    /// A datagram from the open port: ours only if it begins with our home's id.
    pub fn handle_datagram(&mut self, data: &[u8], home_id: HomeId, now: Now) {
        if let Some(data) = data.strip_prefix(home_id.0.as_bytes().as_slice())
            && data.len() <= DATAGRAM_MAX
        {
            self.handle(data, now);
        }
    }

    /// A link stands to this hub: say hello to its detector.
    pub fn met(&mut self, hub_id: HubId, address: SocketAddr, now: Now) {
        let node = Node {
            address,
            hub: *hub_id.0.as_bytes(),
            generation: 0,
            renewals: 0,
        };
        self.run(now, |foca, wanted| drop(foca.announce(node, wanted)));
    }

    /// What it thinks of a hub; None if it does not know it.
    pub fn state(&self, hub_id: HubId) -> Option<&'static str> {
        let known = self
            .foca
            .iter_membership_state()
            .filter(|member| member.id().hub == *hub_id.0.as_bytes());
        let latest = known.max_by_key(|member| member.id().generation)?;
        Some(match latest.state() {
            State::Alive => "alive",
            State::Suspect => "suspect",
            State::Down => "down",
        })
    }

    pub fn wake_at(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((due, _), _)| *due)
    }
}

impl Peers {
    /// Lets due timers run and sends what the detector wants sent: on the link where one stands, else by datagram.
    pub(super) fn run_swim(&mut self, now: Now, out: &mut Vec<Output>) {
        let Some(swim) = &mut self.swim else { return };
        while let Some(entry) = swim
            .timers
            .first_entry()
            .filter(|entry| entry.key().0 <= now.mono)
        {
            let timer = entry.remove();
            swim.run(now, |foca, wanted| drop(foca.handle_timer(timer, wanted)));
        }
        if swim.announce_at <= now.mono && swim.foca.num_members() == 0 && self.identity.home_id.is_some() {
            swim.announce_at = now.mono + ANNOUNCE * self.settings.probe_period;
            for address in self.settings.seeds.iter().filter_map(|seed| seed.parse().ok()) {
                if Some(address) != self.settings.address {
                    let seed = Node {
                        address,
                        hub: [0; 16],
                        generation: 0,
                        renewals: 0,
                    };
                    swim.run(now, |foca, wanted| drop(foca.announce(seed, wanted)));
                }
            }
        }
        for (to, data) in std::mem::take(&mut swim.sends) {
            let standing = self.links.iter().find(|(_, state)| {
                state.up
                    && state
                        .hello
                        .as_ref()
                        .is_some_and(|hello| hello.hub_id.0.as_bytes() == &to.hub)
            });
            match (standing, self.identity.home_id) {
                (Some((link, _)), _) => {
                    out.push(Output::Send {
                        link: *link,
                        message: Message::Swim {
                            data: ByteBuf::from(data),
                        },
                    });
                }
                (None, Some(home_id)) => {
                    let mut datagram = home_id.0.as_bytes().to_vec();
                    datagram.extend_from_slice(&data);
                    out.push(Output::Datagram {
                        to: to.address,
                        data: datagram,
                    });
                }
                (None, None) => {}
            }
        }
    }
}

//! Links: hello, one per hub, kept alive, and the challenge that tells a clone from a reconnect.

use std::time::Duration;

use super::{Output, Peers};
use crate::machine::Link;
use crate::time::Now;
use crate::wire::{Hello, Message, PROTOCOL, WireClock};
use crate::zoo::{self, Bug};

/// How long a link may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the older of two links of one hub has to answer before the newer takes its place.
const CHALLENGE_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct LinkState {
    /// As dialled; None if they dialled us.
    pub dialled: Option<String>,
    pub hello: Option<Box<Hello>>,
    /// Whether the rest of the hub uses it.
    pub up: bool,
    pub heard_at: Duration,
    opened_at: Duration,
    pinged_at: Duration,
    /// A newer link of the same hub waits for this one's answer.
    challenge: Option<(u64, Link, Duration)>,
}

impl Peers {
    pub(super) fn opened(&mut self, now: Now, link: Link, dialled: Option<String>, out: &mut Vec<Output>) {
        if let Some(address) = &dialled {
            self.dialler.connected(address);
        }
        self.links.insert(
            link,
            LinkState {
                dialled,
                hello: None,
                up: false,
                heard_at: now.mono,
                opened_at: now.mono,
                pinged_at: now.mono,
                challenge: None,
            },
        );
        self.say_hello(now, link, out);
    }

    pub(super) fn say_hello(&mut self, now: Now, link: Link, out: &mut Vec<Output>) {
        let hello = Hello {
            protocol_version: PROTOCOL.to_owned(),
            software: self.settings.software.clone(),
            home_id: self.identity.home_id,
            hub_id: self.identity.hub_id,
            name: self.identity.name.clone(),
            replica: self.identity.replica,
            boot: self.settings.boot,
            address: self.settings.address,
            clock: WireClock::of(&self.clock),
            lz4: true,
            blobs: true,
            wall: now.wall,
        };
        out.push(Output::Send {
            link,
            message: Message::Hello(Box::new(hello)),
        });
    }

    pub(super) fn heard_hello(&mut self, now: Now, link: Link, hello: Hello, out: &mut Vec<Output>) {
        self.heard(now, link);
        if hello.protocol_version != PROTOCOL {
            let detail = format!(
                "{:?} is not spoken here; this hub speaks {PROTOCOL:?}",
                hello.protocol_version
            );
            self.cut(now, link, "unknown_protocol", detail, out);
            return;
        }
        if hello.name.len() > crate::limits::WORD_BYTES_MAX
            || hello.software.len() > crate::limits::WORD_BYTES_MAX
        {
            self.cut(
                now,
                link,
                "bad_hello",
                "a name of more than 128 bytes".to_owned(),
                out,
            );
            return;
        }
        let twin = hello.boot != self.settings.boot;
        if hello.hub_id == self.identity.hub_id && !(twin && zoo::planted(Bug::TwinIgnored)) {
            if hello.boot == self.settings.boot {
                let dialled = self.links.get(&link).and_then(|state| state.dialled.clone());
                self.dialler.is_ourselves(dialled.as_deref());
                self.cut(now, link, "self", "this hub dialled itself".to_owned(), out);
            } else if hello.boot < self.settings.boot {
                // Both see this; the one that started with the larger number begins a new life.
                self.cut(
                    now,
                    link,
                    "twin_seen",
                    "another live hub answers under our name".to_owned(),
                    out,
                );
                out.push(Output::Twin { of: hello.hub_id });
            } else {
                self.cut(
                    now,
                    link,
                    "twin",
                    "this hub's name is in use by another live hub".to_owned(),
                    out,
                );
            }
            return;
        }
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        if state.up
            && state
                .hello
                .as_ref()
                .is_some_and(|before| before.hub_id != hello.hub_id)
        {
            // One link per hub, and it knows which: under its new name it begins again.
            let detail = "this hub goes by another name now: dial again".to_owned();
            self.cut(now, link, "renamed", detail, out);
            return;
        }
        self.dialler.answered(hello.hub_id, state.dialled.as_deref());
        let asks_for_a_home = state.up && hello.home_id.is_none();
        state.hello = Some(Box::new(hello));
        if asks_for_a_home {
            // It has not heard the hello in which we said ours.
            self.say_hello(now, link, out);
        }
        self.settle(now, link, out);
    }

    /// Decides whether a link stands up, with what both ends have said so far.
    pub(super) fn settle(&mut self, now: Now, link: Link, out: &mut Vec<Output>) {
        let Some(state) = self.links.get(&link) else {
            return;
        };
        let (Some(hello), false) = (state.hello.clone(), state.up) else {
            return;
        };
        match (self.identity.home_id, hello.home_id) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                self.dialler.avoid(state.dialled.as_deref(), now.mono);
                let detail = format!("this hub belongs to the home {ours}, not to {theirs}");
                self.cut(now, link, "other_home", detail, out);
                return;
            }
            (None, Some(home_id)) => {
                out.push(Output::Join { home_id });
                return; // stands up when the home is durable
            }
            (None, None) => return,
            // They have no home yet and will take ours.
            (Some(_), _) => {}
        }
        let mut standing = self.links.iter().filter(|(other, state)| {
            **other != link
                && state.up
                && state
                    .hello
                    .as_ref()
                    .is_some_and(|other| other.hub_id == hello.hub_id)
        });
        if let Some((other, other_state)) = standing.next() {
            let other = *other;
            if other_state
                .hello
                .as_ref()
                .is_some_and(|other| other.boot == hello.boot)
            {
                // Both dialled at once: the link that the smaller hub id dialled stays.
                let we_dialled = state.dialled.is_some();
                let keep_new = (self.identity.hub_id < hello.hub_id) == we_dialled;
                let we_dialled_other = other_state.dialled.is_some();
                if keep_new && we_dialled != we_dialled_other {
                    self.cut(
                        now,
                        other,
                        "double",
                        "another link to this hub stands".to_owned(),
                        out,
                    );
                } else {
                    self.cut(
                        now,
                        link,
                        "double",
                        "another link to this hub stands".to_owned(),
                        out,
                    );
                    return;
                }
            } else {
                // The same hub, started again, or a clone of it: whoever still answers on the old link decides.
                self.nonces += 1;
                let nonce = self.nonces;
                if let Some(older) = self.links.get_mut(&other)
                    && older.challenge.is_none()
                {
                    older.challenge = Some((nonce, link, now.mono + CHALLENGE_TIMEOUT));
                    out.push(Output::Send {
                        link: other,
                        message: Message::Ping {
                            nonce,
                            wall: now.wall,
                        },
                    });
                }
                return;
            }
        }
        let Some(clock) = hello.clock.read(&self.settings.limits) else {
            self.cut(
                now,
                link,
                "bad_clock",
                "a hello with an impossible clock".to_owned(),
                out,
            );
            return;
        };
        if let Some(state) = self.links.get_mut(&link) {
            state.up = true;
        }
        self.dialler
            .met(hello.hub_id, self.links[&link].dialled.as_deref());
        out.push(Output::LinkUp {
            link,
            hub_id: hello.hub_id,
            clock,
            lz4: hello.lz4,
            blobs: hello.blobs,
        });
        out.push(Output::Wall {
            hub_id: hello.hub_id,
            wall: hello.wall,
        });
        if let (Some(swim), Some(address)) = (&mut self.swim, hello.address) {
            swim.met(hello.hub_id, address, now);
        }
    }

    /// The older link answered: two live hubs under one name. The newcomer is told.
    pub(super) fn challenge_answered(&mut self, now: Now, link: Link, nonce: u64, out: &mut Vec<Output>) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        if let Some((_, newer, _)) = state.challenge.take_if(|(asked, _, _)| *asked == nonce)
            && self.links.contains_key(&newer)
        {
            self.cut(
                now,
                newer,
                "twin",
                "this hub's name is in use by another live hub".to_owned(),
                out,
            );
        }
    }

    pub(super) fn cut(
        &mut self,
        now: Now,
        link: Link,
        code: &'static str,
        detail: String,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Send {
            link,
            message: Message::Bye {
                code: code.to_owned(),
                detail: detail.clone(),
            },
        });
        out.push(Output::Cut { link, code, detail });
        self.closed(now, link, out);
    }

    pub(super) fn closed(&mut self, now: Now, link: Link, out: &mut Vec<Output>) {
        let Some(state) = self.links.remove(&link) else {
            return;
        };
        if let Some(address) = &state.dialled {
            self.dialler.lost(address, state.up, now.mono);
        }
        if !state.up {
            return;
        }
        out.push(Output::LinkDown { link });
        let Some(hub_id) = state.hello.map(|hello| hello.hub_id) else {
            return;
        };
        self.dialler.parted(hub_id);
        // Others of the same hub have waited for this one to answer, or to go.
        let of_hub = |state: &LinkState| state.hello.as_ref().is_some_and(|hello| hello.hub_id == hub_id);
        let waiting = self.links.iter().filter(|(_, state)| of_hub(state));
        for link in waiting.map(|(link, _)| *link).collect::<Vec<_>>() {
            self.settle(now, link, out);
        }
    }

    /// Asks silent links, cuts dead ones.
    pub(super) fn keep_links(&mut self, now: Now, out: &mut Vec<Output>) {
        let keepalive = self.settings.keepalive;
        let (mut dead, mut waiting) = (Vec::new(), Vec::new());
        for (link, state) in &mut self.links {
            let silent = now.mono.saturating_sub(state.heard_at);
            if state.hello.is_none() && now.mono >= state.opened_at + HELLO_TIMEOUT {
                dead.push((*link, "no hello"));
            } else if silent >= keepalive * 3 && !(zoo::planted(Bug::LinkNeverCut) && state.hello.is_some()) {
                dead.push((*link, "no answer"));
            } else if state
                .challenge
                .is_some_and(|(_, _, deadline)| deadline <= now.mono)
            {
                dead.push((*link, "replaced by a newer link of the same hub"));
            } else if state.hello.is_some() && now.mono >= state.pinged_at + keepalive {
                state.pinged_at = now.mono;
                if state.up {
                    out.push(Output::Send {
                        link: *link,
                        message: Message::Ping {
                            nonce: 0,
                            wall: now.wall,
                        },
                    });
                } else {
                    waiting.push(*link);
                }
            }
        }
        // It stands at one end at most. What is missing may have been said and not heard.
        for link in waiting {
            self.say_hello(now, link, out);
        }
        for (link, why) in dead {
            self.cut(now, link, "silent", why.to_owned(), out);
        }
    }

    pub(super) fn links_wake_at(&self) -> Option<Duration> {
        let next = |state: &LinkState| {
            let keepalive = self.settings.keepalive;
            let next = if state.hello.is_none() {
                (state.opened_at + HELLO_TIMEOUT).min(state.heard_at + keepalive * 3)
            } else {
                state.pinged_at + keepalive
            };
            state
                .challenge
                .map_or(next, |(_, _, deadline)| next.min(deadline))
        };
        self.links.values().map(next).min()
    }
}

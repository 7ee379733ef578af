//! Steps of reconciliation: what is asked, told and handed on.

use super::*;
use crate::clock::Point;
use crate::entry::{Entry, Genesis};
use crate::hash::Check;
use crate::id::{Dot, HomeId, HubId};
use crate::store::MemorySnapshot;
use crate::time::Micros;
use crate::wire::{WireBundle, WireClock};
use uuid::Uuid;

const PEER: ReplicaId = ReplicaId([7; 16]);

fn identity() -> Identity {
    Identity {
        hub_id: HubId(Uuid::from_u128(1)),
        home_id: Some(HomeId(Uuid::from_u128(2))),
        replica: Some(ReplicaId([1; 16])),
        life: 1,
        name: "kitchen".into(),
    }
}

fn room() -> Reconcile {
    let settings = Settings {
        limits: Limits::default(),
        fanout: 1,
        interval: Duration::from_secs(1),
        quiet_interval: Duration::from_secs(30),
        window_bytes_max: 4_096,
        forgets: false,
    };
    Reconcile::new(settings, &identity(), Clock::new())
}

fn step(room: &mut Reconcile, millis: u64, inputs: Vec<Input>) -> Vec<Output> {
    let now = Now {
        wall: Micros(0),
        mono: Duration::from_millis(millis),
    };
    let mut out = Vec::new();
    room.step(now, &MemorySnapshot::default(), inputs, &mut out)
        .unwrap();
    out
}

fn clock(sequence: u64) -> Clock {
    [(
        PEER,
        Point {
            sequence,
            check: Some(Check([sequence as u8; 8])),
        },
    )]
    .into_iter()
    .collect()
}

/// The chain of `PEER`'s log, without records.
fn chain(len: u64) -> Vec<Bundle> {
    let mut bundles: Vec<Bundle> = Vec::new();
    for sequence in 1..=len {
        let prev = bundles.last().map(|bundle| (sequence - 1, bundle.hash));
        let genesis = prev.is_none().then_some(Genesis {
            home_id: HomeId(Uuid::from_u128(2)),
            hub_id: HubId(Uuid::from_u128(9)),
            life: 1,
            earlier: None,
        });
        let dot = Dot {
            replica: PEER,
            sequence,
        };
        let entry = Entry {
            dot,
            prev,
            genesis,
            stamps: Vec::new(),
            extra: Default::default(),
        };
        bundles.push(Bundle::seal(entry, Vec::new()));
    }
    bundles
}

fn held(bundles: &[Bundle]) -> Clock {
    let last = bundles.last().unwrap();
    [(
        PEER,
        Point {
            sequence: last.entry.dot.sequence,
            check: Some(last.hash.check()),
        },
    )]
    .into_iter()
    .collect()
}

fn said(link: u64, clock: &Clock) -> Input {
    Input::Message {
        link: Link(link),
        message: Message::Clock {
            clock: WireClock::of(clock),
        },
    }
}

fn sent(out: &[Output]) -> Vec<(u64, &'static str)> {
    out.iter()
        .filter_map(|output| match output {
            Output::Send { link, message } => Some((link.0, message.name())),
            _ => None,
        })
        .collect()
}

#[test]
fn nothing_is_asked_of_a_peer_before_its_reconciliation_has_spoken() {
    let mut room = room();
    let out = step(
        &mut room,
        100,
        vec![Input::LinkUp {
            hub_id: HubId(uuid::Uuid::from_u128(9)),
            link: Link(1),
            clock: clock(5),
        }],
    );
    assert_eq!(
        sent(&out),
        [(1, "clock")],
        "we say how far we are; its own room may not hear us yet"
    );
    let out = step(&mut room, 101, vec![said(1, &clock(5))]);
    assert_eq!(sent(&out), [(1, "pull")]);
    assert_eq!(
        sent(&step(&mut room, 130, vec![])),
        [(1, "clock")],
        "and once more, for the first may have been lost"
    );
}

#[test]
fn one_peer_is_asked_at_a_time_and_another_when_it_keeps_silent() {
    let mut room = room();
    let ups = [1, 2].map(|link| Input::LinkUp {
        hub_id: HubId(uuid::Uuid::from_u128(9)),
        link: Link(link),
        clock: clock(5),
    });
    step(&mut room, 0, ups.into());
    let out = step(&mut room, 1, vec![said(1, &clock(5)), said(2, &clock(5))]);
    let first: Vec<_> = sent(&out)
        .into_iter()
        .filter(|(_, name)| *name == "pull")
        .collect();
    assert_eq!(first.len(), 1, "nothing is fetched twice: {first:?}");
    let late = step(&mut room, 11_000, vec![]);
    let second: Vec<_> = sent(&late)
        .into_iter()
        .filter(|(_, name)| *name == "pull")
        .collect();
    assert_eq!(second.len(), 1);
    assert_ne!(first[0].0, second[0].0, "the silent one is passed over");
}

#[test]
fn what_arrives_is_not_asked_for_again_while_it_lands() {
    let mut room = room();
    let bundles = chain(2);
    step(
        &mut room,
        0,
        vec![
            Input::LinkUp {
                hub_id: HubId(uuid::Uuid::from_u128(9)),
                link: Link(1),
                clock: Clock::new(),
            },
            said(1, &Clock::new()),
        ],
    );
    let push = bundles.iter().map(WireBundle::of).collect();
    let push = Input::Message {
        link: Link(1),
        message: Message::Push { bundles: push },
    };
    let out = step(&mut room, 1, vec![push]);
    assert_eq!(
        out,
        vec![Output::Apply {
            link: Link(1),
            bundles: bundles.clone(),
            mend: false,
        }]
    );
    let out = step(&mut room, 2, vec![said(1, &held(&bundles))]);
    assert!(!sent(&out).iter().any(|(_, name)| *name == "pull"), "{out:?}");
    let landed = vec![
        Input::Durable {
            bundles: Vec::new(),
            clock: held(&bundles),
        },
        Input::Applied {
            link: Link(1),
            applied: 2,
            gap: false,
            forks: Vec::new(),
            mended: None,
        },
    ];
    assert!(
        !sent(&step(&mut room, 3, landed))
            .iter()
            .any(|(_, name)| *name == "pull")
    );
}

#[test]
fn news_goes_to_a_bounded_number_of_peers_and_never_back_where_it_came_from() {
    let mut room = room();
    for link in 1..=3 {
        step(
            &mut room,
            0,
            vec![
                Input::LinkUp {
                    hub_id: HubId(uuid::Uuid::from_u128(9)),
                    link: Link(link),
                    clock: Clock::new(),
                },
                said(link, &Clock::new()),
            ],
        );
    }
    step(&mut room, 50, vec![]);
    let bundle = Arc::new(chain(1).remove(0));
    let durable = Input::Durable {
        bundles: vec![(bundle.clone(), Some(Link(2)))],
        clock: held(&[(*bundle).clone()]),
    };
    let out = step(&mut room, 60, vec![durable]);
    let pushed: Vec<u64> = sent(&out)
        .into_iter()
        .filter(|(_, name)| *name == "push")
        .map(|(link, _)| link)
        .collect();
    assert_eq!(pushed.len(), 1, "the fan-out is one: {pushed:?}");
    assert_ne!(pushed[0], 2);
    let later = step(&mut room, 2_000, vec![]);
    let told = sent(&later)
        .into_iter()
        .filter(|(_, name)| *name == "clock")
        .count();
    assert!(told >= 2, "the others hear of it by the clock: {later:?}");
}

#[test]
fn what_does_not_follow_what_a_peer_holds_is_left_to_its_pull() {
    let mut room = room();
    step(
        &mut room,
        0,
        vec![
            Input::LinkUp {
                hub_id: HubId(uuid::Uuid::from_u128(9)),
                link: Link(1),
                clock: Clock::new(),
            },
            said(1, &Clock::new()),
        ],
    );
    step(&mut room, 50, vec![]);
    let bundles = chain(3);
    let only_last = vec![(Arc::new(bundles[2].clone()), None)];
    let out = step(
        &mut room,
        60,
        vec![Input::Durable {
            bundles: only_last,
            clock: held(&bundles),
        }],
    );
    assert!(!sent(&out).iter().any(|(_, name)| *name == "push"));
    assert_eq!(
        sent(&step(&mut room, 90, vec![])),
        [(1, "clock")],
        "soon, for it lacks something"
    );
}

#[test]
fn a_bundle_that_does_not_verify_costs_the_link() {
    let mut room = room();
    step(
        &mut room,
        0,
        vec![
            Input::LinkUp {
                hub_id: HubId(uuid::Uuid::from_u128(9)),
                link: Link(1),
                clock: Clock::new(),
            },
            said(1, &Clock::new()),
        ],
    );
    let mut bundle = WireBundle::of(&chain(1)[0]);
    bundle.records.push(serde_bytes::ByteBuf::from(vec![0x80]));
    let push = Input::Message {
        link: Link(1),
        message: Message::Push {
            bundles: vec![bundle],
        },
    };
    let out = step(&mut room, 1, vec![push]);
    assert!(
        matches!(
            &out[..],
            [Output::Cut {
                link: Link(1),
                code: "bad_bundle",
                ..
            }]
        ),
        "{out:?}"
    );
}

#[test]
fn a_quiet_peer_is_told_the_clock_now_and_then_and_no_more() {
    let mut room = room();
    step(
        &mut room,
        0,
        vec![
            Input::LinkUp {
                hub_id: HubId(uuid::Uuid::from_u128(9)),
                link: Link(1),
                clock: Clock::new(),
            },
            said(1, &Clock::new()),
        ],
    );
    let mut told = 0;
    let (mut at, mut steps) = (0, 0);
    while at < 300_000 {
        told += sent(&step(&mut room, at, vec![])).len();
        at = room.wake_at().map_or(300_000, |wake| wake.as_millis() as u64 + 1);
        steps += 1;
        assert!(steps < 100, "the room wakes itself for nothing");
    }
    assert!((9..=13).contains(&told), "{told} clocks in five quiet minutes");
}

#[test]
fn sequences_that_no_log_has_hang_nobody() {
    let mut room = room();
    let inputs = vec![
        Input::LinkUp {
            hub_id: HubId(uuid::Uuid::from_u128(9)),
            link: Link(1),
            clock: Clock::new(),
        },
        Input::Message {
            link: Link(1),
            message: Message::Trace {
                replica: PEER,
                above: u64::MAX,
            },
        },
        Input::Message {
            link: Link(1),
            message: Message::Pull {
                round: 1,
                clock: WireClock(vec![(PEER, u64::MAX, Check([0; 8]))]),
            },
        },
    ];
    let mut store = crate::store::MemoryStore::default();
    let row = crate::store::ReplicaRow {
        hub_id: HubId(Uuid::from_u128(9)),
        life: 1,
        sequence: 3,
        hash: Digest([3; 32]),
    };
    let write = (
        crate::store::Family::Replicas,
        PEER.0.to_vec(),
        Some(crate::store::encode_row(&row)),
    );
    let commit = crate::store::Commit {
        writes: vec![write],
        ..Default::default()
    };
    crate::store::Store::commit(&mut store, &commit).unwrap();
    let now = Now {
        wall: Micros(0),
        mono: Duration::ZERO,
    };
    let mut out = Vec::new();
    room.step(now, &crate::store::Store::snapshot(&store), inputs, &mut out)
        .unwrap();
    assert_eq!(sent(&out), [(1, "chain")]);
    let cut = |output: &Output| {
        matches!(
            output,
            Output::Cut {
                code: "bad_clock",
                ..
            }
        )
    };
    assert!(out.iter().any(cut), "a clock that no log can have costs the link");
}

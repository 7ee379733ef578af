//! Steps of peers: hello, one link per hub, clones, other homes, dialling.

use super::*;
use crate::id::ReplicaId;
use crate::store::MemorySnapshot;
use crate::time::Micros;
use crate::wire::{Hello, PROTOCOL, WireClock};
use uuid::Uuid;

const HOME: HomeId = HomeId(Uuid::from_u128(100));

fn settings() -> Settings {
    Settings {
        limits: Limits::default(),
        software: "test".into(),
        seeds: vec!["seed:1".into()],
        address: "127.0.0.1:7420".parse().ok(),
        links_max: 4,
        backoff: (Duration::from_millis(250), Duration::from_secs(4)),
        probe_period: Duration::from_secs(1),
        probe_timeout: Duration::from_millis(400),
        suspect_timeout: Duration::from_secs(5),
        forget_down_after: Duration::from_secs(600),
        keepalive: Duration::from_secs(10),
        boot: 50,
        seed: 1,
    }
}

fn us(home_id: Option<HomeId>) -> Identity {
    Identity {
        hub_id: HubId(Uuid::from_u128(1)),
        home_id,
        replica: home_id.map(|_| ReplicaId([1; 16])),
        life: 1,
        name: "kitchen".into(),
    }
}

fn at(millis: u64) -> Now {
    Now {
        wall: Micros(1_781_516_462_000_000),
        mono: Duration::from_millis(millis),
    }
}

fn room(home_id: Option<HomeId>) -> Peers {
    Peers::new(settings(), us(home_id), Clock::new(), Vec::new(), at(0))
}

fn step(room: &mut Peers, millis: u64, inputs: Vec<Input>) -> Vec<Output> {
    let mut out = Vec::new();
    room.step(at(millis), &MemorySnapshot::default(), inputs, &mut out)
        .unwrap();
    out
}

fn hello(link: u64, hub: u128, boot: u64, home_id: Option<HomeId>) -> Input {
    let hello = Hello {
        protocol_version: PROTOCOL.into(),
        software: "other".into(),
        home_id,
        hub_id: HubId(Uuid::from_u128(hub)),
        name: "attic".into(),
        replica: None,
        boot,
        address: "127.0.0.1:7421".parse().ok(),
        clock: WireClock::default(),
        lz4: true,
        blobs: true,
        wall: Micros(0),
    };
    Input::Message {
        link: Link(link),
        message: Message::Hello(Box::new(hello)),
    }
}

fn incoming(link: u64) -> Input {
    Input::Incoming { link: Link(link) }
}

fn ups(out: &[Output]) -> Vec<u64> {
    out.iter()
        .filter_map(|o| {
            if let Output::LinkUp { link, .. } = o {
                Some(link.0)
            } else {
                None
            }
        })
        .collect()
}

fn cuts(out: &[Output]) -> Vec<(u64, &'static str)> {
    out.iter()
        .filter_map(|o| {
            if let Output::Cut { link, code, .. } = o {
                Some((link.0, *code))
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn a_link_stands_up_after_hellos_of_one_home() {
    let mut room = room(Some(HOME));
    let out = step(&mut room, 0, vec![incoming(1)]);
    assert!(
        out.iter().any(|o| matches!(
            o,
            Output::Send {
                message: Message::Hello(_),
                ..
            }
        )),
        "we say hello at once"
    );
    assert!(ups(&out).is_empty());
    assert_eq!(ups(&step(&mut room, 1, vec![hello(1, 2, 9, Some(HOME))])), [1]);
    let gone = step(&mut room, 2, vec![Input::Closed { link: Link(1) }]);
    assert!(gone.contains(&Output::LinkDown { link: Link(1) }));
}

#[test]
fn a_hub_without_a_home_takes_the_first_it_meets_and_stands_up_when_that_is_durable() {
    let mut room = room(None);
    let out = step(&mut room, 0, vec![incoming(1), hello(1, 2, 9, Some(HOME))]);
    assert!(out.contains(&Output::Join { home_id: HOME }) && ups(&out).is_empty());
    assert_eq!(
        ups(&step(&mut room, 1, vec![Input::Identity(us(Some(HOME)))])),
        [1]
    );
    let other = HomeId(Uuid::from_u128(200));
    let out = step(&mut room, 2, vec![incoming(2), hello(2, 3, 9, Some(other))]);
    assert_eq!(cuts(&out), [(2, "other_home")], "and refuses another ever after");
}

#[test]
fn another_protocol_is_refused() {
    let mut room = room(Some(HOME));
    let Input::Message {
        message: Message::Hello(mut other),
        ..
    } = hello(1, 2, 9, Some(HOME))
    else {
        panic!()
    };
    other.protocol_version = "inbetweenies-v9".into();
    let other = Input::Message {
        link: Link(1),
        message: Message::Hello(other),
    };
    assert_eq!(
        cuts(&step(&mut room, 0, vec![incoming(1), other])),
        [(1, "unknown_protocol")]
    );
}

#[test]
fn two_hubs_that_dial_each_other_at_once_keep_the_same_link() {
    // We are hub 1 and dialled link 1; hub 2 dialled link 2. The smaller hub id's link stays, in either order.
    for first_ours in [true, false] {
        let mut room = room(Some(HOME));
        step(
            &mut room,
            0,
            vec![
                Input::Connected {
                    address: "seed:1".into(),
                    link: Link(1),
                },
                incoming(2),
            ],
        );
        let order = if first_ours { [1, 2] } else { [2, 1] };
        let mut out = step(&mut room, 1, vec![hello(order[0], 2, 9, Some(HOME))]);
        out.extend(step(&mut room, 2, vec![hello(order[1], 2, 9, Some(HOME))]));
        assert_eq!(cuts(&out), [(2, "double")]);
        assert!(room.links[&Link(1)].up);
    }
}

#[test]
fn a_restarted_hub_takes_the_place_of_its_old_link_and_a_clone_does_not() {
    for answers in [false, true] {
        let mut room = room(Some(HOME));
        step(&mut room, 0, vec![incoming(1), hello(1, 2, 9, Some(HOME))]);
        let out = step(&mut room, 100, vec![incoming(2), hello(2, 2, 10, Some(HOME))]);
        assert!(
            ups(&out).is_empty(),
            "whoever still answers on the old link decides"
        );
        let asked = out.iter().find_map(|o| match o {
            Output::Send {
                link: Link(1),
                message: Message::Ping { nonce, .. },
            } if *nonce > 0 => Some(*nonce),
            _ => None,
        });
        let nonce = asked.expect("a challenge on the old link");
        if answers {
            let pong = Input::Message {
                link: Link(1),
                message: Message::Pong {
                    nonce,
                    wall: Micros(0),
                },
            };
            assert_eq!(cuts(&step(&mut room, 200, vec![pong])), [(2, "twin")]);
        } else {
            let out = step(&mut room, 4_000, vec![]);
            assert_eq!(cuts(&out), [(1, "silent")]);
            assert_eq!(ups(&out), [2]);
        }
    }
}

#[test]
fn of_two_live_hubs_with_one_name_the_later_start_begins_anew() {
    let mut room = room(Some(HOME));
    let out = step(&mut room, 0, vec![incoming(1), hello(1, 1, 40, Some(HOME))]);
    let twin = Output::Twin { of: us(None).hub_id };
    assert!(out.contains(&twin), "our boot is the larger");
    let out = step(&mut room, 1, vec![incoming(2), hello(2, 1, 60, Some(HOME))]);
    assert!(!out.contains(&twin));
    let out = step(&mut room, 2, vec![incoming(3), hello(3, 1, 50, Some(HOME))]);
    assert_eq!(cuts(&out), [(3, "self")], "we dialled ourselves");
}

/// Our own name is taken by a twin: we go by another.
fn renamed(room: &mut Peers, millis: u64) -> Vec<Output> {
    let identity = Identity {
        hub_id: HubId(Uuid::from_u128(7)),
        ..us(Some(HOME))
    };
    step(room, millis, vec![Input::Identity(identity)])
}

/// Every peer tells a clone of its twin. A clone that had taken a name of its own at the first word took another at the
/// second, and a life with each.
#[test]
fn a_late_word_of_a_twin_is_about_the_name_that_was_said() {
    let bye = || {
        let bye = Message::Bye {
            code: "twin".into(),
            detail: String::new(),
        };
        let link = Link(1);
        Input::Message { link, message: bye }
    };
    let twins = |out: &[Output]| out.iter().filter(|o| matches!(o, Output::Twin { .. })).count();
    let mut room = room(Some(HOME));
    step(&mut room, 0, vec![incoming(1), hello(1, 2, 9, Some(HOME))]);
    let out = step(&mut room, 1, vec![bye()]);
    let of = us(None).hub_id;
    assert!(out.contains(&Output::Twin { of }), "{out:?}");
    renamed(&mut room, 2);
    assert_eq!(
        twins(&step(&mut room, 3, vec![bye()])),
        0,
        "that name is given up"
    );
}

/// It said its new name on the links that stood. Where that was lost, the link went on under the old name, and the twin
/// that kept it was told there that it was in use: it took another one too, long after the home had settled.
#[test]
fn a_hub_that_takes_another_name_leaves_the_links_that_know_the_old_one() {
    let mut room = room(Some(HOME));
    step(&mut room, 0, vec![incoming(1), hello(1, 2, 9, Some(HOME))]);
    step(&mut room, 0, vec![incoming(2), hello(2, 3, 9, Some(HOME))]);
    step(&mut room, 0, vec![incoming(3)]);
    let out = renamed(&mut room, 1);
    assert_eq!(cuts(&out), [(1, "renamed"), (2, "renamed"), (3, "renamed")]);
    for link in [Link(1), Link(2)] {
        assert!(out.contains(&Output::LinkDown { link }), "{out:?}");
    }
    assert!(
        room.links.is_empty() && room.dialler.is_idle(),
        "and all begins again"
    );
}

#[test]
fn seeds_are_dialled_with_growing_waits_and_left_alone_while_linked() {
    let mut room = room(Some(HOME));
    let dials = |out: &[Output]| out.iter().filter(|o| matches!(o, Output::Dial { .. })).count();
    assert_eq!(dials(&step(&mut room, 0, vec![])), 1);
    assert_eq!(dials(&step(&mut room, 1, vec![])), 0, "one attempt at a time");
    let (mut now, mut attempts) = (1, 0);
    while now < 60_000 {
        attempts += dials(&step(
            &mut room,
            now,
            vec![Input::DialFailed {
                address: "seed:1".into(),
            }],
        ));
        now = room
            .dialler
            .wake_at()
            .map_or(60_000, |at| at.as_millis() as u64 + 1);
        attempts += dials(&step(&mut room, now, vec![]));
    }
    assert!((15..60).contains(&attempts), "{attempts} attempts in a minute");
    step(
        &mut room,
        now,
        vec![Input::Connected {
            address: "seed:1".into(),
            link: Link(1),
        }],
    );
    step(&mut room, now + 1, vec![hello(1, 2, 9, Some(HOME))]);
    assert_eq!(dials(&step(&mut room, now + 20_000, vec![])), 0);
}

#[test]
fn silent_links_are_asked_and_then_cut() {
    let mut room = room(Some(HOME));
    step(&mut room, 0, vec![incoming(1), hello(1, 2, 9, Some(HOME))]);
    let pings = |out: &[Output]| {
        out.iter()
            .filter(|o| {
                matches!(
                    o,
                    Output::Send {
                        message: Message::Ping { .. },
                        ..
                    }
                )
            })
            .count()
    };
    assert_eq!(pings(&step(&mut room, 10_001, vec![])), 1);
    assert!(cuts(&step(&mut room, 29_000, vec![])).is_empty());
    assert_eq!(cuts(&step(&mut room, 30_001, vec![])), [(1, "silent")]);
}

#[test]
fn a_caller_that_says_nothing_is_waited_for_without_spinning() {
    let settings = Settings {
        keepalive: Duration::from_secs(2),
        ..settings()
    };
    let mut room = Peers::new(settings, us(Some(HOME)), Clock::new(), Vec::new(), at(0));
    step(&mut room, 0, vec![incoming(1)]);
    for _ in 0..5 {
        let now = room.links_wake_at().unwrap().as_millis() as u64;
        let out = step(&mut room, now, vec![]);
        if !cuts(&out).is_empty() {
            assert_eq!((cuts(&out), now), (vec![(1, "silent")], 6_000));
            return;
        }
    }
    panic!("it is woken again and again with nothing to do");
}

/// The old link is dead and nobody has noticed; the restarted hub has dialled us and we have dialled it. It keeps the
/// link that the smaller id dialled and closes the other, which is the one that waits for the old link's answer.
#[test]
fn a_second_link_of_a_restarted_hub_stands_up_when_the_old_one_is_given_up() {
    let mut room = room(Some(HOME));
    step(&mut room, 0, vec![incoming(1), hello(1, 2, 9, Some(HOME))]);
    step(&mut room, 100, vec![incoming(2), hello(2, 2, 10, Some(HOME))]);
    step(&mut room, 100, vec![incoming(3), hello(3, 2, 10, Some(HOME))]);
    step(&mut room, 200, vec![Input::Closed { link: Link(2) }]);
    let out = step(&mut room, 4_000, vec![]);
    assert_eq!(cuts(&out), [(1, "silent")]);
    assert_eq!(ups(&out), [3]);
}

#[test]
fn a_hub_that_changes_its_name_on_a_link_begins_it_again() {
    let mut room = room(Some(HOME));
    step(&mut room, 0, vec![incoming(1), hello(1, 2, 9, Some(HOME))]);
    let out = step(&mut room, 1, vec![hello(1, 3, 9, Some(HOME))]);
    assert_eq!(cuts(&out), [(1, "renamed")]);
    assert!(room.dialler.is_idle(), "and nothing counts as linked any more");
}

/// A seed by another name than its member record gives, or the record of a hub whose address another has now.
#[test]
fn an_address_whose_hub_is_linked_already_is_left_alone() {
    let mut room = room(Some(HOME));
    // A smaller id than ours: the link that it dialled stays.
    let mut out = step(&mut room, 0, vec![incoming(1), hello(1, 0, 9, Some(HOME))]);
    let mut attempts = 0;
    for second in 1..60 {
        let mut inputs = vec![hello(1, 0, 9, Some(HOME))];
        for output in out {
            if let Output::Dial { address } = output {
                attempts += 1;
                let link = Link(1 + attempts);
                inputs.extend([
                    Input::Connected { address, link },
                    hello(link.0, 0, 9, Some(HOME)),
                ]);
            }
        }
        out = step(&mut room, second * 1_000, inputs);
    }
    assert_eq!(attempts, 1, "attempts in a minute");
}

/// A hub without a home waits on a link for the hello that names one. Lost on the way, it was never said again.
#[test]
fn a_hub_that_has_not_heard_of_the_home_asks_again() {
    let hellos = |out: &[Output]| {
        let hello = |o: &&Output| {
            matches!(
                o,
                Output::Send {
                    message: Message::Hello(_),
                    ..
                }
            )
        };
        out.iter().filter(hello).count()
    };
    let mut homeless = room(None);
    step(&mut homeless, 0, vec![incoming(1), hello(1, 2, 9, None)]);
    assert_eq!(
        hellos(&step(&mut homeless, 10_000, vec![])),
        1,
        "it says again that it has none"
    );
    let mut at_home = room(Some(HOME));
    let out = step(&mut at_home, 0, vec![incoming(1), hello(1, 2, 9, None)]);
    assert_eq!(ups(&out), [1]);
    let out = step(&mut at_home, 10_000, vec![hello(1, 2, 9, None)]);
    assert_eq!(hellos(&out), 1, "and is told");
    assert_eq!(
        hellos(&step(&mut at_home, 20_000, vec![hello(1, 2, 9, Some(HOME))])),
        0
    );
}

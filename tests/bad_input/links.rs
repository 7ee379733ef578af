//! What no hub says, on the door for hubs: the link is cut, the hub goes on.

use std::time::Instant;

use inbetweenies_core::hash::{Check, Digest};
use inbetweenies_core::id::{Dot, HomeId, HubId, ReplicaId};
use inbetweenies_core::limits::Limits;
use inbetweenies_core::time::Micros;
use inbetweenies_core::wire::{Hello, Message, WireBundle, WireClock, seal_frame};
use serde_bytes::ByteBuf;

use crate::Table;
use crate::process::socket::{BINARY, TEXT};
use crate::stranger::{END, Stranger, hello, hello_of, own};

const LZ4: u8 = 1;
const MORE: u8 = 2;

fn clock(points: &[(ReplicaId, u64)]) -> WireClock {
    WireClock(
        points
            .iter()
            .map(|(replica, sequence)| (*replica, *sequence, Check([7; 8])))
            .collect(),
    )
}

impl Table {
    /// Says something on a new link that must end it, with this farewell if any.
    fn cuts(
        &mut self,
        name: &str,
        farewell: Option<&str>,
        mut stranger: Stranger,
        say: impl FnOnce(&mut Stranger),
    ) {
        say(&mut stranger);
        match stranger.ended() {
            Ok(codes) if farewell.is_none_or(|code| codes.iter().any(|said| said == code)) => {}
            Ok(codes) => self.wrong.push(format!("{name}: ended with {codes:?}")),
            Err(seen) => self.wrong.push(format!("{name}: {seen}")),
        }
        self.unchanged(name);
    }
}

#[test]
fn frames_that_are_none_end_the_link() {
    let mut table = Table::new();
    let limits = Limits::default();
    let noise: Vec<u8> = (0..1_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8 & 0x7f)
        .collect();
    let bomb = {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        std::io::Write::write_all(&mut encoder, &vec![0; 16 << 20]).expect("a bomb");
        encoder.finish().expect("a bomb")
    };
    assert!(
        bomb.len() < limits.frame_bytes_max,
        "the bomb has {} bytes",
        bomb.len()
    );
    let deep = [&[0x81, 0xa5][..], b"hello", &[0x91; 100_000][..]].concat();
    let frames: Vec<(&str, Vec<u8>)> = vec![
        ("an empty frame", Vec::new()),
        ("flags that mean nothing yet", seal_frame(0x80, &[1, 2, 3])),
        ("noise", seal_frame(0, &noise)),
        ("a frame without its sum", [&[0], &noise[..]].concat()),
        ("no message", seal_frame(0, &[0xc0])),
        ("a message of no kind", seal_frame(0, b"\x81\xa3foo\xc0")),
        ("100,000 levels", seal_frame(0, &deep)),
        (
            "a list of 4 GiB",
            seal_frame(0, b"\x81\xa5clock\x81\xa5clock\xdd\xff\xff\xff\xff"),
        ),
        ("noise that says LZ4", seal_frame(LZ4, &noise)),
        ("a bomb of 16 MiB", seal_frame(LZ4, &bomb)),
        ("a frame above the bound", vec![0; limits.frame_bytes_max + 2]),
    ];
    for (name, frame) in frames {
        let stranger = Stranger::open(&table.hub);
        table.cuts(name, None, stranger, |stranger| stranger.frame(&frame));
        let stranger = Stranger::in_the_home(&table.hub);
        table.cuts(&format!("{name}, after hello"), None, stranger, |stranger| {
            stranger.frame(&frame)
        });
    }
    let stranger = Stranger::open(&table.hub);
    table.cuts("text", None, stranger, |stranger| {
        drop(stranger.socket.send(TEXT, b"hello"))
    });
    let stranger = Stranger::open(&table.hub);
    table.cuts("a message without end", None, stranger, |stranger| {
        let piece = seal_frame(MORE, &vec![0; limits.frame_bytes_max - 5]);
        for _ in 0..=limits.message_bytes_max / limits.frame_bytes_max + 1 {
            stranger.frame(&piece);
        }
    });
    table.done();
}

/// A frame that claims to be endless is refused when it has brought more than a frame may hold, not when it is whole:
/// until then the hub would have to keep it all.
#[test]
fn a_frame_without_end_is_not_kept() {
    const KEPT_MAX: u64 = 256 << 20;
    let mut table = Table::new();
    let mut stranger = Stranger::open(&table.hub);
    stranger.socket.send_head(BINARY, 1 << 62).expect("a head");
    let (piece, started) = (vec![0; 1 << 16], Instant::now());
    while stranger.socket.send_raw(&piece).is_ok() {
        let kept = table.hub.memory_peak().unwrap_or_default();
        assert!(kept < KEPT_MAX, "the hub has come to {} MiB", kept >> 20);
        assert!(started.elapsed() < END, "the hub takes one frame for {END:?}");
    }
    table.unchanged("a frame without end");
    table.done();
}

#[test]
fn hellos_that_cannot_be_end_the_link() {
    let mut table = Table::new();
    let good = hello_of(&table.hub);
    let own_id: HubId = table.hub.id.parse().expect("an id");
    let many: Vec<_> = (0..2_000u128).map(|n| (ReplicaId(n.to_be_bytes()), 1)).collect();
    let twice = [(ReplicaId([1; 16]), 1), (ReplicaId([1; 16]), 2)];
    let hellos: [(&str, &str, Hello); 7] = [
        (
            "another protocol",
            "unknown_protocol",
            Hello {
                protocol_version: "v3".to_owned(),
                ..good.clone()
            },
        ),
        (
            "another home",
            "other_home",
            Hello {
                home_id: Some(HomeId(uuid::Uuid::from_u128(1))),
                ..good.clone()
            },
        ),
        (
            "a name of 10 KB",
            "bad_hello",
            Hello {
                name: "n".repeat(10 << 10),
                ..good.clone()
            },
        ),
        (
            "the hub's own name, started later",
            "twin",
            Hello {
                hub_id: own_id,
                boot: u64::MAX,
                ..good.clone()
            },
        ),
        (
            "a clock of 2,000 replicas",
            "bad_clock",
            Hello {
                clock: clock(&many),
                ..good.clone()
            },
        ),
        (
            "a clock with one replica twice",
            "bad_clock",
            Hello {
                clock: clock(&twice),
                ..good.clone()
            },
        ),
        (
            "a clock beyond 2^53",
            "bad_clock",
            Hello {
                clock: clock(&[(ReplicaId([1; 16]), u64::MAX)]),
                ..good
            },
        ),
    ];
    for (name, code, hello) in hellos {
        let stranger = Stranger::open(&table.hub);
        table.cuts(name, Some(code), stranger, |stranger| {
            stranger.say(&Message::Hello(Box::new(hello)))
        });
    }
    table.done();
}

/// One who gets in (until hubs have keys, anybody may) and says what cannot be.
#[test]
fn messages_that_cannot_be_end_the_link() {
    let mut table = Table::new();
    let own = own(&table.hub);
    let beyond = clock(&[(own, u64::MAX)]);
    let two = clock(&[(ReplicaId([1; 16]), u64::MAX), (ReplicaId([2; 16]), u64::MAX)]);
    let liar = WireBundle {
        forgotten: Vec::new(),
        entry: ByteBuf::from(vec![0x80]),
        signature: None,
        records: Vec::new(),
    };
    let messages = [
        ("a clock beyond 2^53", Message::Clock { clock: two }),
        (
            "a pull from beyond 2^53",
            Message::Pull {
                round: u64::MAX,
                clock: beyond,
            },
        ),
        ("a push of no entry", Message::Push { bundles: vec![liar] }),
    ];
    for (name, message) in messages {
        let stranger = Stranger::in_the_home(&table.hub);
        table.cuts(name, None, stranger, |stranger| stranger.say(&message));
    }
    table.done();
}

/// Whose link stands may not be another from there on: the link begins again.
#[test]
fn a_hello_under_another_name_ends_the_link() {
    let mut table = Table::new();
    let stranger = Stranger::in_the_home(&table.hub);
    let again = hello(&table.hub);
    table.cuts("a second hello", Some("renamed"), stranger, |stranger| {
        stranger.say(&again)
    });
    table.done();
}

/// Questions and answers that make no sense, on a link that may stand: nothing comes of them.
#[test]
fn messages_out_of_turn_change_nothing() {
    let mut table = Table::new();
    let own = own(&table.hub);
    let nobody = ReplicaId([1; 16]);
    let link = (
        Dot {
            replica: own,
            sequence: u64::MAX,
        },
        Digest([3; 32]),
    );
    let messages = [
        (
            "a page that nobody asked for",
            Message::Page {
                round: 1,
                bundles: Vec::new(),
                more: true,
                holes: Vec::new(),
            },
        ),
        (
            "a trace beyond the end",
            Message::Trace {
                replica: own,
                above: u64::MAX,
            },
        ),
        (
            "a trace of nobody",
            Message::Trace {
                replica: nobody,
                above: u64::MAX,
            },
        ),
        (
            "a chain that nobody asked for",
            Message::Chain {
                replica: own,
                above: u64::MAX,
                links: vec![link],
            },
        ),
        (
            "a pong to no ping",
            Message::Pong {
                nonce: u64::MAX,
                wall: Micros(u64::MAX),
            },
        ),
        (
            "noise for the failure detector",
            Message::Swim {
                data: ByteBuf::from(vec![0xff; 5_000]),
            },
        ),
        (
            "a clock of entries that are nowhere",
            Message::Clock {
                clock: clock(&[(nobody, 5), (own, 1 << 40)]),
            },
        ),
    ];
    for (name, message) in messages {
        for in_the_home in [false, true] {
            let mut stranger = if in_the_home {
                Stranger::in_the_home(&table.hub)
            } else {
                Stranger::open(&table.hub)
            };
            stranger.say(&message);
            stranger.say(&Message::Ping {
                nonce: 77,
                wall: Micros(u64::MAX),
            });
            if let Err(seen) = stranger.hears("pong") {
                table.wrong.push(format!("{name}: {seen}"));
            }
            table.unchanged(name);
        }
    }
    table.done();
}

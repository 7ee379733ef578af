//! Runs made up for the pictures' tests: a weekend that tells a story, and a year that is merely large.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inbetweenies_simulations::recording::{
    FaultKind, Happening, Lane, LaneId, LaneKind, Recording, Sent, What,
};

/// Writes a recording as a world would: in the order of time, states worked out from what each lane holds.
pub struct Writer {
    recording: Recording,
    held: Vec<BTreeSet<u64>>,
}

pub const MS: u64 = 1000;
pub const SECOND: u64 = 1000 * MS;
pub const HOUR: u64 = 3600 * SECOND;

fn at(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Of a set, in FNV-1a.
fn hash(held: &BTreeSet<u64>) -> u64 {
    let bytes = held.iter().flat_map(|id| id.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

impl Writer {
    pub fn new(title: &str, about: &str, hubs: &[&str], clients: &[&str]) -> Writer {
        let lane = |kind| {
            move |name: &&str| Lane {
                name: (*name).to_owned(),
                kind,
            }
        };
        let lanes: Vec<Lane> = hubs
            .iter()
            .map(lane(LaneKind::Hub))
            .chain(clients.iter().map(lane(LaneKind::Client)))
            .collect();
        let held = vec![BTreeSet::new(); lanes.len()];
        let recording = Recording {
            title: title.to_owned(),
            about: about.to_owned(),
            lanes,
            ..Recording::default()
        };
        let mut writer = Writer { recording, held };
        for lane in 0..writer.held.len() {
            writer.state(0, lane);
        }
        writer
    }

    pub fn tell(&mut self, micros: u64, what: What) {
        self.recording.happenings.push(Happening { at: at(micros), what });
    }

    fn state(&mut self, micros: u64, lane: usize) {
        let (hash, entries) = (hash(&self.held[lane]), self.held[lane].len() as u64);
        self.tell(
            micros,
            What::State {
                lane: LaneId(lane),
                hash,
                entries,
            },
        );
    }

    pub fn act(&mut self, micros: u64, lane: usize, text: &str) {
        self.tell(
            micros,
            What::Action {
                lane: LaneId(lane),
                text: text.to_owned(),
            },
        );
    }

    pub fn note(&mut self, micros: u64, lane: usize, text: &str) {
        self.tell(
            micros,
            What::Note {
                lane: LaneId(lane),
                text: text.to_owned(),
            },
        );
    }

    pub fn fault(&mut self, micros: u64, lane: usize, kind: FaultKind, text: &str) {
        self.tell(
            micros,
            What::Fault {
                lane: LaneId(lane),
                kind,
                text: text.to_owned(),
            },
        );
    }

    /// A lane learns of a change set.
    pub fn learn(&mut self, micros: u64, lane: usize, ids: &[u64]) {
        let before = self.held[lane].len();
        self.held[lane].extend(ids);
        if self.held[lane].len() > before {
            self.state(micros, lane);
        }
    }

    /// A message that takes so long; none if it is lost.
    pub fn send(
        &mut self,
        micros: u64,
        (from, to): (usize, usize),
        takes: Option<u64>,
        name: &'static str,
        detail: &str,
    ) {
        let sent = Sent {
            from: LaneId(from),
            to: LaneId(to),
            arrives: takes.map(|takes| at(micros + takes)),
            name,
            bytes: 60 + detail.len() * 3,
            detail: detail.to_owned(),
            chatter: false,
        };
        self.tell(micros, What::Message(sent));
    }

    pub fn chatter(&mut self, micros: u64, from: usize, to: usize) {
        let sent = Sent {
            from: LaneId(from),
            to: LaneId(to),
            arrives: Some(at(micros + 3 * MS)),
            name: "hello",
            bytes: 42,
            detail: "a clock already told".to_owned(),
            chatter: true,
        };
        self.tell(micros, What::Message(sent));
    }

    /// A client writes at a hub, which tells the others it reaches.
    pub fn edit(&mut self, micros: u64, client: usize, hub: usize, reached: &[usize], id: u64, text: &str) {
        let detail = format!("change set {id}: {text}");
        self.act(micros, client, text);
        self.send(micros, (client, hub), Some(4 * MS), "push", &detail);
        self.learn(micros + 4 * MS, hub, &[id]);
        self.send(micros + 5 * MS, (hub, client), Some(3 * MS), "answer", "on disk");
        self.learn(micros + 8 * MS, client, &[id]);
        for (nth, peer) in (0..).zip(reached) {
            let takes = 6 * MS + nth * 2 * MS;
            self.send(micros + 5 * MS, (hub, *peer), Some(takes), "page", &detail);
            self.learn(micros + 5 * MS + takes, *peer, &[id]);
        }
    }

    pub fn end(mut self, until: u64) -> Recording {
        self.recording.until = at(until);
        self.recording.happenings.sort_by_key(|happening| happening.at);
        self.recording
    }
}

/// Two days of three hubs and two people: parted over night, a power cut, messages lost, a promise broken, healed.
pub fn weekend() -> Recording {
    let (kitchen, attic, garage, alice, bob) = (0, 1, 2, 3, 4);
    let about = "The line to the garage fails on Friday night; Alice and Bob both go on editing; on Sunday all meet again.";
    let mut w = Writer::new(
        "partition-weekend",
        about,
        &["kitchen", "attic", "garage"],
        &["alice", "bob"],
    );
    for hour in 0..48 {
        for (from, to) in [(kitchen, attic), (attic, garage), (garage, kitchen)] {
            w.chatter(hour * HOUR + 20 * SECOND, from, to);
        }
    }
    w.edit(
        2 * SECOND,
        alice,
        kitchen,
        &[attic, garage],
        1,
        "sets lamp brightness = 40",
    );
    w.edit(
        9 * SECOND,
        bob,
        garage,
        &[kitchen, attic],
        2,
        "adds the note \"Boiler: press reset\"",
    );

    // Friday night: the garage is cut off, and two pages run against the wall.
    let night = 3 * HOUR;
    w.tell(
        night,
        What::Parted {
            partition: 1,
            from: vec![LaneId(kitchen), LaneId(attic)],
            to: vec![LaneId(garage)],
            one_way: false,
        },
    );
    let t = night + 40 * 60 * SECOND;
    w.edit(t, alice, kitchen, &[attic], 3, "sets lamp brightness = 70");
    w.send(t + 5 * MS, (kitchen, garage), None, "page", "change set 3");
    w.edit(t + HOUR, bob, garage, &[], 4, "sets lamp colour = warm");
    w.send(t + HOUR + 5 * MS, (garage, kitchen), None, "page", "change set 4");
    w.send(t + HOUR + 7 * MS, (garage, attic), None, "page", "change set 4");

    // The attic loses power, and learns later what it missed.
    let cut = 14 * HOUR;
    w.fault(cut, attic, FaultKind::PowerCut, "the power fails");
    w.edit(
        cut + 600 * SECOND,
        alice,
        kitchen,
        &[],
        5,
        "moves the sofa to the living room",
    );
    w.fault(
        cut + 2 * HOUR,
        attic,
        FaultKind::Started,
        "power is back, the hub starts",
    );
    let back = cut + 2 * HOUR + 30 * MS;
    w.send(
        back,
        (attic, kitchen),
        Some(5 * MS),
        "hello",
        "clock: 3 change sets",
    );
    w.send(
        back + 6 * MS,
        (kitchen, attic),
        Some(7 * MS),
        "page",
        "change set 5",
    );
    w.learn(back + 13 * MS, attic, &[5]);
    w.fault(26 * HOUR, garage, FaultKind::Disk, "the disk is full");
    w.note(
        26 * HOUR + 2 * SECOND,
        garage,
        "refuses an edit: no room on the disk",
    );
    w.fault(26 * HOUR + 90 * SECOND, garage, FaultKind::Disk, "room again");
    w.fault(
        27 * HOUR,
        kitchen,
        FaultKind::Clock,
        "the clock jumps back an hour",
    );

    // Sunday: they meet again.
    let meet = 40 * HOUR;
    w.tell(meet, What::Joined { partition: 1 });
    w.send(
        meet + 12 * MS,
        (garage, kitchen),
        Some(5 * MS),
        "hello",
        "clock: 3 change sets",
    );
    w.send(
        meet + 18 * MS,
        (kitchen, garage),
        Some(8 * MS),
        "page",
        "change sets 3, 5",
    );
    w.learn(meet + 26 * MS, garage, &[3, 5]);
    w.send(
        meet + 19 * MS,
        (garage, kitchen),
        Some(9 * MS),
        "page",
        "change set 4",
    );
    w.learn(meet + 28 * MS, kitchen, &[4]);
    w.send(
        meet + 29 * MS,
        (kitchen, attic),
        Some(6 * MS),
        "page",
        "change set 4",
    );
    w.learn(meet + 35 * MS, attic, &[4]);
    w.note(
        meet + 30 * MS,
        kitchen,
        "conflict met: lamp, brightness and colour merge",
    );
    w.tell(
        meet + 4 * SECOND,
        What::Broken {
            promise: "I3",
            lane: Some(LaneId(garage)),
            text: "an acknowledged change set is missing after the power cut".to_owned(),
        },
    );
    w.fault(44 * HOUR, garage, FaultKind::Killed, "killed");
    w.fault(
        44 * HOUR + 30 * SECOND,
        garage,
        FaultKind::Started,
        "starts again",
    );
    w.fault(45 * HOUR, attic, FaultKind::Frozen, "frozen");
    w.fault(45 * HOUR + 20 * SECOND, attic, FaultKind::Thawed, "goes on");
    w.tell(46 * HOUR, What::Healed);
    w.edit(
        46 * HOUR + SECOND,
        alice,
        attic,
        &[kitchen, garage],
        6,
        "thanks everybody",
    );
    w.send(
        46 * HOUR + 2 * SECOND,
        (garage, bob),
        Some(5 * MS),
        "answer",
        "change sets 3, 5, 6",
    );
    w.learn(46 * HOUR + 2 * SECOND + 5 * MS, bob, &[1, 3, 5, 6]);
    w.learn(46 * HOUR + 2 * SECOND + 7 * MS, alice, &[2, 4]);
    let mut recording = w.end(48 * HOUR);
    recording.chatter = BTreeMap::from([((LaneId(kitchen), LaneId(attic)), 17_000)]);
    recording
}

/// A number for each step, always the same: a linear congruence, its high bits.
pub struct Numbers(u64);

impl Numbers {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A year of 30 hubs and 7 clients: 20,000 messages in bursts of milliseconds, 30,000 heartbeats, faults of all kinds.
pub fn year() -> Recording {
    let hubs: Vec<String> = (0..30).map(|n| format!("hub-{n:02}")).collect();
    let clients: Vec<String> = (0..7).map(|n| format!("client-{n}")).collect();
    let names = |all: &[String]| -> Vec<String> { all.to_vec() };
    let (hub_names, client_names) = (names(&hubs), names(&clients));
    let hub_names: Vec<&str> = hub_names.iter().map(String::as_str).collect();
    let client_names: Vec<&str> = client_names.iter().map(String::as_str).collect();
    let mut w = Writer::new(
        "a-year",
        "Thirty hubs over a year, everything breaks.",
        &hub_names,
        &client_names,
    );
    let mut numbers = Numbers(7);
    let year = 365 * 24 * HOUR;
    let bursts = 500;
    for burst in 0..bursts {
        let t = year / bursts * burst + numbers.below(HOUR);
        let client = 30 + numbers.below(7) as usize;
        let first = numbers.below(30) as usize;
        w.act(
            t,
            client,
            &format!("sets device {} level = {}", numbers.below(60), numbers.below(100)),
        );
        w.send(t, (client, first), Some(5 * MS), "push", "one change set");
        w.learn(t + 5 * MS, first, &[burst]);
        for nth in 0..39_u64 {
            let peer = ((first as u64 + 1 + nth) % 30) as usize;
            let from = if nth < 10 {
                first
            } else {
                numbers.below(30) as usize
            };
            let lost = numbers.below(40) == 0;
            let takes = 4 * MS + numbers.below(30 * MS);
            let sent = t + 6 * MS + nth * 700;
            let from = if from == peer { (peer + 1) % 30 } else { from };
            w.send(
                sent,
                (from, peer),
                (!lost).then_some(takes),
                "page",
                "one change set of the burst",
            );
            if !lost && nth < 30 {
                w.learn(sent + takes, peer, &[burst]);
            }
        }
        for _ in 0..60 {
            let from = numbers.below(30) as usize;
            w.chatter(t + numbers.below(12 * HOUR), from, (from + 1) % 30);
        }
        if burst % 12 == 0 {
            let hub = numbers.below(30) as usize;
            let kinds = [
                FaultKind::PowerCut,
                FaultKind::Killed,
                FaultKind::Aborted,
                FaultKind::Stopped,
            ];
            w.fault(t + HOUR, hub, kinds[(burst / 12 % 4) as usize], "down");
            w.fault(t + 3 * HOUR, hub, FaultKind::Started, "starts");
        }
        if burst % 60 == 30 {
            let half = |range: std::ops::Range<usize>| range.map(LaneId).collect();
            w.tell(
                t + 2 * HOUR,
                What::Parted {
                    partition: burst,
                    from: half(0..10),
                    to: half(10..30),
                    one_way: false,
                },
            );
            w.tell(t + 40 * HOUR, What::Joined { partition: burst });
        }
    }
    let everything: Vec<u64> = (0..bursts).collect();
    for hub in 0..30 {
        w.learn(year - HOUR + hub as u64 * 900, hub, &everything);
    }
    w.tell(year - 2 * HOUR, What::Healed);
    w.end(year)
}

/// Nothing at all.
pub fn nothing() -> Recording {
    Recording {
        title: "nothing".to_owned(),
        ..Recording::default()
    }
}

/// Names and texts that try to be markup, a script, a direction, a control character.
pub fn hostile() -> Recording {
    let bad = "</script><b onclick='x()'>\"&amp; ]]> <!-- {{data}} \u{0}\u{8}\u{202e}\u{2028}";
    let mut w = Writer::new(
        bad,
        bad,
        &[bad, "<script>alert(1)</script>"],
        &["'\"><img src=x onerror=alert(1)>"],
    );
    w.edit(SECOND, 2, 0, &[1], 1, bad);
    w.note(2 * SECOND, 1, bad);
    w.send(2 * SECOND, (0, 1), None, "</text><x>", bad);
    w.tell(
        3 * SECOND,
        What::Broken {
            promise: "<I1>",
            lane: Some(LaneId(1)),
            text: bad.to_owned(),
        },
    );
    w.tell(
        4 * SECOND,
        What::Parted {
            partition: 1,
            from: vec![LaneId(0)],
            to: vec![LaneId(1)],
            one_way: true,
        },
    );
    w.end(20 * SECOND)
}

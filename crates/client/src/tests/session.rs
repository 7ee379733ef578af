//! What a session asks, keeps and waits for, answer by answer.

use std::time::Duration;

use inbetweenies_core::id::HomeId;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::value::{Budget, decode_msgpack};
use inbetweenies_core::wire::{SyncRequest, SyncType};

use super::*;
use crate::wire::{Failure, Malformed, Refusal};

const HOME: HomeId = HomeId(uuid::Uuid::from_u128(5));
const ELSEWHERE: HomeId = HomeId(uuid::Uuid::from_u128(6));

/// A pending set with its number.
type Numbered = (u64, Vec<Arc<Sealed>>);

/// A device in the middle of a session.
struct Desk {
    replica: Replica,
    session: Session,
}

impl Desk {
    fn new(replica: Replica, options: Options) -> Desk {
        let session = Session::new(options, Some(HOME), "kitchen".to_owned(), &replica).unwrap();
        Desk { replica, session }
    }

    /// Keeps what is to be kept; the frames, and what comes then.
    fn next(&mut self) -> (Vec<Frame>, Result<Next, SessionError>) {
        let mut kept = Vec::new();
        loop {
            match self.session.next(&self.replica) {
                Ok(Next::Keep(frame)) => {
                    self.replica.apply(&frame).unwrap();
                    kept.push(*frame);
                }
                other => return (kept, other),
            }
        }
    }

    /// The frames, and the request that follows them as a hub reads it.
    fn asks(&mut self) -> (Vec<Frame>, SyncRequest) {
        match self.next() {
            (kept, Ok(Next::Ask(body))) => {
                let value = decode_msgpack(&body, &Budget::new(32, 10_000)).unwrap();
                (kept, SyncRequest::read(value, &Limits::default()).unwrap())
            }
            other => panic!("no request: {other:?}"),
        }
    }

    fn answer(&mut self, reply: Reply) {
        self.session.answered(Ok(reply));
    }

    /// The one frame that an answer left, and that it was the last.
    fn ends(&mut self) -> Vec<Frame> {
        match self.next() {
            (kept, Ok(Next::Done)) => kept,
            other => panic!("not done: {other:?}"),
        }
    }
}

/// Digests of the sets that a request pushes.
fn pushes(request: &SyncRequest) -> Vec<Vec<String>> {
    let digests = |set: &inbetweenies_core::wire::RequestedSet| {
        let set = set.set.as_ref().unwrap();
        set.records
            .iter()
            .map(|sealed| sealed.digest.to_string())
            .collect()
    };
    request.sets.iter().map(digests).collect()
}

fn digests(sets: &[&[Arc<Sealed>]]) -> Vec<Vec<String>> {
    let of = |set: &&[Arc<Sealed>]| set.iter().map(|sealed| sealed.digest.to_string()).collect();
    sets.iter().map(of).collect()
}

fn refused(status: u16, code: &str, retry_after: Option<u64>) -> Failure {
    Failure::Refused(Box::new(Refusal {
        status,
        title: "No".to_owned(),
        code: code.to_owned(),
        detail: "because".to_owned(),
        retry_after: retry_after.map(Duration::from_secs),
        missing: Clock::new(),
    }))
}

/// The refusal of a hub that lacks these entries.
fn behind(missing: &[(ReplicaId, u64)]) -> Failure {
    let Failure::Refused(mut refusal) = refused(409, "not_yet", Some(1)) else {
        panic!("no refusal")
    };
    refusal.missing = clock(missing);
    Failure::Refused(refusal)
}

fn cut() -> Failure {
    Failure::Cut {
        detail: "reset by peer".to_owned(),
    }
}

/// That a set is on the disk of the hub, under a sequence of its log, and nothing else is there.
fn landed(set: &Numbered, sequence: u64) -> Reply {
    Reply {
        applied: acknowledged(&set.1, Outcome::Durable),
        sets: vec![received((HUB, sequence), &set.1, sequence)],
        clock: clock(&[(HUB, sequence)]),
        bytes: 100,
        ..reply()
    }
}

/// A device whose lamp is in the hub's log.
fn synced() -> (Replica, Numbered) {
    let mut replica = replica();
    let set = edit(&mut replica, vec![lamp("Lamp")], 1);
    let mut desk = Desk::new(replica, Options::default());
    desk.asks();
    desk.answer(landed(&set, 1));
    desk.ends();
    (desk.replica, set)
}

fn synced_of(frames: &[Frame]) -> &Synced {
    match frames {
        [Frame::Synced(synced)] => synced,
        other => panic!("not one exchange: {other:?}"),
    }
}

#[test]
fn an_acknowledged_set_is_kept_as_landed_with_the_home_and_the_clock() {
    let mut replica = replica();
    let set = edit(&mut replica, vec![lamp("Lamp")], 1);
    let mut desk = Desk::new(replica, Options::default());
    let (kept, request) = desk.asks();
    assert_eq!(
        (kept, request.sync_type, pushes(&request)),
        (Vec::new(), SyncType::Full, digests(&[&set.1]))
    );
    assert_eq!(
        (&request.device_id[..], request.user_id.as_deref()),
        ("device", Some("alice"))
    );

    desk.answer(landed(&set, 1));
    let kept = desk.ends();
    let synced = synced_of(&kept);
    assert_eq!(
        (synced.home_id, &synced.landed[..], synced.sets.len()),
        (Some(HOME), &[set.0][..], 1)
    );
    assert_eq!(
        desk.session.summary(),
        &Summary {
            hub: "kitchen".to_owned(),
            sets_landed: 1,
            records_sent: 1,
            records_received: 1,
            rounds: 1,
            bytes_received: 100,
            ..Summary::default()
        }
    );
    assert_eq!((desk.replica.pending().count(), desk.replica.records()), (0, 1));
    assert!(desk.replica.orphans().is_empty());
    assert_eq!(desk.next(), (Vec::new(), Ok(Next::Done)), "and it stays so");

    // The next session goes on from there, and knows the home.
    let mut desk = Desk::new(desk.replica, Options::default());
    let (_, request) = desk.asks();
    assert_eq!(
        (request.sync_type, &request.clock),
        (SyncType::Delta, &clock(&[(HUB, 1)]))
    );
    assert!(request.sets.is_empty());
    desk.answer(Reply {
        clock: clock(&[(HUB, 1)]),
        ..reply()
    });
    assert_eq!(
        desk.ends(),
        Vec::<Frame>::new(),
        "an answer without news is not kept"
    );
}

#[test]
fn pages_follow_each_other_until_there_is_no_more() {
    let (replica, set) = synced();
    let mut desk = Desk::new(replica, Options::default());
    for sequence in 2..4 {
        desk.asks();
        desk.answer(Reply {
            sets: vec![received((HUB, sequence), &set.1, sequence)],
            clock: clock(&[(HUB, sequence)]),
            more: sequence < 3,
            ..reply()
        });
    }
    desk.ends();
    assert_eq!(
        (desk.session.summary().rounds, desk.replica.clock()),
        (2, &clock(&[(HUB, 3)]))
    );
}

#[test]
fn a_refused_set_is_kept_aside_and_the_others_land() {
    let mut replica = replica();
    let bad = edit(
        &mut replica,
        vec![Draft::entity(id("hall"), "rom", None, "manual", Map::new())],
        1,
    );
    let good = edit(&mut replica, vec![lamp("Lamp")], 2);
    let mut desk = Desk::new(replica, Options::default());
    assert_eq!(pushes(&desk.asks().1), digests(&[&bad.1, &good.1]));
    desk.answer(Reply {
        rejected: vec![(
            "hall".to_owned(),
            "unknown_entity_type".to_owned(),
            "rom".to_owned(),
        )],
        ..landed(&good, 1)
    });
    let row = RefusedRow {
        id: "hall".to_owned(),
        code: "unknown_entity_type".to_owned(),
        detail: "rom".to_owned(),
    };
    let kept = desk.ends();
    assert_eq!(synced_of(&kept).landed, [good.0]);
    assert_eq!(
        synced_of(&kept).refused,
        [Refused {
            set: bad.0,
            rows: vec![row.clone()]
        }]
    );
    assert_eq!(desk.session.summary().refused, [row]);
    assert!(desk.replica.view(&id("hall"), &desk.replica.policy()).is_none());
}

#[test]
fn a_refused_request_ends_the_session_and_changes_nothing() {
    for failure in [
        refused(400, "malformed", None),
        refused(426, "upgrade", Some(1)),
        Failure::Malformed(Malformed("a list".to_owned())),
    ] {
        let mut replica = replica();
        edit(&mut replica, vec![lamp("Lamp")], 1);
        let before = replica.clone();
        let mut desk = Desk::new(replica, Options::default());
        desk.asks();
        desk.session.answered(Err(failure.clone()));
        assert_eq!(desk.next(), (Vec::new(), Err(SessionError::Failed(failure))));
        assert_eq!(desk.replica, before);
        assert_eq!(
            desk.next(),
            (Vec::new(), Ok(Next::Done)),
            "it asks nothing any more"
        );
    }
}

#[test]
fn a_busy_hub_is_waited_for_as_long_as_it_says_and_never_longer_than_five_seconds() {
    let mut desk = Desk::new(replica(), Options::default());
    for (failure, wait) in [
        (refused(429, "busy", Some(2)), Duration::from_secs(2)),
        (refused(503, "starting", Some(3_600)), Duration::from_secs(5)),
        (refused(504, "timeout", None), Duration::from_millis(500)),
        (
            Failure::NoHub {
                detail: "refused".to_owned(),
            },
            Duration::from_secs(1),
        ),
    ] {
        desk.asks();
        desk.session.answered(Err(failure));
        assert_eq!(desk.next(), (Vec::new(), Ok(Next::Wait(wait))));
    }
    desk.asks();
    desk.answer(reply());
    desk.ends();
    assert_eq!(desk.session.summary().rounds, 5);
}

#[test]
fn a_hub_that_is_behind_takes_the_push_and_is_waited_for() {
    let (mut replica, _) = synced();
    let set = edit(&mut replica, vec![lamp("Porch lamp")], 2);
    let options = Options {
        retries: 2,
        ..Options::default()
    };
    let mut desk = Desk::new(replica, options);
    desk.asks();
    desk.answer(Reply {
        applied: acknowledged(&set.1, Outcome::Durable),
        not_yet: true,
        clock: clock(&[(HUB, 1)]),
        ..reply()
    });
    let (kept, request) = desk.asks();
    let synced = synced_of(&kept);
    assert_eq!(
        (&synced.landed[..], &synced.clock),
        (&[set.0][..], &None),
        "what it says of records does not count, what it says of the push does"
    );
    assert!(
        request.sets.is_empty(),
        "what landed is pushed again by nobody until the log was read"
    );
    for _ in 0..2 {
        desk.session.answered(Err(refused(409, "not_yet", Some(1))));
        assert_eq!(desk.next(), (Vec::new(), Ok(Next::Wait(Duration::from_secs(1)))));
        desk.asks();
    }
    desk.session.answered(Err(refused(409, "not_yet", Some(1))));
    assert_eq!(desk.next(), (Vec::new(), Err(SessionError::NotYet)));
    assert_eq!(
        (desk.session.summary().sets_landed, desk.replica.pending().count()),
        (1, 0)
    );
}

#[test]
fn a_hub_that_has_caught_up_meanwhile_is_read_to_its_end() {
    let (replica, set) = synced();
    let mut desk = Desk::new(replica, Options::default());
    desk.asks();
    desk.session.answered(Err(refused(409, "not_yet", Some(1))));
    assert_eq!(desk.next(), (Vec::new(), Ok(Next::Wait(Duration::from_secs(1)))));
    desk.asks();
    desk.answer(Reply {
        sets: vec![received((OTHER, 1), &set.1, 1)],
        clock: clock(&[(HUB, 1), (OTHER, 1)]),
        ..reply()
    });
    assert_eq!(desk.ends().len(), 1);
}

/// For a person who knows that the hub that had more is gone for good.
fn accepting() -> Options {
    Options {
        accept_behind: true,
        ..Options::default()
    }
}

/// A device that has read two sets in a hub's log, the second of which is at no other hub.
fn ahead() -> (Replica, [Numbered; 2]) {
    let (mut replica, lamp) = synced();
    let draft = Draft::entity(id("hall"), "room", None, "manual", Map::new());
    let hall = edit(&mut replica, vec![draft], 2);
    let mut desk = Desk::new(replica, Options::default());
    desk.asks();
    desk.answer(landed(&hall, 2));
    desk.ends();
    (desk.replica, [lamp, hall])
}

/// What is kept for a hub that is behind on one log.
fn forgets(log: ReplicaId) -> Frame {
    Frame::Synced(Box::new(Synced {
        restarted: vec![log],
        ..Synced::default()
    }))
}

#[test]
fn a_hub_that_is_behind_for_good_is_taken_as_it_is_and_sent_what_it_lacks() {
    let (replica, [lamp, hall]) = ahead();
    let mut desk = Desk::new(replica, accepting());
    assert_eq!(desk.asks().1.clock, clock(&[(HUB, 2)]));
    desk.session.answered(Err(behind(&[(HUB, 2)])));
    let (kept, request) = desk.asks();
    assert_eq!(kept, [forgets(HUB)], "without a wait");
    assert!(request.clock.is_empty() && request.sets.is_empty());
    assert_eq!(desk.replica.records(), 2, "nothing that it holds goes");

    // The hub heard of the first entry before the disk with the second was lost.
    let set = desk.replica.next_set();
    desk.answer(landed(&lamp, 1));
    let (kept, request) = desk.asks();
    let again = Frame::Requeued {
        set,
        digests: vec![hall.1[0].digest],
    };
    assert_eq!(kept[1..], [again]);
    assert_eq!(pushes(&request), digests(&[&hall.1]));
    desk.answer(Reply {
        applied: acknowledged(&hall.1, Outcome::Durable),
        sets: vec![received((OTHER, 1), &hall.1, 5)],
        clock: clock(&[(HUB, 1), (OTHER, 1)]),
        ..reply()
    });
    desk.ends();
    assert_eq!(
        (
            desk.replica.pending().count(),
            desk.replica.orphans(),
            desk.replica.clock()
        ),
        (0, Vec::new(), &clock(&[(HUB, 1), (OTHER, 1)]))
    );
    let summary = desk.session.summary();
    assert_eq!((summary.requeued, summary.behind.sequence(&HUB)), (1, 2));
}

#[test]
fn what_is_pending_lands_at_a_hub_that_is_taken_as_it_is() {
    let (mut replica, [lamp, hall]) = ahead();
    let attic = Draft::entity(id("attic"), "room", None, "manual", Map::new());
    let attic = edit(&mut replica, vec![attic], 3);
    let mut desk = Desk::new(replica, accepting());
    assert_eq!(pushes(&desk.asks().1), digests(&[&attic.1]));
    let mut missing = Clock::new();
    missing.set(HUB, 2, None);
    desk.answer(Reply {
        applied: acknowledged(&attic.1, Outcome::Durable),
        not_yet: true,
        missing,
        clock: clock(&[(HUB, 2)]),
        ..reply()
    });
    let (kept, request) = desk.asks();
    let synced = synced_of(&kept);
    assert_eq!(
        (&synced.landed[..], &synced.restarted[..], &synced.clock),
        (&[attic.0][..], &[HUB][..], &None),
        "both in one step"
    );
    assert!(request.clock.is_empty() && request.sets.is_empty());
    desk.answer(Reply {
        sets: vec![received((OTHER, 1), &attic.1, 3), received((HUB, 1), &lamp.1, 1)],
        clock: clock(&[(HUB, 1), (OTHER, 1)]),
        ..reply()
    });
    assert_eq!(pushes(&desk.asks().1), digests(&[&hall.1]), "and only that");
}

#[test]
fn an_edit_that_a_hub_that_is_behind_did_not_take_stays_pending() {
    let (mut replica, _) = ahead();
    let porch = edit(&mut replica, vec![lamp("Porch lamp")], 3);
    let mut desk = Desk::new(replica, accepting());
    desk.asks();
    desk.session.answered(Err(behind(&[(HUB, 2)])));
    let (kept, request) = desk.asks();
    assert_eq!(
        (kept, pushes(&request)),
        (vec![forgets(HUB)], digests(&[&porch.1]))
    );
}

#[test]
fn a_log_is_forgotten_for_a_hub_that_is_behind_once() {
    let (replica, [lamp, _]) = ahead();
    let options = Options {
        retries: 1,
        ..accepting()
    };
    let mut desk = Desk::new(replica, options);
    desk.asks();
    desk.session.answered(Err(behind(&[(HUB, 2)])));
    desk.asks();
    desk.answer(Reply {
        more: true,
        ..landed(&lamp, 1)
    });
    desk.asks();
    // It lacks what it has just shown: waited for like any other.
    desk.session.answered(Err(behind(&[(HUB, 1)])));
    assert_eq!(desk.next(), (Vec::new(), Ok(Next::Wait(Duration::from_secs(1)))));
    desk.asks();
    desk.session.answered(Err(behind(&[(HUB, 1)])));
    assert_eq!(desk.next(), (Vec::new(), Err(SessionError::NotYet)));
}

#[test]
fn a_hub_that_lacks_nothing_that_was_shown_to_it_is_waited_for() {
    for missing in [&[][..], &[(OTHER, 3)]] {
        let (replica, _) = ahead();
        let mut desk = Desk::new(replica, accepting());
        desk.asks();
        desk.session.answered(Err(behind(missing)));
        assert_eq!(desk.next(), (Vec::new(), Ok(Next::Wait(Duration::from_secs(1)))));
    }
}

#[test]
fn nothing_is_forgotten_for_a_hub_that_is_behind_unless_it_is_wanted() {
    let (replica, _) = ahead();
    let before = replica.clone();
    let options = Options {
        retries: 0,
        ..Options::default()
    };
    let mut desk = Desk::new(replica, options);
    desk.asks();
    desk.session.answered(Err(behind(&[(HUB, 2)])));
    assert_eq!(desk.next(), (Vec::new(), Err(SessionError::NotYet)));
    assert_eq!(desk.replica, before);
}

#[test]
fn a_cut_is_waited_out_with_the_same_request_and_then_given_up() {
    let mut replica = replica();
    edit(&mut replica, vec![lamp("Lamp")], 1);
    let before = replica.clone();
    let options = Options {
        retries: 2,
        ..Options::default()
    };
    let mut desk = Desk::new(replica, options);
    let (_, Ok(first)) = desk.next() else {
        panic!("no request")
    };
    for failure in [
        cut(),
        Failure::Timeout {
            waited: Duration::from_secs(60),
        },
    ] {
        desk.session.answered(Err(failure));
        let wait = Next::Wait(Duration::from_millis(500));
        assert_eq!(desk.next(), (Vec::new(), Ok(wait)));
        assert_eq!(
            desk.next(),
            (Vec::new(), Ok(first.clone())),
            "it may have arrived, and asks for the same"
        );
    }
    desk.session.answered(Err(cut()));
    assert_eq!(desk.next(), (Vec::new(), Err(SessionError::Failed(cut()))));
    assert_eq!(
        desk.replica, before,
        "what is pending stays so, whether it arrived or not"
    );
}

#[test]
fn what_was_known_already_after_a_cut_has_landed() {
    let mut replica = replica();
    let set = edit(&mut replica, vec![lamp("Lamp")], 1);
    let mut desk = Desk::new(replica, Options::default());
    desk.asks();
    desk.session.answered(Err(cut()));
    assert!(matches!(desk.next().1, Ok(Next::Wait(_))));
    desk.asks();
    desk.answer(Reply {
        applied: acknowledged(&set.1, Outcome::Known),
        ..landed(&set, 1)
    });
    desk.ends();
    assert_eq!(
        (desk.replica.pending().count(), desk.session.summary().rounds),
        (0, 2)
    );
}

#[test]
fn a_log_that_gave_way_is_asked_for_from_its_beginning() {
    let (replica, set) = synced();
    let mut desk = Desk::new(replica, Options::default());
    desk.asks();
    desk.answer(Reply {
        reset: vec![HUB],
        sets: vec![received((HUB, 4), &set.1, 9)],
        clock: clock(&[(HUB, 4)]),
        ..reply()
    });
    let (kept, request) = desk.asks();
    assert_eq!(
        kept,
        [Frame::Synced(Box::new(Synced {
            restarted: vec![HUB],
            ..Synced::default()
        }))],
        "the page began where nobody knows"
    );
    assert!(request.clock.is_empty());
    desk.answer(Reply {
        sets: vec![received((HUB, 1), &set.1, 1)],
        clock: clock(&[(HUB, 1)]),
        ..reply()
    });
    desk.ends();
    assert!(desk.replica.orphans().is_empty());
    assert_eq!(desk.session.summary().requeued, 0);
}

#[test]
fn what_no_log_holds_any_more_is_pushed_again_once() {
    let (mut replica, _) = synced();
    let hall = edit(
        &mut replica,
        vec![Draft::entity(id("hall"), "room", None, "manual", Map::new())],
        2,
    );
    let lamp = replica.graph(&id("lamp")).heads()[0].sealed.clone();
    let mut desk = Desk::new(replica, Options::default());
    desk.asks();
    desk.answer(landed(&hall, 2));
    desk.ends();

    // The hub lost its disk and begins a new log: nobody has the two records.
    let mut desk = Desk::new(desk.replica, Options::default());
    desk.asks();
    desk.answer(Reply {
        reset: vec![HUB],
        clock: clock(&[]),
        ..reply()
    });
    desk.asks();
    desk.answer(reply());
    let set = desk.replica.next_set();
    let orphans = desk.replica.orphans();
    let (kept, request) = desk.asks();
    let requeued = |(at, digest): (u64, _)| Frame::Requeued {
        set: set + at,
        digests: vec![digest],
    };
    assert_eq!(
        kept,
        (0..)
            .zip(orphans.iter().copied())
            .map(requeued)
            .collect::<Vec<_>>(),
        "each by itself"
    );
    assert_eq!(kept.len(), 2);
    let mut pushed: Vec<String> = pushes(&request).concat();
    pushed.sort();
    let mut expected = digests(&[&hall.1, std::slice::from_ref(&lamp)]).concat();
    expected.sort();
    assert_eq!(pushed, expected);

    // It takes them and still tells of no log that holds them.
    let both = [&[lamp][..], &hall.1[..]].concat();
    desk.answer(Reply {
        applied: acknowledged(&both, Outcome::Known),
        ..reply()
    });
    desk.ends();
    assert_eq!(
        desk.replica.orphans().len(),
        2,
        "and they are not pushed for ever"
    );
    assert_eq!(
        (
            desk.session.summary().requeued,
            desk.session.summary().sets_landed
        ),
        (2, 2)
    );
}

#[test]
fn a_look_at_heads_pushes_nothing_again() {
    let (replica, _) = synced();
    let options = Options {
        heads_only: true,
        ..Options::default()
    };
    let mut desk = Desk::new(replica, options);
    assert!(desk.asks().1.heads_only);
    desk.answer(Reply {
        reset: vec![HUB],
        ..reply()
    });
    desk.asks();
    desk.answer(reply());
    desk.ends();
    assert_eq!(
        (desk.replica.orphans().len(), desk.replica.pending().count()),
        (1, 0)
    );
}

#[test]
fn an_answer_after_which_nothing_moves_ends_the_session() {
    let (mut replica, _) = synced();
    edit(&mut replica, vec![lamp("Porch lamp")], 2);
    let mut desk = Desk::new(replica, Options::default());
    desk.asks();
    desk.answer(Reply {
        clock: clock(&[(HUB, 1)]),
        more: true,
        ..reply()
    });
    assert_eq!(
        desk.next(),
        (Vec::new(), Err(SessionError::Stalled { pending: 1 }))
    );
}

#[test]
fn an_edit_that_is_made_meanwhile_goes_along() {
    let mut replica = replica();
    let first = edit(&mut replica, vec![lamp("Lamp")], 1);
    let mut desk = Desk::new(replica, Options::default());
    desk.asks();
    let hall = Draft::entity(id("hall"), "room", None, "manual", Map::new());
    let second = edit(&mut desk.replica, vec![hall], 2);
    desk.answer(landed(&first, 1));
    let (kept, request) = desk.asks();
    assert_eq!(synced_of(&kept).landed, [first.0]);
    assert_eq!(pushes(&request), digests(&[&second.1]));
    desk.answer(landed(&second, 2));
    desk.ends();
    assert_eq!(desk.replica.pending().count(), 0);
}

#[test]
fn an_edit_that_takes_the_place_of_another_is_no_standstill() {
    let (mut replica, _) = synced();
    let first = edit(&mut replica, vec![lamp("Porch lamp")], 2);
    let mut desk = Desk::new(replica, Options::default());
    desk.asks();
    desk.answer(Reply {
        applied: acknowledged(&first.1, Outcome::Durable),
        not_yet: true,
        clock: clock(&[(HUB, 1)]),
        ..reply()
    });
    let Ok(Next::Keep(frame)) = desk.session.next(&desk.replica) else {
        panic!("nothing to keep")
    };
    desk.replica.apply(&frame).unwrap();
    let second = edit(&mut desk.replica, vec![lamp("Garden lamp")], 3);
    assert_eq!(pushes(&desk.asks().1), digests(&[&second.1]));
}

#[test]
fn nothing_is_sent_to_a_hub_of_no_home_or_of_another() {
    let meet = |home, replica: &Replica| {
        let met = Session::new(Options::default(), home, String::new(), replica);
        met.map(|_| ()).unwrap_err()
    };
    let (replica, _) = synced();
    assert_eq!(meet(None, &replica), SessionError::NoHome);
    let expected = SessionError::OtherHome {
        theirs: ELSEWHERE,
        ours: HOME,
    };
    assert_eq!(meet(Some(ELSEWHERE), &replica), expected);
}

#[test]
#[should_panic(expected = "an answer that nobody waits for")]
fn an_answer_after_its_time_is_the_drivers_to_drop() {
    let mut desk = Desk::new(replica(), Options::default());
    desk.answer(reply());
}

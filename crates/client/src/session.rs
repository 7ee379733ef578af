//! A sync with one hub as a state machine: what to ask, what an answer means, when to wait, when it is done.
//!
//! Invariant: it reads no clock, opens no socket and changes no replica. Whoever drives it sends what it asks, keeps
//! the frames it hands out before it goes on, and waits as long as it says.
//!
//! It stops: every round acknowledges or refuses a pending set, moves the clock, or waits, and waits are counted. The
//! clock moves back only where a log is forgotten, which happens to each at most once for a hub that is behind.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{HomeId, ReplicaId};
use inbetweenies_core::wire::SyncType;

use crate::frame::{Frame, RefusedRow, Synced};
use crate::replica::Replica;
use crate::round::{Pushed, judge, next_push, take_page};
use crate::wire::{ConflictRow, Exchange, Failure, Reply};

/// The longest that a hub's advice to wait is followed at a time.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The hub was met a moment ago, so one that is not there is being started anew.
const RESTART_WAIT: Duration = Duration::from_secs(1);

/// How to sync.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether superseded records are left out: enough for one look, not for a replica that goes on.
    pub heads_only: bool,
    /// How often to try again where the hub says so or a connection broke, before giving up.
    pub retries: usize,
    /// Whether to go on from what the hub has where it is behind this replica, rather than to wait and give up: for a
    /// person who knows that the hub that had more is gone for good.
    ///
    /// This replica then forgets the logs that the hub lacks something of, reads what the hub has of them from the
    /// beginning, and pushes again what no log holds any more. It gives up no record and no pending edit. What the
    /// person gives up, for this session, is to read at one hub what was read or written at another: until that push
    /// has landed, this hub shows less, and what hubs themselves wrote (members, the policy) it may lack for good.
    /// Should the other hub live after all, no harm is done: the records are the same.
    pub accept_behind: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            heads_only: false,
            retries: 5,
            accept_behind: false,
        }
    }
}

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// The hub's name.
    pub hub: String,
    /// Sets that the hub has now.
    pub sets_landed: usize,
    /// Their records.
    pub records_sent: usize,
    /// Records received, own ones included.
    pub records_received: usize,
    /// Requests made.
    pub rounds: usize,
    /// Bytes of the answers.
    pub bytes_received: usize,
    /// Records that the hub refused; kept aside.
    pub refused: Vec<RefusedRow>,
    /// Ids whose edit is kept, and not what readers see.
    pub lost: Vec<String>,
    /// Conflicts that the push met.
    pub conflicts: Vec<ConflictRow>,
    /// Records that were pushed again because no hub's log is known to hold them.
    pub requeued: usize,
    /// The logs that were forgotten because the hub was behind and that was accepted, and how far this replica had
    /// read them.
    pub behind: Clock,
}

impl Summary {
    /// Ids whose conflict readers should look at, each once.
    pub fn lost_ids(&self) -> BTreeSet<&str> {
        self.lost.iter().map(String::as_str).collect()
    }
}

/// Why a session ended early. What was acknowledged until then is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The hub looks for its home. Nothing was sent.
    #[error("the hub belongs to no home yet")]
    NoHome,
    /// The hub keeps another home. Nothing was sent.
    #[error("the hub belongs to the home {theirs}, this replica to {ours}")]
    OtherHome {
        /// The hub's.
        theirs: HomeId,
        /// This replica's.
        ours: HomeId,
    },
    /// The hub, or the way to it, and trying again helps no more.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The hub is behind what this replica has seen. What was pending has been pushed all the same.
    #[error("the hub has not caught up with what this replica has seen")]
    NotYet,
    /// The hub says that there is more to do and nothing moves. What is pending stays so.
    #[error("the hub answers, and nothing moves ({pending} change sets pending)")]
    Stalled {
        /// Sets without a verdict.
        pending: usize,
    },
}

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send this body (MessagePack) to `POST /api/v2/sync`, and hand what comes back to [`Session::answered`].
    Ask(Vec<u8>),
    /// Keep this frame: the replica that comes with the next call has taken it. If it cannot be kept, drop the session:
    /// nothing is lost, another one asks again.
    Keep(Box<Frame>),
    /// Wait that long.
    Wait(Duration),
    /// Nothing: neither side lacks anything. Every further call says so too.
    Done,
}

/// One sync with one hub.
#[derive(Debug, Clone)]
pub struct Session {
    options: Options,
    home_id: HomeId,
    summary: Summary,
    /// Waits that are left.
    waits: usize,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// The next request may be written.
    Ready,
    /// A request is under way, and what it pushed.
    Asked(Pushed),
    /// What became of it.
    Answered(Pushed, Result<Box<Reply>, Failure>),
    /// An answer was kept: where the replica stood before it, and whether the hub says that there is more.
    Kept(Place, bool),
    /// Records that no hub's log is known to hold become pending again, one by one.
    Requeueing(VecDeque<Digest>),
    /// Over, well or not.
    Ended,
}

/// How far a replica is: its clock, and the numbers of its pending sets. A round that moves neither is in vain.
type Place = (Clock, Vec<u64>);

fn place(replica: &Replica) -> Place {
    let pending = replica.pending().map(|(number, _)| number);
    (replica.clock().clone(), pending.collect())
}

impl Session {
    /// A session with a hub that was asked who it is: nothing is pushed into another home.
    ///
    /// `hub_home` and `hub_name` are what its status says. An error means that nothing should be sent.
    pub fn new(
        options: Options,
        hub_home: Option<HomeId>,
        hub_name: String,
        replica: &Replica,
    ) -> Result<Session, SessionError> {
        let theirs = hub_home.ok_or(SessionError::NoHome)?;
        match replica.home_id() {
            Some(ours) if ours != theirs => Err(SessionError::OtherHome { theirs, ours }),
            _ => Ok(Session {
                options,
                home_id: theirs,
                summary: Summary {
                    hub: hub_name,
                    ..Summary::default()
                },
                waits: options.retries,
                state: State::Ready,
            }),
        }
    }

    /// What to do next. `replica` is the same at every call, with the frames that were handed out and with whatever
    /// edits its person has made meanwhile.
    ///
    /// After an error the session is over: further calls say [`Next::Done`].
    ///
    /// # Panics
    ///
    /// While a request is under way: nothing can be said until [`Session::answered`] was called.
    pub fn next(&mut self, replica: &Replica) -> Result<Next, SessionError> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ready => return Ok(self.ask(replica)),
                State::Asked(pushed) => {
                    panic!(
                        "asked for more while a request with {} sets is under way",
                        pushed.len()
                    )
                }
                State::Answered(_, Err(failure)) => {
                    let restarted = failure
                        .refusal()
                        .filter(|_| failure.is_not_yet())
                        .map(|refusal| self.forgotten(replica, &refusal.missing))
                        .unwrap_or_default();
                    if restarted.is_empty() {
                        return self.wait(failure);
                    }
                    self.state = State::Kept(place(replica), true);
                    return Ok(Next::Keep(Box::new(Frame::Synced(Box::new(Synced {
                        restarted,
                        ..Synced::default()
                    })))));
                }
                State::Answered(pushed, Ok(reply)) => {
                    if let Some(frame) = self.read(replica, &pushed, &reply) {
                        return Ok(Next::Keep(Box::new(frame)));
                    }
                }
                State::Kept(before, more) => self.state = self.settled(replica, &before, more)?,
                State::Requeueing(mut orphans) => match orphans.pop_front() {
                    // Each by itself: that they were one set once is in a log that is gone.
                    Some(digest) => {
                        self.state = State::Requeueing(orphans);
                        return Ok(Next::Keep(Box::new(Frame::Requeued {
                            set: replica.next_set(),
                            digests: vec![digest],
                        })));
                    }
                    None => self.state = State::Ready,
                },
                State::Ended => return Ok(Next::Done),
            }
        }
    }

    /// What came back for the body of the last [`Next::Ask`]. What it means follows with [`Session::next`].
    ///
    /// # Panics
    ///
    /// Where no request is under way: an answer that comes after its time is the driver's to drop.
    pub fn answered(&mut self, answer: Result<Reply, Failure>) {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Asked(pushed) => State::Answered(pushed, answer.map(Box::new)),
            other => panic!("an answer that nobody waits for, in {other:?}"),
        };
        self.summary.rounds += 1;
    }

    /// What was done until now.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What was done.
    pub fn into_summary(self) -> Summary {
        self.summary
    }

    fn ask(&mut self, replica: &Replica) -> Next {
        let pushed = next_push(replica);
        let exchange = Exchange {
            device_id: replica.device_id(),
            user_id: replica.user_id(),
            sync_type: if replica.clock().is_empty() {
                SyncType::Full
            } else {
                SyncType::Delta
            },
            clock: replica.clock(),
            sets: pushed.iter().map(|(_, records)| records.clone()).collect(),
            heads_only: self.options.heads_only,
        };
        let body = exchange.encode();
        self.state = State::Asked(pushed);
        Next::Ask(body)
    }

    /// A request that brought no answer is made again, for as long as that makes sense.
    fn wait(&mut self, failure: Failure) -> Result<Next, SessionError> {
        let gone = matches!(failure, Failure::NoHub { .. }).then_some(RESTART_WAIT);
        match failure.retry_after().or(gone).filter(|_| self.waits > 0) {
            Some(wait) => {
                self.waits -= 1;
                self.state = State::Ready;
                Ok(Next::Wait(wait.min(WAIT_MAX)))
            }
            None if failure.is_not_yet() => Err(SessionError::NotYet),
            None => Err(failure.into()),
        }
    }

    /// What an answer brings, if it is anything that has to be kept.
    fn read(&mut self, replica: &Replica, pushed: &Pushed, reply: &Reply) -> Option<Frame> {
        let more = reply.more || reply.not_yet || !reply.reset.is_empty();
        self.state = State::Kept(place(replica), more);
        let mut synced = judge(pushed, reply, &mut self.summary);
        synced.home_id = replica.home_id().is_none().then_some(self.home_id);
        if reply.not_yet {
            synced.restarted = self.forgotten(replica, &reply.missing);
        } else {
            take_page(replica, reply, &mut synced, &mut self.summary);
        }
        (!synced.is_empty()).then(|| Frame::Synced(Box::new(synced)))
    }

    /// The logs to forget for a hub that is behind, if that is wanted: each once, so that no hub keeps a session going.
    fn forgotten(&mut self, replica: &Replica, missing: &Clock) -> Vec<ReplicaId> {
        let mut restarted = Vec::new();
        for (log, _) in missing.iter().filter(|_| self.options.accept_behind) {
            let seen = replica.clock().sequence(log);
            if seen > 0 && self.summary.behind.sequence(log) == 0 {
                self.summary.behind.set(*log, seen, None);
                restarted.push(*log);
            }
        }
        restarted
    }

    /// How to go on after an answer.
    fn settled(&mut self, replica: &Replica, before: &Place, more: bool) -> Result<State, SessionError> {
        let after = place(replica);
        let pending = after.1.len();
        if pending > 0 || more {
            // With nothing left to push, a hub that is behind says so as a refusal, with a time to wait.
            return if *before == after {
                Err(SessionError::Stalled { pending })
            } else {
                Ok(State::Ready)
            };
        }
        // Once in a session: what was pushed again and is in no log that was read is on its way there.
        if self.options.heads_only || self.summary.requeued > 0 {
            return Ok(State::Ended);
        }
        let orphans = replica.orphans();
        self.summary.requeued = orphans.len();
        Ok(if orphans.is_empty() {
            State::Ended
        } else {
            State::Requeueing(orphans.into())
        })
    }
}

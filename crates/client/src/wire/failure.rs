//! What can go wrong between a client and a hub, whoever carries the bytes.

use std::time::Duration;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::value::{Budget, Map, Value, decode_msgpack};
use inbetweenies_core::wire::clock_from_wire;

use super::reply::ANSWER_ELEMENTS_MAX;

/// How long a transport that broke is left alone.
const BROKEN_WAIT: Duration = Duration::from_millis(500);

/// An answer that is none of a hub's, and what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// A hub's problem document (RFC 9457): nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// One or two words.
    pub title: String,
    /// Stable, in lower case: what programs look at. Empty where something else than a hub answered.
    pub code: String,
    /// What was wrong with this request.
    pub detail: String,
    /// After how long another try makes sense.
    pub retry_after: Option<Duration>,
    /// With `not_yet`: what the client's clock names and the hub does not hold.
    pub missing: Clock,
}

/// Why a call brought no answer. Every call may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing listens there, or the name does not resolve. Nothing was sent.
    #[error("no hub answers ({detail})")]
    NoHub {
        /// What the system said.
        detail: String,
    },
    /// It listens and did not answer in time. What was sent may have arrived; sending it again is harmless.
    #[error("no answer within {} s", waited.as_secs())]
    Timeout {
        /// For how long.
        waited: Duration,
    },
    /// The connection broke. What was sent may have arrived; sending it again is harmless.
    #[error("the connection broke ({detail})")]
    Cut {
        /// What the system said.
        detail: String,
    },
    /// The hub refused, and says why. Nothing was changed.
    #[error("refused ({} {}): {}", .0.status, .0.name(), .0.detail)]
    Refused(Box<Refusal>),
    /// Whatever answers there, it does not speak as a hub of this version does.
    #[error("the answer is none of a hub's ({0})")]
    Malformed(#[from] Malformed),
}

impl Failure {
    /// The problem document, if the hub sent one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Failure::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the hub says that it is behind the clock it was shown.
    pub fn is_not_yet(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == "not_yet")
    }

    /// How long to wait before trying the same again, if that makes sense without anybody doing something.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::Refused(refusal) if [409, 429, 503].contains(&refusal.status) => refusal.retry_after,
            Failure::Refused(refusal) if refusal.status == 504 => Some(BROKEN_WAIT),
            Failure::Cut { .. } | Failure::Timeout { .. } => Some(BROKEN_WAIT),
            Failure::Refused(_) | Failure::NoHub { .. } | Failure::Malformed(_) => None,
        }
    }
}

impl Refusal {
    /// Reads a problem document in MessagePack; what is no such thing is told by its status alone.
    pub fn decode(status: u16, body: &[u8], limits: &Limits) -> Refusal {
        let budget = Budget::new(limits.depth_max, ANSWER_ELEMENTS_MAX);
        Refusal::read(status, decode_msgpack(body, &budget).ok(), limits)
    }

    /// Reads a decoded problem document; what is no such thing is told by its status alone.
    pub fn read(status: u16, document: Option<Value>, limits: &Limits) -> Refusal {
        let mut map = match document {
            Some(Value::Map(map)) => map,
            _ => Map::new(),
        };
        let mut text = |key: &str| match map.remove(key) {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        };
        let (title, code, detail) = (text("title"), text("code"), text("detail"));
        let seconds = map.get("retry_after").and_then(Value::as_int);
        let missing = clock_from_wire(map.remove("missing"), None, limits).unwrap_or_default();
        Refusal {
            status,
            title: if title.is_empty() {
                "no reason given".to_owned()
            } else {
                title
            },
            code,
            detail: if detail.is_empty() {
                "it gave no reason".to_owned()
            } else {
                detail
            },
            retry_after: seconds
                .and_then(|s| u64::try_from(s).ok())
                .map(Duration::from_secs),
            missing,
        }
    }

    /// What to call it: its code, or its title where something else than a hub answered.
    pub fn name(&self) -> &str {
        if self.code.is_empty() {
            &self.title
        } else {
            &self.code
        }
    }
}

#[cfg(test)]
mod tests {
    use inbetweenies_core::id::ReplicaId;
    use inbetweenies_core::wire::Problem;

    use super::*;

    #[test]
    fn a_client_reads_why_a_hub_refused() {
        let mut problem = Problem::new(409, "Not yet", "not_yet", "try again shortly");
        problem.retry_after = Some(3);
        problem.missing = Some([(ReplicaId([1; 16]).to_string(), 7)].into());
        let body = rmp_serde::to_vec_named(&problem).unwrap();
        let refusal = Refusal::decode(409, &body, &Limits::default());
        let mut missing = Clock::new();
        missing.set(ReplicaId([1; 16]), 7, None);
        assert_eq!(
            refusal,
            Refusal {
                status: 409,
                title: "Not yet".to_owned(),
                code: "not_yet".to_owned(),
                detail: "try again shortly".to_owned(),
                retry_after: Some(Duration::from_secs(3)),
                missing,
            }
        );
        let failure = Failure::Refused(Box::new(refusal));
        assert!(failure.is_not_yet());
        assert_eq!(failure.retry_after(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn what_is_no_problem_document_is_told_by_its_status() {
        for body in [&b"<html>Bad gateway</html>"[..], b""] {
            let refusal = Refusal::decode(502, body, &Limits::default());
            assert_eq!((refusal.status, refusal.name()), (502, "no reason given"));
            assert_eq!(Failure::Refused(Box::new(refusal)).retry_after(), None);
        }
    }
}

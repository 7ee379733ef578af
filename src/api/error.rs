//! What can go wrong between a client and a hub, and what to do about it.

use std::time::Duration;

use inbetweenies_core::value::{Map, Value};

use super::HubUrl;

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
}

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Nothing listens there, or the name does not resolve. Nothing was sent.
    #[error(
        "no hub answers at {url}: is it running? ({detail}) `inbetweenies hub --config FILE` starts one; --hub names \
         another"
    )]
    NoHub {
        /// Who was asked.
        url: HubUrl,
        /// What the system said.
        detail: String,
    },
    /// It listens and did not answer in time. What was sent may have arrived; sending it again is harmless.
    #[error("{url} did not answer within {} s: try again, or ask another hub", waited.as_secs())]
    Timeout {
        /// Who was asked.
        url: HubUrl,
        /// For how long.
        waited: Duration,
    },
    /// The connection broke. What was sent may have arrived; sending it again is harmless.
    #[error("the connection to {url} broke ({detail}): try again, or ask another hub")]
    Cut {
        /// Who was asked.
        url: HubUrl,
        /// What the system said.
        detail: String,
    },
    /// The hub refused, and says why. Nothing was changed.
    #[error("{url} refused ({} {}): {}", refusal.status, name(refusal), refusal.detail)]
    Refused {
        /// Who was asked.
        url: HubUrl,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// Whatever answers there, it does not speak as a hub of this version does.
    #[error(
        "{url} gave an answer that is none of a hub's ({detail}): is the address right, and its software as new?"
    )]
    Malformed {
        /// Who was asked.
        url: HubUrl,
        /// What was wrong with it.
        detail: String,
    },
}

fn name(refusal: &Refusal) -> &str {
    if refusal.code.is_empty() {
        &refusal.title
    } else {
        &refusal.code
    }
}

impl ApiError {
    /// The problem document, if the hub sent one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            ApiError::Refused { refusal, .. } => Some(refusal),
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
            ApiError::Refused { refusal, .. } if [409, 429, 503].contains(&refusal.status) => {
                refusal.retry_after
            }
            ApiError::Refused { refusal, .. } if refusal.status == 504 => Some(Duration::from_millis(500)),
            ApiError::Cut { .. } | ApiError::Timeout { .. } => Some(Duration::from_millis(500)),
            _ => None,
        }
    }
}

impl Refusal {
    /// Reads a problem document; what is no such thing is told by its status alone.
    pub fn read(status: u16, document: Option<Value>) -> Refusal {
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
        }
    }
}

//! Problem documents: one shape for every refusal (RFC 9457).

use serde::Serialize;

use crate::record::RecordError;
use crate::value::Refusal;

/// `application/problem+json`: what went wrong and what to do. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// One or two words that do not change from case to case.
    pub title: &'static str,
    /// What was wrong with this request.
    pub detail: String,
    /// Stable, in lower case: what programs look at.
    pub code: &'static str,
    /// Where a clock ran ahead: the replicas and sequences that this hub does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<std::collections::BTreeMap<String, u64>>,
    /// Seconds after which another try makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem without more to it.
    pub fn new(status: u16, title: &'static str, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            title,
            detail: detail.into(),
            code,
            missing: None,
            retry_after: None,
        }
    }

    /// 400 with a code.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(400, "Bad request", code, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(404, "Not found", "not_found", detail)
    }

    /// 500: the store failed; the hub stops or has stopped writing.
    pub fn store(error: &dyn std::fmt::Display) -> Problem {
        Problem::new(500, "Store failed", "store_failed", error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        Problem::bad_request(refusal.code, refusal.detail)
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Problem {
        Problem::bad_request(error.code, error.detail)
    }
}

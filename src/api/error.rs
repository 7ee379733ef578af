//! Why a call to a hub brought no answer, in words for people: who was asked, and what to do about it.

use std::fmt;

use inbetweenies_client::wire::{Failure, Refusal};

use super::HubUrl;

/// Why a call brought no answer, and who was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// Who was asked.
    pub url: HubUrl,
    /// What went wrong.
    pub failure: Failure,
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.url;
        match &self.failure {
            Failure::NoHub { detail } => write!(
                f,
                "no hub answers at {url}: is it running? ({detail}) `inbetweenies hub --config FILE` starts one; \
                 --hub names another"
            ),
            Failure::Timeout { waited } => write!(
                f,
                "{url} did not answer within {} s: try again, or ask another hub",
                waited.as_secs()
            ),
            Failure::Cut { detail } => write!(
                f,
                "the connection to {url} broke ({detail}): try again, or ask another hub"
            ),
            Failure::Refused(refusal) => write!(
                f,
                "{url} refused ({} {}): {}",
                refusal.status,
                refusal.name(),
                refusal.detail
            ),
            Failure::Malformed(detail) => write!(
                f,
                "{url} gave an answer that is none of a hub's ({detail}): is the address right, and its software as \
                 new?"
            ),
        }
    }
}

impl ApiError {
    /// The problem document, if the hub sent one.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.failure.refusal()
    }
}

//! The promises, one a file, checked while a run goes on and at its end. Their ids are those of the project's list of
//! invariants; those whose feature does not exist yet are not here.

mod canary;
mod i01_clients;
mod i01_same_state;
mod i02_convergence;
mod i02_dead_links;
mod i03_edits_kept;
mod i03_no_acked_loss;
mod i04_no_invention;
mod i05_one_dot_one_entry;
mod i06_causes_first;
mod i07_heads;
mod i08_no_silent_conflict;
mod i08_why;
mod i09_merge;
mod i09_past;
mod i09_view_pure;
mod i10_forgotten;
mod i10_stays_deleted;
mod i11_merkle;
mod i12_clock_truthful;
mod i13_ack_durable;
mod i14_exactly_once;
mod i15_honest_outcomes;
mod i16_order_times;
mod i17_lives;
mod i18_blobs;
mod i19_bounds;
mod i23_recovery;
mod i24_quiet;
mod i25_members;
mod model;
mod p04_whole_sets;
mod rows;

use crate::plan::Lane;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// What was found where a promise does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where, if it is one lane's.
    pub lane: Option<Lane>,
    /// In words, with ids.
    pub text: String,
}

/// At one hub.
fn at<T>(hub: usize, text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation {
        lane: Some(Lane::Hub(hub)),
        text: text.into(),
    })
}

/// Between hubs.
fn between<T>(text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation {
        lane: None,
        text: text.into(),
    })
}

/// One promise.
pub trait Invariant {
    /// As in `I3`.
    fn id(&self) -> &'static str;

    /// What it says, in a sentence.
    fn promise(&self) -> &'static str;

    /// Whether it holds also while some disk has rotted and nobody has mended it yet.
    fn holds_on_rotten_disks(&self) -> bool {
        matches!(
            self.id(),
            "I2" | "I5" | "I12" | "I14" | "I17" | "I18" | "I19" | "I24"
        )
    }

    /// Looks at what happened. The oracle has seen it already.
    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation>;
}

/// All of them.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(canary::Canary),
        Box::new(i01_same_state::SameState),
        Box::new(i01_clients::Clients),
        Box::new(i02_convergence::Convergence),
        Box::new(i02_dead_links::DeadLinks::default()),
        Box::new(i03_edits_kept::EditsKept::default()),
        Box::new(i03_no_acked_loss::NoAckedLoss),
        Box::new(i04_no_invention::NoInvention),
        Box::new(i05_one_dot_one_entry::OneDotOneEntry::default()),
        Box::new(i06_causes_first::CausesFirst),
        Box::new(i07_heads::Heads),
        Box::new(i08_no_silent_conflict::NoSilentConflict),
        Box::new(i08_why::Reasons),
        Box::new(i09_merge::Merge),
        Box::new(i09_past::Past),
        Box::new(i09_view_pure::ViewPure),
        Box::new(i10_forgotten::Forgotten::default()),
        Box::new(i10_stays_deleted::StaysDeleted),
        Box::new(i11_merkle::Merkle),
        Box::new(i12_clock_truthful::ClockTruthful),
        Box::new(i13_ack_durable::AckDurable),
        Box::new(i14_exactly_once::ExactlyOnce),
        Box::new(i15_honest_outcomes::HonestOutcomes),
        Box::new(i16_order_times::OrderTimes::default()),
        Box::new(i17_lives::Lives),
        Box::new(i18_blobs::Blobs::default()),
        Box::new(i19_bounds::Bounds),
        Box::new(i23_recovery::Recovery),
        Box::new(i24_quiet::Quiet::default()),
        Box::new(i25_members::Members),
        Box::new(p04_whole_sets::WholeSets),
    ]
}

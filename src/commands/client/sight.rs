//! What a reading command looks at: this device's replica, now or as it was at an instant.

use inbetweenies_client::{Edge, Replica, Store, wall_clock};
use inbetweenies_core::id::Id;
use inbetweenies_core::record::Record;
use inbetweenies_core::time::{Micros, edit_time, instant};
use inbetweenies_core::view::{Policy, View};

use super::find;
use crate::commands::say::{Failure, clean};
use crate::config::Duration;

/// `--at INSTANT`.
#[derive(Debug, clap::Args)]
pub struct At {
    /// As it was then: 2026-06-15T09:41:02Z, a date, or -2h, -3d
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    at: Option<String>,
}

/// A replica and an instant; None: all that is held.
pub struct Sight {
    store: Store,
    /// The rules that hold now; they know which held before them.
    pub policy: Policy,
    /// The instant.
    pub at: Option<Micros>,
}

impl Sight {
    /// What is held now.
    pub fn now(store: Store) -> Sight {
        Sight {
            policy: store.replica().policy(),
            store,
            at: None,
        }
    }

    /// What was held at an instant, if one is named.
    pub fn of(store: Store, at: &At) -> Result<Sight, Failure> {
        let at = at.at.as_deref().map(|text| read("--at", text)).transpose()?;
        Ok(Sight {
            at,
            ..Sight::now(store)
        })
    }

    /// The replica.
    pub fn replica(&self) -> &Replica {
        self.store.replica()
    }

    /// What a person means by a word.
    pub fn find(&self, word: &str) -> Result<Id, Failure> {
        Ok(self.replica().find_at(word, &self.policy, self.at)?)
    }

    /// What is, or was, shown of an id.
    pub fn view(&self, id: &Id) -> Option<View> {
        self.replica().view_at(id, &self.policy, self.at)
    }

    /// Relationships that are, or were, shown.
    pub fn edges(&self) -> Vec<Edge> {
        self.replica().edges_at(&self.policy, self.at)
    }

    /// Nothing of this id is from then or before.
    pub fn unknown(&self, word: &str, id: &Id) -> Failure {
        let label = match self.replica().view(id, &self.policy) {
            Some(view) => find::label(&view.record),
            None => clean(word),
        };
        Failure::new(match self.at {
            None => format!("nothing is known of {label}"),
            Some(at) => format!("nothing is known of {label} from {} or before", moment(at)),
        })
    }
}

/// An instant as a person writes it, in words that say what to write if it is none.
pub fn read(key: &str, text: &str) -> Result<Micros, Failure> {
    at(text, wall_clock()).ok_or_else(|| {
        Failure::usage(format!(
            "{key}: {:?} is no instant: write 2026-06-15T09:41:02Z, a date, -2h, -3d, or now",
            clean(text)
        ))
    })
}

fn at(text: &str, now: Micros) -> Option<Micros> {
    let ago = text.strip_prefix('-').or_else(|| text.strip_suffix(" ago"));
    match ago {
        Some(ago) => {
            let ago: Duration = ago.parse().ok()?;
            let micros = u64::try_from(ago.get().as_micros()).unwrap_or(u64::MAX);
            Some(Micros(now.0.saturating_sub(micros)))
        }
        None if text == "now" => Some(now),
        None => instant(text),
    }
}

/// An instant for people, as it can be given back to `--at`.
pub fn moment(at: Micros) -> String {
    at.to_string().replace("+00:00", "Z")
}

/// The same of one that was written for programs.
pub fn told(time: &str) -> String {
    clean(&time.replace("+00:00", "Z"))
}

/// When its writer says that it was written, and who that is.
pub fn written(record: &Record) -> String {
    let version = &record.version;
    let when = edit_time(version.as_str()).map_or_else(|| version.to_string(), |time| time.to_string());
    format!("{} by {}", clean(&when), who(record.user_id.as_deref()))
}

/// Who it was.
pub fn who(user: Option<&str>) -> String {
    clean(user.unwrap_or("somebody"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_given_by_the_calendar_or_from_now_backwards() {
        let now = instant("2026-06-15T12:00:00Z").unwrap();
        let cases = [
            ("now", "2026-06-15T12:00:00Z"),
            ("-2h", "2026-06-15T10:00:00Z"),
            ("3d ago", "2026-06-12T12:00:00Z"),
            ("2026-06-14", "2026-06-14T00:00:00Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(at(text, now), instant(expected), "{text}");
        }
        assert_eq!(at("-99999999d", now), Some(Micros(0)));
        for bad in ["", "-", "2h", "-2", "ago", " ago", "tuesday", "--2h"] {
            assert_eq!(at(bad, now), None, "{bad}");
        }
        assert_eq!(moment(now), "2026-06-15T12:00:00.000000Z");
        assert_eq!(instant(&moment(now)), Some(now));
    }
}

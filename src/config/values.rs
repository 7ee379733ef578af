//! The types of values that only a config has.

use std::fmt;
use std::net::Ipv6Addr;

use serde_json::Value;

use super::errors::{ValueError, clip};
use super::input::{Fault, Input, Setting};

/// A host, by name or address, and a port: whom to dial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// Which lines are logged: a level, or a comma-separated list of levels and `target=level`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

/// Which blobs a hub fetches by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobPolicy {
    /// All that records refer to.
    All,
    /// Those that somebody reads.
    OnDemand,
    /// Those of pinned types.
    Pinned,
}

/// How a line is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl HostPort {
    /// The name or address; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0 && !text.contains('+'))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().ok()?.to_string(),
            None if is_host_name(host) => host.to_owned(),
            None => return None,
        };
        Some(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl LogFilter {
    /// As the logging library's filter takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl LogFormat {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Setting for HostPort {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        const EXPECTED: &str = "a host and port such as \"attic.local:7420\"";
        let text = input.text(EXPECTED)?;
        Self::parse(text).ok_or_else(|| {
            ValueError::Malformed {
                text: clip(text),
                expected: EXPECTED,
            }
            .into()
        })
    }

    fn show(&self) -> Value {
        Value::from(self.to_string())
    }
}

impl Setting for LogFilter {
    // Stricter than the logging library, which takes a misspelt level for the name of a module and then logs
    // nothing, and which knows filters by span, which nobody needs here.
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        let text = input.text("a level such as \"info\"")?;
        for directive in text.split(',') {
            let (target, level) = directive.split_once('=').unwrap_or(("all", directive));
            let good_target = !target.is_empty()
                && target
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'));
            if !good_target || !LEVELS.contains(&level) {
                let choices =
                    "error, warn, info, debug, trace, off, or a list such as \"info,inbetweenies=debug\"";
                return Err(ValueError::Choice {
                    text: clip(text),
                    choices,
                }
                .into());
            }
        }
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> Value {
        Value::from(self.0.as_str())
    }
}

impl Setting for BlobPolicy {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        match input.text("\"all\", \"on_demand\" or \"pinned\"")? {
            "all" => Ok(Self::All),
            "on_demand" => Ok(Self::OnDemand),
            "pinned" => Ok(Self::Pinned),
            other => Err(ValueError::Choice {
                text: clip(other),
                choices: "all, on_demand, pinned",
            }
            .into()),
        }
    }

    fn show(&self) -> Value {
        Value::from(match self {
            Self::All => "all",
            Self::OnDemand => "on_demand",
            Self::Pinned => "pinned",
        })
    }
}

impl Setting for LogFormat {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        match input.text("\"text\" or \"json\"")? {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(ValueError::Choice {
                text: clip(other),
                choices: "text, json",
            }
            .into()),
        }
    }

    fn show(&self) -> Value {
        Value::from(self.as_str())
    }
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// The longest name that the domain name system knows, in bytes.
const HOST_NAME_MAX: usize = 253;

fn is_host_name(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= HOST_NAME_MAX
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: Setting>(text: &str) -> Option<T> {
        T::read(&Input::Text(text)).ok()
    }

    #[test]
    fn a_host_and_port_reads_and_shows() {
        for good in ["127.0.0.1:7420", "attic.local:1", "[::1]:7421", "nas_2:65535"] {
            assert_eq!(text::<HostPort>(good).expect(good).to_string(), good);
        }
        let address = text::<HostPort>("[::1]:7421").expect("an address");
        assert_eq!((address.host(), address.port()), ("::1", 7421));
        for bad in [
            "",
            "attic",
            ":7420",
            "attic:",
            "attic:0",
            "attic:65536",
            "attic:+1",
            "::1:7420",
            "[::1]",
            "a b:1",
            "http://attic:7420",
            "[attic]:7420",
        ] {
            assert_eq!(text::<HostPort>(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_misspelt_level_is_no_filter() {
        for good in ["info", "off", "warn,inbetweenies::peers=debug", "a-b=trace,error"] {
            assert_eq!(text::<LogFilter>(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "inof",
            "INFO",
            "info,",
            "=info",
            "peers=loud",
            "peers",
            "[span]=info",
            "a=b=info",
        ] {
            assert_eq!(text::<LogFilter>(bad), None, "{bad:?}");
        }
    }
}

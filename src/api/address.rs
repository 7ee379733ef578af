//! Where a hub answers.

use std::fmt;
use std::str::FromStr;

use awc::http::Uri;

/// A hub's address as `http://host:port`, with no path behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HubUrl(String);

/// Why an address was refused: wrong usage, nothing was tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no hub's address: {reason}; give it as http://127.0.0.1:7420")]
pub struct AddressError {
    /// As it was given, cut where it is long.
    given: String,
    reason: &'static str,
}

impl HubUrl {
    /// Of a hub whose socket is known.
    pub fn of(address: std::net::SocketAddr) -> HubUrl {
        HubUrl(format!("http://{address}"))
    }

    /// The whole URL of a path, which begins with `/` and is written as URLs are.
    pub fn with(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Without the scheme: `host:port`.
    pub fn host_and_port(&self) -> &str {
        self.0.trim_start_matches("http://")
    }
}

impl FromStr for HubUrl {
    type Err = AddressError;

    /// Reads `http://host:port` or `host:port`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bad = |reason| {
            Err(AddressError {
                given: text.chars().take(80).collect(),
                reason,
            })
        };
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let Ok(uri) = full.parse::<Uri>() else {
            return bad("it does not read as a URL");
        };
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return bad("hubs speak plain http until they have keys"),
            _ => return bad("it is not an http URL"),
        }
        let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
            return bad("it names no host");
        };
        if authority.as_str().contains('@') {
            return bad("it carries a user or a password");
        }
        if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") {
            return bad("it has a path");
        }
        if authority.port_u16().is_none() && !text.contains("://") {
            return bad("it names no port");
        }
        Ok(HubUrl(format!("http://{authority}")))
    }
}

impl fmt::Display for HubUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_with_or_without_its_scheme() {
        for (given, read) in [
            ("http://127.0.0.1:7420", "http://127.0.0.1:7420"),
            ("http://127.0.0.1:7420/", "http://127.0.0.1:7420"),
            ("attic.local:7421", "http://attic.local:7421"),
            ("http://attic.local", "http://attic.local"),
            ("[::1]:7420", "http://[::1]:7420"),
        ] {
            assert_eq!(given.parse::<HubUrl>().unwrap().to_string(), read);
        }
        let url: HubUrl = "127.0.0.1:7420".parse().unwrap();
        assert_eq!(url.with("/health"), "http://127.0.0.1:7420/health");
        assert_eq!(url.host_and_port(), "127.0.0.1:7420");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_form_it_should_have() {
        for bad in [
            "",
            "attic",
            "https://attic:7420",
            "ftp://attic",
            "http://",
            "http://a/b",
            "http://u:p@a:1",
            "a b:1",
            "http://a:1/?x=1",
        ] {
            let error = bad.parse::<HubUrl>().unwrap_err().to_string();
            assert!(error.contains("http://127.0.0.1:7420"), "{bad:?}: {error}");
        }
    }
}

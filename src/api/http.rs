//! The calls themselves: awc on this thread's runtime, bodies in MessagePack, everything bounded.

use std::time::Duration;

use actix_web::error::ParseError;
use awc::error::{ConnectError, PayloadError, SendRequestError};
use awc::http::Method;
use awc::http::header::{ACCEPT, CONTENT_TYPE};
use inbetweenies_client::wire::{
    ANSWER_ELEMENTS_MAX, Failure, Malformed, Page, Refusal, Reply, Shown, Status, VersionRow,
};
use inbetweenies_core::limits::Limits;
use inbetweenies_core::value::{Budget, Map, Value, decode, decode_msgpack};

use super::{ApiError, HubUrl, MSGPACK};

/// The largest answer that is read: a page and one change set at their bounds, with what the wire adds to each record.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// A document of errors, or what stands there instead.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a read may take, from request to the last byte.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an exchange may take: its bodies may be large and the radio link poor.
pub(super) const SYNC_TIMEOUT: Duration = Duration::from_secs(60);

/// One hub, and the connections to it that are kept open.
pub struct Hub {
    url: HubUrl,
    client: awc::Client,
    limits: Limits,
}

impl Hub {
    /// A hub that has not been asked anything yet. Needs an actix runtime on this thread once it is.
    pub fn new(url: HubUrl) -> Hub {
        let connector = crate::dial::connector().timeout(CONNECT_TIMEOUT);
        let client = awc::Client::builder()
            .connector(connector)
            .disable_redirects()
            .disable_timeout()
            .finish();
        Hub {
            url,
            client,
            limits: Limits::default(),
        }
    }

    /// Where it answers.
    pub fn url(&self) -> &HubUrl {
        &self.url
    }

    /// Its state.
    pub async fn status(&self) -> Result<Status, ApiError> {
        let answer = self.get("/api/v2/status").await?;
        self.read(Status::read(answer))
    }

    /// One exchange, with a body as a session wrote it. O(page).
    pub async fn exchange(&self, body: Vec<u8>) -> Result<Reply, ApiError> {
        let (_, answer, bytes) = self
            .call(Method::POST, "/api/v2/sync", Some(body), SYNC_TIMEOUT)
            .await?;
        self.read(Reply::read(answer, bytes, &self.limits))
    }

    /// An entity, or its tombstone; None if the hub knows nothing of it.
    pub async fn entity(&self, id: &str) -> Result<Option<Shown>, ApiError> {
        self.one(&format!("/api/v2/entities/{}", escaped(id))).await
    }

    /// A relationship, or its tombstone; None if the hub knows nothing of it.
    pub async fn relationship(&self, id: &str) -> Result<Option<Shown>, ApiError> {
        self.one(&format!("/api/v2/relationships/{}", escaped(id))).await
    }

    /// A page of entities, of one type or of all.
    pub async fn entities(
        &self,
        entity_type: Option<&str>,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Page, ApiError> {
        let limit = limit.map(|limit| limit.to_string());
        let query = [
            ("type", entity_type),
            ("cursor", cursor),
            ("limit", limit.as_deref()),
        ];
        let answer = self.get(&with_query("/api/v2/entities", &query)).await?;
        self.read(Page::read(answer, "entities"))
    }

    /// A page of relationships: around a thing, of a type, or all.
    pub async fn relationships(
        &self,
        entity: Option<&str>,
        relationship_type: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page, ApiError> {
        let query = [
            ("entity", entity),
            ("type", relationship_type),
            ("cursor", cursor),
        ];
        let answer = self.get(&with_query("/api/v2/relationships", &query)).await?;
        self.read(Page::read(answer, "relationships"))
    }

    /// Every version of an entity, newest first; None if the hub knows nothing of it.
    pub async fn history(&self, id: &str) -> Result<Option<Vec<VersionRow>>, ApiError> {
        let path = format!("/api/v2/entities/{}/history", escaped(id));
        let (mut versions, mut cursor) = (Vec::new(), None);
        loop {
            let page = with_query(&path, &[("limit", Some("1000")), ("cursor", cursor.as_deref())]);
            match self.get(&page).await {
                Ok(answer) => {
                    let (rows, next) = self.read(VersionRow::read_page(answer))?;
                    versions.extend(rows);
                    match next {
                        Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                        _ => return Ok(Some(versions)),
                    }
                }
                Err(error) if is_not_found(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// The hubs of its home, as it says.
    pub async fn members(&self) -> Result<Value, ApiError> {
        self.get("/api/v2/members").await
    }

    /// Fences a hub, or takes it back; the members after it.
    pub async fn fence(&self, hub_id: &str, fenced: bool) -> Result<Value, ApiError> {
        let act = if fenced { "fence" } else { "unfence" };
        let path = format!("/api/v2/members/{}/{act}", escaped(hub_id));
        let (_, answer, _) = self.call(Method::POST, &path, None, READ_TIMEOUT).await?;
        Ok(answer)
    }

    /// Has the hub check its store and compare it with a peer, or with all.
    pub async fn verify(&self, against: Option<&str>) -> Result<Value, ApiError> {
        let query = against.map_or_else(String::new, |hub| format!("?against={}", escaped(hub)));
        let path = format!("/api/v2/verify{query}");
        let (_, answer, _) = self.call(Method::POST, &path, None, READ_TIMEOUT).await?;
        Ok(answer)
    }

    /// What the hub's store holds below a node of its tree.
    pub async fn leaves(&self, prefix: &str) -> Result<Value, ApiError> {
        let path = format!("/api/v2/leaves?prefix={prefix}");
        let (_, answer, _) = self.call(Method::GET, &path, None, SYNC_TIMEOUT).await?;
        Ok(answer)
    }

    /// The digest of all that the hub holds, and the clock that it holds at.
    pub async fn digest(&self) -> Result<Value, ApiError> {
        self.get("/api/v2/digest").await
    }

    /// The policy entity, as it says.
    pub async fn policy(&self) -> Result<Value, ApiError> {
        self.get("/api/v2/policy").await
    }

    /// Another policy; the policy entity after it.
    pub async fn set_policy(&self, body: Value) -> Result<Value, ApiError> {
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        let (_, answer, _) = self
            .call(Method::PUT, "/api/v2/policy", Some(bytes), READ_TIMEOUT)
            .await?;
        Ok(answer)
    }

    async fn one(&self, path: &str) -> Result<Option<Shown>, ApiError> {
        match self.get(path).await {
            Ok(answer) => self.read(Shown::read(answer)).map(Some),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A call by hand.
    pub(super) fn request(&self, method: Method, path: &str) -> awc::ClientRequest {
        self.client.request(method, self.url.with(path))
    }

    /// Bounds of what is read.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, ApiError> {
        let (_, answer, _) = self.call(Method::GET, path, None, READ_TIMEOUT).await?;
        Ok(answer)
    }

    fn read<T>(&self, read: Result<T, Malformed>) -> Result<T, ApiError> {
        read.map_err(|malformed| self.error(malformed.into()))
    }

    pub(super) fn error(&self, failure: Failure) -> ApiError {
        ApiError {
            url: self.url.clone(),
            failure,
        }
    }

    /// Status, document and bytes of what answers. A kept connection that broke is replaced once: see the module's
    /// invariant.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        wait: Duration,
    ) -> Result<(u16, Value, usize), ApiError> {
        let answer = match self.within(wait, method.clone(), path, body.clone()).await {
            Err(Failure::Cut { .. }) => self.within(wait, method, path, body).await,
            answer => answer,
        };
        answer.map_err(|failure| self.error(failure))
    }

    async fn within(
        &self,
        wait: Duration,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(u16, Value, usize), Failure> {
        let attempt = self.attempt(method, path, body);
        match actix_rt::time::timeout(wait, attempt).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Timeout { waited: wait }),
        }
    }

    async fn attempt(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(u16, Value, usize), Failure> {
        let request = self
            .client
            .request(method, self.url.with(path))
            .insert_header((ACCEPT, MSGPACK));
        let sent = match body {
            Some(body) => {
                request
                    .insert_header((CONTENT_TYPE, MSGPACK))
                    .send_body(body)
                    .await
            }
            None => request.send().await,
        };
        let response = sent.map_err(|error| send_error(&error))?;
        // The whole call is bounded by its caller.
        let mut response = response.timeout(SYNC_TIMEOUT);
        let status = response.status().as_u16();
        let json = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.contains("json"));
        // A deleted thing is shown with 410 Gone.
        let good = (200..300).contains(&status) || status == 410;
        let bytes_max = if good { ANSWER_BYTES_MAX } else { REFUSAL_BYTES_MAX };
        let bytes = match response.body().limit(bytes_max).await {
            Ok(bytes) => bytes,
            Err(PayloadError::Overflow) if good => {
                let detail = format!("it has more than {bytes_max} bytes");
                return Err(Malformed(detail).into());
            }
            Err(_) if !good => return Err(refused(status, None, &self.limits)),
            Err(error) => {
                let detail = error.to_string();
                return Err(Failure::Cut { detail });
            }
        };
        let budget = Budget::new(self.limits.depth_max, ANSWER_ELEMENTS_MAX);
        let document = if json {
            decode(&mut serde_json::Deserializer::from_slice(&bytes), &budget)
        } else {
            decode_msgpack(&bytes, &budget)
        };
        match document {
            Ok(Value::Map(map)) if good && !is_problem(status, &map) => {
                Ok((status, Value::Map(map), bytes.len()))
            }
            Ok(document) => Err(refused(status, Some(document), &self.limits)),
            Err(error) if good => Err(Malformed(error.detail).into()),
            Err(_) => Err(refused(status, None, &self.limits)),
        }
    }
}

fn refused(status: u16, document: Option<Value>, limits: &Limits) -> Failure {
    Failure::Refused(Box::new(Refusal::read(status, document, limits)))
}

pub(super) fn send_error(error: &SendRequestError) -> Failure {
    let detail = error.to_string();
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => Failure::Cut { detail },
        SendRequestError::Connect(ConnectError::Timeout) => Failure::NoHub {
            detail: format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
        },
        SendRequestError::Connect(ConnectError::Io(error)) => Failure::NoHub {
            detail: error.to_string(),
        },
        SendRequestError::Connect(_) | SendRequestError::Url(_) => Failure::NoHub { detail },
        // The line broke while the answer was awaited or under way: no word on who speaks there.
        SendRequestError::Response(ParseError::Io(_) | ParseError::Incomplete) => Failure::Cut { detail },
        SendRequestError::Response(_) | SendRequestError::H2(_) => Malformed(detail).into(),
        SendRequestError::Send(error) => Failure::Cut {
            detail: error.to_string(),
        },
        _ => Failure::Cut { detail },
    }
}

/// A 410 may carry the tombstone, or a problem document that says no more than that.
fn is_problem(status: u16, document: &Map) -> bool {
    status == 410 && !document.contains_key("entity") && !document.contains_key("relationship")
}

fn is_not_found(error: &ApiError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.status == 404)
}

/// Percent-encodes what may not stand in a path or a query (RFC 3986: all but the unreserved).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn with_query(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let given: Vec<String> = query
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", escaped((*value)?))))
        .collect();
    if given.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", given.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_writer_stand_in_a_path() {
        assert_eq!(escaped("a/b?c=größe"), "a%2Fb%3Fc%3Dgr%C3%B6%C3%9Fe");
        assert_eq!(
            with_query(
                "/e",
                &[("type", Some("a b")), ("cursor", None), ("limit", Some("3"))]
            ),
            "/e?type=a%20b&limit=3"
        );
    }

    /// A reset where an answer was awaited was taken for one that is none of a hub's, and not tried again.
    #[test]
    fn a_line_that_breaks_before_the_answer_is_a_cut() {
        for error in [
            ParseError::Io(std::io::ErrorKind::ConnectionReset.into()),
            ParseError::Incomplete,
        ] {
            let failure = send_error(&SendRequestError::Response(error));
            assert!(matches!(failure, Failure::Cut { .. }), "{failure:?}");
        }
    }

    #[actix_rt::test]
    async fn a_port_without_a_hub_says_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        drop(taken);
        let error = Hub::new(address.to_string().parse().unwrap())
            .status()
            .await
            .unwrap_err();
        assert!(matches!(error.failure, Failure::NoHub { .. }), "{error:?}");
        assert!(error.to_string().contains("is it running?"), "{error}");
    }
}

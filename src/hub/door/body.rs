//! Bodies in and out: MessagePack or JSON, by `Content-Type` and `Accept`; JSON when nothing is said.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, RETRY_AFTER, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::value::{Budget, Refusal, Value, decode, decode_msgpack};
use inbetweenies_core::wire::Problem;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Doors;

/// Credit is taken in steps of so many KiB.
const CREDIT_STEP_KIB: usize = 64;
const MSGPACK: &str = "application/msgpack";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Msgpack,
    Json,
}

fn header(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

fn accepted(request: &HttpRequest) -> Format {
    let accept = header(request, ACCEPT).unwrap_or_default();
    if accept.contains(MSGPACK) || accept.contains("application/x-msgpack") {
        Format::Msgpack
    } else {
        Format::Json
    }
}

/// Whether a client asks for a drawing where there is one: a browser that shows an image does, one that names a format
/// of data does not.
pub fn wants_picture(request: &HttpRequest) -> bool {
    let accept = header(request, ACCEPT).unwrap_or_default();
    accept.contains(SVG) && !accept.contains(JSON) && accepted(request) == Format::Json
}

/// A drawing. It holds texts of others, so a browser is told that nothing in it may run or load.
pub fn picture(svg: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("image/svg+xml; charset=utf-8")
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ))
        .insert_header((VARY, "Accept"))
        .body(svg)
}

fn content_type(request: &HttpRequest) -> Result<Format, Problem> {
    let Some(given) = header(request, CONTENT_TYPE) else {
        return Ok(Format::Json);
    };
    match given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
        .as_str()
    {
        MSGPACK | "application/x-msgpack" => Ok(Format::Msgpack),
        JSON | "" => Ok(Format::Json),
        other => {
            let detail = format!("Content-Type {other:?} is not understood: send {MSGPACK} or {JSON}");
            Err(Problem::new(
                415,
                "Unsupported media type",
                "unsupported_media_type",
                detail,
            ))
        }
    }
}

/// An answer in the format that the client accepts.
pub fn answer<T: Serialize>(request: &HttpRequest, status: u16, body: &T) -> HttpResponse {
    encoded(
        status,
        accepted(request),
        body,
        ("application/msgpack", "application/json"),
    )
}

/// A problem document (RFC 9457), or the same map in MessagePack.
pub fn problem(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    metrics::counter!("inbetweenies_problems_total", "code" => problem.code).increment(1);
    let types = ("application/msgpack", "application/problem+json");
    let mut response = encoded(problem.status, accepted(request), problem, types);
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn encoded<T: Serialize>(
    status: u16,
    format: Format,
    body: &T,
    types: (&'static str, &'static str),
) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let encoded = match format {
        Format::Msgpack => rmp_serde::to_vec_named(body).map_err(|error| error.to_string()),
        Format::Json => serde_json::to_vec(body).map_err(|error| error.to_string()),
    };
    match encoded {
        Ok(bytes) => {
            let content_type = if format == Format::Msgpack {
                types.0
            } else {
                types.1
            };
            HttpResponse::build(status).content_type(content_type).body(bytes)
        }
        Err(error) => {
            tracing::error!(error, "an answer cannot be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// The credit that a body takes while it is in hand.
///
/// It grows with what has come, not with what was announced: a few clients that announce much and send nothing must not
/// shut the door for the others.
pub struct Held {
    permit: OwnedSemaphorePermit,
}

impl Held {
    fn cover(&mut self, doors: &Doors, bytes: usize) -> Result<(), Problem> {
        let lacking = bytes.div_ceil(1 << 10).saturating_sub(self.permit.num_permits());
        if lacking > 0 {
            let more = doors
                .bodies
                .clone()
                .try_acquire_many_owned(lacking.max(CREDIT_STEP_KIB) as u32);
            self.permit.merge(more.map_err(|_| doors.busy("bodies"))?);
        }
        Ok(())
    }
}

/// Reads and decodes a body within its bounds of bytes, depth, elements and time. What stands in it may go on in answers
/// that have `levels_below` more levels above it: there it must keep within the depth that clients read.
pub async fn read(
    doors: &Doors,
    request: &HttpRequest,
    payload: web::Payload,
    levels_below: usize,
) -> Result<(Value, usize, Held), Problem> {
    let format = content_type(request)?;
    let max = doors.office.limits.body_bytes_max;
    let declared = header(request, CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > max) {
        return Err(too_large(max));
    }
    // A body that does not fit now is better sent away before it is read.
    if declared.is_some_and(|bytes| bytes >> 10 > doors.bodies.available_permits()) {
        return Err(doors.busy("bodies"));
    }
    let credit = doors.bodies.clone().try_acquire_owned();
    let mut held = Held {
        permit: credit.map_err(|_| doors.busy("bodies"))?,
    };
    let collecting = collect(doors, payload, max, &mut held);
    let body = match tokio::time::timeout(doors.body_timeout, collecting).await {
        Ok(body) => body?,
        Err(_) => {
            let detail = format!("the body did not come within {:?}", doors.body_timeout);
            return Err(Problem::new(408, "Too slow", "body_timeout", detail));
        }
    };
    if body.is_empty() {
        return Err(Problem::bad_request(
            "empty_body",
            "the body is empty: a request is a map",
        ));
    }
    let (mut limits, len) = (doors.office.limits.clone(), body.len());
    limits.depth_max = limits.depth_max.saturating_sub(levels_below).max(1);
    let decoded = if len <= 64 << 10 {
        parse(format, &body, &limits)
    } else {
        web::block(move || parse(format, &body, &limits))
            .await
            .map_err(|_| doors.busy("bodies"))?
    };
    Ok((decoded?, len, held))
}

fn too_large(max: usize) -> Problem {
    let detail = format!("the body is larger than {max} bytes: push in several requests");
    Problem::new(413, "Too large", "limit_body", detail)
}

async fn collect(
    doors: &Doors,
    mut payload: web::Payload,
    max: usize,
    held: &mut Held,
) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::bad_request("broken_body", error.to_string()))?;
        if body.len() + chunk.len() > max {
            return Err(too_large(max));
        }
        held.cover(doors, body.len() + chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse(format: Format, body: &[u8], limits: &Limits) -> Result<Value, Problem> {
    let budget = Budget::new(limits.depth_max, limits.elements_max);
    let value = match format {
        Format::Msgpack => decode_msgpack(body, &budget)?,
        Format::Json => {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let value = decode(&mut deserializer, &budget)?;
            deserializer.end().map_err(|error| Refusal {
                code: "malformed",
                detail: error.to_string(),
            })?;
            value
        }
    };
    Ok(value)
}

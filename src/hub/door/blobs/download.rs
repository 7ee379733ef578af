//! `GET` and `HEAD /api/v2/blobs/{sha256}`: ranges, ETags and digests as in RFC 9110 and RFC 9530; what is not here is fetched
//! from other hubs meanwhile.

use std::io::Write;
use std::ops::Range;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::Bytes;
use data_encoding::BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use inbetweenies_core::blob::{BlobId, CHUNK_BYTES};
use inbetweenies_core::node::Mail;
use inbetweenies_core::store::{HeldRow, RefRow, read_held, read_ref};
use inbetweenies_core::transfer::{Input, read_verified};
use inbetweenies_core::wire::Problem;

use super::{blob_id, unknown};
use crate::hub::door::{Doors, body};

/// How long nothing may happen while somebody waits for a chunk.
const PATIENCE: Duration = Duration::from_secs(15);

fn header(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

/// The bytes of a blob.
pub async fn download(
    request: HttpRequest,
    path: web::Path<String>,
    doors: web::Data<Doors>,
) -> HttpResponse {
    match respond(&request, &path, doors).await {
        Ok(response) => response,
        Err(problem) => body::problem(&request, &problem),
    }
}

async fn respond(
    request: &HttpRequest,
    path: &str,
    doors: web::Data<Doors>,
) -> Result<HttpResponse, Problem> {
    let id = blob_id(path)?;
    let etag = format!("\"{id}\"");
    let (held, referrer) = look(&doors, id).await?;
    if held.is_none() && referrer.is_none() {
        return Err(unknown(id));
    }
    let none_match = header(request, IF_NONE_MATCH).is_some_and(|tags| {
        tags.split(',').map(str::trim).any(|tag| {
            tag == "*"
                || tag
                    .trim_start_matches("W/")
                    .starts_with(etag.trim_end_matches('"'))
        })
    });
    if none_match {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, etag)).finish());
    }
    let size = match held {
        Some(held) => held.size,
        None => wait_for(&doors, id, 0, |held| held.is_some()).await?.size,
    };
    let fresh = header(request, IF_RANGE).is_none_or(|tag| tag == etag);
    let range = header(request, RANGE).filter(|_| fresh && request.method() == Method::GET);
    let range = match range.map(|text| parse(text, size)) {
        Some(Some(range)) => Some(range.ok_or_else(|| beyond(size))),
        Some(None) | None => None,
    };
    let range = match range.transpose() {
        Ok(range) => range,
        Err(problem) => {
            let mut response = body::problem(request, &problem);
            if let Ok(value) = format!("bytes */{size}").parse() {
                response.headers_mut().insert(CONTENT_RANGE, value);
            }
            return Ok(response);
        }
    };
    let mut response = HttpResponse::build(if range.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    });
    describe(&mut response, request, id, referrer.as_ref());
    doors.office.post(Mail::Transfer(Input::Read { id }));
    let gzip = range.is_none()
        && size > 256
        && packs(referrer.as_ref())
        && header(request, ACCEPT_ENCODING).is_some_and(accepts_gzip);
    if packs(referrer.as_ref()) {
        response.insert_header((VARY, "Accept-Encoding"));
    }
    if let Some(range) = &range {
        let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        response.insert_header((CONTENT_RANGE, text));
    }
    let wanted = range.unwrap_or(0..size);
    let len = wanted.end - wanted.start;
    if request.method() == Method::HEAD {
        response
            .insert_header((ETAG, etag))
            .insert_header((ACCEPT_RANGES, "bytes"));
        return Ok(response.body(SizedStream::new(
            len,
            stream::empty::<Result<Bytes, std::io::Error>>(),
        )));
    }
    // The first chunk is waited for before the head is sent, so that a blob that nobody has is told as such.
    if len > 0 {
        let first = (wanted.start / CHUNK_BYTES as u64) as u32;
        wait_for(&doors, id, first, move |held| {
            held.is_some_and(|held| held.whole || held.have.has(first))
        })
        .await?;
    }
    if gzip {
        response
            .insert_header((ETAG, format!("\"{id}-gzip\"")))
            .insert_header((CONTENT_ENCODING, "gzip"));
        return Ok(response.streaming(zipped(doors, id, wanted)));
    }
    response
        .insert_header((ETAG, etag))
        .insert_header((ACCEPT_RANGES, "bytes"));
    Ok(response.body(SizedStream::new(len, Box::pin(pieces(doors, id, wanted)))))
}

fn describe(
    response: &mut HttpResponseBuilder,
    request: &HttpRequest,
    id: BlobId,
    referrer: Option<&RefRow>,
) {
    let digest = BASE64.encode(&id.0.0);
    let kind = referrer
        .and_then(|row| row.content_type.as_deref())
        .filter(|kind| is_media_type(kind));
    let kind = kind.unwrap_or("application/octet-stream");
    let asked = web::Query::<FileName>::from_query(request.query_string()).ok();
    let asked = asked.and_then(|query| query.into_inner().file_name);
    let name = asked.or_else(|| referrer.and_then(|row| row.file_name.clone()));
    let name = name.unwrap_or_else(|| format!("{id}.bin"));
    // What a browser would run is not shown in the place of this hub.
    let shown = kind.starts_with("image/") && !kind.contains("svg")
        || kind.starts_with("audio/")
        || kind.starts_with("video/")
        || matches!(kind, "application/pdf" | "text/plain");
    response
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((
            CONTENT_DISPOSITION,
            disposition(if shown { "inline" } else { "attachment" }, &name),
        ))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "private, max-age=31536000, immutable"))
        .insert_header(("digest", format!("sha-256={digest}")))
        .insert_header(("repr-digest", format!("sha-256=:{digest}:")));
}

#[derive(serde::Deserialize)]
struct FileName {
    file_name: Option<String>,
}

fn is_media_type(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
    text.len() <= 128
        && text.split_once('/').is_some_and(|(a, b)| {
            !a.is_empty() && !b.is_empty() && a.bytes().all(word) && b.bytes().all(word)
        })
}

/// RFC 6266 with RFC 8187: a plain name for old readers, the true one for all others.
fn disposition(how: &str, name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
    let plain: String = clean
        .chars()
        .map(|c| {
            if c.is_ascii() && !"\"\\%".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut encoded = String::new();
    for byte in clean.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn packs(referrer: Option<&RefRow>) -> bool {
    let kind = referrer
        .and_then(|row| row.content_type.as_deref())
        .unwrap_or_default();
    kind.starts_with("text/")
        || ["json", "xml", "javascript"]
            .iter()
            .any(|word| kind.contains(word))
}

fn accepts_gzip(encodings: &str) -> bool {
    encodings.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name == "gzip" || name == "*");
        named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// The one range of a `Range` header: None if it is none that is understood (then all is sent), Some(None) if it lies beyond
/// the blob.
fn parse(text: &str, size: u64) -> Option<Option<Range<u64>>> {
    let ranges = text.strip_prefix("bytes=")?;
    if ranges.contains(',') {
        return None;
    }
    let (from, to) = ranges.trim().split_once('-')?;
    let whole = |text: &str| -> Option<u64> {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().unwrap_or(u64::MAX))
    };
    Some(match (from, to) {
        ("", "") => return None,
        ("", last) => {
            let last = whole(last)?;
            (last > 0 && size > 0).then(|| size.saturating_sub(last)..size)
        }
        (from, "") => {
            let from = whole(from)?;
            (from < size).then_some(from..size)
        }
        (from, to) => {
            let (from, to) = (whole(from)?, whole(to)?);
            if from > to {
                return None;
            }
            (from < size).then(|| from..to.saturating_add(1).min(size))
        }
    })
}

fn beyond(size: u64) -> Problem {
    let detail = format!("the range lies beyond the blob's {size} bytes");
    Problem::new(416, "Range not satisfiable", "range_beyond", detail)
}

async fn look(doors: &Doors, id: BlobId) -> Result<(Option<HeldRow>, Option<RefRow>), Problem> {
    doors
        .read(move |store, _| Ok((read_held(store, &id)?, read_ref(store, &id)?)))
        .await
}

/// Waits until this hub holds what is needed; other hubs are asked for it meanwhile.
async fn wait_for(
    doors: &Doors,
    id: BlobId,
    from: u32,
    enough: impl Fn(Option<&HeldRow>) -> bool,
) -> Result<HeldRow, Problem> {
    let mut changed = doors.office.board.blobs_changed();
    let mut before = None;
    loop {
        let (held, referrer) = look(doors, id).await?;
        if enough(held.as_ref())
            && let Some(held) = held
        {
            return Ok(held);
        }
        if referrer.is_none() && held.is_none() {
            return Err(unknown(id));
        }
        doors.office.post(Mail::Transfer(Input::Demand { id, from }));
        let now = held.as_ref().map(|held| held.have.count());
        let moved = now != before;
        before = now;
        let waited = async {
            loop {
                if changed.changed().await.is_err() {
                    return;
                }
                let held = look(doors, id).await.ok().and_then(|(held, _)| held);
                let count = held.as_ref().map(|held| held.have.count());
                if held.as_ref().is_some_and(|held| held.whole) || count != now {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, waited).await.is_err() {
            let _ = moved;
            let detail =
                "no hub in reach has the bytes, or none sends them; try again when more hubs are there";
            let mut problem = Problem::new(503, "Not here", "blob_not_here", detail);
            problem.retry_after = Some(30);
            return Err(problem);
        }
    }
}

/// The bytes of a range, chunk by chunk, each verified.
fn pieces(
    doors: web::Data<Doors>,
    id: BlobId,
    range: Range<u64>,
) -> impl stream::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold((doors, range), move |(doors, range)| async move {
        if range.is_empty() {
            return None;
        }
        let index = (range.start / CHUNK_BYTES as u64) as u32;
        let read = piece(&doors, id, index).await;
        let read = read.map(|chunk| {
            let start = u64::from(index) * CHUNK_BYTES as u64;
            let from = (range.start - start) as usize;
            let to = (range.end - start).min(chunk.len() as u64) as usize;
            chunk.slice(from.min(to)..to)
        });
        let next = match &read {
            Ok(bytes) if !bytes.is_empty() => range.start + bytes.len() as u64..range.end,
            _ => range.end..range.end,
        };
        Some((read, (doors, next)))
    })
}

/// One chunk: verified, or an error that ends the body.
async fn piece(doors: &Doors, id: BlobId, index: u32) -> Result<Bytes, std::io::Error> {
    let waited = wait_for(doors, id, index, |held| {
        held.is_some_and(|held| held.whole || held.have.has(index))
    });
    waited
        .await
        .map_err(|problem| std::io::Error::other(problem.detail))?;
    let (mut files, reader) = (doors.files.clone(), doors.reader.clone());
    let read = web::block(move || read_verified(&mut files, &reader.snapshot(), id, index)).await;
    match read {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            tracing::warn!(%id, index, "a chunk is not what it should be: it is fetched again");
            doors.office.post(Mail::Transfer(Input::Damaged { id, index }));
            Err(std::io::Error::other("a chunk on this hub's disk is damaged"))
        }
        Ok(Err(error)) => Err(std::io::Error::other(error.to_string())),
        Err(_) => Err(std::io::Error::other("this hub is busy")),
    }
}

/// The same, packed for whoever asked for that.
fn zipped(
    doors: web::Data<Doors>,
    id: BlobId,
    range: Range<u64>,
) -> impl stream::Stream<Item = Result<Bytes, std::io::Error>> {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    stream::unfold(
        (doors, range, Some(encoder)),
        move |(doors, range, encoder)| async move {
            let mut encoder = encoder?;
            if range.is_empty() {
                let last = encoder.finish().map(Bytes::from);
                return Some((last, (doors, range, None)));
            }
            let index = (range.start / CHUNK_BYTES as u64) as u32;
            let chunk = match piece(&doors, id, index).await {
                Ok(chunk) => chunk,
                Err(error) => return Some((Err(error), (doors, range, None))),
            };
            let next = range.start + chunk.len() as u64..range.end;
            let packed = web::block(move || {
                let packed = encoder
                    .write_all(&chunk)
                    .map(|()| std::mem::take(encoder.get_mut()));
                (encoder, packed)
            });
            match packed.await {
                Ok((encoder, packed)) => Some((packed.map(Bytes::from), (doors, next, Some(encoder)))),
                Err(_) => Some((
                    Err(std::io::Error::other("this hub is busy")),
                    (doors, range, None),
                )),
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        assert_eq!(parse("bytes=0-0", 10), Some(Some(0..1)));
        assert_eq!(parse("bytes=5-", 10), Some(Some(5..10)));
        assert_eq!(parse("bytes=-3", 10), Some(Some(7..10)));
        assert_eq!(parse("bytes=-30", 10), Some(Some(0..10)));
        assert_eq!(parse("bytes=8-99999999999999999999", 10), Some(Some(8..10)));
        assert_eq!(parse("bytes=10-", 10), Some(None));
        assert_eq!(parse("bytes=-0", 10), Some(None));
        for odd in [
            "bytes=3-2",
            "bytes=a-b",
            "bytes=-",
            "items=0-1",
            "bytes=0-1,3-4",
            "bytes=1",
        ] {
            assert_eq!(parse(odd, 10), None, "{odd}");
        }
    }

    #[test]
    fn names_for_files_are_plain_and_true() {
        assert_eq!(
            disposition("inline", "../etc/Bedienung \"größe\".pdf"),
            "inline; filename=\"Bedienung _gr__e_.pdf\"; filename*=UTF-8''Bedienung%20%22gr%C3%B6%C3%9Fe%22.pdf"
        );
        assert!(!is_media_type("text/html\r\nx: y") && is_media_type("image/svg+xml"));
        assert!(accepts_gzip("br, gzip;q=0.5") && !accepts_gzip("gzip;q=0, br"));
    }
}

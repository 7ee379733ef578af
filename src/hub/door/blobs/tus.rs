//! Uploads by tus 1.0.0 (<https://tus.io/protocols/resumable-upload>), with its extensions creation, creation-with-upload,
//! checksum, termination and expiration.

use std::time::Duration;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use data_encoding::BASE64;
use futures_util::StreamExt;
use inbetweenies_core::blob::{BlobId, Hasher, ROW_BYTES_MAX, pack};
use inbetweenies_core::node::Mail;
use inbetweenies_core::time::Micros;
use inbetweenies_core::transfer::Input;
use inbetweenies_core::wire::Problem;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::uploads::{Held, disk, full_disk, gone};
use crate::hub::door::{Doors, body};
use crate::store::uploads::{Upload, UploadInfo};

const VERSION: &str = "1.0.0";
const OFFSET_TYPE: &str = "application/offset+octet-stream";
const METADATA_BYTES_MAX: usize = 4_096;
/// Bytes gathered before they are written.
const PIECE: usize = 256 << 10;
/// How long it may take to make a whole blob durable.
const STORE_TIMEOUT: Duration = Duration::from_secs(300);

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

fn number(request: &HttpRequest, name: &str) -> Result<Option<u64>, Problem> {
    let Some(text) = header(request, name) else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|_| Problem::bad_request("malformed", format!("{name} is no whole number: {text:?}")))
}

fn set(headers: &mut HeaderMap, name: &'static str, value: impl ToString) {
    if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn respond(request: &HttpRequest, outcome: Result<HttpResponse, Problem>) -> HttpResponse {
    let mut response = outcome.unwrap_or_else(|problem| body::problem(request, &problem));
    let headers = response.headers_mut();
    set(headers, "tus-resumable", VERSION);
    if response.status() == StatusCode::PRECONDITION_FAILED {
        set(response.headers_mut(), "tus-version", VERSION);
    }
    response
}

fn check_version(request: &HttpRequest) -> Result<(), Problem> {
    match header(request, "tus-resumable") {
        Some(VERSION) => Ok(()),
        given => {
            let detail = format!("Tus-Resumable is {given:?}; this hub speaks {VERSION}");
            Err(Problem::new(412, "Another version of tus", "tus_version", detail))
        }
    }
}

/// What this hub can do.
pub async fn options(doors: web::Data<Doors>) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    let headers = response.headers_mut();
    set(headers, "tus-resumable", VERSION);
    set(headers, "tus-version", VERSION);
    set(
        headers,
        "tus-extension",
        "creation,creation-with-upload,checksum,termination,expiration",
    );
    set(headers, "tus-checksum-algorithm", "sha1,sha256");
    set(headers, "tus-max-size", doors.blob_size_max);
    response
}

/// `POST /api/v2/blobs`: begins an upload, perhaps with its first bytes.
pub async fn create(request: HttpRequest, payload: web::Payload, doors: web::Data<Doors>) -> HttpResponse {
    respond(&request, begin(&request, payload, &doors).await)
}

async fn begin(
    request: &HttpRequest,
    payload: web::Payload,
    doors: &web::Data<Doors>,
) -> Result<HttpResponse, Problem> {
    check_version(request)?;
    let Some(length) = number(request, "upload-length")? else {
        let detail =
            "Upload-Length is missing: say how many bytes come (this hub does not let it be deferred)";
        return Err(Problem::bad_request("no_length", detail));
    };
    if length > doors.blob_size_max {
        let detail = format!(
            "{length} bytes are more than the {} that this hub takes",
            doors.blob_size_max
        );
        return Err(Problem::new(413, "Too large", "blob_too_large", detail));
    }
    if !doors
        .files
        .has_room(usize::try_from(length).unwrap_or(usize::MAX))
    {
        return Err(full_disk());
    }
    let metadata = header(request, "upload-metadata").unwrap_or_default().to_owned();
    if metadata.len() > METADATA_BYTES_MAX {
        let detail = format!("Upload-Metadata has more than {METADATA_BYTES_MAX} bytes");
        return Err(Problem::bad_request("malformed", detail));
    }
    let mut info = UploadInfo {
        length,
        sha256: promised(&metadata)?,
        metadata,
        expires: 0,
        offset: 0,
        done: None,
    };
    info.expires = crate::store::uploads::unix_seconds() + doors.uploads.expiry.as_secs();
    let uploads = doors.uploads.clone();
    let begun = web::block(move || uploads.begin(info)).await;
    let held = begun.map_err(|_| doors.busy("uploads"))??;
    let location = held
        .as_ref()
        .map(|upload| format!("/api/v2/blobs/uploads/{}", upload.name()));
    let with_bytes = header(request, CONTENT_TYPE.as_str()) == Some(OFFSET_TYPE);
    let mut response = if with_bytes || length == 0 {
        take_in(request, payload, doors, held).await?
    } else {
        let mut response = HttpResponse::Created().finish();
        progress(&mut response, held.as_ref());
        response
    };
    *response.status_mut() = StatusCode::CREATED;
    set(response.headers_mut(), "location", location.unwrap_or_default());
    Ok(response)
}

/// What `sha256` in the metadata says that the whole must be.
fn promised(metadata: &str) -> Result<Option<BlobId>, Problem> {
    for pair in metadata.split(',') {
        let mut words = pair.split_whitespace();
        if words.next() == Some("sha256") {
            let text = words
                .next()
                .and_then(|value| BASE64.decode(value.as_bytes()).ok());
            let id = text.and_then(|text| BlobId::parse(std::str::from_utf8(&text).ok()?));
            let detail = "sha256 in Upload-Metadata is not the base64 of 64 lower-case hex digits";
            return id
                .map(Some)
                .ok_or_else(|| Problem::bad_request("malformed", detail));
        }
    }
    Ok(None)
}

fn progress(response: &mut HttpResponse, upload: Option<&Upload>) {
    let Some(upload) = upload else { return };
    let headers = response.headers_mut();
    set(headers, "upload-offset", upload.offset());
    set(headers, "upload-expires", http_date(upload.info.expires));
    if let Some(id) = upload.info.done {
        set(headers, "blob-id", id);
    }
}

/// RFC 9110, 5.6.7.
fn http_date(seconds: u64) -> String {
    // 2026-06-15T09:41:02.000000+00:00
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = Micros(seconds.saturating_mul(1_000_000)).to_string();
    let part = |from: usize, len: usize| text.get(from..from + len).unwrap_or_default();
    let month: usize = part(5, 2).parse().unwrap_or(1);
    let day = DAYS[(seconds / 86_400 % 7) as usize];
    let month = MONTHS[(month - 1).min(11)];
    format!("{day}, {} {month} {} {} GMT", part(8, 2), part(0, 4), part(11, 8))
}

/// `HEAD` of an upload: how far it has come.
pub async fn offset(request: HttpRequest, path: web::Path<String>, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        check_version(&request)?;
        let mut response = HttpResponse::Ok().finish();
        let (info, offset) = match doors.uploads.finished(&path) {
            Some(info) => {
                let length = info.length;
                (info, length)
            }
            None => {
                let mut held = doors.uploads.take(&path).await?;
                // What is told is synced.
                let synced = web::block(move || {
                    let synced = held.as_mut().map_or(Ok(()), Upload::sync);
                    (held, synced)
                });
                let (mut held, synced) = synced.await.map_err(|_| doors.busy("uploads"))?;
                synced.map_err(|error| disk(&error))?;
                // A crash came between its last byte and the blob. A client that hears of all bytes sends no more.
                if held.as_ref().is_some_and(is_full) {
                    held = complete(&doors, held).await?;
                }
                let upload = held.as_ref().ok_or_else(gone)?;
                (upload.info.clone(), upload.offset())
            }
        };
        let headers = response.headers_mut();
        set(headers, "upload-offset", offset);
        set(headers, "upload-length", info.length);
        set(headers, "upload-expires", http_date(info.expires));
        if !info.metadata.is_empty() {
            set(headers, "upload-metadata", &info.metadata);
        }
        if let Some(id) = info.done {
            set(headers, "blob-id", id);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    };
    let read = read.await;
    respond(&request, read)
}

/// `DELETE` of an upload: its space is given back.
pub async fn drop_one(
    request: HttpRequest,
    path: web::Path<String>,
    doors: web::Data<Doors>,
) -> HttpResponse {
    let dropped = async {
        check_version(&request)?;
        let held = doors.uploads.take(&path).await?;
        let uploads = doors.uploads.clone();
        let dropped = web::block(move || uploads.forget(held)).await;
        dropped.map_err(|_| doors.busy("uploads"))?;
        Ok(HttpResponse::NoContent().finish())
    };
    let dropped = dropped.await;
    respond(&request, dropped)
}

/// `PATCH` of an upload, or `POST` that stands for it: more bytes.
pub async fn go_on(
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
    doors: web::Data<Doors>,
) -> HttpResponse {
    let other = header(&request, "x-http-method-override");
    if request.method() == Method::POST && other.is_some_and(|method| method.eq_ignore_ascii_case("delete")) {
        return drop_one(request, path, doors).await;
    }
    let taken = async {
        check_version(&request)?;
        if header(&request, CONTENT_TYPE.as_str()) != Some(OFFSET_TYPE) {
            let detail = format!("Content-Type of a PATCH is {OFFSET_TYPE}");
            return Err(Problem::new(
                415,
                "Unsupported media type",
                "unsupported_media_type",
                detail,
            ));
        }
        let offset = number(&request, "upload-offset")?.ok_or_else(|| {
            Problem::bad_request("no_offset", "Upload-Offset is missing: ask for it with HEAD")
        })?;
        if let Some(info) = doors.uploads.finished(&path) {
            if offset == info.length
                && let Some(id) = info.done
            {
                let mut response = HttpResponse::NoContent().finish();
                set(response.headers_mut(), "upload-offset", offset);
                set(response.headers_mut(), "blob-id", id);
                return Ok(response);
            }
            return Err(wrong_offset(offset, info.length));
        }
        let held = doors.uploads.take(&path).await?;
        let there = held.as_ref().map_or(0, Upload::offset);
        if offset != there {
            return Err(wrong_offset(offset, there));
        }
        take_in(&request, payload, &doors, held).await
    };
    let taken = taken.await;
    respond(&request, taken)
}

fn wrong_offset(given: u64, there: u64) -> Problem {
    let detail = format!("Upload-Offset is {given}, and {there} bytes have come: go on from there");
    Problem::new(409, "Another offset", "wrong_offset", detail)
}

/// What a body is to hash to.
enum Checksum {
    None,
    Sha1(Sha1, Vec<u8>),
    Sha256(Sha256, Vec<u8>),
}

impl Checksum {
    fn of(request: &HttpRequest) -> Result<Checksum, Problem> {
        let Some(given) = header(request, "upload-checksum") else {
            return Ok(Checksum::None);
        };
        let (algorithm, value) = given.split_once(' ').unwrap_or((given, ""));
        let bytes = BASE64.decode(value.trim().as_bytes());
        match (algorithm, bytes) {
            ("sha1", Ok(bytes)) if bytes.len() == 20 => Ok(Checksum::Sha1(Sha1::new(), bytes)),
            ("sha256", Ok(bytes)) if bytes.len() == 32 => Ok(Checksum::Sha256(Sha256::new(), bytes)),
            _ => {
                let detail = "Upload-Checksum is \"sha1\" or \"sha256\", a space, and the hash in base64";
                Err(Problem::bad_request("unknown_checksum", detail))
            }
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Checksum::None => {}
            Checksum::Sha1(hasher, _) => hasher.update(bytes),
            Checksum::Sha256(hasher, _) => hasher.update(bytes),
        }
    }

    fn fits(self) -> bool {
        match self {
            Checksum::None => true,
            Checksum::Sha1(hasher, wanted) => hasher.finalize().as_slice() == wanted,
            Checksum::Sha256(hasher, wanted) => hasher.finalize().as_slice() == wanted,
        }
    }
}

/// Takes a body in, and the blob when it is whole.
async fn take_in(
    request: &HttpRequest,
    mut payload: web::Payload,
    doors: &web::Data<Doors>,
    mut held: Held,
) -> Result<HttpResponse, Problem> {
    let mut checksum = Checksum::of(request)?;
    // What came of a body that is to be checked whole and did not come whole cannot be told from damage.
    let checked = !matches!(checksum, Checksum::None);
    let kept = if checked {
        "the offset is that of before"
    } else {
        "what has come is kept"
    };
    let upload = held.as_mut().ok_or_else(gone)?;
    if checked {
        upload.doubt();
    }
    let (before, length) = (upload.hasher().clone(), upload.info.length);
    let mut room = length - upload.offset();
    let declared = number(request, CONTENT_LENGTH.as_str())?;
    if declared.is_some_and(|bytes| bytes > room) {
        return Err(too_long(length));
    }
    let mut piece: Vec<u8> = Vec::new();
    let mut broken = None;
    loop {
        let next = tokio::time::timeout(doors.body_timeout, payload.next()).await;
        let mut last = false;
        match next {
            Ok(Some(Ok(bytes))) if bytes.len() as u64 > room => {
                rewind(doors, held, before).await?;
                return Err(too_long(length));
            }
            Ok(Some(Ok(bytes))) => {
                room -= bytes.len() as u64;
                piece.extend_from_slice(&bytes);
            }
            Ok(None) => last = true,
            Ok(Some(Err(error))) => {
                let detail = format!("the connection broke: {error}; {kept}");
                broken = Some(Problem::bad_request("broken_body", detail));
            }
            Err(_) => {
                let detail = format!("nothing came for {:?}; {kept}", doors.body_timeout);
                broken = Some(Problem::new(408, "Too slow", "body_timeout", detail));
            }
        }
        let ends = last || broken.is_some();
        if piece.len() >= PIECE || ends {
            let bytes = std::mem::take(&mut piece);
            if !doors.files.has_room(bytes.len()) {
                broken = broken.or_else(|| Some(full_disk()));
            }
            let keep = !matches!(&broken, Some(problem) if problem.code == "disk_full");
            let expiry = doors.uploads.expiry;
            let ends = ends || broken.is_some();
            let written = web::block(move || {
                let mut write = || {
                    let Some(upload) = held.as_mut() else {
                        return Ok(());
                    };
                    if keep {
                        checksum.update(&bytes);
                        upload.append(&bytes)?;
                    }
                    if ends {
                        upload.expire_in(expiry);
                        upload.sync()?;
                    }
                    Ok(())
                };
                let written = write();
                (held, checksum, written)
            });
            let done = written.await.map_err(|_| doors.busy("uploads"))?;
            (held, checksum) = (done.0, done.1);
            if let Err(error) = done.2 {
                *held = None; // after a failed sync only what was synced before is sure
                return Err(disk(&error));
            }
            if let Some(problem) = broken {
                if checked {
                    rewind(doors, held, before).await?;
                }
                return Err(problem);
            }
        }
        if last {
            break;
        }
    }
    if checked && checksum.fits() {
        held = trust(doors, held).await?;
    } else if checked {
        rewind(doors, held, before).await?;
        let detail = "the bytes do not have the checksum that was announced; the offset is that of before: send them again";
        return Err(Problem::new(460, "Checksum mismatch", "wrong_checksum", detail));
    }
    if held.as_ref().is_some_and(is_full) {
        held = complete(doors, held).await?;
    }
    let mut response = HttpResponse::NoContent().finish();
    progress(&mut response, held.as_ref());
    Ok(response)
}

fn too_long(length: u64) -> Problem {
    let detail =
        format!("more bytes than the {length} that Upload-Length announced; none of this request was taken");
    Problem::new(413, "Too large", "too_long", detail)
}

async fn trust(doors: &Doors, mut held: Held) -> Result<Held, Problem> {
    let trusted = web::block(move || {
        let trusted = held.as_mut().map_or(Ok(()), Upload::trust);
        (held, trusted)
    });
    let (held, trusted) = trusted.await.map_err(|_| doors.busy("uploads"))?;
    trusted.map_err(|error| disk(&error))?;
    Ok(held)
}

async fn rewind(doors: &Doors, mut held: Held, before: Hasher) -> Result<(), Problem> {
    let rewound = web::block(move || held.as_mut().map_or(Ok(()), |upload| upload.rewind(before))).await;
    rewound
        .map_err(|_| doors.busy("uploads"))?
        .map_err(|error| disk(&error))
}

fn is_full(upload: &Upload) -> bool {
    upload.offset() == upload.info.length
}

/// All has come: it becomes a blob, and goes on to when the client has gone. Until that has ended the upload is locked: its
/// file is worked on.
async fn complete(doors: &web::Data<Doors>, held: Held) -> Result<Held, Problem> {
    let of = doors.clone();
    let storing = actix_web::rt::spawn(async move { store(&of, held).await });
    match tokio::time::timeout(STORE_TIMEOUT, storing).await {
        Ok(Ok(stored)) => stored,
        Ok(Err(_)) => Err(doors.busy("uploads")),
        Err(_) => {
            let detail = "the bytes have come and are not durable yet: ask with HEAD";
            Err(Problem::new(504, "Too slow", "unknown_outcome", detail))
        }
    }
}

async fn store(doors: &Doors, mut held: Held) -> Result<Held, Problem> {
    let upload = held.as_ref().ok_or_else(gone)?;
    if upload.info.done.is_some() {
        return Ok(held); // whoever had it before has stored it
    }
    let manifest = upload.hasher().clone().finish();
    if let Some(wanted) = upload.info.sha256.filter(|wanted| *wanted != manifest.id) {
        let uploads = doors.uploads.clone();
        let detail = format!(
            "what came is {}, not {wanted}: the upload is dropped, send it again",
            manifest.id
        );
        let dropped = web::block(move || uploads.forget(held)).await;
        dropped.map_err(|_| doors.busy("uploads"))?;
        return Err(Problem::new(460, "Another blob", "wrong_hash", detail));
    }
    let path = upload.path();
    let stored = if manifest.size <= ROW_BYTES_MAX && manifest.size > 0 {
        let read = web::block(move || {
            let read = held.as_ref().map_or_else(|| Ok(Vec::new()), Upload::read_all);
            (held, read.map(pack))
        });
        let (back, stored) = read.await.map_err(|_| doors.busy("uploads"))?;
        held = back;
        Some(stored.map_err(|error| disk(&error))?)
    } else {
        None
    };
    let (brought, told) = doors.office.expect_stored(path.clone());
    doors.office.post(Mail::Transfer(Input::Brought {
        ticket: brought.ticket,
        manifest: std::sync::Arc::new(manifest),
        stored,
    }));
    let told = told.await;
    drop(brought);
    let Ok(id) = told else {
        if !path.exists() {
            let uploads = doors.uploads.clone();
            let dropped = web::block(move || uploads.forget(held)).await;
            dropped.map_err(|_| doors.busy("uploads"))?;
            return Err(gone());
        }
        return Err(full_disk());
    };
    let finished = web::block(move || {
        let finished = held.as_mut().map_or(Ok(()), |upload| upload.finish(id));
        (held, finished)
    });
    let (held, finished) = finished.await.map_err(|_| doors.busy("uploads"))?;
    finished.map_err(|error| disk(&error))?;
    if let Some(upload) = held.as_ref() {
        doors.uploads.close(upload);
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_promised_hash_is_read_and_nonsense_refused() {
        let id = BlobId::of(b"x");
        let value = BASE64.encode(id.to_string().as_bytes());
        let metadata = format!("filename eA==,sha256 {value}, empty");
        assert_eq!(promised(&metadata).unwrap(), Some(id));
        assert_eq!(promised("filename eA==").unwrap(), None);
        assert!(promised("sha256 eA==").is_err() && promised("sha256").is_err());
    }
}

//! Binaries: what a hub holds of one, uploads by tus, downloads in ranges.

use std::time::Duration;

use awc::error::PayloadError;
use awc::http::Method;
use awc::http::header::{HeaderMap, RANGE};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use inbetweenies_client::wire::{Failure, Malformed, Refusal};
use inbetweenies_core::blob::BlobId;
use inbetweenies_core::value::{Budget, Value, decode};

use super::ApiError;
use super::http::{Hub, READ_TIMEOUT, SYNC_TIMEOUT, send_error};

/// How long a whole download may take.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// What a hub holds of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobHere {
    /// All of it.
    pub whole: bool,
    /// Some record refers to it.
    pub referenced: bool,
}

/// An upload, as a hub tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadState {
    /// Bytes that have come.
    pub offset: u64,
    /// What it has become, if it is finished.
    pub blob: Option<BlobId>,
}

/// A blob's bytes on their way, from some offset on.
pub struct Download {
    bytes: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>,
    /// Where they begin.
    pub from: u64,
    /// Bytes of the whole.
    pub size: u64,
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

impl Hub {
    /// What the hub holds of a blob; None if it knows nothing of it.
    pub async fn blob(&self, id: BlobId) -> Result<Option<BlobHere>, ApiError> {
        let answer = match self.get(&format!("/api/v2/blobs/{id}/status")).await {
            Ok(answer) => answer,
            Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let field = |name: &str| answer.as_map().and_then(|map| map.get(name));
        Ok(Some(BlobHere {
            whole: field("held").and_then(Value::as_text) == Some("whole"),
            referenced: field("referenced") == Some(&Value::Bool(true)),
        }))
    }

    /// Begins an upload; its path. `metadata` is what `Upload-Metadata` says.
    pub async fn upload_begin(&self, length: u64, metadata: &str) -> Result<String, ApiError> {
        let length = length.to_string();
        let headers = [("Upload-Length", length.as_str()), ("Upload-Metadata", metadata)];
        let answer = self.tus(Method::POST, "/api/v2/blobs", &headers, None).await?;
        let place =
            text(&answer, "location").map(|place| place.trim_start_matches(&self.url().with("")).to_owned());
        place.ok_or_else(|| self.malformed("an upload without a Location"))
    }

    /// How far an upload is; None if the hub knows it no more.
    pub async fn upload_state(&self, path: &str) -> Result<Option<UploadState>, ApiError> {
        match self.tus(Method::HEAD, path, &[], None).await {
            Ok(headers) => Ok(Some(self.state(&headers)?)),
            Err(error)
                if error
                    .refusal()
                    .is_some_and(|refusal| matches!(refusal.status, 404 | 410)) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The next bytes of an upload.
    pub async fn upload_bytes(&self, path: &str, offset: u64, bytes: Bytes) -> Result<UploadState, ApiError> {
        let offset = offset.to_string();
        let headers = [
            ("Upload-Offset", offset.as_str()),
            ("Content-Type", "application/offset+octet-stream"),
        ];
        let answer = self.tus(Method::PATCH, path, &headers, Some(bytes)).await?;
        self.state(&answer)
    }

    fn state(&self, headers: &HeaderMap) -> Result<UploadState, ApiError> {
        let offset = number(headers, "upload-offset");
        Ok(UploadState {
            offset: offset.ok_or_else(|| self.malformed("an upload without an Upload-Offset"))?,
            blob: text(headers, "blob-id").and_then(|id| BlobId::parse(&id)),
        })
    }

    fn malformed(&self, what: &str) -> ApiError {
        self.error(Malformed(what.to_owned()).into())
    }

    async fn tus(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<HeaderMap, ApiError> {
        let mut request = self
            .request(method, path)
            .insert_header(("Tus-Resumable", "1.0.0"));
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let sent = async {
            match body {
                Some(body) => request.send_body(body).await,
                None => request.send().await,
            }
        };
        let response = match actix_rt::time::timeout(SYNC_TIMEOUT, sent).await {
            Ok(response) => response.map_err(|error| self.error(send_error(&error)))?,
            Err(_) => return Err(self.error(Failure::Timeout { waited: SYNC_TIMEOUT })),
        };
        if response.status().is_success() {
            return Ok(response.headers().clone());
        }
        Err(self.refused(response).await)
    }

    async fn refused<S>(&self, mut response: awc::ClientResponse<S>) -> ApiError
    where
        S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    {
        let status = response.status().as_u16();
        let body = response.body().limit(64 << 10).await.unwrap_or_default();
        let budget = Budget::new(8, 1_000);
        let document = decode(&mut serde_json::Deserializer::from_slice(&body), &budget).ok();
        let refusal = Refusal::read(status, document, self.limits());
        self.error(Failure::Refused(Box::new(refusal)))
    }

    /// A blob's bytes from an offset on.
    pub async fn download(&self, id: BlobId, from: u64) -> Result<Download, ApiError> {
        let mut request = self.request(Method::GET, &format!("/api/v2/blobs/{id}"));
        if from > 0 {
            request = request.insert_header((RANGE, format!("bytes={from}-")));
        }
        let sent = actix_rt::time::timeout(SYNC_TIMEOUT, request.send());
        let response = match sent.await {
            Ok(response) => response.map_err(|error| self.error(send_error(&error)))?,
            Err(_) => return Err(self.error(Failure::Timeout { waited: SYNC_TIMEOUT })),
        };
        let status = response.status().as_u16();
        if !matches!(status, 200 | 206) {
            return Err(self.refused(response).await);
        }
        let from = if status == 206 { from } else { 0 };
        let len = number(response.headers(), "content-length");
        let len = len.ok_or_else(|| self.malformed("a blob without its length"))?;
        Ok(Download {
            // Each piece is waited for by itself.
            bytes: Box::pin(response.timeout(DOWNLOAD_TIMEOUT)),
            from,
            size: from + len,
        })
    }

    /// The next bytes of a download; None at its end.
    pub async fn next_bytes(&self, download: &mut Download) -> Result<Option<Bytes>, ApiError> {
        match actix_rt::time::timeout(READ_TIMEOUT * 3, download.bytes.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
            Ok(Some(Err(error))) => {
                let detail = error.to_string();
                Err(self.error(Failure::Cut { detail }))
            }
            Err(_) => Err(self.error(Failure::Timeout {
                waited: READ_TIMEOUT * 3,
            })),
        }
    }
}

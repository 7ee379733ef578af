//! The little of HTTP that these tests speak, by hand, so that they can say what no client would.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::support::HubProcess;

/// What every request of tus carries.
pub const TUS: [(&str, &str); 1] = [("Tus-Resumable", "1.0.0")];

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Writes a request, with as much of its body as is given.
pub fn send(
    hub: &HubProcess,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    len: usize,
) -> TcpStream {
    let mut stream = TcpStream::connect(hub.address()).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a bound");
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
        hub.address()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {len}\r\n\r\n"));
    let written = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
    drop(written); // a hub may refuse before it has read all
    stream
}

/// One request, answered.
pub fn call(hub: &HubProcess, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    read(send(hub, method, path, headers, body, body.len()))
}

pub fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    let end = bytes.windows(4).position(|at| at == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .expect("a status");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked {
        unchunk(&bytes[end..])
    } else {
        bytes[end..].to_vec()
    };
    Answer {
        status: status.parse().expect("a number"),
        headers,
        body,
    }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|at| at == b"\r\n") {
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("hex"), 16).expect("hex");
        if len == 0 {
            break;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + len]);
        bytes = &bytes[end + 4 + len..];
    }
    body
}

/// Begins an upload; its path.
pub fn upload(hub: &HubProcess, len: usize, metadata: Option<&str>) -> String {
    let len = len.to_string();
    let mut headers = vec![TUS[0], ("Upload-Length", len.as_str())];
    headers.extend(metadata.map(|metadata| ("Upload-Metadata", metadata)));
    let answer = call(hub, "POST", "/api/v2/blobs", &headers, b"");
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.header("location")
}

/// The next bytes of an upload.
pub fn patch(hub: &HubProcess, path: &str, offset: usize, bytes: &[u8]) -> Answer {
    patch_with(hub, path, offset, bytes, &[])
}

pub fn patch_with(
    hub: &HubProcess,
    path: &str,
    offset: usize,
    bytes: &[u8],
    more: &[(&str, &str)],
) -> Answer {
    let offset = offset.to_string();
    let mut headers = vec![
        TUS[0],
        ("Upload-Offset", offset.as_str()),
        ("Content-Type", "application/offset+octet-stream"),
    ];
    headers.extend(more);
    call(hub, "PATCH", path, &headers, bytes)
}

/// How far an upload is, by its whole address.
pub fn head_of(hub: &HubProcess, address: &str) -> Answer {
    let path = address.trim_start_matches(&hub.url);
    call(hub, "HEAD", path, &TUS, b"")
}

//! A small blocking HTTP client that says exactly what it is told to say, good or bad.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

pub const JSON: &str = "application/json";
pub const MSGPACK: &str = "application/msgpack";
pub const PROBLEM: &str = "application/problem+json";

const CONNECT: Duration = Duration::from_secs(5);
/// Longer than any answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// What is said.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    /// `Host` and `Connection: close` are added, unless `Host` stands here.
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

/// And with what body.
#[derive(Debug, Clone)]
pub enum Body {
    None,
    Bytes(Vec<u8>),
    /// So many spaces, of a declared length or in chunks.
    Large {
        bytes: usize,
        chunked: bool,
    },
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn get(path: &str) -> Request {
        Request {
            method: "GET",
            path: path.to_owned(),
            headers: Vec::new(),
            body: Body::None,
        }
    }

    pub fn post(path: &str, content_type: &str, body: Vec<u8>) -> Request {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Request {
            method: "POST",
            path: path.to_owned(),
            headers,
            body: Body::Bytes(body),
        }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Request {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn head(&self, address: SocketAddr) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {address}\r\n"));
        }
        match &self.body {
            Body::None => {}
            Body::Bytes(bytes) => head.push_str(&format!("Content-Length: {}\r\n", bytes.len())),
            Body::Large {
                bytes,
                chunked: false,
            } => head.push_str(&format!("Content-Length: {bytes}\r\n")),
            Body::Large { chunked: true, .. } => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head + "\r\n"
    }

    fn write(&self, stream: &mut TcpStream, address: SocketAddr) -> io::Result<()> {
        stream.write_all(self.head(address).as_bytes())?;
        match &self.body {
            Body::None => Ok(()),
            Body::Bytes(bytes) => stream.write_all(bytes),
            Body::Large { bytes, chunked } => {
                let spaces = vec![b' '; 1 << 16];
                let mut left = *bytes;
                while left > 0 {
                    let piece = &spaces[..left.min(spaces.len())];
                    if *chunked {
                        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                    }
                    stream.write_all(piece)?;
                    if *chunked {
                        stream.write_all(b"\r\n")?;
                    }
                    left -= piece.len();
                }
                if *chunked {
                    stream.write_all(b"0\r\n\r\n")
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Says it on a connection of its own. The answer is read while the body leaves: it may come first.
    pub fn send(&self, address: SocketAddr) -> io::Result<Response> {
        let mut stream = connect(address)?;
        let mut out = stream.try_clone()?;
        std::thread::scope(|scope| {
            // A hub that refuses a body does not read it to its end: only the answer counts.
            scope.spawn(move || drop(self.write(&mut out, address)));
            let answer = read(&mut stream);
            drop(stream.shutdown(std::net::Shutdown::Both));
            answer
        })
    }
}

pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub fn get(address: SocketAddr, path: &str) -> Response {
    Request::get(path)
        .send(address)
        .unwrap_or_else(|error| panic!("GET http://{address}{path}: {error}"))
}

/// Reads head and body of one answer.
pub fn read(stream: &mut impl Read) -> io::Result<Response> {
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut short");
    let mut seen = Vec::new();
    let end = loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if more(stream, &mut seen)? == 0 {
            return Err(cut());
        }
    };
    let head = String::from_utf8_lossy(&seen[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let status = status.ok_or_else(|| io::Error::other(format!("no answer: {head:?}")))?;
    let mut response = Response {
        status,
        headers,
        body: seen.split_off(end),
    };
    let len = response
        .header("content-length")
        .and_then(|len| len.parse::<usize>().ok());
    match len {
        Some(len) => {
            while response.body.len() < len {
                if more(stream, &mut response.body)? == 0 {
                    return Err(cut());
                }
            }
        }
        // An upgrade goes on in another protocol; everything else ends with the connection.
        None if status == 101 => {}
        None => drop(stream.read_to_end(&mut response.body)?),
    }
    Ok(response)
}

fn more(stream: &mut impl Read, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; 1 << 14];
    let len = stream.read(&mut piece)?;
    into.extend_from_slice(&piece[..len]);
    Ok(len)
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body, whichever of the two formats it has.
    pub fn json(&self) -> Value {
        let parsed = if self.header("content-type") == Some(MSGPACK) {
            rmp_serde::from_slice(&self.body).map_err(|error| error.to_string())
        } else {
            serde_json::from_slice(&self.body).map_err(|error| error.to_string())
        };
        parsed.unwrap_or_else(|error| {
            panic!(
                "{error}: {} {:?}",
                self.status,
                String::from_utf8_lossy(&self.body)
            )
        })
    }
}

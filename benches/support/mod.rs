//! Real hubs as processes, and a small HTTP client: what the benchmarks drive.

#![allow(dead_code, reason = "each bench takes the part it needs")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A hub process on a port of its own; stopped when dropped.
pub struct Hub {
    child: Child,
    /// `127.0.0.1:port`.
    pub address: String,
}

impl Hub {
    /// Starts a hub and waits until it is ready.
    pub fn start(folder: &Path, name: &str, found: bool, seeds: &[&str]) -> Hub {
        let mut child = Command::new(env!("CARGO_BIN_EXE_inbetweenies"))
            .args(["hub", "--listen", "127.0.0.1:0", "--init", "--data"])
            .arg(folder.join(name))
            .env("INBETWEENIES__HUB__NAME", name)
            .env("INBETWEENIES__MESH__FOUND", found.to_string())
            .env("INBETWEENIES__MESH__SEEDS", seeds.join(","))
            .env("INBETWEENIES__LOG__LEVEL", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the hub starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says that it is ready");
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_default();
        assert!(!address.is_empty(), "not ready: {line:?}");
        Hub {
            address: address.to_owned(),
            child,
        }
    }
}

impl Hub {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One keep-alive connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    host: String,
    /// Bytes of bodies sent and received.
    pub sent: usize,
    /// See `sent`.
    pub received: usize,
}

impl Client {
    /// Connects.
    pub fn new(hub: &Hub) -> Client {
        let stream = TcpStream::connect(&hub.address).expect("the hub answers");
        stream.set_nodelay(true).expect("a socket option");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket option");
        Client {
            stream: BufReader::new(stream),
            host: hub.address.clone(),
            sent: 0,
            received: 0,
        }
    }

    /// One request, MessagePack both ways.
    pub fn request(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/msgpack\r\nAccept: application/msgpack\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let socket = self.stream.get_mut();
        socket
            .write_all(head.as_bytes())
            .and_then(|()| socket.write_all(body))
            .expect("the request leaves");
        self.sent += body.len();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("the answer comes");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().expect("a status");
            } else if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("the body comes");
        self.received += body.len();
        (status, body)
    }

    /// One sync exchange.
    pub fn sync(&mut self, clock: &Value, changes: &[Value]) -> Value {
        let body = json!({
            "protocol_version": "inbetweenies-v2", "device_id": "bench", "user_id": "bench", "sync_type": "delta",
            "vector_clock": clock["vector_clock"], "clock_checks": clock["clock_checks"], "changes": changes,
        });
        self.sync_raw(&rmp_serde::to_vec_named(&body).expect("a body"))
    }

    /// One sync exchange whose body stands ready.
    pub fn sync_raw(&mut self, body: &[u8]) -> Value {
        let (status, body) = self.request("POST", "/api/v2/sync", body);
        let value: Value = rmp_serde::from_slice(&body).expect("MessagePack");
        assert_eq!(status, 200, "{value}");
        assert_eq!(value["rejected"], json!([]), "nothing is refused");
        value
    }

    /// All pages from a clock on: the records' count, and the clock reached.
    pub fn fetch(&mut self, clock: &Value) -> (usize, Value) {
        let mut clock = clock.clone();
        let mut records = 0;
        loop {
            let answer = self.sync(&clock, &[]);
            let stats = &answer["sync_stats"];
            records += (stats["entities_synced"].as_u64().unwrap_or(0)
                + stats["relationships_synced"].as_u64().unwrap_or(0)) as usize;
            clock = json!({"vector_clock": answer["vector_clock"], "clock_checks": answer["clock_checks"]});
            if answer["cursor"].is_null() {
                return (records, clock);
            }
        }
    }

    /// The hub's status page.
    pub fn status(&mut self) -> Value {
        rmp_serde::from_slice(&self.request("GET", "/api/v2/status", &[]).1).expect("MessagePack")
    }
}

/// The clock of somebody who has nothing.
pub fn nothing() -> Value {
    json!({"vector_clock": {}, "clock_checks": {}})
}

/// A typical entity of some 300 bytes.
pub fn device(n: usize, revision: usize, parent: Option<&str>) -> Value {
    json!({
        "id": format!("{:08x}-0000-4000-8000-{n:012x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff),
        "version": version(n, revision), "entity_type": "device", "name": format!("Device {n}"),
        "content": {"manufacturer": "Philips", "model": "Smart LED Bulb", "watts": n % 60, "revision": revision,
                    "notes": "bought in spring; the box is in the attic"},
        "source_type": "manual", "user_id": "bench", "parent_versions": parent.map_or(vec![], |p| vec![p]),
    })
}

/// A version of ours.
pub fn version(n: usize, revision: usize) -> String {
    format!(
        "2026-06-15T{:02}:{:02}:{:02}.{revision:06}+00:00-{n:06}-bench",
        n / 3_600 % 24,
        n / 60 % 60,
        n % 60
    )
}

/// An edge between two devices.
pub fn edge(n: usize) -> Value {
    let id = |n: usize| device(n, 0, None)["id"].clone();
    json!({
        "id": format!("edge-{n}"), "version": version(n, 0), "from_entity_id": id(n), "to_entity_id": id(n + 1),
        "relationship_type": "connects_to", "properties": {"medium": "zigbee"}, "user_id": "bench",
    })
}

/// Changes of one set.
pub fn change(set: usize, entity: Value, relationships: Vec<Value>) -> Value {
    json!({"change_type": "update", "set": set, "entity": entity, "relationships": relationships})
}

/// Waits until a condition holds; panics after a bound.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{what} did not come about"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    start.elapsed()
}

/// Median, smallest and largest.
pub fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

/// A file of so many bytes comes and goes: a virtual machine gets the memory for what follows from its host now, and not while
/// something is timed (that makes a factor of three).
pub fn warm(folder: &Path, bytes: usize) {
    let path = folder.join("warm");
    std::fs::write(&path, vec![1; bytes]).expect("a file");
    std::fs::remove_file(path).expect("it goes");
}

//! Others that carry files between two processes on loopback, driven as their users drive them: Syncthing and iroh-blobs.
//!
//! Where they are is said by `SYNCTHING` and `IROH_PAIR` (see `make bench-blobs`); without them nothing is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{until, warm};

/// A process that ends with us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Where a rival is, if it is on this machine.
pub fn find(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from)?;
    path.is_file().then_some(path)
}

/// Seconds from the first word between two ends that run already until all files of `source` are verified and stored at the
/// other: one collection of iroh-blobs, its stores on disk, no relay, no discovery.
pub fn iroh(program: &Path, folder: &Path, source: &Path, files: usize, bytes: usize) -> f64 {
    let mut giver = Command::new(program)
        .arg("give")
        .args([&folder.join("iroh-a"), source])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("iroh starts");
    let mut line = String::new();
    let stdout = giver.stdout.take().expect("its output is piped");
    let giver = Running(giver);
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("it says where it is");
    warm(folder, bytes);
    let taken = Command::new(program)
        .arg("take")
        .arg(folder.join("iroh-b"))
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("iroh starts");
    drop(giver);
    let text = String::from_utf8_lossy(&taken.stdout);
    let mut numbers = text.split_whitespace().map(|number| number.parse::<usize>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(took)), Some(Ok(blobs))) if blobs == files => took as f64 / 1e3,
        _ => panic!("iroh: {text}{}", String::from_utf8_lossy(&taken.stderr)),
    }
}

/// Two instances of Syncthing that are connected; the second has paused their folder.
struct Pair {
    gui: u16,
    _both: [Running; 2],
}

/// Seconds from the moment when the receiver's folder is no longer paused until Syncthing says that it holds every file. Both ends
/// are connected then, and the sender has scanned (and hashed) its files. No discovery, relays or NAT; its own defaults otherwise.
pub fn syncthing(program: &Path, folder: &Path, source: &Path, files: usize, bytes: usize) -> f64 {
    let pair = Pair::start(program, folder, source, files);
    warm(folder, bytes);
    let begun = Instant::now();
    ask(
        pair.gui,
        "PATCH",
        "/rest/config/folders/home",
        r#"{"paused":false}"#,
    );
    until("Syncthing's transfer", || {
        let status = ask(pair.gui, "GET", "/rest/db/status?folder=home", "");
        status["state"] == "idle" && status["inSyncFiles"] == files && status["needBytes"] == 0
    });
    begun.elapsed().as_secs_f64()
}

impl Pair {
    fn start(program: &Path, folder: &Path, source: &Path, files: usize) -> Pair {
        let homes = ["sync-a", "sync-b"].map(|name| folder.join(name));
        let ids = homes.clone().map(|home| identity(program, &home));
        let ports: [u16; 4] = std::array::from_fn(|_| free_port());
        let taken = folder.join("sync-files");
        for folder in [source, &taken] {
            std::fs::create_dir_all(folder.join(".stfolder")).expect("a marker");
        }
        let both = [0, 1].map(|n| {
            let files = [source, taken.as_path()][n];
            let config = config(&ids, &ports, n, files);
            std::fs::write(homes[n].join("config.xml"), config).expect("its configuration");
            let child = Command::new(program)
                .args(["serve", "--no-browser", "--no-restart", "--no-upgrade", "--home"])
                .arg(&homes[n])
                .env("STMONITORED", "yes") // no second process that would outlive its parent
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            Running(child.expect("Syncthing starts"))
        });
        let [a, b] = [ports[2], ports[3]];
        until("Syncthing's scan", || {
            let status = ask(a, "GET", "/rest/db/status?folder=home", "");
            status["state"] == "idle" && status["localFiles"] == files
        });
        until("Syncthing's connection", || {
            let all = ask(b, "GET", "/rest/system/connections", "");
            all["connections"][&ids[0]]["connected"] == true
        });
        Pair { gui: b, _both: both }
    }
}

/// Makes a key; answers the name that follows from it.
fn identity(program: &Path, home: &Path) -> String {
    let run = |words: &[&str]| {
        let output = Command::new(program).args(words).arg("--home").arg(home).output();
        let output = output.expect("Syncthing starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    run(&["generate", "--no-default-folder", "--skip-port-probing"]);
    run(&["serve", "--device-id"])
}

fn config(ids: &[String; 2], ports: &[u16; 4], n: usize, files: &Path) -> String {
    let device = |n: usize| {
        format!(
            r#"<device id="{}" name="{n}" compression="metadata"><address>tcp://127.0.0.1:{}</address></device>"#,
            ids[n], ports[n]
        )
    };
    format!(
        r#"<configuration version="36">
<folder id="home" label="home" path="{files}" type="sendreceive" rescanIntervalS="0" fsWatcherEnabled="false">
<device id="{a}"/><device id="{b}"/><paused>{paused}</paused></folder>
{one}{two}
<gui enabled="true" tls="false"><address>127.0.0.1:{gui}</address><apikey>bench</apikey></gui>
<options><listenAddress>tcp://127.0.0.1:{port}</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>
<localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled>
<reconnectionIntervalS>1</reconnectionIntervalS><urAccepted>-1</urAccepted><autoUpgradeIntervalH>0</autoUpgradeIntervalH>
<crashReportingEnabled>false</crashReportingEnabled><startBrowser>false</startBrowser></options>
</configuration>"#,
        files = files.display(),
        a = ids[0],
        b = ids[1],
        paused = n == 1,
        one = device(0),
        two = device(1),
        gui = ports[n + 2],
        port = ports[n],
    )
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// One request to Syncthing's own interface; null where it does not answer (yet).
fn ask(port: u16, method: &str, path: &str, body: &str) -> Value {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return Value::Null;
    };
    drop(stream.set_read_timeout(Some(Duration::from_secs(30))));
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nX-API-Key: bench\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    if stream.write_all(request.as_bytes()).is_err() || stream.read_to_string(&mut answer).is_err() {
        return Value::Null;
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_default()
}

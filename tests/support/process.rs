//! Real hubs: processes on port 0 in folders of the test's own, stopped by their own ids when the test lets go of them.

#![allow(dead_code, reason = "each test takes the part it needs")]
#![allow(missing_docs, reason = "a test's own helper")]

pub mod exchange;
pub mod http;
pub mod mesh;
pub mod relay;
pub mod socket;
pub mod wait;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a hub may take until it is ready, on a machine that is busy with other things.
const READY: Duration = Duration::from_secs(30);
/// How long a process that should end by itself may take.
const END: Duration = Duration::from_secs(30);
/// Lines of a hub's log that a failing test shows.
const LOG_LINES: usize = 60;

/// What a hub is started with: the same command, however often.
#[derive(Debug, Clone)]
pub struct Setup {
    pub name: String,
    pub data: PathBuf,
    pub listen: String,
    pub init: bool,
    pub keys: Vec<(String, String)>,
}

impl Setup {
    /// A hub whose data and log stand in `folder` under its name.
    pub fn new(name: &str, folder: &Path) -> Setup {
        // As it is when the test runs: a target folder may serve several checkouts.
        let here = std::env::current_dir().expect("cargo runs tests in the package's folder");
        let house = here.join("config/domains/house.toml");
        let setup = Setup {
            name: name.to_owned(),
            data: folder.join(name),
            listen: "127.0.0.1:0".to_owned(),
            init: true,
            keys: Vec::new(),
        };
        setup
            .key("hub.name", name)
            .key("conflict.domain", house.display())
    }

    /// Sets a key of the config, written `section.key`.
    pub fn key(mut self, key: &str, value: impl ToString) -> Setup {
        self.keys.push((key.to_owned(), value.to_string()));
        self
    }

    /// At this address rather than at a free port.
    pub fn listen(self, address: impl ToString) -> Setup {
        Setup {
            listen: address.to_string(),
            ..self
        }
    }

    /// Without `--init`.
    pub fn again(self) -> Setup {
        Setup { init: false, ..self }
    }

    pub fn founder(self) -> Setup {
        self.key("mesh.found", "true")
    }

    pub fn seeds(self, seeds: &[SocketAddr]) -> Setup {
        let seeds: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        self.key("mesh.seeds", seeds.join(","))
    }

    fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    pub fn command(&self) -> Command {
        let mut command = inbetweenies();
        command
            .args(["hub", "--listen", &self.listen, "--data"])
            .arg(&self.data);
        if self.init {
            command.arg("--init");
        }
        for (key, value) in &self.keys {
            let name = format!("INBETWEENIES__{}", key.to_uppercase().replace('.', "__"));
            command.env(name, value);
        }
        command
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&self) -> Hub {
        self.try_start()
            .unwrap_or_else(|seen| panic!("{} did not start: {seen}\n{}", self.name, self.tail()))
    }

    fn try_start(&self) -> Result<Hub, String> {
        let started = Instant::now();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .map_err(|e| e.to_string())?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let lines = lines_of(&mut child);
        // From here on the process ends with the value.
        let mut running = Running(child);
        let line = match lines.recv_timeout(READY) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(format!("nothing was said within {READY:?}")),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(format!("it ended: {:?}", running.0.wait()));
            }
        };
        let ready = line
            .strip_prefix("ready http://")
            .and_then(|rest| rest.split_once(" hub="));
        let Some((Ok(address), id)) = ready.map(|(address, id)| (address.parse(), id)) else {
            return Err(format!("it said {line:?}"));
        };
        let (id, setup) = (id.to_owned(), self.clone());
        Ok(Hub {
            setup,
            address,
            id,
            ready_after: started.elapsed(),
            running,
        })
    }

    /// Starts it and kills it again after a while, ready or not.
    pub fn start_and_kill(&self, after: Duration) {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = command.spawn().map(Running);
        std::thread::sleep(after); // the fault itself, not a wait for anything
        drop(running.unwrap_or_else(|error| panic!("{}: {error}", self.name)));
    }

    /// Runs it until it ends by itself.
    pub fn run(&self) -> Ended {
        run(self.command())
    }

    fn tail(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_LINES)..];
        format!(
            "--- the end of the log of {}\n{}\n---",
            self.name,
            shown.join("\n")
        )
    }
}

/// The program, without what the environment of the test says to it.
pub fn inbetweenies() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbetweenies"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("INBETWEENIES") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1");
    command
}

/// How a process ended by itself.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command until it ends by itself, within a bound.
pub fn run(mut command: Command) -> Ended {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut running = Running(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
    let stdout = running.0.stdout.take().map(all_of);
    let stderr = running.0.stderr.take().map(all_of);
    let end = Instant::now() + END;
    let status = wait::until("the process to end", END + END, || match running.0.try_wait() {
        Ok(Some(status)) => Ok(Some(status)),
        Ok(None) if Instant::now() > end => Ok(None),
        other => Err(format!("{other:?}")),
    });
    drop(running);
    let text = |thread: Option<std::thread::JoinHandle<String>>| {
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    match status {
        Some(status) => Ended {
            code: status.code(),
            stdout,
            stderr,
        },
        None => panic!("{command:?} runs on after {END:?}\nstdout: {stdout}\nstderr: {stderr}"),
    }
}

fn all_of(mut from: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        drop(from.read_to_string(&mut text));
        text
    })
}

fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                drop(sender.send(line)); // read on, so that the hub is never held back
            }
        });
    }
    receiver
}

/// A child that is killed, by its own id, when it is let go of.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A hub that runs.
pub struct Hub {
    pub setup: Setup,
    pub address: SocketAddr,
    pub id: String,
    /// From the command to the ready line.
    pub ready_after: Duration,
    running: Running,
}

impl Hub {
    /// `GET`, as JSON, whatever the status.
    pub fn get(&self, path: &str) -> (u16, Value) {
        let response = http::get(self.address, path);
        (response.status, response.json())
    }

    pub fn status(&self) -> Value {
        let (code, status) = self.get("/api/v2/status");
        assert_eq!(code, 200, "the status of {}: {status}", self.setup.name);
        status
    }

    /// The most memory that it has held, in bytes, where the system tells.
    pub fn memory_peak(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.0.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim()
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
            .map(|kib| kib << 10)
    }

    /// Ends it as a power switch would, and waits until it is gone.
    pub fn kill(mut self) -> Setup {
        drop(self.running.0.kill());
        drop(self.running.0.wait());
        // The same address again: others have it in their lists.
        self.setup.clone().listen(self.address)
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> (Setup, ExitStatus) {
        let id = rustix::process::Pid::from_child(&self.running.0);
        let asked = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        assert_eq!(asked, Ok(()), "{} could not be asked to stop", self.setup.name);
        let status = wait::until("a clean stop", END, || match self.running.0.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        (self.setup.clone().listen(self.address), status)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.setup.tail());
        }
    }
}

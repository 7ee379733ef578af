//! The hubs of a mesh as child processes.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::place::{Ground, Place};
use crate::api::{Hub, HubUrl};
use crate::commands::say::{self, Failure, clean};
use crate::config::environment;

/// How long a hub has to be ready and in its home.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a hub has to end by itself when it is told to.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// What is read of a log at most to tell why a hub ended.
const LOG_TAIL_BYTES: usize = 2_000;

/// One hub.
#[derive(Debug)]
pub struct OneHub {
    /// Its name.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// The process that was started for it.
    pub pid: u32,
    place: Place,
    child: Child,
    /// How it ended, once it has.
    ended: Option<ExitStatus>,
}

/// All of them.
#[derive(Debug)]
pub struct Hubs {
    ground: Ground,
    program: PathBuf,
    all: Vec<OneHub>,
}

impl Hubs {
    /// Starts a process for each place.
    pub fn start(ground: Ground) -> Result<Hubs, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::io(format!("this program does not know where it is: {error}")))?;
        let mut hubs = Hubs {
            ground,
            program,
            all: Vec::new(),
        };
        for place in hubs.ground.places().to_vec() {
            match start(&hubs.program, &place) {
                Ok(child) => hubs.all.push(OneHub {
                    name: place.name,
                    address: place.address,
                    pid: child.id(),
                    place,
                    child,
                    ended: None,
                }),
                Err(failure) => {
                    hubs.all.iter_mut().for_each(OneHub::kill);
                    return Err(failure);
                }
            }
        }
        Ok(hubs)
    }

    /// Every hub, the founder first.
    pub fn all(&self) -> &[OneHub] {
        &self.all
    }

    /// The folder.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// This program, as it is called in commands to paste.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Waits until every hub has said that it is ready and has its home.
    pub async fn ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        for hub in &mut self.all {
            let client = Hub::new(hub.url());
            loop {
                if let Ok(Some(status)) = hub.child.try_wait() {
                    let why = format!("{} ended at once ({})", hub.name, how(status));
                    return Err(Failure::new(format!("{why}: {}", hub.last_words())));
                }
                if hub.said_ready() && client.status().await.is_ok_and(|status| status.home_id.is_some()) {
                    break;
                }
                if Instant::now() >= deadline {
                    let (name, seconds) = (hub.name, READY_WITHIN.as_secs());
                    let last = hub.last_words();
                    return Err(Failure::new(format!(
                        "{name} was not ready after {seconds} s: {last}"
                    )));
                }
                actix_rt::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// A line for every hub that ended since the last call.
    pub fn deaths(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let program = self.program.clone();
        for hub in &mut self.all {
            if hub.ended.is_none()
                && let Ok(Some(status)) = hub.child.try_wait()
            {
                hub.ended = Some(status);
                let again = hub.start_command(&program);
                lines.push(format!(
                    "{} (process {}) ended: {}; start it again: {again}",
                    hub.name,
                    hub.pid,
                    how(status)
                ));
            }
        }
        lines
    }

    /// Stops what was started here, each by its process id, and leaves the ground. `failed`: the logs are still needed.
    pub async fn stop(mut self, failed: bool) {
        for hub in &mut self.all {
            hub.terminate();
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for hub in &mut self.all {
            while hub.runs() && Instant::now() < deadline {
                actix_rt::time::sleep(POLL).await;
            }
            if hub.runs() {
                say::line(&format!(
                    "{} did not stop within {} s and is killed",
                    hub.name,
                    STOP_WITHIN.as_secs()
                ));
                hub.kill();
            }
        }
        // Started again by somebody else: theirs to stop, and its folder theirs to keep.
        let mut foreign = false;
        for hub in &self.all {
            if std::net::TcpStream::connect_timeout(&hub.address, Duration::from_secs(1)).is_ok() {
                say::line(&format!(
                    "{} was started by somebody else at {} and runs on",
                    hub.name, hub.address
                ));
                foreign = true;
            }
        }
        if let Some(said) = self.ground.leave(failed || foreign) {
            say::line(&said);
        }
    }
}

impl OneHub {
    /// Where it answers.
    pub fn url(&self) -> HubUrl {
        HubUrl::of(self.address)
    }

    /// The command that starts it again.
    pub fn start_command(&self, program: &Path) -> String {
        format!(
            "{} hub --config {}",
            super::table::quoted(program),
            super::table::quoted(&self.place.config)
        )
    }

    fn said_ready(&self) -> bool {
        std::fs::read_to_string(&self.place.out)
            .is_ok_and(|text| text.lines().any(|line| line.starts_with("ready ")))
    }

    fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end. The child has not been waited for, so its process id is still its own.
    fn terminate(&mut self) {
        if self.runs() && kill_process(Pid::from_child(&self.child), Signal::TERM).is_err() {
            self.kill();
        }
    }

    fn kill(&mut self) {
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }

    /// The end of its log, for errors.
    fn last_words(&self) -> String {
        let text = std::fs::read(&self.place.log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned();
        let lines: Vec<&str> = tail.lines().rev().take(3).collect();
        match lines.is_empty() {
            true => format!("its log {} is empty", self.place.log.display()),
            false => lines.into_iter().rev().map(clean).collect::<Vec<_>>().join(" | "),
        }
    }
}

fn start(program: &Path, place: &Place) -> Result<Child, Failure> {
    let io = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Failure::io(format!("{path}: {error}"))
    };
    let out = File::create(&place.out).map_err(io(&place.out))?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&place.log)
        .map_err(io(&place.log))?;
    let mut command = Command::new(program);
    command
        .arg("hub")
        .arg("--config")
        .arg(&place.config)
        .arg("--init");
    // A variable goes before a file: what the person set for one hub of their own must not hold for all of these.
    for (name, _) in environment() {
        let section = name.split("__").nth(1).unwrap_or_default();
        if ["HUB", "LISTEN", "STORAGE", "MESH", "CONFLICT"].contains(&section) {
            command.env_remove(name);
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(log)
        // A group of its own: Ctrl-C comes here, and from here to them.
        .process_group(0)
        .spawn()
        .map_err(io(program))
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

//! Hubs and commands as real processes, for tests that need a disk, a socket or a kill.
//!
//! Every hub listens on a free port of loopback, keeps its data in a temporary folder, and is killed by its own process
//! id when the value that stands for it is dropped. Every wait is bounded.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use inbetweenies::api::Hub;
use inbetweenies_client::wire::Status;
use serde_json::Value;
use tempfile::TempDir;

/// The longest that anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// This package's binary.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbetweenies"));
    for (name, _) in inbetweenies::config::environment() {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A file or folder of this checkout, as it is when the test runs: a target folder may serve several checkouts.
pub fn checkout(path: &str) -> PathBuf {
    std::env::current_dir()
        .expect("cargo runs tests in the package's folder")
        .join(path)
}

/// Waits until `met` gives something; panics with `what` after [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut met: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = met() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(POLL);
    }
}

/// Runs something asynchronous to its end.
pub fn block<T>(future: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(future)
}

/// A hub process.
#[derive(Debug)]
pub struct HubProcess {
    name: String,
    /// Where it answers, as `http://127.0.0.1:PORT`; the same after a restart.
    pub url: String,
    /// Its hub id.
    pub id: String,
    home: TempDir,
    child: Option<Child>,
    /// Whether its data lies on a disk of its own.
    mounted: bool,
}

impl HubProcess {
    /// Starts a hub that founds a home.
    pub fn found(name: &str) -> HubProcess {
        HubProcess::with_config(name, "[mesh]\nfound = true\n")
    }

    /// Starts a hub that joins the home of others.
    pub fn join(name: &str, seeds: &[&HubProcess]) -> HubProcess {
        let seeds: Vec<String> = seeds.iter().map(|hub| format!("{:?}", hub.address())).collect();
        HubProcess::with_config(name, &format!("[mesh]\nseeds = [{}]\n", seeds.join(", ")))
    }

    /// Starts a hub whose data lies on a disk of so many MiB of its own; None, with a word why, where none can be mounted.
    pub fn on_disk(name: &str, config: &str, mib: usize) -> Option<HubProcess> {
        let mut hub = HubProcess::laid_out(name, config);
        std::fs::create_dir(hub.data()).expect("a folder");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(hub.data());
        let mounted = mount.output();
        if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
            println!("SKIPPED: a small disk cannot be mounted here (it takes root): {mounted:?}");
            return None;
        }
        hub.mounted = true;
        hub.run("127.0.0.1:0", true);
        Some(hub)
    }

    /// Starts a hub with more in its config file; it is ready when this returns.
    pub fn with_config(name: &str, config: &str) -> HubProcess {
        let mut hub = HubProcess::laid_out(name, config);
        hub.run("127.0.0.1:0", true);
        hub
    }

    fn laid_out(name: &str, config: &str) -> HubProcess {
        let home = tempfile::tempdir().expect("a temporary folder");
        let domain = checkout("config/domains/house.toml");
        let text = format!("{config}\n[hub]\nname = {name:?}\n\n[conflict]\ndomain = {domain:?}\n");
        std::fs::write(home.path().join("hub.toml"), text).expect("a config file");
        HubProcess {
            name: name.to_owned(),
            url: String::new(),
            id: String::new(),
            home,
            child: None,
            mounted: false,
        }
    }

    fn run(&mut self, listen: &str, init: bool) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let (out, log) = (self.home.path().join("out"), self.log());
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let mut command = program();
        command.args(["hub", "--listen", listen, "--config"]);
        command
            .arg(self.home.path().join("hub.toml"))
            .arg("--data")
            .arg(self.data());
        if init {
            command.arg("--init");
        }
        command.stdout(File::create(&out).expect("a file for stdout"));
        command.stderr(file.expect("a file for stderr"));
        self.child = Some(command.spawn().expect("the hub starts"));
        let ready = wait_for("a hub to be ready", || {
            let text = std::fs::read_to_string(&out).unwrap_or_default();
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().expect("its state"));
            assert!(
                ended.is_none(),
                "{} ended: {ended:?}\n{}",
                self.name,
                self.log_text()
            );
            let line = text.lines().find(|line| line.starts_with("ready "));
            line.filter(|_| text.ends_with('\n')).map(str::to_owned)
        });
        let words: Vec<&str> = ready.split_whitespace().collect();
        let [_, url, id] = words[..] else {
            panic!("ready line {ready:?}")
        };
        self.url = url.to_owned();
        self.id = id.strip_prefix("hub=").expect("hub=ID").to_owned();
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// What it has logged.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// A client of it; needs an actix runtime.
    pub fn api(&self) -> Hub {
        Hub::new(self.url.parse().expect("a hub's address"))
    }

    /// Its state.
    pub fn status(&self) -> Status {
        block(async { self.api().status().await }).expect("its status")
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is killed");
            child.wait().expect("its end");
        }
    }

    /// Tells it to stop and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running hub");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is told");
        wait_for("a hub to stop", || child.try_wait().expect("its state"))
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) {
        let address = self.address().to_owned();
        self.run(&address, false);
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        if self.mounted {
            drop(Command::new("umount").arg("--lazy").arg(self.data()).status());
        }
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.name, self.log_text());
        }
    }
}

/// A home of several hubs, all of which know each other.
pub fn home(hubs: usize) -> Vec<HubProcess> {
    const NAMES: [&str; 5] = ["kitchen", "attic", "garage", "study", "cellar"];
    let mut all = vec![HubProcess::found(NAMES[0])];
    for name in &NAMES[1..hubs] {
        let seeds: Vec<&HubProcess> = all.iter().collect();
        let joined = HubProcess::join(name, &seeds);
        all.push(joined);
    }
    converge(&all);
    all
}

/// Waits until all hubs have a home, all its members, equal clocks and equally many records.
pub fn converge(hubs: &[HubProcess]) -> Status {
    wait_for("the hubs to hold the same", || {
        let seen: Vec<Status> = hubs.iter().map(HubProcess::status).collect();
        let same = |status: &Status| {
            status.home_id.is_some()
                && status.clock == seen[0].clock
                && status.records == seen[0].records
                && status.clock.len() >= hubs.len()
        };
        seen.iter().all(same).then(|| seen[0].clone())
    })
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub code: Option<i32>,
    /// What it said.
    pub out: String,
    /// Why it failed.
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("words"),
            err: String::from_utf8(output.stderr).expect("words"),
        }
    }

    /// It did what it was asked, and what it said.
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }

    /// What it said with `--json`.
    pub fn json(self) -> Value {
        let out = self.good();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// It failed with this code; the last line of stderr.
    pub fn bad(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self.err.lines().last().unwrap_or_default().to_owned()
    }
}

/// Runs a command to its end.
pub fn run(args: &[&str]) -> Ran {
    Ran::of(program().args(args).output().expect("the command runs"))
}

/// A device with a store.
#[derive(Debug)]
pub struct Device {
    dir: TempDir,
}

impl Device {
    /// A new store that has not met a hub.
    pub fn new(user: &str) -> Device {
        let device = Device {
            dir: tempfile::tempdir().expect("a temporary folder"),
        };
        device.run(&["init", "--user", user]).good();
        device
    }

    /// A new store that holds what a hub does.
    pub fn synced(user: &str, hub: &HubProcess) -> Device {
        let device = Device::new(user);
        device.run(&["sync", "--hub", &hub.url]).good();
        device
    }

    /// Its folder.
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// The command, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.arg("client").arg("--store").arg(self.store()).args(args);
        command
    }

    /// Runs a `client` command.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("the command runs"))
    }

    /// Runs a `client` command with `--json`.
    pub fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).json()
    }
}

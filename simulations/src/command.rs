//! `inbetweenies simulate`: what it is told, and what it tells. The hub's binary and the simulator's own share it.

use std::fs;
use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::campaign::{self, Order};
use crate::compare::{self, Baseline};
use crate::plan::Plan;
use crate::run::{self, Report};
use crate::{draw, scenario, shrink, story, swarm};

/// Seeds of a swarm where none are named.
const SEEDS: Range<u64> = 0..2_000;
/// How long shrinking may take where nothing is said.
const SHRINK: Duration = Duration::from_secs(60);
/// A scenario file is never larger.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Exit codes: every promise held; one broke; a bad scenario or command.
const HELD: u8 = 0;
const BROKE: u8 = 1;
const BAD: u8 = 2;

const LONG: &str = "\
Runs homes in virtual time: the same hubs, with a simulated network, simulated disks and simulated clocks.

  simulate FILE…                 run scenarios, tell their stories
  simulate swarm                 run homes drawn from seeds, with every kind of fault
  simulate explain FILE          tell all that is planned and all that happened (or --seed N)
  simulate replay --seed N       run one seed again and tell its story
  simulate draw FILE             write a page (and an SVG) that shows the run (or --seed N)
  simulate shrink FILE           find the smallest scenario that breaks the same promise (or --seed N)
  simulate compare FILE…         how bytes, rounds and the time to become equal have moved since --baseline";

/// Simulates homes: the same hubs in virtual time, with every fault that a home has.
#[derive(Debug, Clone, Args)]
#[command(long_about = LONG)]
pub struct Simulate {
    /// What to do (run, swarm, replay, explain, draw, shrink, compare; `run` if nothing is said) and scenario files
    #[arg(value_name = "WHAT|FILE", required = true)]
    pub words: Vec<String>,
    /// Seeds A to B, B not included: of a swarm, or to run a scenario under
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub seeds: Option<Range<u64>>,
    /// One seed of the swarm, in the place of a file
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub seed: Option<u64>,
    /// Threads; all cores if nothing is said
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// How long to go on: `60m`, `90s`
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub budget: Option<Duration>,
    /// Where to write (draw: the page; shrink: the scenario)
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What to compare with; without one, this run is saved there
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Writes seed and hash of every run, to hold two builds against each other
    #[arg(long, value_name = "FILE")]
    pub hashes: Option<PathBuf>,
    /// Plants a bug of the zoo in what is told, drawn or shrunk
    #[cfg(feature = "zoo")]
    #[arg(long, value_name = "BUG", value_parser = bug)]
    pub plant: Option<inbetweenies_core::zoo::Bug>,
}

#[cfg(feature = "zoo")]
fn bug(name: &str) -> Result<inbetweenies_core::zoo::Bug, String> {
    use inbetweenies_core::zoo::Bug;
    let names: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
    Bug::named(name).ok_or_else(|| format!("no such bug; there are {}", names.join(", ")))
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let bad = || format!("{text:?} is no range of seeds: write it as 0..2000");
    let (from, to) = text.split_once("..").ok_or_else(bad)?;
    let range = from.parse().map_err(|_| bad())?..to.parse().map_err(|_| bad())?;
    if range.is_empty() { Err(bad()) } else { Ok(range) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Run,
    Swarm,
    Replay,
    Explain,
    Draw,
    Shrink,
    Compare,
}

const VERBS: [(&str, Verb); 7] = [
    ("run", Verb::Run),
    ("swarm", Verb::Swarm),
    ("replay", Verb::Replay),
    ("explain", Verb::Explain),
    ("draw", Verb::Draw),
    ("shrink", Verb::Shrink),
    ("compare", Verb::Compare),
];

/// Where a plan comes from, and how it is named in advice.
struct Source {
    plan: Plan,
    name: String,
    /// The words that play it again.
    again: String,
}

/// A clear reason to end with 2.
struct Bad(String);

type Done = Result<u8, Bad>;

impl Simulate {
    /// Does it; returns the exit code.
    pub fn run(&self) -> u8 {
        run::catch_panics();
        #[cfg(feature = "zoo")]
        inbetweenies_core::zoo::plant(self.plant);
        match self.go() {
            Ok(code) => code,
            Err(Bad(why)) => {
                eprintln!("{why}");
                BAD
            }
        }
    }

    fn go(&self) -> Done {
        let (verb, files) = self.verb();
        match verb {
            Verb::Swarm if files.is_empty() => self.swarm(),
            Verb::Swarm => Err(Bad(
                "a swarm draws its homes from seeds: name no files, or leave `swarm` out".to_owned(),
            )),
            Verb::Run => self.each(&self.sources(&files)?, false),
            Verb::Replay => self.each(&self.sources(&files)?, false),
            Verb::Explain => self.each(&self.sources(&files)?, true),
            Verb::Draw => self.draw(&self.sources(&files)?),
            Verb::Shrink => self.shrink(&self.sources(&files)?),
            Verb::Compare => self.compare(&self.sources(&files)?),
        }
    }

    /// The verb stands before or after the files.
    fn verb(&self) -> (Verb, Vec<&str>) {
        let of = |word: &str| {
            VERBS
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, verb)| *verb)
        };
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let found = words
            .first()
            .and_then(|first| of(first))
            .map(|verb| (verb, words[1..].to_vec()));
        let last = || {
            words
                .last()
                .and_then(|last| of(last))
                .map(|verb| (verb, words[..words.len() - 1].to_vec()))
        };
        found.or_else(last).unwrap_or((Verb::Run, words))
    }

    fn sources(&self, files: &[&str]) -> Result<Vec<Source>, Bad> {
        let mut sources = Vec::new();
        if let Some(seed) = self.seed {
            sources.push(Source {
                plan: swarm::plan(seed),
                name: format!("seed {seed}"),
                again: format!("inbetweenies simulate explain --seed {seed}"),
            });
        }
        for file in files {
            let path = Path::new(file);
            let large = fs::metadata(path).is_ok_and(|meta| meta.len() > FILE_BYTES_MAX);
            if large {
                return Err(Bad(format!(
                    "{file}: a scenario has {FILE_BYTES_MAX} bytes at most"
                )));
            }
            let text = fs::read_to_string(path).map_err(|error| Bad(format!("{file}: {error}")))?;
            let plan = scenario::read(&text, file).map_err(|error| Bad(error.to_string()))?;
            let own = plan.seed..plan.seed + 1;
            for seed in self.seeds.clone().unwrap_or(own) {
                sources.push(Source {
                    plan: Plan { seed, ..plan.clone() },
                    name: plan.name.clone(),
                    again: match self.seeds {
                        Some(_) => format!(
                            "inbetweenies simulate explain {file} --seeds {seed}..{}",
                            seed + 1
                        ),
                        None => format!("inbetweenies simulate explain {file}"),
                    },
                });
            }
        }
        if sources.is_empty() {
            return Err(Bad("name a scenario file, or a seed with --seed N".to_owned()));
        }
        Ok(sources)
    }

    fn each(&self, sources: &[Source], all: bool) -> Done {
        let mut code = HELD;
        let brief = sources.len() > 12;
        for source in sources {
            let report = run::run(&Arc::new(source.plan.clone()), true);
            if all {
                say(&story::explain(&source.plan, &report, &source.again));
            } else if brief && report.broken.is_none() {
                say(&format!(
                    "{} (seed {}): every promise held\n",
                    source.name, source.plan.seed
                ));
            } else {
                say(&story::tell(&source.plan, &report, &source.again));
            }
            if report.broken.is_some() {
                code = BROKE;
            }
        }
        Ok(code)
    }

    fn swarm(&self) -> Done {
        let seeds = match (self.seed, &self.seeds, self.budget) {
            (Some(seed), _, _) => seed..seed + 1,
            (None, Some(seeds), _) => seeds.clone(),
            (None, None, Some(_)) => 0..u64::MAX,
            (None, None, None) => SEEDS,
        };
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let order = Order {
            jobs: self.jobs.map_or(cores, NonZeroUsize::get),
            budget: self.budget,
            seeds: seeds.clone(),
        };
        let length = (seeds.end != u64::MAX).then(|| seeds.end - seeds.start);
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos} homes {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let total = campaign::run(&order, &|runs, broken| {
            bar.set_position(runs);
            if broken > 0 {
                bar.set_message(format!("{broken} broken"));
            }
        });
        bar.finish_and_clear();
        if let Some(path) = &self.hashes {
            let lines = total
                .hashes
                .iter()
                .map(|(seed, hash)| format!("{seed} {hash:016x}\n"));
            write(path, &lines.collect::<String>())?;
        }
        say(&total.tell());
        Ok(if total.broken.is_empty() { HELD } else { BROKE })
    }

    fn draw(&self, sources: &[Source]) -> Done {
        let [source] = sources else {
            return Err(Bad(
                "one picture at a time: name one scenario, or one seed".to_owned()
            ));
        };
        let report = run::run(&Arc::new(source.plan.clone()), true);
        let Some(recording) = &report.recording else {
            say(&story::tell(&source.plan, &report, &source.again));
            return Err(Bad("a hub panicked: there is no picture of that".to_owned()));
        };
        let page = self
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("{}.html", source.plan.name)));
        let svg = page.with_extension("svg");
        write(&page, &draw::page(recording))?;
        write(&svg, &draw::svg(recording))?;
        say(&format!("{} and {}\n", page.display(), svg.display()));
        Ok(broke(&report))
    }

    fn shrink(&self, sources: &[Source]) -> Done {
        let [source] = sources else {
            return Err(Bad("one at a time: name one scenario, or one seed".to_owned()));
        };
        let budget = self.budget.unwrap_or(SHRINK);
        let Some(shrunk) = shrink::shrink(&source.plan, budget) else {
            say(&format!(
                "{} breaks no promise: there is nothing to shrink\n",
                source.name
            ));
            return Ok(HELD);
        };
        let name = format!("{}-shrunk", source.plan.name);
        let plan = Plan {
            about: format!("breaks {}; shrunk from {}", shrunk.promise, source.name),
            name: name.clone(),
            ..shrunk.plan
        };
        let path = self
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
        write(&path, &scenario::write(&plan))?;
        let report = run::run(&Arc::new(plan.clone()), true);
        say(&format!(
            "{}: {} events, {} hubs, {} clients left of {}, {} and {}, after {} runs{}\n\n",
            path.display(),
            plan.events.len(),
            plan.hubs.len(),
            plan.clients.len(),
            source.plan.events.len(),
            source.plan.hubs.len(),
            source.plan.clients.len(),
            shrunk.tried,
            if shrunk.cut_short {
                " (time ran out: --budget gives more)"
            } else {
                ""
            },
        ));
        let again = format!("inbetweenies simulate explain {}", path.display());
        say(&story::tell(&plan, &report, &again));
        Ok(BROKE)
    }

    fn compare(&self, sources: &[Source]) -> Done {
        let mut now = Baseline::new();
        for source in sources {
            let figures = compare::measure(&source.plan).map_err(|error| Bad(error.to_string()))?;
            now.insert(source.name.clone(), figures);
        }
        let path = self
            .baseline
            .clone()
            .unwrap_or_else(|| PathBuf::from("simulation-baseline.json"));
        match fs::read_to_string(&path) {
            Ok(text) => {
                let before: Baseline = serde_json::from_str(&text)
                    .map_err(|error| Bad(format!("{}: not a saved baseline: {error}", path.display())))?;
                say(&compare::table(&now, &before));
            }
            Err(_) => {
                let text =
                    serde_json::to_string_pretty(&now).unwrap_or_else(|error| panic!("figures: {error}"));
                write(&path, &(text + "\n"))?;
                say(&compare::table(&now, &Baseline::new()));
                say(&format!(
                    "saved as {}: run it again after a change\n",
                    path.display()
                ));
            }
        }
        Ok(HELD)
    }
}

fn broke(report: &Report) -> u8 {
    if report.broken.is_some() { BROKE } else { HELD }
}

fn write(path: &Path, text: &str) -> Result<(), Bad> {
    fs::write(path, text).map_err(|error| Bad(format!("{}: {error}", path.display())))
}

/// A reader that stops reading is no error.
fn say(text: &str) {
    drop(std::io::stdout().write_all(text.as_bytes()));
}

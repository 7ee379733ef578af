//! `mesh`: several hubs on this machine, joined and filled with a real home, to be looked at, killed and started again.
//!
//! Invariant: however this command ends, it stops the processes that it started, each by its own id, and no other.

mod edit;
mod hubs;
mod place;
mod prove;
mod spread;
mod table;

use std::cell::Cell;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::import::{Step, Wish, work};
use super::say::{self, Failure, clean, count};
use crate::api::Hub;
use crate::import::home_assistant::DEFAULT_SOURCE;
use hubs::Hubs;
use place::{Ground, HUBS_MAX};
use spread::{Seen, look, watch};

/// Where the sample home stands in a checkout.
const SAMPLE_HOME: &str = "demo/sample-home";
/// How long the hubs have to hold the same after the import, and after the edit.
const CONVERGE_WITHIN: Duration = Duration::from_secs(60);
/// How often the live table is drawn.
const REDRAW: Duration = Duration::from_secs(1);

/// Run a mesh of hubs on this machine and fill it with a real home.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many hubs
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=HUBS_MAX))]
    hubs: u16,
    /// Where to keep them; otherwise in a new folder that is removed at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The port of the first hub; the others take the next ones
    #[arg(long, value_name = "P", default_value_t = 7420)]
    base_port: u16,
    /// A Home Assistant folder to fill them with; otherwise demo/sample-home, where there is one
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// End as soon as all hubs hold the same and one edit has been seen: exit 1 if that takes too long
    #[arg(long)]
    until_converged: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Ask every hub of a home whether all hold the same; where not, which records differ and who holds which
    Prove(prove::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    if let Some(Command::Prove(args)) = &args.command {
        return prove::run(args);
    }
    match actix_rt::System::new().block_on(act(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}

async fn act(args: &Args) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let ground = Ground::prepare(args.hubs, args.base_port, args.dir.as_deref())?;
    let mut hubs = Hubs::start(ground)?;
    let shown = tokio::select! {
        shown = show(args, &mut hubs) => shown,
        () = stop.notified() => Ok(()),
    };
    say::line("\nstopping the hubs");
    hubs.stop(shown.is_err()).await;
    shown
}

/// Told when somebody wants this to end: Ctrl-C, a closed terminal, a service manager.
fn stop_signal() -> Result<std::rc::Rc<Notify>, Failure> {
    let told = std::rc::Rc::new(Notify::new());
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        let mut signal =
            signal(kind).map_err(|error| Failure::io(format!("the system gave no signals: {error}")))?;
        let told = told.clone();
        actix_rt::spawn(async move {
            signal.recv().await;
            told.notify_one();
        });
    }
    Ok(told)
}

async fn show(args: &Args, hubs: &mut Hubs) -> Result<(), Failure> {
    let started = Instant::now();
    hubs.ready().await?;
    say::line(&format!(
        "{} joined after {:.1} s, in {}",
        match hubs.all().len() {
            1 => "1 hub is ready and".to_owned(),
            many => format!("{many} hubs are ready and"),
        },
        started.elapsed().as_secs_f64(),
        hubs.ground().dir().display()
    ));
    fill(args, hubs).await?;
    let note = edit::measure(hubs).await?;
    let seen = converged(hubs).await?;
    say::line(&format!("\n{}", table::table(hubs, &seen)));
    if args.until_converged {
        return Ok(());
    }
    say::line(&format!("\n{}", table::what_next(hubs, &note)));
    stay(hubs).await
}

/// Imports the home into the first hub while all are watched.
async fn fill(args: &Args, hubs: &Hubs) -> Result<(), Failure> {
    let sample = Path::new(SAMPLE_HOME);
    let Some(home) = args.home.as_deref().or_else(|| sample.is_dir().then_some(sample)) else {
        say::line(&format!(
            "no home to fill them with: --home names a Home Assistant folder ({SAMPLE_HOME} is none here)"
        ));
        return Ok(());
    };
    let first = &hubs.all()[0];
    let hub = Hub::new(first.url());
    let wish = Wish {
        dir: home,
        source: DEFAULT_SOURCE,
        name: None,
        dry_run: false,
    };
    let refuse = |warning: &str| Err(Failure::new(format!("{warning}: `import --yes` does that")));
    let planned = Cell::new(0);
    let mut progress = |step| {
        if let Step::Sent(_, of) = step {
            planned.set(of);
        }
    };
    let started = Instant::now();
    let importing = async {
        let done = work(&hub, &wish, &mut progress, &refuse).await?;
        let (plan, took) = (&done.plan, started.elapsed().as_secs_f64());
        let total = plan.create.entities.len() + plan.edit.entities.len() + plan.delete.entities.len();
        let edges =
            plan.create.relationships.len() + plan.edit.relationships.len() + plan.delete.relationships.len();
        let said = match total + edges {
            0 => format!("{} is in {} already", clean(&done.home), first.name),
            _ => format!(
                "imported {} into {}: {} and {} in {took:.2} s",
                clean(&done.home),
                first.name,
                count(total, "entity"),
                count(edges, "relationship")
            ),
        };
        Ok::<String, Failure>(said)
    };
    let said = watch(hubs, &planned, importing, CONVERGE_WITHIN).await?;
    say::line(&said);
    Ok(())
}

/// Waits until all hubs report the same.
async fn converged(hubs: &Hubs) -> Result<Vec<Seen>, Failure> {
    let deadline = Instant::now() + CONVERGE_WITHIN;
    loop {
        let seen = look(hubs).await;
        if spread::equal(&seen) {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            let seconds = CONVERGE_WITHIN.as_secs();
            return Err(Failure::new(format!(
                "the hubs do not hold the same after {seconds} s; their logs tell more:\n{}",
                table::table(hubs, &seen)
            )));
        }
        actix_rt::time::sleep(spread::POLL).await;
    }
}

/// Draws the table until somebody stops it; off a terminal only what happens to a hub is told.
async fn stay(hubs: &mut Hubs) -> Result<(), Failure> {
    let terminal = std::io::stdout().is_terminal();
    say::line(if terminal {
        "\nCtrl-C stops them all.\n"
    } else {
        "\nThe hubs run until this process is stopped."
    });
    let (mut drawn, mut answered) = (0, vec![true; hubs.all().len()]);
    loop {
        let mut news = hubs.deaths();
        let seen = look(hubs).await;
        for ((hub, seen), answered) in hubs.all().iter().zip(&seen).zip(&mut answered) {
            if seen.is_some() && !*answered {
                news.push(format!("{} answers again at {}", hub.name, hub.address));
            }
            *answered = seen.is_some();
        }
        if drawn > 0 {
            say::erase(drawn);
        }
        for line in &news {
            say::line(line);
        }
        if terminal {
            let table = table::table(hubs, &seen);
            drawn = table.lines().count();
            say::line(&table);
        }
        actix_rt::time::sleep(REDRAW).await;
    }
}

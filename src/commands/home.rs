//! `members`, `fence`, `unfence`, `policy`: what an owner decides about the home, asked of one of its hubs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use inbetweenies_core::domain::Manifest;
use inbetweenies_core::value::{Map, Value};

use super::say::{self, Failure, clean, count};
use crate::api::{Hub, HubUrl};
use crate::hub::manifest;

/// A hub to ask, and how to answer.
#[derive(Debug, clap::Args)]
pub struct Asked {
    /// A hub of the home, as http://127.0.0.1:7420
    #[arg(long, value_name = "URL")]
    hub: String,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

impl Asked {
    fn hub(&self) -> Result<Hub, Failure> {
        let url: HubUrl = self.hub.parse()?;
        Ok(Hub::new(url))
    }
}

/// Which hub is lost, or back.
#[derive(Debug, clap::Args)]
pub struct Fence {
    /// Its id, or its name if no other hub has it
    which: String,
    #[command(flatten)]
    asked: Asked,
}

/// The rules of the home.
#[derive(Debug, clap::Args)]
pub struct Policy {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// The policy in force: types, and how their conflicts are decided
    Show(Asked),
    /// Another policy, from a file as config/domains/house.toml; the home's hubs take it over, and its history stays
    Set {
        /// A domain manifest
        file: PathBuf,
        /// Who changes it
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        #[command(flatten)]
        asked: Asked,
    },
}

fn run(act: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    match actix_rt::System::new().block_on(act) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}

/// `members`.
pub fn members(args: &Asked) -> ExitCode {
    run(async {
        let document = args.hub()?.members().await?;
        say::answer(args.json, &document, &say::table(&rows(&document)));
        Ok(())
    })
}

fn list(document: &Value) -> &[Value] {
    let members = document.as_map().and_then(|map| map.get("members"));
    members.and_then(Value::as_list).unwrap_or_default()
}

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row.as_map().and_then(|map| map.get(key)?.as_text()).unwrap_or("")
}

fn rows(document: &Value) -> Vec<Vec<String>> {
    let row = |member: &Value| {
        ["name", "state", "address", "hub_id"]
            .map(|key| clean(text(member, key)))
            .into()
    };
    list(document).iter().map(row).collect()
}

/// `fence`, `unfence`.
pub fn fence(args: &Fence, fenced: bool) -> ExitCode {
    run(async {
        let hub = args.asked.hub()?;
        let members = hub.members().await?;
        let meant = |row: &&Value| text(row, "hub_id") == args.which || text(row, "name") == args.which;
        let found: Vec<&Value> = list(&members).iter().filter(meant).collect();
        let id = match found[..] {
            [only] => text(only, "hub_id").to_owned(),
            [] => {
                let detail = format!(
                    "no hub of this home is called {:?}: `members` lists them",
                    args.which
                );
                return Err(Failure::new(detail));
            }
            _ => {
                let detail = format!(
                    "several hubs are called {:?}: give an id, as `members` lists them",
                    args.which
                );
                return Err(Failure::new(detail));
            }
        };
        let document = hub.fence(&id, fenced).await?;
        let words = if fenced {
            format!(
                "fenced {id}: horizons wait for it no more. `unfence` takes it back; what it holds is not lost"
            )
        } else {
            format!("{id} is one of those again that horizons wait for")
        };
        say::answer(args.asked.json, &document, &words);
        Ok(())
    })
}

/// `policy`.
pub fn policy(args: &Policy) -> ExitCode {
    run(async {
        match &args.command {
            PolicyCommand::Show(asked) => {
                let document = asked.hub()?.policy().await?;
                say::answer(asked.json, &document, &policy_words(&document));
                Ok(())
            }
            PolicyCommand::Set { file, user, asked } => set(file, user.as_deref(), asked).await,
        }
    })
}

async fn set(file: &std::path::Path, user: Option<&str>, asked: &Asked) -> Result<(), Failure> {
    let bad = |why: String| Failure::usage(format!("{}: {why}", file.display()));
    let toml = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    let content = manifest(&toml).map_err(|error| bad(error.to_string()))?;
    Manifest::from_content(&content).map_err(|error| bad(error.to_string()))?;
    let hub = asked.hub()?;
    let present = hub.policy().await?;
    let heads = present.as_map().and_then(|map| map.get("heads")).cloned();
    let mut body = Map::from([("content".to_owned(), Value::Map(content))]);
    body.extend(heads.map(|heads| ("heads".to_owned(), heads)));
    body.extend(user.map(|user| ("user_id".to_owned(), Value::from(user))));
    let document = hub.set_policy(Value::Map(body)).await?;
    say::answer(asked.json, &document, &policy_words(&document));
    Ok(())
}

fn policy_words(document: &Value) -> String {
    let entity = document.as_map().and_then(|map| map.get("entity")?.as_map());
    let content = entity.and_then(|entity| entity.get("content")?.as_map());
    let field = |key: &str| entity.and_then(|entity| entity.get(key)?.as_text()).unwrap_or("");
    let types = |section: &str| {
        let tables = content.and_then(|content| content.get(section)?.as_map());
        tables.cloned().unwrap_or_default()
    };
    let mut rows = vec![
        vec!["  version".to_owned(), clean(field("version"))],
        vec!["  written by".to_owned(), clean(field("user_id"))],
    ];
    for section in ["entity", "relationship"] {
        for (name, table) in types(section) {
            let table = table.as_map().cloned().unwrap_or_default();
            let strategy = table.get("strategy").and_then(Value::as_text);
            let rules = table
                .get("rules")
                .and_then(Value::as_list)
                .map_or(0, <[Value]>::len);
            if section == "relationship" && strategy.is_none() {
                continue; // the default, like most
            }
            let mut how = strategy.unwrap_or("the default").to_owned();
            if rules > 0 {
                how += &format!(", {}", count(rules, "rule"));
            }
            rows.push(vec![format!("  {}", clean(&name)), clean(&how)]);
        }
    }
    format!("{}\n{}", clean(field("name")), say::table(&rows))
}

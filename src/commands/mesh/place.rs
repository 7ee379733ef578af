//! Where the hubs of a mesh live: names, ports, folders, and a config file for each.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::commands::say::Failure;

/// As many hubs as there are names.
pub const HUBS_MAX: i64 = NAMES.len() as i64;

const NAMES: [&str; 16] = [
    "kitchen", "attic", "garage", "study", "cellar", "garden", "bedroom", "loft", "porch", "workshop",
    "hall", "pantry", "nursery", "shed", "balcony", "library",
];

/// The domain that the first hub founds the home with.
const HOUSE: &str = include_str!("../../../config/domains/house.toml");

/// One hub's place.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its config file.
    pub config: PathBuf,
    /// What it prints: the line that says it is ready.
    pub out: PathBuf,
    /// Its log.
    pub log: PathBuf,
}

/// The folder of a mesh.
#[derive(Debug)]
pub struct Ground {
    dir: PathBuf,
    temporary: bool,
    places: Vec<Place>,
}

impl Ground {
    /// Checks the ports, makes the folder, writes the config files.
    pub fn prepare(hubs: u16, base_port: u16, dir: Option<&Path>) -> Result<Ground, Failure> {
        let addresses = free_ports(hubs, base_port)?;
        let (dir, temporary) = match dir {
            Some(dir) => (dir.to_owned(), false),
            None => (fresh()?, true),
        };
        let dir = std::path::absolute(&dir).map_err(|error| io(&dir, &error))?;
        std::fs::create_dir_all(&dir).map_err(|error| io(&dir, &error))?;
        let places = NAMES.iter().zip(&addresses).map(|(name, address)| Place {
            name,
            address: *address,
            config: dir.join(format!("{name}.toml")),
            out: dir.join(format!("{name}.out")),
            log: dir.join(format!("{name}.log")),
        });
        let ground = Ground {
            places: places.collect(),
            dir,
            temporary,
        };
        ground.write()?;
        Ok(ground)
    }

    fn write(&self) -> Result<(), Failure> {
        let domain = self.dir.join("house.toml");
        std::fs::write(&domain, HOUSE).map_err(|error| io(&domain, &error))?;
        for (at, place) in self.places.iter().enumerate() {
            let others = self.places.iter().filter(|other| other.name != place.name);
            let config = json!({
                "hub": {"name": place.name},
                "listen": {"address": place.address.to_string()},
                "storage": {"path": self.dir.join(place.name)},
                "mesh": {"found": at == 0, "seeds": others.map(|other| other.address.to_string()).collect::<Vec<_>>()},
                "conflict": {"domain": domain},
            });
            let text = toml::to_string(&config).map_err(|error| {
                Failure::usage(format!("{}: {error}: give another --dir", self.dir.display()))
            })?;
            std::fs::write(&place.config, text).map_err(|error| io(&place.config, &error))?;
        }
        Ok(())
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The hubs' places.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Removes the folder, if it was made for this run and nobody needs it any more.
    pub fn leave(&self, needed: bool) -> Option<String> {
        if !self.temporary {
            return None;
        }
        if needed {
            return Some(format!("kept {}", self.dir.display()));
        }
        let gone = std::fs::remove_dir_all(&self.dir);
        gone.err()
            .map(|error| format!("{} is still there: {error}", self.dir.display()))
    }
}

fn io(path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(format!("{}: {error}", path.display()))
}

/// A folder that nobody else has.
fn fresh() -> Result<PathBuf, Failure> {
    let name = format!(
        "inbetweenies-mesh-{}",
        &uuid::Uuid::new_v4().simple().to_string()[..8]
    );
    let dir = std::env::temp_dir().join(name);
    match std::fs::create_dir(&dir) {
        Ok(()) => Ok(dir),
        Err(error) => Err(io(&dir, &error)),
    }
}

/// Links take the port as TCP, the failure detector as UDP.
fn free_ports(hubs: u16, base_port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if base_port == 0 || base_port.checked_add(hubs - 1).is_none() {
        return Err(Failure::usage(format!(
            "--base-port {base_port}: there are no {hubs} ports from there on"
        )));
    }
    let mut addresses = Vec::new();
    for port in base_port..=base_port + (hubs - 1) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let taken = TcpListener::bind(address)
            .err()
            .or_else(|| UdpSocket::bind(address).err());
        if let Some(error) = taken {
            return Err(Failure::new(format!(
                "port {port} cannot be had ({error}): stop what uses it, or choose other ports, as --base-port {}",
                if base_port < 60_000 {
                    base_port + 100
                } else {
                    7_420
                }
            )));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_config_files_are_good_and_one_hub_founds() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("it's \"odd\" = größe");
        let port = free_port(30_000);
        let ground = Ground::prepare(3, port, Some(&odd)).unwrap();
        let founders = ground.places().iter().map(|place| {
            let config = Config::load(Some(&place.config), std::iter::empty(), &[])
                .unwrap()
                .config;
            assert_eq!(config.listen.address, place.address);
            assert_eq!(config.mesh.seeds.len(), 2);
            config.mesh.found
        });
        assert_eq!(founders.collect::<Vec<_>>(), [true, false, false]);
    }

    #[test]
    fn a_busy_port_is_named() {
        let port = free_port(31_000);
        let _busy = TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).unwrap();
        let Err(failure) = free_ports(3, port) else {
            panic!("a port that is busy")
        };
        let said = format!("{failure:?}");
        assert!(
            said.contains(&(port + 1).to_string()) && said.contains("--base-port"),
            "{said}"
        );
        assert!(free_ports(3, 65_534).is_err());
    }

    /// A port with two free ones after it, as far as anybody can tell, and below those that the system gives out. Tests
    /// run at the same time: each looks elsewhere.
    fn free_port(from: u16) -> u16 {
        let free =
            |port: u16| (port..port + 3).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
        (from..from + 1_000).step_by(37).find(|port| free(*port)).unwrap()
    }
}

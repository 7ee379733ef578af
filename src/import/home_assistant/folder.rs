//! From a folder on disk to decoded registries: finds `.storage`, bounds what it reads, checks versions.
//!
//! Opens the four registry files and no other: this folder also holds passwords and tokens.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::registry::{AreaData, DeviceData, EntityData, FloorData, Registries};

/// The largest registry file that is read, in bytes (64 MiB): a home of 10,000 entities has some 10 MiB.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

const STORAGE: &str = ".storage";

/// One registry: the file's name, which is also its `key`, and the majors that are understood.
struct Kind {
    file: &'static str,
    majors: &'static [u32],
}

const FLOORS: Kind = Kind {
    file: "core.floor_registry",
    majors: &[1],
};
const AREAS: Kind = Kind {
    file: "core.area_registry",
    majors: &[1],
};
const DEVICES: Kind = Kind {
    file: "core.device_registry",
    majors: &[1, 3],
};
const ENTITIES: Kind = Kind {
    file: "core.entity_registry",
    majors: &[1],
};

/// What was read.
#[derive(Debug, Clone)]
pub struct Folder {
    /// What to call the home if nobody says: the name of the folder that holds `.storage`.
    pub name: String,
    /// The registries.
    pub registries: Registries,
}

/// Why a folder could not be read. Nothing has been changed by then.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Neither the folder itself nor a `.storage` in it holds a registry: give the Home Assistant config
    /// folder.
    #[error(
        "{} holds no Home Assistant registries: give the config folder or its .storage folder, with \
         core.area_registry, core.device_registry and core.entity_registry in it",
        .dir.display()
    )]
    NoStorage {
        /// The folder as given.
        dir: PathBuf,
    },
    /// One of the three registries that every home has is missing: the copy is not complete.
    #[error(
        "{} is missing: core.area_registry, core.device_registry and core.entity_registry are expected side by side \
         (core.floor_registry may be missing)",
        .path.display()
    )]
    Missing {
        /// The file that was expected.
        path: PathBuf,
    },
    /// The disk or its permissions: mend that and try again.
    #[error("{} cannot be read: {error}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Larger than [`FILE_BYTES_MAX`]: this is no registry.
    #[error("{} is larger than {max} bytes, the most that is read of a registry", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound, in bytes.
        max: u64,
    },
    /// Not the JSON that a registry is.
    #[error("{}, line {line}, column {column}: {detail}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1; 0 where the file ends too early.
        column: usize,
        /// What was wrong there.
        detail: String,
    },
    /// A file of another kind under this name.
    #[error("{} says it is {found:?}: it was overwritten or renamed", .path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
        /// The key that the file carries.
        found: String,
    },
    /// Written by a Home Assistant with another format: a newer `inbetweenies` may know it.
    #[error("{} has version {major}.{minor}; known are {known}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its major version.
        major: u32,
        /// Its minor version.
        minor: u32,
        /// The versions that are understood, as `1.x and 3.x`.
        known: String,
    },
}

/// Reads the registries of `dir`, which is a `.storage` folder or holds one.
///
/// # Errors
///
/// See [`ReadError`]; a missing floor registry is none, for Home Assistant before 2024 has no floors.
pub fn read(dir: &Path) -> Result<Folder, ReadError> {
    let storage = find(dir)?;
    let floors = load::<FloorData>(&storage, &FLOORS)?
        .map(|data| data.floors)
        .unwrap_or_default();
    let areas = needed::<AreaData>(&storage, &AREAS)?.areas;
    let DeviceData {
        mut devices,
        child_devices,
    } = needed::<DeviceData>(&storage, &DEVICES)?;
    devices.extend(child_devices);
    let entities = needed::<EntityData>(&storage, &ENTITIES)?.entities;
    let registries = Registries {
        floors,
        areas,
        devices,
        entities,
    };
    Ok(Folder {
        name: home_name(&storage),
        registries,
    })
}

/// The folder with the registries, with symbolic links resolved so that it has a name.
fn find(dir: &Path) -> Result<PathBuf, ReadError> {
    let inner = dir.join(STORAGE);
    let holds = |dir: &Path| {
        [AREAS, DEVICES, ENTITIES, FLOORS]
            .iter()
            .any(|kind| dir.join(kind.file).exists())
    };
    let storage = if holds(dir) {
        dir
    } else if holds(&inner) {
        &inner
    } else {
        return Err(ReadError::NoStorage { dir: dir.to_owned() });
    };
    storage.canonicalize().map_err(|error| ReadError::Io {
        path: storage.to_owned(),
        error,
    })
}

fn home_name(storage: &Path) -> String {
    let is_storage = storage.file_name().is_some_and(|name| name == STORAGE);
    let home = if is_storage {
        storage.parent()
    } else {
        Some(storage)
    };
    let name = home
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().trim().to_owned());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "Home".to_owned())
}

fn needed<T: DeserializeOwned>(storage: &Path, kind: &Kind) -> Result<T, ReadError> {
    load(storage, kind)?.ok_or_else(|| ReadError::Missing {
        path: storage.join(kind.file),
    })
}

/// The registry's `data`, or nothing where there is no such file.
fn load<T: DeserializeOwned>(storage: &Path, kind: &Kind) -> Result<Option<T>, ReadError> {
    let path = storage.join(kind.file);
    match bounded(&path, FILE_BYTES_MAX)? {
        Some(bytes) => decode(&path, kind, &bytes).map(Some),
        None => Ok(None),
    }
}

fn bounded(path: &Path, max: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let failed = |error| ReadError::Io {
        path: path.to_owned(),
        error,
    };
    // Asked of the path and not of the opened file: opening a named pipe would wait for a writer.
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(failed(io::Error::other("it is no regular file"))),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let taken = file.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if taken as u64 > max {
        return Err(ReadError::TooLarge {
            path: path.to_owned(),
            max,
        });
    }
    Ok(Some(bytes))
}

/// The envelope without its data: the version says how that is to be read.
#[derive(Deserialize)]
struct Head {
    version: u32,
    #[serde(default = "first_minor")]
    minor_version: u32,
    key: Option<String>,
}

/// Files from before minors were written are of the first.
fn first_minor() -> u32 {
    1
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

fn decode<T: DeserializeOwned>(path: &Path, kind: &Kind, bytes: &[u8]) -> Result<T, ReadError> {
    let malformed = |error| malformed(path, &error);
    let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
    if let Some(found) = head.key.filter(|key| key != kind.file) {
        return Err(ReadError::WrongKey {
            path: path.to_owned(),
            found,
        });
    }
    if !kind.majors.contains(&head.version) {
        let known: Vec<String> = kind.majors.iter().map(|major| format!("{major}.x")).collect();
        let (major, minor) = (head.version, head.minor_version);
        return Err(ReadError::Version {
            path: path.to_owned(),
            major,
            minor,
            known: known.join(" and "),
        });
    }
    serde_json::from_slice::<Envelope<T>>(bytes)
        .map(|envelope| envelope.data)
        .map_err(malformed)
}

fn malformed(path: &Path, error: &serde_json::Error) -> ReadError {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let place = format!(" at line {line} column {column}");
    let detail = text.strip_suffix(&place).unwrap_or(&text).to_owned();
    ReadError::Malformed {
        path: path.to_owned(),
        line,
        column,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("Our house/.storage")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join("Our house/.storage").join(name), text).unwrap();
        }
        dir
    }

    const AREA: (&str, &str) = ("core.area_registry", r#"{"version": 1, "data": {"areas": []}}"#);
    const DEVICE: (&str, &str) = (
        "core.device_registry",
        r#"{"version": 3, "minor_version": 4, "key": "core.device_registry",
            "data": {"devices": [{"id": "a"}], "child_devices": [{"id": "b"}], "deleted_devices": [{"id": "c"}]}}"#,
    );
    const ENTITY: (&str, &str) = (
        "core.entity_registry",
        r#"{"version": 1, "data": {"entities": []}}"#,
    );

    fn error(files: &[(&str, &str)]) -> String {
        let dir = home(files);
        let storage = dir.path().join("Our house/.storage").canonicalize().unwrap();
        let text = read(&dir.path().join("Our house")).unwrap_err().to_string();
        text.replace(&format!("{}/", storage.display()), "")
    }

    #[test]
    fn the_folder_or_its_storage_may_be_given_and_floors_may_be_missing() {
        let dir = home(&[AREA, DEVICE, ENTITY, ("auth", "secrets, and no JSON at all")]);
        for given in [
            "Our house",
            "Our house/.storage",
            "Our house/.storage/../.storage",
        ] {
            let folder = read(&dir.path().join(given)).unwrap();
            assert_eq!(folder.name, "Our house");
            assert_eq!(
                folder.registries.devices.len(),
                2,
                "children count, deleted devices do not"
            );
        }
    }

    #[test]
    fn an_incomplete_folder_says_what_is_expected() {
        assert!(error(&[AREA, DEVICE]).starts_with("core.entity_registry is missing: core.area_registry, "));
        assert!(error(&[]).contains("holds no Home Assistant registries: give the config folder"));
        assert!(matches!(
            read(Path::new("/nowhere/at/all")),
            Err(ReadError::NoStorage { .. })
        ));
    }

    #[test]
    fn an_unknown_major_is_refused_with_file_and_version() {
        let devices = (
            "core.device_registry",
            r#"{"version": 2, "minor_version": 7, "data": "of tomorrow"}"#,
        );
        assert_eq!(
            error(&[AREA, devices, ENTITY]),
            "core.device_registry has version 2.7; known are 1.x and 3.x"
        );
    }

    #[test]
    fn malformed_json_is_told_by_file_line_and_column() {
        let areas = |text| error(&[("core.area_registry", text), DEVICE, ENTITY]);
        assert_eq!(
            areas("{\"version\": 1,\n \"data\": {\"areas\": [,]}}"),
            "core.area_registry, line 2, column 21: expected value"
        );
        assert_eq!(
            areas("{\"version\": 1, \"data\": {\"areas\": [\n{\"name\": \"Hall\"}]}}"),
            "core.area_registry, line 2, column 16: missing field `id`"
        );
        assert!(areas("").starts_with("core.area_registry, line 1, column 0: EOF"));
    }

    #[test]
    fn another_file_under_the_name_is_noticed() {
        let wrong = (
            "core.area_registry",
            r#"{"version": 1, "key": "core.config", "data": {}}"#,
        );
        assert_eq!(
            error(&[wrong, DEVICE, ENTITY]),
            "core.area_registry says it is \"core.config\": it was overwritten or renamed"
        );
    }

    #[test]
    fn no_more_than_the_bound_is_read() {
        let dir = home(&[AREA]);
        let path = dir.path().join("Our house/.storage/core.area_registry");
        assert!(matches!(
            bounded(&path, 10),
            Err(ReadError::TooLarge { max: 10, .. })
        ));
        assert_eq!(
            bounded(&path, AREA.1.len() as u64).unwrap().unwrap(),
            AREA.1.as_bytes()
        );
        assert!(
            matches!(bounded(dir.path(), 10), Err(ReadError::Io { .. })),
            "a folder is no file"
        );
    }
}

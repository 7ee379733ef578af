//! From config to a running hub, and to a clean stop.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Arbiter};
use actix_web::{App, HttpServer, web};
use inbetweenies_core::conflict::Conflict;
use inbetweenies_core::domain::Manifest;
use inbetweenies_core::machine::load_members;
use inbetweenies_core::merkle::Merkle;
use inbetweenies_core::node::Mail;
use inbetweenies_core::peers::{self, Peers};
use inbetweenies_core::reconcile::Reconcile;
use inbetweenies_core::storage::{self, Storage};
use inbetweenies_core::store::{Store as _, StoreError};
use inbetweenies_core::transfer::Transfer;
use tokio::net::UdpSocket;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::board::Board;
use super::door;
use super::links::Links;
use super::office::{Boxes, Office};
use super::room::{NoDisk, Room, committed, never};
use super::settings;
use super::work;
use crate::config::Config;
use crate::store::{BlobStore, OpenError, RocksStore, StoreOptions};

/// Bytes of one datagram that are read at most; longer ones are no business of ours.
const DATAGRAM_MAX: usize = 2_048;
/// How long open requests have to end when the hub stops.
const STOP_REQUESTS_SECONDS: u64 = 5;
/// How long storage has to put everything on disk when the hub stops.
const STOP_STORAGE: Duration = Duration::from_secs(30);

/// Why a hub did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The store cannot be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The store is open and does not read.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Somebody else has the port, or the address is not this machine's.
    #[error("cannot listen on {address}: {detail}; give another with --listen or listen.address")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        detail: String,
    },
    /// The domain manifest is needed to found a home and is no manifest.
    #[error("the domain manifest {}: {detail}", path.display())]
    Domain {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The system gave no chance, no signals or no sockets.
    #[error("the system refused: {0}")]
    System(String),
    /// The last commit did not come back.
    #[error("the store did not finish within 30 s of the stop: the next start recovers as after a power cut")]
    Unclean,
}

impl HubError {
    /// The exit code: 2 for what the person who starts the hub can mend, 74 for a disk, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            HubError::Open(OpenError::Io { .. } | OpenError::Damaged { .. }) | HubError::Store(_) => 74,
            HubError::Open(_) | HubError::Listen { .. } | HubError::Domain { .. } => 2,
            HubError::System(_) | HubError::Unclean => 1,
        }
    }
}

/// The disk failed under a running hub: nothing may be assumed of the last commit. The process ends at once; the next
/// start recovers from what is on disk.
pub(super) fn abort_on_disk(room: &str, error: &StoreError) -> ! {
    tracing::error!(room, %error, "the store failed: this process ends, the next start recovers");
    eprintln!("inbetweenies: {error}");
    std::process::exit(74);
}

/// Runs a hub until it is told to stop.
pub async fn run(config: Config, init: bool) -> Result<(), HubError> {
    let limits = settings::limits(&config);
    let policy = read_manifest(&config)?;
    let options = StoreOptions {
        init,
        cache_bytes: config.storage.cache_max.as_usize(),
        write_buffer_bytes: config.storage.write_buffer_max.as_usize(),
        headroom_bytes: config.storage.headroom_min.bytes(),
    };
    let store = RocksStore::open(&config.storage.path, &options)?;
    let reader = store.reader();
    let files = BlobStore::open(&config.storage.path, &reader, config.blobs.reserve_min.bytes())?;
    let listener = TcpListener::bind(config.listen.address).map_err(|error| HubError::Listen {
        address: config.listen.address,
        detail: error.to_string(),
    })?;
    let local = listener
        .local_addr()
        .map_err(|error| HubError::System(error.to_string()))?;
    let advertised = config
        .listen
        .advertise
        .or((!local.ip().is_unspecified()).then_some(local));
    let datagrams = UdpSocket::bind(local).await.map(Arc::new);
    if let Err(error) = &datagrams {
        tracing::warn!(%error, %local, "no datagrams: the failure detector uses links alone");
    }
    let datagrams = datagrams.ok();

    let seed = [chance()?, chance()?];
    let own_policy = policy.clone().unwrap_or_default();
    let storage_settings = settings::storage(&config, advertised, own_policy.clone(), seed);
    let storage = {
        let snapshot = reader.snapshot();
        Storage::open(storage_settings, &snapshot, &store.marks())?
    };
    let identity = storage.identity();
    let (clock, members) = (storage.clock().clone(), load_members(&reader.snapshot())?);
    let board = Board::new(
        identity.clone(),
        clock.clone(),
        storage.totals(),
        storage.policy(),
        storage.horizon().clone(),
    );
    report_policy(&board, &config, policy.as_ref(), &storage);
    let links = Links::new(
        config.gossip.window_bytes_max.as_usize(),
        config.gossip.compress_min.as_usize(),
        config.mesh.dial_timeout.get(),
    );
    let office = Arc::new(Office::new(board, links, limits, reader.clone()));

    let reconcile = Reconcile::new(settings::reconcile(&config), &identity, clock.clone());
    let conflict = Conflict::new(storage.policy());
    let merkle = Merkle::open(settings::merkle(&config, chance()?), &reader.snapshot())?;
    let transfer = Transfer::open(settings::transfer(&config), &reader.snapshot(), &members)?;
    office.board.blobs(transfer.told());
    let peer_settings = settings::peers(&config, advertised, chance()?, chance()?);
    let peers = Peers::new(peer_settings, identity, clock, members, office.now());

    // Storage, and the rooms that read the store, on threads of their own: none of them serves sockets.
    let (writing, reading, comparing) = (Arbiter::new(), Arbiter::new(), Arbiter::new());
    let fetching = Arbiter::new();
    let (workshop, workers) = work::start(config.blobs.workers, &office, &files, &reader)
        .map_err(|error| HubError::System(error.to_string()))?;
    office.open_workshop(workshop);
    let room = Room::new("storage", storage, store, office.clone(), committed);
    let storage = Room::start_in_arbiter(&writing.handle(), move |_| room);
    let room = Room::new("reconcile", reconcile, reader.clone(), office.clone(), never);
    let reconcile = Room::start_in_arbiter(&reading.handle(), move |_| room);
    let room = Room::new("conflict", conflict, reader.clone(), office.clone(), never);
    let conflict = Room::start_in_arbiter(&reading.handle(), move |_| room);
    let room = Room::new("merkle", merkle, reader.clone(), office.clone(), never);
    let merkle = Room::start_in_arbiter(&comparing.handle(), move |_| room);
    let room = Room::new("transfer", transfer, reader.clone(), office.clone(), never);
    let transfer = Room::start_in_arbiter(&fetching.handle(), move |_| room);
    let peers = Room::new("peers", peers, NoDisk, office.clone(), never).start();
    let boxes = Boxes {
        storage: storage.recipient(),
        reconcile: reconcile.recipient(),
        conflict: conflict.recipient(),
        merkle: merkle.recipient(),
        transfer: transfer.recipient(),
        peers: peers.recipient(),
    };
    office.open(boxes, datagrams.clone());
    if let Some(socket) = datagrams {
        actix_rt::spawn(receive_datagrams(office.clone(), socket));
    }

    let closing = reader.clone();
    let doors = web::Data::new(door::Doors::new(office.clone(), reader, files, &config));
    actix_rt::spawn(doors.clone().into_inner().tidy());
    let loopback_only = !config.listen.open;
    let server = HttpServer::new(move || {
        App::new()
            .wrap(door::guard(loopback_only))
            .app_data(doors.clone())
            .configure(door::routes)
    })
    .workers(config.listen.workers)
    .max_connections(config.listen.connections_max.div_ceil(config.listen.workers)) // counted for each worker
    .client_request_timeout(config.listen.head_timeout.get())
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(STOP_REQUESTS_SECONDS)
    .disable_signals()
    .tcp_nodelay(true)
    .listen(listener)
    .map_err(|error| HubError::Listen {
        address: local,
        detail: error.to_string(),
    })?
    .run();
    let server_handle = server.handle();
    actix_rt::spawn(server);

    // A hub can serve when its home is on disk: founded here, or joined by a seed.
    let mut home = office.board.has_home();
    if !*home.borrow() {
        tracing::info!(
            found = config.mesh.found,
            seeds = config.mesh.seeds.len(),
            "no home yet"
        );
    }
    let mut stop = StopSignals::listen()?;
    let stopped_early = tokio::select! {
        home = home.wait_for(|home| *home) => home.is_err(),
        () = stop.asked() => true,
    };
    if !stopped_early {
        println!(
            "ready http://{local} hub={}",
            office.board.known().identity.hub_id
        );
        drop(std::io::stdout().flush());
        stop.asked().await;
    }

    tracing::info!("stopping");
    server_handle.stop(true).await;
    let mut stopped = office.board.stopped();
    office.post(Mail::Storage(storage::Input::Stop));
    let clean = tokio::time::timeout(STOP_STORAGE, stopped.wait_for(|stopped| *stopped)).await;
    // The rooms' threads end, then RocksDB's: nothing may run while the process is taken down around it.
    office.close_workshop();
    workers.join();
    for arbiter in [writing, reading, comparing, fetching] {
        arbiter.stop();
        if arbiter.join().is_err() {
            tracing::warn!("a room's thread did not end as it should");
        }
    }
    closing.quiet();
    match clean {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(HubError::Unclean),
    }
}

fn chance() -> Result<u64, HubError> {
    getrandom::u64().map_err(|error| HubError::System(error.to_string()))
}

/// Reads this hub's own TOML: needed to found a home, compared with the home's policy otherwise.
fn read_manifest(config: &Config) -> Result<Option<inbetweenies_core::value::Map>, HubError> {
    let path = &config.conflict.domain;
    let bad = |detail: String| HubError::Domain {
        path: path.clone(),
        detail,
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if config.mesh.found => return Err(bad(error.to_string())),
        Err(_) => return Ok(None), // a hub that joins takes its home's
    };
    let read = settings::manifest(&text).and_then(|content| {
        Manifest::from_content(&content).map_err(|error| error.to_string())?;
        Ok(content)
    });
    match read {
        Ok(content) => Ok(Some(content)),
        Err(detail) if config.mesh.found => Err(bad(detail)),
        Err(detail) => {
            tracing::warn!(path = %path.display(), detail, "the domain manifest does not read; this hub takes its home's");
            Ok(None)
        }
    }
}

fn report_policy(
    board: &Board,
    config: &Config,
    own: Option<&inbetweenies_core::value::Map>,
    storage: &Storage,
) {
    let own = own.and_then(|content| Manifest::from_content(content).ok());
    let founded = storage.identity().home_id.is_some();
    if let Some(own) = own.filter(|own| founded && *own != storage.policy().manifest) {
        let path = config.conflict.domain.display();
        let how = format!(
            "{path} describes {:?} otherwise than this home's policy, which holds",
            own.name
        );
        tracing::warn!("{how}");
        board.policy_differs(how);
    }
}

async fn receive_datagrams(office: Arc<Office>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((len, _)) => {
                let data = buffer[..len].to_vec();
                office
                    .post_slowly(Mail::Peers(peers::Input::Datagram { data }))
                    .await;
            }
            // An ICMP answer to something we sent; the next datagram may be fine.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The signals that ask a hub to stop, heard from one place on: one that comes between two listeners is lost.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> Result<StopSignals, HubError> {
        let listen = |kind| signal(kind).map_err(|error| HubError::System(error.to_string()));
        Ok(StopSignals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

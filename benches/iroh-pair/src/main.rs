//! One end of a transfer by iroh-blobs, both ends on loopback, without relays or discovery.
//!
//! `iroh-pair give STORE FOLDER` takes in all files of a folder, prints `ID ADDRESS HASH` and serves until its input ends.
//! `iroh-pair take STORE ID ADDRESS HASH` fetches that collection into an empty store on disk, and prints `MILLISECONDS BLOBS`:
//! from the first word to the giver until every blob is verified, stored, and the store's own database synced.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use iroh::address_lookup::MemoryLookup;
use iroh::endpoint::presets;
use iroh::protocol::Router;
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode};
use iroh_blobs::format::collection::Collection;
use iroh_blobs::store::fs::FsStore;
use iroh_blobs::{BlobsProtocol, Hash, HashAndFormat};
use tokio::io::AsyncReadExt;

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["give", store, folder] => give(store, Path::new(folder)).await,
        ["take", store, id, address, hash] => take(store, id.parse()?, address.parse()?, hash.parse()?).await,
        _ => Err("use: iroh-pair give STORE FOLDER, or iroh-pair take STORE ID ADDRESS HASH".into()),
    }
}

async fn endpoint(known: &MemoryLookup) -> Result<Endpoint, Box<dyn Error>> {
    let builder = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_address_lookup()
        .address_lookup(known.clone())
        .clear_ip_transports()
        .bind_addr(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(builder.bind().await?)
}

async fn give(store: &str, folder: &Path) -> Outcome {
    let store = FsStore::load(store).await?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = std::path::absolute(entry?.path())?;
        let name = path.display().to_string();
        names.push((name, store.blobs().add_path(path).await?.hash));
    }
    let collection = Collection::from_iter(names).store(&*store).await?;
    let endpoint = endpoint(&MemoryLookup::new()).await?;
    let address = endpoint.bound_sockets().into_iter().next().ok_or("no socket")?;
    let id = endpoint.id();
    let router = Router::builder(endpoint)
        .accept(iroh_blobs::ALPN, BlobsProtocol::new(&store, None))
        .spawn();
    println!("{id} {address} {}", collection.hash());
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    router.shutdown().await?;
    Ok(())
}

async fn take(store: &str, id: EndpointId, address: SocketAddr, hash: Hash) -> Outcome {
    let known = MemoryLookup::new();
    known.add_endpoint_info(EndpointAddr::new(id).with_ip_addr(address));
    let (store, endpoint) = (FsStore::load(store).await?, endpoint(&known).await?);
    let begun = Instant::now();
    let downloader = store.downloader(&endpoint);
    downloader.download(HashAndFormat::hash_seq(hash), [id]).await?;
    store.sync_db().await?;
    let took = begun.elapsed();
    let collection = Collection::load(hash, &*store).await?;
    let mut blobs = 0;
    for (_, hash) in collection.iter() {
        if !store.blobs().has(*hash).await? {
            return Err(format!("{hash} did not come").into());
        }
        blobs += 1;
    }
    println!("{} {blobs}", took.as_millis());
    endpoint.close().await;
    Ok(())
}

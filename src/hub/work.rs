//! Threads that do what takes time on the files of blobs: verify and write what came, read what is asked.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use inbetweenies_core::blob::FileError;
use inbetweenies_core::node::Mail;
use inbetweenies_core::store::StoreError;
use inbetweenies_core::transfer::{self, Done, Work, perform};
use inbetweenies_core::wire::Message;

use super::office::Office;
use crate::store::{BlobStore, StoreReader};

/// The way to them. What waits is bounded by the windows of the transfer room.
pub struct Workshop {
    orders: Sender<Work>,
}

/// The threads, to be waited for when the hub stops.
pub struct Workers(Vec<JoinHandle<()>>);

/// Starts them.
pub fn start(
    threads: usize,
    office: &Arc<Office>,
    files: &BlobStore,
    reader: &StoreReader,
) -> std::io::Result<(Workshop, Workers)> {
    let (orders, waiting) = channel();
    let waiting = Arc::new(Mutex::new(waiting));
    let mut workers = Vec::new();
    for number in 1..=threads {
        let (office, files, reader) = (office.clone(), files.clone(), reader.clone());
        let waiting = waiting.clone();
        let thread = std::thread::Builder::new().name(format!("blobs-{number}"));
        workers.push(thread.spawn(move || work(&waiting, &office, files, &reader))?);
    }
    Ok((Workshop { orders }, Workers(workers)))
}

impl Workshop {
    /// Has something done. After the stop nothing is.
    pub fn order(&self, work: Work) {
        drop(self.orders.send(work));
    }
}

impl Workers {
    /// Waits until what was ordered is done.
    pub fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::warn!("a thread for blobs did not end as it should");
            }
        }
    }
}

fn work(waiting: &Mutex<Receiver<Work>>, office: &Arc<Office>, mut files: BlobStore, reader: &StoreReader) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        if let Work::Adopt { ticket, manifest } = work {
            let adopted = match office.upload_of(ticket) {
                Some(path) if path.exists() => files.adopt(&path, &manifest),
                _ => {
                    office.not_stored(ticket);
                    continue; // its file has gone
                }
            };
            match adopted {
                Ok(()) => {
                    let done = Done::Adopted { ticket, manifest };
                    office.post(Mail::Transfer(transfer::Input::Done(done)));
                }
                Err(FileError::NoRoom) => {
                    tracing::warn!("an upload was not taken over: the disk is full");
                    office.not_stored(ticket);
                }
                Err(error) => failed(&error),
            }
            continue;
        }
        match perform(work, &mut files, &reader.snapshot()) {
            Ok((done, sent)) => {
                for (link, message) in sent {
                    office.links.send(link, Message::Blob(message));
                }
                office.post(Mail::Transfer(transfer::Input::Done(done)));
            }
            Err(error) => failed(&error),
        }
    }
}

/// What a file holds is not known after its disk has failed.
fn failed(error: &dyn std::fmt::Display) -> ! {
    super::run::abort_on_disk(
        "transfer",
        &StoreError::Io {
            doing: "work on the file of a blob",
            detail: error.to_string(),
        },
    )
}

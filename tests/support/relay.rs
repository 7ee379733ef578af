//! A small TCP relay: the wire between two hubs, which a test cuts, heals, silences or lets fray.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a relay that waits looks whether it should end.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Wire {
    to: Mutex<Option<SocketAddr>>,
    /// Connections are taken; else they are closed at once.
    open: AtomicBool,
    /// Bytes are taken and go nowhere, and no end is told: a cable pulled out.
    silent: AtomicBool,
    over: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
    carried: AtomicUsize,
    /// After so many bytes more every connection is closed, once.
    fray: Mutex<Option<usize>>,
    frayed: AtomicUsize,
}

pub struct Relay {
    pub address: SocketAddr,
    wire: Arc<Wire>,
}

impl Relay {
    /// Listens; leads nowhere yet.
    pub fn new() -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for a relay");
        let address = listener.local_addr().expect("a relay's address");
        let wire = Arc::new(Wire {
            open: AtomicBool::new(true),
            ..Wire::default()
        });
        let of_thread = wire.clone();
        thread::spawn(move || accept(&listener, &of_thread));
        Relay { address, wire }
    }

    /// Where it leads from now on.
    pub fn lead_to(&self, address: SocketAddr) {
        *lock(&self.wire.to) = Some(address);
    }

    /// Closes every connection and takes no more.
    pub fn cut(&self) {
        self.wire.open.store(false, Ordering::SeqCst);
        self.wire.close_all();
    }

    pub fn heal(&self) {
        self.wire.silent.store(false, Ordering::SeqCst);
        self.wire.open.store(true, Ordering::SeqCst);
    }

    /// Carries nothing more, and tells nobody.
    pub fn silence(&self) {
        self.wire.silent.store(true, Ordering::SeqCst);
    }

    /// Closes every connection, once, when so many bytes more have been carried.
    pub fn fray_after(&self, bytes: usize) {
        *lock(&self.wire.fray) = Some(bytes);
    }

    pub fn never_fray(&self) {
        *lock(&self.wire.fray) = None;
    }

    /// How often that has happened.
    pub fn frayed(&self) -> usize {
        self.wire.frayed.load(Ordering::SeqCst)
    }

    /// Bytes carried so far, both ways.
    pub fn carried(&self) -> usize {
        self.wire.carried.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.wire.over.store(true, Ordering::SeqCst);
        self.cut();
        drop(TcpStream::connect(self.address)); // wakes the accepting thread
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, wire: &Arc<Wire>) {
    for incoming in listener.incoming().map_while(Result::ok) {
        if wire.over.load(Ordering::SeqCst) {
            return;
        }
        let to = *lock(&wire.to);
        let (true, Some(to)) = (wire.open.load(Ordering::SeqCst), to) else {
            continue;
        };
        let Ok(outgoing) = TcpStream::connect(to) else {
            continue;
        };
        let mut streams = lock(&wire.streams);
        for (from, into) in [(&incoming, &outgoing), (&outgoing, &incoming)] {
            let (Ok(from), Ok(into), Ok(kept)) = (from.try_clone(), into.try_clone(), from.try_clone())
            else {
                continue;
            };
            drop(from.set_nodelay(true));
            drop(from.set_read_timeout(Some(LOOK)));
            streams.push(kept);
            let wire = wire.clone();
            thread::spawn(move || carry(from, into, &wire));
        }
        drop(streams);
        if !wire.open.load(Ordering::SeqCst) {
            wire.close_all(); // cut while it was being opened
        }
    }
}

fn carry(mut from: TcpStream, mut into: TcpStream, wire: &Wire) {
    let mut piece = [0; 1 << 14];
    loop {
        let len = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if super::socket::timed_out(&error) && !wire.over.load(Ordering::SeqCst) => continue,
            Err(_) => break,
        };
        if wire.silent.load(Ordering::SeqCst) {
            continue;
        }
        let len = wire.count(len);
        if into.write_all(&piece[..len]).is_err() {
            break;
        }
        if wire.frays() {
            wire.close_all();
        }
    }
    while wire.silent.load(Ordering::SeqCst) && !wire.over.load(Ordering::SeqCst) {
        thread::sleep(LOOK); // nobody is told that the other end has gone
    }
    drop(from.shutdown(Shutdown::Both));
    drop(into.shutdown(Shutdown::Both));
}

impl Wire {
    fn close_all(&self) {
        for stream in lock(&self.streams).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Counts bytes; gives back how many of them are still carried.
    fn count(&self, len: usize) -> usize {
        let carried = match &mut *lock(&self.fray) {
            Some(left) => {
                let carried = len.min(*left);
                *left -= carried;
                carried
            }
            None => len,
        };
        self.carried.fetch_add(carried, Ordering::SeqCst);
        carried
    }

    fn frays(&self) -> bool {
        let mut fray = lock(&self.fray);
        let now = *fray == Some(0);
        if now {
            *fray = None;
            self.frayed.fetch_add(1, Ordering::SeqCst);
        }
        now
    }
}

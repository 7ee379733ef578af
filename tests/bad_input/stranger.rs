//! Somebody on the door for hubs who is none, and knows what anybody can read in the status.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use inbetweenies_core::id::{HomeId, HubId, ReplicaId};
use inbetweenies_core::limits::Limits;
use inbetweenies_core::time::Micros;
use inbetweenies_core::wire::{Assembler, Hello, Message, PROTOCOL, WireClock, encode_frames};

use crate::process::Hub;
use crate::process::socket::{BINARY, Socket};

/// Until when a link that must end has ended, and one that must answer has answered.
pub const END: Duration = Duration::from_secs(20);

/// Every stranger has a name of its own: two links of one hub are a matter of their own.
static STRANGERS: AtomicU64 = AtomicU64::new(0xbad);

pub struct Stranger {
    pub socket: Socket,
    assembler: Assembler,
    limits: Limits,
}

impl Stranger {
    pub fn open(hub: &Hub) -> Stranger {
        Stranger {
            socket: Socket::open(hub.address),
            assembler: Assembler::default(),
            limits: Limits::default(),
        }
    }

    /// One whose link stands: both said hello, and the hub's reconciliation has spoken. Before that it hears nothing.
    pub fn in_the_home(hub: &Hub) -> Stranger {
        let mut stranger = Stranger::open(hub);
        stranger.say(&hello(hub));
        if let Err(seen) = stranger.hears("clock") {
            panic!("a stranger is not let in: {seen}");
        }
        stranger
    }

    pub fn say(&mut self, message: &Message) {
        for frame in encode_frames(message, false, usize::MAX, &self.limits) {
            self.frame(&frame.join());
        }
    }

    /// The hub may have hung up already.
    pub fn frame(&mut self, frame: &[u8]) {
        drop(self.socket.send(BINARY, frame));
    }

    /// Listens until the hub ends the link; gives back the codes of its farewells.
    pub fn ended(&mut self) -> Result<Vec<String>, String> {
        let mut codes = Vec::new();
        loop {
            match self.socket.receive(END) {
                Ok(None) => return Ok(codes),
                Ok(Some(frame)) => {
                    if let Ok(Some(Message::Bye { code, .. })) = self.assembler.take(&frame, &self.limits) {
                        codes.push(code);
                    }
                }
                Err(error) => return Err(format!("the link still stands: {error}")),
            }
        }
    }

    /// Listens for an answer of one kind.
    pub fn hears(&mut self, name: &str) -> Result<Message, String> {
        loop {
            match self.socket.receive(END) {
                Ok(None) => return Err(format!("the link ended before any {name}")),
                Ok(Some(frame)) => {
                    if let Ok(Some(message)) = self.assembler.take(&frame, &self.limits)
                        && message.name() == name
                    {
                        return Ok(message);
                    }
                }
                Err(error) => return Err(format!("no {name}: {error}")),
            }
        }
    }
}

pub fn hello_of(hub: &Hub) -> Hello {
    let home: HomeId = hub.status()["home_id"]
        .as_str()
        .and_then(|home| home.parse().ok())
        .expect("a home");
    Hello {
        protocol_version: PROTOCOL.to_owned(),
        software: "none".to_owned(),
        home_id: Some(home),
        hub_id: HubId(uuid::Uuid::from_u128(u128::from(
            STRANGERS.fetch_add(1, Ordering::Relaxed),
        ))),
        name: "stranger".to_owned(),
        replica: None,
        boot: 1,
        address: None,
        clock: WireClock::default(),
        lz4: false,
        blobs: false,
        wall: Micros(u64::MAX),
    }
}

pub fn hello(hub: &Hub) -> Message {
    Message::Hello(Box::new(hello_of(hub)))
}

/// The replica of the hub itself.
pub fn own(hub: &Hub) -> ReplicaId {
    hub.status()["replica"]
        .as_str()
        .and_then(|replica| replica.parse().ok())
        .expect("a replica")
}

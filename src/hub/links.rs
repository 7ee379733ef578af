//! Links to peers: a WebSocket each, a bounded queue each, the same reading and writing whoever dialled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use inbetweenies_core::machine::Link;
use inbetweenies_core::node::{Admission, Mail, Outbox, brings_entries, deliver, size};
use inbetweenies_core::peers;
use inbetweenies_core::wire::{Assembler, Frame, Message, encode_frames};
use tokio::sync::mpsc;

use super::frames::{FrameSender, Roomy};
use super::office::Office;

/// How long one frame may take to leave: a peer that reads slower is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long what was said before a cut has to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the writing half of a link is told.
enum Order {
    Send(Message, usize),
    Pong(Bytes),
    Cut,
}

struct Queue {
    orders: mpsc::UnboundedSender<Order>,
    /// Bytes waiting to leave. The channel itself is unbounded; this bounds it.
    bytes: Arc<AtomicUsize>,
    pack: Arc<AtomicBool>,
    /// When something last came, in milliseconds of the monotonic clock.
    heard_ms: Arc<AtomicU64>,
}

/// The links that stand.
pub struct Links {
    queues: Mutex<BTreeMap<Link, Queue>>,
    /// What may wait for one peer.
    outbox: Outbox,
    compress_min: usize,
    dial_timeout: Duration,
}

impl Links {
    /// No links yet.
    pub fn new(window_bytes_max: usize, compress_min: usize, dial_timeout: Duration) -> Links {
        Links {
            queues: Mutex::default(),
            outbox: Outbox::new(window_bytes_max),
            compress_min,
            dial_timeout,
        }
    }

    fn queues(&self) -> std::sync::MutexGuard<'_, BTreeMap<Link, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message. News that does not fit the window is left out: clocks are compared again, and pulls fetch it.
    /// Answers are queued beyond it, up to what one honest peer can have asked for; a peer that asks on and does not
    /// read is given up.
    pub fn send(&self, link: Link, message: Message) {
        let mut queues = self.queues();
        let Some(queue) = queues.get(&link) else { return };
        let size = size(&message);
        match self.outbox.admit(&message, queue.bytes.load(Ordering::Relaxed)) {
            Admission::Queue => {}
            Admission::LeaveOut => {
                metrics::counter!("inbetweenies_messages_left_out_total", "kind" => message.name())
                    .increment(1);
                return;
            }
            Admission::GiveUp => {
                tracing::warn!(
                    link = link.0,
                    "a peer asks and does not read: its link is given up"
                );
                metrics::counter!("inbetweenies_links_given_up_total").increment(1);
                queues.remove(&link);
                return;
            }
        }
        queue.bytes.fetch_add(size, Ordering::Relaxed);
        // The link may be closing: then nothing that was queued leaves, as on any cut.
        drop(queue.orders.send(Order::Send(message, size)));
    }

    /// When something last came on a link.
    pub fn heard_at(&self, link: Link) -> Option<Duration> {
        let queues = self.queues();
        let heard = queues.get(&link)?.heard_ms.load(Ordering::Relaxed);
        Some(Duration::from_millis(heard))
    }

    fn heard(&self, link: Link, now: Duration) {
        if let Some(queue) = self.queues().get(&link) {
            queue.heard_ms.store(now.as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// Ends a link after what was queued.
    pub fn cut(&self, link: Link) {
        if let Some(queue) = self.queues().get(&link) {
            drop(queue.orders.send(Order::Cut));
        }
    }

    fn pong(&self, link: Link, data: Bytes) {
        if let Some(queue) = self.queues().get(&link) {
            let full =
                queue.bytes.fetch_add(data.len() + 64, Ordering::Relaxed) > self.outbox.window_bytes_max;
            if full {
                queue.bytes.fetch_sub(data.len() + 64, Ordering::Relaxed);
            } else {
                drop(queue.orders.send(Order::Pong(data)));
            }
        }
    }

    /// The other end unpacks LZ4.
    pub fn may_pack(&self, link: Link, lz4: bool) {
        if let Some(queue) = self.queues().get(&link) {
            queue.pack.store(lz4, Ordering::Relaxed);
        }
    }

    fn add(&self, link: Link) -> Writing {
        let (orders, receiver) = mpsc::unbounded_channel();
        let queue = Queue {
            orders,
            bytes: Arc::default(),
            pack: Arc::default(),
            heard_ms: Arc::default(),
        };
        let writing = Writing {
            orders: receiver,
            bytes: queue.bytes.clone(),
            pack: queue.pack.clone(),
        };
        self.queues().insert(link, queue);
        writing
    }

    fn remove(&self, link: Link) {
        self.queues().remove(&link);
    }
}

/// What the writing half is to put on the socket.
enum Leaving {
    Frames(Vec<Frame>),
    Pong(Bytes),
}

/// The writing half's end of a queue.
struct Writing {
    orders: mpsc::UnboundedReceiver<Order>,
    bytes: Arc<AtomicUsize>,
    pack: Arc<AtomicBool>,
}

impl Writing {
    /// What leaves next; None when the link is to end.
    async fn next(&mut self, office: &Office) -> Option<Leaving> {
        let (message, size) = match self.orders.recv().await? {
            Order::Send(message, size) => (message, size),
            Order::Pong(data) => {
                self.bytes.fetch_sub(data.len() + 64, Ordering::Relaxed);
                return Some(Leaving::Pong(data));
            }
            Order::Cut => return None,
        };
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        let pack = self.pack.load(Ordering::Relaxed);
        let frames = encode_frames(&message, pack, office.links.compress_min, &office.limits);
        let bytes: usize = frames.iter().map(Frame::len).sum();
        metrics::counter!("inbetweenies_peer_bytes_sent_total").increment(bytes as u64);
        metrics::counter!("inbetweenies_peer_messages_sent_total", "kind" => message.name()).increment(1);
        Some(Leaving::Frames(frames))
    }
}

/// Writes until the link is to end. A task of its own: two peers that write at once must both go on reading.
async fn write(office: Arc<Office>, mut writing: Writing, mut send: impl AsyncFnMut(Leave) -> bool) {
    while let Some(leaving) = writing.next(&office).await {
        let leaves = match leaving {
            Leaving::Frames(frames) => frames.into_iter().map(Leave::Frame).collect(),
            Leaving::Pong(data) => vec![Leave::Pong(data)],
        };
        for leave in leaves {
            if !matches!(tokio::time::timeout(WRITE_TIMEOUT, send(leave)).await, Ok(true)) {
                return;
            }
        }
    }
}

/// One WebSocket message on its way out.
enum Leave {
    Frame(Frame),
    Pong(Bytes),
}

/// One WebSocket message that came in, whoever dialled.
enum Came {
    Binary(Bytes),
    Ping(Bytes),
    Nothing,
    End,
}

/// Reads until the link ends, from either side, or its writer does.
async fn read(
    office: &Office,
    link: Link,
    mut writer: actix_rt::task::JoinHandle<()>,
    mut receive: impl AsyncFnMut() -> Came,
) {
    let mut assembler = Assembler::default();
    loop {
        let came = tokio::select! {
            came = receive() => came,
            _ = &mut writer => Came::End,
        };
        let go_on = match came {
            Came::Binary(frame) => take(office, link, &mut assembler, &frame).await,
            Came::Ping(data) => {
                office.links.pong(link, data);
                true
            }
            Came::Nothing => true,
            Came::End => false,
        };
        if !go_on {
            break;
        }
    }
    office.links.remove(link);
    office.post(Mail::Peers(peers::Input::Closed { link }));
    // Its queue is gone, so the writer comes to its end by itself; it has a moment for what was said last.
    if !writer.is_finished() && tokio::time::timeout(LAST_WORDS, &mut writer).await.is_err() {
        writer.abort();
    }
}

/// Takes one frame from a peer; false when the link must end.
async fn take(office: &Office, link: Link, assembler: &mut Assembler, frame: &Bytes) -> bool {
    office.links.heard(link, office.now().mono);
    metrics::counter!("inbetweenies_peer_bytes_received_total").increment(frame.len() as u64);
    match assembler.take_whole(frame, &office.peer_limits) {
        Ok(None) => true,
        Ok(Some(message)) if brings_entries(&message) && !office.has_room() => {
            // They are not lost: the clock does not move, and they are asked for again when there is room.
            metrics::counter!("inbetweenies_entries_left_out_total").increment(1);
            true
        }
        Ok(Some(message)) => {
            office.post_slowly(deliver(link, message)).await;
            true
        }
        Err(error) => {
            tracing::warn!(link = link.0, %error, "a frame was refused: the link is cut");
            metrics::counter!("inbetweenies_frames_refused_total").increment(1);
            false
        }
    }
}

/// Serves a link that a peer dialled. Returns when it is gone. `pending` is set back with every frame taken.
pub async fn serve(
    office: Arc<Office>,
    session: actix_ws::Session,
    frames: FrameSender,
    mut stream: actix_ws::MessageStream,
    pending: Arc<AtomicUsize>,
) {
    let link = office.new_link();
    let writing = office.links.add(link);
    office.post(Mail::Peers(peers::Input::Incoming { link }));
    let mut out = session.clone();
    let writer = actix_rt::spawn(write(office.clone(), writing, async move |leave| match leave {
        Leave::Frame(frame) => frames.send(frame).await.is_ok(),
        Leave::Pong(data) => out.pong(&data).await.is_ok(),
    }));
    read(&office, link, writer, async || {
        let came = stream.recv().await;
        pending.store(0, Ordering::Relaxed);
        match came {
            Some(Ok(actix_ws::Message::Binary(frame))) => Came::Binary(frame),
            Some(Ok(actix_ws::Message::Ping(data))) => Came::Ping(data),
            Some(Ok(actix_ws::Message::Pong(_) | actix_ws::Message::Nop)) => Came::Nothing,
            Some(Ok(_) | Err(_)) | None => Came::End,
        }
    })
    .await;
    drop(tokio::time::timeout(LAST_WORDS, session.close(None)).await);
}

/// Opens a link and serves it, on the arbiter that calls.
pub fn dial(office: Arc<Office>, address: String) {
    actix_rt::spawn(async move {
        let client = awc::Client::builder()
            .connector(crate::dial::connector())
            .timeout(office.links.dial_timeout)
            .disable_redirects()
            .finish();
        let frame_max = office.peer_limits.frame_bytes_max + 1;
        let url = format!("ws://{address}/api/v2/peer");
        let connecting = client.ws(&url).max_frame_size(frame_max).connect();
        let framed = match tokio::time::timeout(office.links.dial_timeout, connecting).await {
            Ok(Ok((_, framed))) => framed,
            Ok(Err(error)) => {
                tracing::debug!(address, %error, "nobody answers");
                return office.post(Mail::Peers(peers::Input::DialFailed { address }));
            }
            Err(_) => return office.post(Mail::Peers(peers::Input::DialFailed { address })),
        };
        let framed = framed.into_map_codec(|codec| Roomy::new(codec, frame_max));
        let (mut sink, mut stream) = framed.split();
        let link = office.new_link();
        let writing = office.links.add(link);
        office.post(Mail::Peers(peers::Input::Connected { address, link }));
        let writer = actix_rt::spawn(write(office.clone(), writing, async move |leave| {
            let message = match leave {
                Leave::Frame(frame) => awc::ws::Message::Binary(frame.join()),
                Leave::Pong(data) => awc::ws::Message::Pong(data),
            };
            sink.send(message).await.is_ok()
        }));
        read(&office, link, writer, async || match stream.next().await {
            Some(Ok(awc::ws::Frame::Binary(frame))) => Came::Binary(frame),
            Some(Ok(awc::ws::Frame::Ping(data))) => Came::Ping(data),
            Some(Ok(awc::ws::Frame::Pong(_))) => Came::Nothing,
            Some(Ok(_) | Err(_)) | None => Came::End,
        })
        .await;
    });
}

//! WebSocket frames as they lie in memory: what actix' own codec would copy once more.
//!
//! A chunk of a blob is a megabyte, and copies of it are most of what a link costs.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_codec::{Decoder, Encoder};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use awc::error::WsProtocolError;
use awc::ws::{self, Codec};
use bytes::{Buf, Bytes, BytesMut};
use inbetweenies_core::wire::Frame;
use tokio::sync::mpsc;

/// Bytes that are handed to the HTTP server at a time. It copies them, so they should fit a core's cache; and it gives
/// buffers beyond 128 KiB back and has new ones made.
const SLICE: usize = 64 << 10;

/// The body of an upgraded answer: frames of data, and between them what a [`actix_ws::Session`] says (pongs, the close).
pub struct Frames {
    data: mpsc::Receiver<Frame>,
    /// Pieces of the frame that is leaving.
    leaving: VecDeque<Bytes>,
    session: BoxBody,
}

/// The way into it, for frames of ours: a binary message each.
pub type FrameSender = mpsc::Sender<Frame>;

impl Frames {
    /// Around the body that actix_ws made.
    pub fn around(session: BoxBody) -> (FrameSender, Frames) {
        // What waits for its turn waits in the link's own queue, where it is counted.
        let (sender, data) = mpsc::channel(1);
        let frames = Frames {
            data,
            leaving: VecDeque::new(),
            session,
        };
        (sender, frames)
    }
}

impl MessageBody for Frames {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.leaving.is_empty()
            && let Poll::Ready(Some(frame)) = self.data.poll_recv(context)
        {
            let head = head(frame.len());
            self.leaving = frame.pieces.into();
            return Poll::Ready(Some(Ok(head)));
        }
        if let Some(mut piece) = self.leaving.pop_front() {
            let slice = piece.split_to(piece.len().min(SLICE));
            if !piece.is_empty() {
                self.leaving.push_front(piece);
            }
            return Poll::Ready(Some(Ok(slice)));
        }
        Pin::new(&mut self.session).poll_next(context)
    }
}

/// The head of a binary message in one frame, as a server sends it: final, unmasked (RFC 6455, 5.2).
fn head(len: usize) -> Bytes {
    const FINAL_BINARY: u8 = 0x82;
    let mut head = vec![FINAL_BINARY];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..126), _) => head.push(len),
        (_, Ok(len)) => {
            head.push(126);
            head.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    head.into()
}

/// Whole frame, payload and head, of which a buffer holds the beginning; None if too little has come to say.
fn frame_len(begun: &[u8]) -> Option<u64> {
    let mut begun = begun;
    if begun.remaining() < 2 {
        return None;
    }
    begun.advance(1);
    let second = begun.get_u8();
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (head, len) = match second & 0x7f {
        126 if begun.remaining() >= 2 => (4, u64::from(begun.get_u16())),
        127 if begun.remaining() >= 8 => (10, begun.get_u64()),
        126 | 127 => return None,
        len => (2, u64::from(len)),
    };
    len.checked_add(head + mask)
}

/// actix' codec, with room made for a frame as soon as its head tells its length: a buffer that grows as bytes come is
/// copied again and again. Room of at most `max` bytes is made.
pub struct Roomy {
    codec: Codec,
    max: usize,
}

impl Roomy {
    /// Around a codec that refuses frames of more than `max` bytes.
    pub fn new(codec: Codec, max: usize) -> Roomy {
        Roomy { codec, max }
    }
}

impl Decoder for Roomy {
    type Item = ws::Frame;
    type Error = WsProtocolError;

    fn decode(&mut self, begun: &mut BytesMut) -> Result<Option<ws::Frame>, WsProtocolError> {
        let frame = self.codec.decode(begun)?;
        if frame.is_none()
            && let Some(len) = frame_len(begun)
        {
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(self.max);
            begun.reserve(len.saturating_sub(begun.len()));
        }
        Ok(frame)
    }
}

impl Encoder<ws::Message> for Roomy {
    type Error = WsProtocolError;

    fn encode(&mut self, message: ws::Message, out: &mut BytesMut) -> Result<(), WsProtocolError> {
        self.codec.encode(message, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What leaves is what a client of somebody else's making reads; and it is read with one reservation.
    #[test]
    fn a_client_reads_what_leaves() {
        for len in [0, 1, 125, 126, 65_535, 65_536, 65_537, 1 << 20] {
            let payload = Bytes::from(vec![7; len]);
            let (sender, mut frames) = Frames::around(BoxBody::new(()));
            let pieces = vec![payload.slice(..len / 3), payload.slice(len / 3..)];
            sender.try_send(Frame { pieces }).unwrap();
            drop(sender);
            let mut line = BytesMut::new();
            let mut context = Context::from_waker(std::task::Waker::noop());
            while let Poll::Ready(Some(piece)) = Pin::new(&mut frames).poll_next(&mut context) {
                line.extend_from_slice(&piece.unwrap());
            }
            assert_eq!(frame_len(&line), Some(line.len() as u64));
            let whole = line.clone();
            let max = whole.len();
            let mut codec = Roomy::new(Codec::new().client_mode().max_size(max), max);
            let mut came = BytesMut::from(&whole[..whole.len().min(10)]);
            if came.len() < whole.len() {
                assert!(codec.decode(&mut came).unwrap().is_none());
                assert!(came.capacity() >= whole.len());
                came.extend_from_slice(&whole[10..]);
            }
            match codec.decode(&mut came).unwrap() {
                Some(ws::Frame::Binary(got)) => assert_eq!(got, payload),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_head_that_lies_makes_no_room() {
        let mut codec = Roomy::new(Codec::new().client_mode().max_size(1_000), 1_000);
        let mut came = BytesMut::from(&[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0][..]);
        drop(codec.decode(&mut came));
        assert!(came.capacity() < 4_000);
        assert_eq!(
            frame_len(&[0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            None
        );
        assert_eq!(frame_len(&[0x82, 127, 0]), None);
    }
}

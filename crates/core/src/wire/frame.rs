//! Frames: a message cut into pieces that fit one WebSocket message each, packed with LZ4 where that pays.
//!
//! A frame is one byte of flags, a CRC-32 and a payload. Flag 1: the payload is an LZ4 frame. Flag 2: more pieces
//! follow. All other flags are refused, so that they can be given a meaning later.
//!
//! The CRC is over flags and payload. TCP's own checksum lets one broken segment in some ten thousand pass, and a flipped
//! bit in an entry makes another entry of it, as good as the first.

use std::io::{Read, Write};

use bytes::Bytes;
use lz4_flex::frame::{FrameDecoder, FrameEncoder};

use super::{BlobMessage, Message, WireChunk};
use crate::blob::view::{self, VIEW_MIN};
use crate::limits::Limits;

const LZ4: u8 = 1;
const MORE: u8 = 2;

/// Flags and CRC: bytes before the payload.
pub const HEAD: usize = 5;

/// Puts flags and CRC before a payload.
pub fn seal_frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + payload.len());
    frame.push(flags);
    frame.extend_from_slice(&crc(flags, &[payload]).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// CRC-32 as in IEEE 802.3 and zlib.
fn crc(flags: u8, payload: &[impl AsRef<[u8]>]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[flags]);
    payload.iter().for_each(|piece| hasher.update(piece.as_ref()));
    hasher.finalize()
}

/// Why a frame was refused: the link is cut, for what follows cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Nothing in it, or flags that this software does not know.
    #[error("a frame with unknown flags")]
    Flags,
    /// Bits of it are others than those that were sent.
    #[error("a frame that was damaged on its way")]
    Damaged,
    /// Larger than agreed, packed or unpacked, alone or together with the pieces before it.
    #[error("a message of more than {0} bytes")]
    TooLarge(usize),
    /// The LZ4 payload does not unpack.
    #[error("a frame that does not unpack: {0}")]
    Lz4(String),
    /// Not a message of this protocol.
    #[error("not a message: {0}")]
    Message(String),
}

/// A frame as it leaves: pieces that lie where they are, to be sent one after the other.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// In order.
    pub pieces: Vec<Bytes>,
}

impl Frame {
    /// Bytes of all pieces.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All pieces in one. Copies, unless there is only one.
    pub fn join(mut self) -> Bytes {
        if self.pieces.len() == 1 {
            return self.pieces.remove(0);
        }
        self.pieces.concat().into()
    }
}

/// Cuts a message into frames. Payloads of `compress_min` bytes and more are packed if the other end unpacks LZ4
/// and it makes them smaller.
pub fn encode_frames(message: &Message, lz4: bool, compress_min: usize, limits: &Limits) -> Vec<Frame> {
    // Chunks of blobs are packed by themselves, where that pays.
    let chunks = match message {
        Message::Blob(BlobMessage::Chunks { chunks }) => Some(chunks),
        _ => None,
    };
    if let Some(frame) = chunks.and_then(|chunks| around(message, chunks, limits)) {
        return vec![frame];
    }
    let mut bytes = vec![0; HEAD];
    rmp_serde::encode::write_named(&mut bytes, message)
        .unwrap_or_else(|error| panic!("a message cannot be written: {error}"));
    let packs = |piece: &[u8]| lz4 && chunks.is_none() && piece.len() >= compress_min;
    let whole = &bytes[HEAD..];
    if bytes.len() <= limits.frame_bytes_max && !packs(whole) {
        let sum = crc(0, &[whole]);
        bytes[1..HEAD].copy_from_slice(&sum.to_be_bytes());
        let pieces = vec![bytes.into()];
        return vec![Frame { pieces }];
    }
    let pieces: Vec<&[u8]> = whole.chunks(limits.frame_bytes_max - HEAD).collect();
    let last = pieces.len() - 1;
    pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| {
            let more = if at < last { MORE } else { 0 };
            let packed = if packs(piece) { pack(piece) } else { None };
            let (flags, payload) = match &packed {
                Some(packed) => (more | LZ4, packed.as_slice()),
                None => (more, *piece),
            };
            let pieces = vec![seal_frame(flags, payload).into()];
            Frame { pieces }
        })
        .collect()
}

/// A frame around chunks whose long bytes stay where they are; None if it would be too long for one.
fn around(message: &Message, chunks: &[WireChunk], limits: &Limits) -> Option<Frame> {
    let stored = chunks.iter().filter_map(|chunk| chunk.stored.as_ref());
    let long: Vec<&Bytes> = stored
        .map(|stored| &stored.bytes)
        .filter(|bytes| bytes.len() >= VIEW_MIN)
        .collect();
    let mut writer = Gaps::default();
    rmp_serde::encode::write_named(&mut writer, message)
        .unwrap_or_else(|error| panic!("a message cannot be written: {error}"));
    debug_assert_eq!(
        writer.gaps.len(),
        long.len(),
        "what is left out is the chunks' bytes"
    );
    let (short, mut pieces, mut from) = (Bytes::from(writer.written), Vec::new(), 0);
    for (gap, long) in writer.gaps.iter().zip(&long) {
        pieces.push(short.slice(from..*gap));
        pieces.push(Bytes::clone(long));
        from = *gap;
    }
    pieces.push(short.slice(from..));
    let mut head = vec![0];
    head.extend_from_slice(&crc(0, &pieces).to_be_bytes());
    pieces.insert(0, head.into());
    let frame = Frame { pieces };
    (writer.gaps.len() == long.len() && frame.len() <= limits.frame_bytes_max).then_some(frame)
}

/// A writer that leaves out what is long, and notes where.
#[derive(Default)]
struct Gaps {
    /// All that is short.
    written: Vec<u8>,
    /// Where in it something was left out, in order.
    gaps: Vec<usize>,
}

impl Write for Gaps {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() < VIEW_MIN {
            self.written.extend_from_slice(bytes);
        } else {
            self.gaps.push(self.written.len());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn pack(piece: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(piece).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < piece.len()).then_some(packed)
}

/// Puts the pieces of one link's messages together again.
#[derive(Debug, Default)]
pub struct Assembler {
    pieces: Vec<u8>,
}

impl Assembler {
    /// As [`Assembler::take`]; a chunk's bytes become a view of the frame.
    pub fn take_whole(&mut self, frame: &Bytes, limits: &Limits) -> Result<Option<Message>, FrameError> {
        view::reading(frame, || self.take(frame, limits))
    }

    /// Takes a frame; answers with a message when its last piece has come.
    pub fn take(&mut self, frame: &[u8], limits: &Limits) -> Result<Option<Message>, FrameError> {
        let Some((&flags, rest)) = frame.split_first() else {
            return Err(FrameError::Flags);
        };
        if flags & !(LZ4 | MORE) != 0 {
            return Err(FrameError::Flags);
        }
        let Some((sum, payload)) = rest.split_first_chunk() else {
            return Err(FrameError::Damaged);
        };
        if u32::from_be_bytes(*sum) != crc(flags, &[payload]) {
            return Err(FrameError::Damaged);
        }
        if payload.len() > limits.frame_bytes_max {
            return Err(FrameError::TooLarge(limits.frame_bytes_max));
        }
        let room = limits.message_bytes_max.saturating_sub(self.pieces.len());
        if self.pieces.is_empty() && flags == 0 {
            // The usual case of what is not packed: read where it lies.
            return decode(payload, limits).map(Some);
        }
        let before = self.pieces.len();
        if flags & LZ4 != 0 {
            // Unpacked no further than one byte beyond the bound: a bomb costs no more than that.
            let bound = room.min(limits.frame_bytes_max) as u64 + 1;
            let unpacked = FrameDecoder::new(payload)
                .take(bound)
                .read_to_end(&mut self.pieces);
            unpacked.map_err(|error| FrameError::Lz4(error.to_string()))?;
        } else {
            self.pieces.extend_from_slice(payload);
        }
        if self.pieces.len() - before > room.min(limits.frame_bytes_max) {
            return Err(FrameError::TooLarge(limits.message_bytes_max));
        }
        if flags & MORE != 0 {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.pieces);
        decode(&bytes, limits).map(Some)
    }
}

fn decode(bytes: &[u8], limits: &Limits) -> Result<Message, FrameError> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(limits.depth_max);
    serde::Deserialize::deserialize(&mut deserializer)
        .map_err(|error: rmp_serde::decode::Error| FrameError::Message(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::{BlobId, Stored};
    use crate::time::Micros;
    use serde_bytes::ByteBuf;

    fn small() -> Limits {
        Limits {
            frame_bytes_max: 1_000,
            message_bytes_max: 5_000,
            ..Limits::default()
        }
    }

    fn through(message: &Message, lz4: bool, limits: &Limits) -> Result<Option<Message>, FrameError> {
        let mut assembler = Assembler::default();
        let frames = encode_frames(message, lz4, 64, limits);
        let mut last = Ok(None);
        for frame in frames {
            assert!(frame.len() <= limits.frame_bytes_max);
            last = assembler.take_whole(&frame.join(), limits);
        }
        last
    }

    #[test]
    fn messages_larger_than_a_frame_come_whole() {
        let noise: Vec<u8> = (0..4_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for data in [noise, vec![7; 4_000], Vec::new()] {
            let message = Message::Swim {
                data: ByteBuf::from(data),
            };
            for lz4 in [false, true] {
                assert_eq!(through(&message, lz4, &small()), Ok(Some(message.clone())));
            }
        }
    }

    /// A megabyte that is copied costs as much as one that is sent.
    #[test]
    fn the_bytes_of_chunks_stay_where_they_are() {
        let long = |byte| Some(Stored::raw(vec![byte; 2 * VIEW_MIN]));
        let short = Some(Stored::raw(vec![3; 100]));
        let stored = [long(1), None, short, long(2)];
        let chunk = |(index, stored)| WireChunk {
            id: BlobId::of(b"photo"),
            index,
            stored,
        };
        let chunks = (0..).zip(stored).map(chunk).collect();
        let message = Message::Blob(BlobMessage::Chunks { chunks });
        let Message::Blob(BlobMessage::Chunks { chunks }) = &message else {
            unreachable!()
        };
        let bytes = |chunk: &WireChunk| chunk.stored.as_ref().map(|stored| stored.bytes.clone());
        let frame = encode_frames(&message, true, 64, &Limits::default()).remove(0);
        for long in [&chunks[0], &chunks[3]].map(bytes) {
            let lies = |piece: &Bytes| long.as_ref().is_some_and(|long| piece.as_ptr() == long.as_ptr());
            assert!(frame.pieces.iter().any(lies));
        }
        let plain = rmp_serde::to_vec_named(&message).unwrap();
        let frame = frame.join();
        assert_eq!(frame[HEAD..], plain[..], "the same MessagePack as in one piece");

        let mut assembler = Assembler::default();
        let came = assembler.take_whole(&frame, &Limits::default());
        assert_eq!(came, Ok(Some(message.clone())));
        let Ok(Some(Message::Blob(BlobMessage::Chunks { chunks: came }))) = came else {
            unreachable!()
        };
        let inside =
            |bytes: Option<Bytes>| bytes.is_some_and(|bytes| frame.as_ptr_range().contains(&bytes.as_ptr()));
        let views: Vec<bool> = came.iter().map(|chunk| inside(bytes(chunk))).collect();
        assert_eq!(
            views,
            [true, false, false, true],
            "a short one does not keep the frame"
        );
        // Beyond one frame they are cut as every message is.
        let limits = Limits {
            frame_bytes_max: 2 * VIEW_MIN,
            ..Limits::default()
        };
        assert_eq!(through(&message, true, &limits), Ok(Some(message)));
    }

    #[test]
    fn bombs_and_noise_are_refused() {
        let limits = small();
        let bomb = pack(&vec![0; 1 << 20]).unwrap();
        let cut = seal_frame(LZ4, &bomb[..bomb.len().min(990)]);
        assert!(Assembler::default().take(&cut, &limits).is_err());
        let mut endless = Assembler::default();
        let piece = seal_frame(MORE, &[0; 900]);
        let met = (0..10).find_map(|_| endless.take(&piece, &limits).err());
        assert_eq!(met, Some(FrameError::TooLarge(5_000)));
        for noise in [
            Vec::new(),
            seal_frame(0x80, &[1]),
            vec![0],
            vec![0, 1, 2, 3, 4],
            seal_frame(0, &[]),
            seal_frame(0, &[0xc1]),
            seal_frame(LZ4, &[1, 2, 3]),
            seal_frame(0, b"\x81\xa3xyz\xc0"),
        ] {
            assert!(Assembler::default().take(&noise, &limits).is_err(), "{noise:?}");
        }
        let ping = Message::Ping {
            nonce: 1,
            wall: Micros(2),
        };
        assert_eq!(through(&ping, true, &limits), Ok(Some(ping)));
    }

    /// A flipped bit in an entry's order time made another entry, with a good digest of its own.
    #[test]
    fn a_flipped_bit_is_noticed_wherever_it_is() {
        let ping = Message::Ping {
            nonce: 1,
            wall: Micros(2),
        };
        let good = encode_frames(&ping, false, 64, &small())
            .remove(0)
            .join()
            .to_vec();
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Assembler::default().take(&bad, &small()).is_err(), "bit {bit}");
        }
    }
}

//! Frames: a message cut into pieces that fit one WebSocket message each, packed with LZ4 where that pays.
//!
//! A frame is one byte of flags, a CRC-32 and a payload. Flag 1: the payload is an LZ4 frame. Flag 2: more pieces
//! follow. All other flags are refused, so that they can be given a meaning later.
//!
//! The CRC is over flags and payload. TCP's own checksum lets one broken segment in some ten thousand pass, and a flipped
//! bit in an entry makes another entry of it, as good as the first.

use std::io::{Read, Write};

use lz4_flex::frame::{FrameDecoder, FrameEncoder};

use super::{BlobMessage, Message};
use crate::limits::Limits;

const LZ4: u8 = 1;
const MORE: u8 = 2;

/// Flags and CRC: bytes before the payload.
pub const HEAD: usize = 5;

/// Puts flags and CRC before a payload.
pub fn seal_frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + payload.len());
    frame.push(flags);
    frame.extend_from_slice(&crc(flags, payload).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// CRC-32 as in IEEE 802.3 and zlib.
fn crc(flags: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[flags]);
    hasher.update(payload);
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

/// Cuts a message into frames. Payloads of `compress_min` bytes and more are packed if the other end unpacks LZ4
/// and it makes them smaller.
pub fn encode_frames(message: &Message, lz4: bool, compress_min: usize, limits: &Limits) -> Vec<Vec<u8>> {
    let roughly = match message {
        Message::Blob(blob) => blob.size(),
        _ => 256,
    };
    let mut bytes = Vec::with_capacity(HEAD + roughly);
    bytes.resize(HEAD, 0);
    rmp_serde::encode::write_named(&mut bytes, message)
        .unwrap_or_else(|error| panic!("a message cannot be written: {error}"));
    // Chunks of blobs are packed by themselves, where that pays.
    let lz4 = lz4 && !matches!(message, Message::Blob(BlobMessage::Chunks { .. }));
    let packs = |piece: &[u8]| lz4 && piece.len() >= compress_min;
    let whole = &bytes[HEAD..];
    if bytes.len() <= limits.frame_bytes_max && !packs(whole) {
        // The usual case of what is large: sealed where it lies.
        let sum = crc(0, whole);
        bytes[1..HEAD].copy_from_slice(&sum.to_be_bytes());
        return vec![bytes];
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
            seal_frame(flags, payload)
        })
        .collect()
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
        if u32::from_be_bytes(*sum) != crc(flags, payload) {
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
            last = assembler.take(&frame, limits);
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
        let good = encode_frames(&ping, false, 64, &small()).remove(0);
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Assembler::default().take(&bad, &small()).is_err(), "bit {bit}");
        }
    }
}

//! Large bytes of a message as views of the frame that they lie in, there and here: a chunk of a blob is a megabyte, and
//! to copy it costs about as much as to send it.

use std::cell::RefCell;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// Shorter ones are copied: a view keeps all of its frame in memory.
pub const VIEW_MIN: usize = 64 << 10;

thread_local! {
    /// The frame that is read on this thread; empty while none is.
    static FRAME: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
}

/// Reads from a frame: what [`deserialize`] meets meanwhile on this thread may become views of it.
pub fn reading<T>(frame: &Bytes, read: impl FnOnce() -> T) -> T {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            FRAME.set(Bytes::new());
        }
    }
    FRAME.set(frame.clone());
    let _end = End;
    read()
}

/// The same bytes, as a view of the frame if they are long and lie in it.
fn view(bytes: &[u8]) -> Bytes {
    let inside = |frame: &Bytes| {
        let at = bytes.as_ptr().addr().checked_sub(frame.as_ptr().addr())?;
        let end = at.checked_add(bytes.len())?;
        (end <= frame.len()).then(|| frame.slice(at..end))
    };
    let view = if bytes.len() < VIEW_MIN {
        None
    } else {
        FRAME.with_borrow(inside)
    };
    view.unwrap_or_else(|| Bytes::copy_from_slice(bytes))
}

/// Writes bytes as MessagePack's bin.
pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Reads them.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    struct Binary;
    impl<'de> Visitor<'de> for Binary {
        type Value = Bytes;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("bytes")
        }

        fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Bytes, E> {
            Ok(view(bytes))
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
            Ok(Bytes::copy_from_slice(bytes))
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
            Ok(bytes.into())
        }
    }
    deserializer.deserialize_bytes(Binary)
}

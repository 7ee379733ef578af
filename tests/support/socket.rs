//! A WebSocket to a hub's door for peers, held by somebody who is no hub.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::http;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
const CLOSE: u8 = 8;

pub struct Socket(TcpStream);

impl Socket {
    pub fn open(address: SocketAddr) -> Socket {
        let request = format!(
            "GET /api/v2/peer HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let opened = http::connect(address).and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            // One byte at a time up to the end of the head: what follows is frames.
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            if head.starts_with("HTTP/1.1 101") {
                Ok(stream)
            } else {
                Err(io::Error::other(head))
            }
        });
        Socket(opened.unwrap_or_else(|error| panic!("no WebSocket to {address}: {error}")))
    }

    /// Sends one frame; the mask is all zeros, so that the payload stands as it is.
    pub fn send(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![0x80 | kind, 0x80 | 127];
        frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        self.0.write_all(&frame)?;
        self.0.write_all(payload)
    }

    /// The head of a frame alone, whatever it claims to bring.
    pub fn send_head(&mut self, kind: u8, claimed: u64) -> io::Result<()> {
        let mut frame = vec![0x80 | kind, 0x80 | 127];
        frame.extend_from_slice(&claimed.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        self.0.write_all(&frame)
    }

    /// Bytes as they are, inside a frame or not.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The next binary frame's payload; None when the hub has ended the link, an error when it said nothing for so long.
    pub fn receive(&mut self, within: Duration) -> io::Result<Option<Vec<u8>>> {
        self.0.set_read_timeout(Some(within))?;
        loop {
            let mut head = [0; 2];
            match self.0.read_exact(&mut head) {
                Ok(()) => {}
                Err(error) if timed_out(&error) => return Err(error),
                Err(_) => return Ok(None),
            }
            let len = match head[1] & 0x7f {
                126 => self.number(2)?,
                127 => self.number(8)?,
                len => u64::from(len),
            };
            let mut payload = vec![0; len as usize];
            self.0.read_exact(&mut payload)?;
            match head[0] & 0x0f {
                CLOSE => return Ok(None),
                BINARY => return Ok(Some(payload)),
                _ => {}
            }
        }
    }

    fn number(&mut self, bytes: usize) -> io::Result<u64> {
        let mut number = [0; 8];
        self.0.read_exact(&mut number[8 - bytes..])?;
        Ok(u64::from_be_bytes(number))
    }
}

pub fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

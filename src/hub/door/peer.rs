//! `/api/v2/peer`: the link between hubs.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use actix_web::body::MessageBody as _;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev, web};
use bytes::Bytes;
use futures_util::Stream;
use inbetweenies_core::wire::Problem;

use super::{Doors, body};
use crate::hub::frames::Frames;
use crate::hub::links;

/// Bytes that may have come beyond one frame when it is handed on: its head, and what was read along with its end.
const READ_ALONG_MAX: usize = 256 << 10;

/// Takes a peer's WebSocket and serves it until it is gone.
pub async fn peer(request: HttpRequest, payload: web::Payload, doors: web::Data<Doors>) -> HttpResponse {
    let frame_max = doors.office.peer_limits.frame_bytes_max + 1;
    let pending = Arc::new(AtomicUsize::new(0));
    let bounded = Bounded {
        payload: payload.into_inner(),
        pending: pending.clone(),
        max: frame_max + READ_ALONG_MAX,
    };
    let mut bounded: dev::Payload = dev::Payload::Stream {
        payload: Box::pin(bounded),
    };
    let opened = match web::Payload::from_request(&request, &mut bounded).await {
        Ok(payload) => actix_ws::handle(&request, payload),
        Err(error) => Err(error),
    };
    match opened {
        Ok((response, session, stream)) => {
            let stream = stream.max_frame_size(frame_max);
            let mut way_in = None;
            let response = response.map_body(|_, session| {
                let (sender, frames) = Frames::around(session);
                way_in = Some(sender);
                frames.boxed()
            });
            if let Some(frames) = way_in {
                let office = doors.office.clone();
                actix_rt::spawn(links::serve(office, session, frames, stream, pending));
            }
            response
        }
        Err(error) => {
            let detail = format!("this path is for hubs, by WebSocket: {error}");
            body::problem(&request, &Problem::bad_request("no_websocket", detail))
        }
    }
}

/// What comes on a link, up to one frame beyond what was handed on. The parser of frames looks at a frame's length only
/// when all of it has come, so a frame that claims to be endless would be kept for ever.
struct Bounded {
    payload: dev::Payload,
    /// Bytes since a frame was last handed on; whoever takes frames sets it back.
    pending: Arc<AtomicUsize>,
    max: usize,
}

impl Stream for Bounded {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let came = ready!(Pin::new(&mut self.payload).poll_next(context));
        if let Some(Ok(bytes)) = &came {
            let pending = self.pending.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
            if pending > self.max {
                return Poll::Ready(Some(Err(PayloadError::Overflow)));
            }
        }
        Poll::Ready(came)
    }
}

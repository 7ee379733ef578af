//! `/api/v2/peer`: the link between hubs.

use actix_web::{HttpRequest, HttpResponse, web};
use inbetweenies_core::wire::Problem;

use super::{Doors, body};
use crate::hub::links;

/// Takes a peer's WebSocket and serves it until it is gone.
pub async fn peer(request: HttpRequest, payload: web::Payload, doors: web::Data<Doors>) -> HttpResponse {
    match actix_ws::handle(&request, payload) {
        Ok((response, session, stream)) => {
            let stream = stream.max_frame_size(doors.office.peer_limits.frame_bytes_max + 1);
            actix_rt::spawn(links::serve(doors.office.clone(), session, stream));
            response
        }
        Err(error) => {
            let detail = format!("this path is for hubs, by WebSocket: {error}");
            body::problem(&request, &Problem::bad_request("no_websocket", detail))
        }
    }
}

//! `/health`, `/metrics`, `/api/v2/status`.

use actix_web::{HttpRequest, HttpResponse, web};
use inbetweenies_core::wire::Problem;
use serde::Serialize;

use super::{Doors, body};

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// 200 when the hub can serve, 503 with the reason otherwise.
pub async fn health(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    if !doors.office.board.known().has_home() {
        let detail = "this hub has no home yet, or not its rules: it waits for one of its seeds";
        return body::problem(&request, &Problem::new(503, "No home yet", "no_home", detail));
    }
    body::answer(&request, 200, &Health { status: "healthy" })
}

/// What this hub holds, and who is there.
pub async fn status(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let status = doors.office.board.status(doors.office.now(), &doors.office.links);
    body::answer(&request, 200, &status)
}

/// Prometheus text.
pub async fn metrics(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    match &doors.metrics {
        Some(metrics) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4")
            .body(metrics.render()),
        None => body::problem(
            &request,
            &Problem::not_found("metrics are off: set metrics.enabled"),
        ),
    }
}

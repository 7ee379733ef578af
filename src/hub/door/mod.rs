//! The HTTP doors: who may enter, what is refused, and the way in and out of MessagePack and JSON.
//!
//! Invariant: what passes a door is within every limit and of a type that cannot be wrong; what is refused changed
//! nothing and says what to do.

mod blobs;
mod body;
mod compare;
mod govern;
mod guard;
mod peer;
mod read;
mod status;
mod sync;

pub use guard::guard;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};
use futures_util::future::ready;
use inbetweenies_core::store::Snapshot;
use inbetweenies_core::view::Policy;
use inbetweenies_core::wire::Problem;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;

use super::office::Office;
use crate::config::Config;
use crate::store::{BlobStore, StoreReader};

/// What the doors share.
pub struct Doors {
    office: Arc<Office>,
    reader: StoreReader,
    /// Bytes of large blobs.
    files: BlobStore,
    uploads: blobs::Uploads,
    blob_size_max: u64,
    /// Sync exchanges in hand.
    requests: Arc<Semaphore>,
    /// KiB of bodies in hand: four of the largest at once.
    bodies: Arc<Semaphore>,
    body_timeout: std::time::Duration,
    retry_after: u64,
    metrics: Option<PrometheusHandle>,
}

impl Doors {
    /// Doors of an open office.
    pub fn new(office: Arc<Office>, reader: StoreReader, files: BlobStore, config: &Config) -> Doors {
        let metrics = if config.metrics.enabled {
            let recorder = metrics_exporter_prometheus::PrometheusBuilder::new();
            recorder
                .install_recorder()
                .inspect_err(|error| tracing::warn!(%error, "no metrics"))
                .ok()
        } else {
            None
        };
        Doors {
            requests: Arc::new(Semaphore::new(config.sync.requests_max)),
            bodies: Arc::new(Semaphore::new(4 * (office.limits.body_bytes_max >> 10).max(1))),
            body_timeout: config.listen.body_timeout.get(),
            retry_after: config.sync.retry_after.get().as_secs().max(1),
            uploads: blobs::Uploads::new(
                files.uploads(),
                config.blobs.uploads_max,
                config.blobs.upload_expiry.get(),
            ),
            blob_size_max: config.blobs.size_max.bytes(),
            files,
            office,
            reader,
            metrics,
        }
    }

    /// Drops uploads that have expired, as long as the hub runs.
    pub async fn tidy(self: Arc<Self>) {
        loop {
            let uploads = self.uploads.clone();
            match web::block(move || uploads.tidy()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the folder of uploads does not read"),
                Err(_) => return,
            }
            tokio::time::sleep(blobs::SWEEP_EVERY).await;
        }
    }

    fn busy(&self, what: &str) -> Problem {
        let detail = format!("this hub has as many {what} in hand as it takes; try again in a moment");
        let mut problem = Problem::new(503, "Busy", "busy", detail);
        problem.retry_after = Some(self.retry_after);
        problem
    }

    fn policy(&self) -> Arc<Policy> {
        self.office.board.known().policy.clone()
    }

    /// Reads one snapshot on a thread that may block.
    async fn read<T, F>(&self, read: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Snapshot, &Policy) -> Result<T, inbetweenies_core::store::StoreError> + Send + 'static,
    {
        let (reader, policy) = (self.reader.clone(), self.policy());
        let done = web::block(move || read(&reader.snapshot(), &policy)).await;
        match done {
            Ok(read) => read.map_err(|error| Problem::store(&error)),
            Err(_) => Err(self.busy("reads")),
        }
    }
}

/// Every path there is.
pub fn routes(app: &mut web::ServiceConfig) {
    let get = |path: &str, route: Route| only(Method::GET, path, route);
    app.service(get("/health", web::to(status::health)))
        .service(get("/metrics", web::to(status::metrics)))
        .service(get("/api/v2/status", web::to(status::status)))
        .service(only(Method::POST, "/api/v2/sync", web::to(sync::sync)))
        .service(get("/api/v2/peer", web::to(peer::peer)))
        .service(get("/api/v2/entities", web::to(read::entities)))
        .service(get("/api/v2/entities/{id}", web::to(read::entity)))
        .service(get(
            "/api/v2/entities/{id}/{part:history|tree|why}",
            web::to(read::of_entity),
        ))
        .service(get("/api/v2/relationships", web::to(read::relationships)))
        .service(get("/api/v2/relationships/{id}", web::to(read::relationship)))
        .service(get(
            "/api/v2/relationships/{id}/{part:history|tree|why}",
            web::to(read::of_relationship),
        ))
        .service(get("/api/v2/diff", web::to(read::diff)))
        .service(only(Method::POST, "/api/v2/verify", web::to(compare::verify)))
        .service(get("/api/v2/leaves", web::to(compare::leaves)))
        .service(get("/api/v2/digest", web::to(compare::selected)))
        .service(get("/api/v2/conflicts", web::to(read::conflicts)))
        .service(only(
            Method::POST,
            "/api/v2/conflicts/{id}",
            web::to(govern::answer),
        ))
        .service(get("/api/v2/members", web::to(govern::members)))
        .service(only(
            Method::POST,
            "/api/v2/members/{hub}/{act:fence|unfence}",
            web::to(govern::fence),
        ))
        .service(
            web::resource("/api/v2/blobs")
                .route(web::to(blobs::options).method(Method::OPTIONS))
                .route(web::to(blobs::create).method(Method::POST))
                .default_service(web::to(|request: HttpRequest| {
                    ready(wrong_method(&request, "OPTIONS and POST"))
                })),
        )
        .service(
            web::resource("/api/v2/blobs/uploads/{upload}")
                .route(web::to(blobs::options).method(Method::OPTIONS))
                .route(web::to(blobs::offset).method(Method::HEAD))
                .route(web::to(blobs::go_on).method(Method::PATCH))
                .route(web::to(blobs::go_on).method(Method::POST))
                .route(web::to(blobs::drop_one).method(Method::DELETE))
                .default_service(web::to(|request: HttpRequest| {
                    ready(wrong_method(&request, "HEAD and PATCH and DELETE"))
                })),
        )
        .service(get("/api/v2/blobs/{sha256}/status", web::to(blobs::status)))
        .service(
            web::resource("/api/v2/blobs/{sha256}")
                .route(web::to(blobs::download).method(Method::GET))
                .route(web::to(blobs::download).method(Method::HEAD))
                .default_service(web::to(|request: HttpRequest| {
                    ready(wrong_method(&request, "GET and HEAD"))
                })),
        )
        .service(
            web::resource("/api/v2/policy")
                .route(web::to(govern::policy).method(Method::GET))
                .route(web::to(govern::set_policy).method(Method::PUT))
                .default_service(web::to(|request: HttpRequest| {
                    ready(wrong_method(&request, "GET and PUT"))
                })),
        )
        .default_service(web::to(nowhere));
}

/// A path with the one method that it takes; whoever comes with another is told which.
fn only(method: Method, path: &str, route: Route) -> Resource {
    let allowed = method.to_string();
    let other = web::to(move |request: HttpRequest| ready(wrong_method(&request, &allowed)));
    web::resource(path)
        .route(route.method(method))
        .default_service(other)
}

fn wrong_method(request: &HttpRequest, allowed: &str) -> HttpResponse {
    let detail = format!(
        "{} takes {allowed} alone, not {}",
        request.path(),
        request.method()
    );
    let problem = Problem::new(405, "Method not allowed", "wrong_method", detail);
    let mut response = body::problem(request, &problem);
    if let Ok(allowed) = HeaderValue::from_str(&allowed.replace(" and ", ", ")) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

async fn nowhere(request: HttpRequest) -> HttpResponse {
    let detail = format!(
        "{} {} is nothing that this hub serves",
        request.method(),
        request.path()
    );
    body::problem(&request, &Problem::not_found(detail))
}

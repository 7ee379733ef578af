//! Web pages of others: no page on the network may speak to a hub through its reader's browser.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HOST, ORIGIN};
use futures_util::future::{Either, Ready, ready};
use inbetweenies_core::wire::Problem;

use super::body;

/// Refuses requests that a browser makes for a page of another origin, and, while the hub listens on loopback alone,
/// names that only look like it (DNS rebinding).
pub fn guard(loopback_only: bool) -> Guard {
    Guard { loopback_only }
}

/// The middleware.
pub struct Guard {
    loopback_only: bool,
}

impl<S, B> Transform<S, ServiceRequest> for Guard
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = Guarded<S>;
    type Future = Ready<Result<Guarded<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Guarded {
            service,
            loopback_only: self.loopback_only,
        }))
    }
}

/// The middleware around the doors.
pub struct Guarded<S> {
    service: S,
    loopback_only: bool,
}

impl<S, B> Service<ServiceRequest> for Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Either<
        Ready<Result<Self::Response, Self::Error>>,
        futures_util::future::MapOk<S::Future, fn(ServiceResponse<B>) -> ServiceResponse<EitherBody<B>>>,
    >;

    actix_web::dev::forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        use futures_util::TryFutureExt;
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST).unwrap_or_default();
        let refused = match text(ORIGIN) {
            Some(origin) if origin.split_once("://").is_none_or(|(_, of)| of != host) => Some("Origin"),
            _ if self.loopback_only && !host.is_empty() && !is_loopback(host) => Some("Host"),
            _ => None,
        };
        if let Some(header) = refused {
            let detail = format!("{header} is not this hub's: pages of others may not speak to it");
            let problem = Problem::new(403, "Forbidden", "foreign_origin", detail);
            let response = body::problem(request.request(), &problem);
            return Either::Left(ready(Ok(request.into_response(response).map_into_right_body())));
        }
        let left: fn(ServiceResponse<B>) -> ServiceResponse<EitherBody<B>> =
            ServiceResponse::map_into_left_body;
        Either::Right(self.service.call(request).map_ok(left))
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_is_loopback() {
        for host in [
            "localhost",
            "localhost:7420",
            "127.0.0.1:1",
            "127.1.2.3",
            "[::1]:7420",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "10.0.0.1:7420",
            "[fe80::1]:1",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

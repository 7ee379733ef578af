//! Connections that send at once.
//!
//! Nagle's algorithm holds a last, short segment back until what was sent before is acknowledged, and the other end delays
//! that by up to 40 ms: a push of one record waited so long.

use actix_rt::net::TcpStream;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Connector};
use actix_web::dev::{Service, fn_service};
use awc::http::Uri;

/// What opens connections for an HTTP client: awc's own way, with `TCP_NODELAY`.
pub fn connector() -> awc::Connector<
    impl Service<ConnectInfo<Uri>, Response = Connection<Uri, TcpStream>, Error = ConnectError> + Clone,
> {
    let tcp = Connector::default().service();
    awc::Connector::new().connector(fn_service(move |to: ConnectInfo<Uri>| {
        let connecting = tcp.call(to);
        async move {
            let connection = connecting.await?;
            // It works without, if slower.
            drop(connection.io_ref().set_nodelay(true));
            Ok(connection)
        }
    }))
}

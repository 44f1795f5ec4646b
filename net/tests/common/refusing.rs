//! An address at which nobody listens.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

/// Refuses connections until the program ends: somebody has the port, and does not listen. One that was only free a moment
/// ago may be that of the test that runs beside this one.
pub(crate) fn refusing() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

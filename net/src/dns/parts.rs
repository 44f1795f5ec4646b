//! The addresses of a lookup as they come, made ready to be connected to.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use super::error::Error;
use super::resolve::{BoxError, ResolvingParts};

/// The parts of a lookup, with their port, and without what must not be connected to.
pub(crate) struct Parts {
    parts: ResolvingParts,
    port: u16,
    allowed: fn(&SocketAddr) -> bool,
    /// Whether there was an address, allowed or not.
    has_any: bool,
}

impl Parts {
    pub(crate) fn new(parts: ResolvingParts, port: u16) -> Self {
        Self {
            parts,
            port,
            allowed: |_| true,
            has_any: false,
        }
    }

    /// Leaves out other addresses.
    pub(crate) fn only(mut self, allowed: fn(&SocketAddr) -> bool) -> Self {
        self.allowed = allowed;
        self
    }

    /// The first addresses; none when there are none that are allowed. An error matters when there was no address.
    pub(crate) async fn first(&mut self) -> Result<Vec<SocketAddr>, BoxError> {
        let mut failed = None;
        loop {
            match poll_fn(|cx| self.poll_part(cx)).await {
                Some(Ok(addresses)) if addresses.is_empty() => {}
                Some(Ok(addresses)) => return Ok(addresses),
                Some(Err(error)) => failed = Some(error),
                None => break,
            }
        }
        match failed {
            Some(error) if !self.has_any => Err(error),
            _ => Ok(Vec::new()),
        }
    }

    /// More addresses, or the end.
    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<SocketAddr>>> {
        loop {
            match ready!(self.poll_part(cx)) {
                Some(Ok(addresses)) => return Poll::Ready(Some(addresses)),
                Some(Err(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }

    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Vec<SocketAddr>, BoxError>>> {
        let part = ready!(self.parts.as_mut().poll_next(cx));
        Poll::Ready(part.map(|part| {
            let addresses = part?.map(|mut address| {
                if address.port() == 0 {
                    address.set_port(self.port);
                }
                self.has_any = true;
                address
            });
            Ok(addresses.filter(self.allowed).collect())
        }))
    }
}

/// An error of any resolver as one of I/O.
pub(crate) fn into_io(error: BoxError) -> io::Error {
    match error.downcast::<Error>() {
        Ok(error) => (*error).into(),
        Err(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
    }
}

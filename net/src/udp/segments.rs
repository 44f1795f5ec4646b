//! Many datagrams in one system call: segmentation and receive offload (`UDP_SEGMENT`, `UDP_GRO`; see `udp(7)`).

use std::future::Future;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use heist_runtime::ops;
use rustix::io::Errno;
use rustix::net::SendFlags;
use socket2::SockAddr;

use super::UdpSocket;
use crate::ready::{READABLE, SEND, WRITABLE, when};
use crate::tcp::inet;

/// Datagrams that the kernel makes of one call (`UDP_MAX_SEGMENTS` of older ones), and the bytes of them that fit into one
/// packet of IPv4.
const MOST_SEGMENTS: usize = 64;
const MOST_BYTES: usize = 65_507;

/// What is known of how the kernel cuts datagrams for a socket.
#[derive(Debug, Default)]
pub(super) struct Cutting(AtomicU8);

impl Cutting {
    const KNOWN: u8 = 1;
    const DENIED: u8 = 2;

    /// Whether it can be tried.
    fn is_possible(&self, fd: &ops::SharedFd) -> bool {
        // Relaxed: whoever sees an older value finds out once more.
        match self.0.load(Ordering::Relaxed) {
            Self::KNOWN => true,
            Self::DENIED => false,
            _ => {
                let has = ops::has_segmentation(fd);
                let found = if has { Self::KNOWN } else { Self::DENIED };
                self.0.store(found, Ordering::Relaxed);
                has
            }
        }
    }

    fn deny(&self) {
        self.0.store(Self::DENIED, Ordering::Relaxed);
    }
}

/// What [`UdpSocket::recv_segments`] has received: one datagram, or several of the same sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segments {
    /// Bytes of all of them.
    pub len: usize,
    /// Bytes of each, but for the last, which may have fewer.
    pub segment: usize,
    /// The sender.
    pub from: SocketAddr,
    /// The end did not fit into the buffer, and is lost.
    pub truncated: bool,
}

impl Segments {
    /// The datagrams, in the buffer that they were received into.
    ///
    /// # Panics
    ///
    /// When `buffer` is shorter than what was received.
    pub fn iter<'a>(&self, buffer: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        // An empty datagram is one, too.
        let (first, rest) = buffer[..self.len].split_at(self.segment.min(self.len));
        iter::once(first).chain(rest.chunks(self.segment.max(1)))
    }
}

/// # Many at a time
///
/// The network stack is gone through once for up to 64 datagrams instead of for each. Where the kernel or the device cannot
/// do that, the same methods send and receive one after the other.
///
/// ```
/// use heist_net::UdpSocket;
///
/// # heist_runtime::block_on(async {
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// // What cannot be put together comes one by one.
/// let _ = server.set_gro(true);
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// client.connect(server.local_addr()?).await?;
///
/// let ten = vec![7; 10 * 1200];
/// let mut sent = 0;
/// while sent < ten.len() {
///     sent += client.send_segments(&ten[sent..], 1200).await?;
/// }
/// let (mut buffer, mut datagrams) = (vec![0; 65_536], 0);
/// while datagrams < 10 {
///     let received = server.recv_segments(&mut buffer).await?;
///     datagrams += received.iter(&buffer).count();
/// }
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
impl UdpSocket {
    /// Sends `bytes` to the connected address as datagrams of `segment` bytes each, of which the last may be shorter.
    /// Yields how many bytes, as a rule those of 64 datagrams or of 64 KiB: call it again for the rest.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when `segment` is 0, and those of [`send`](Self::send). With an error nothing has been sent.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_segments` has sent nothing.
    #[track_caller]
    pub fn send_segments(
        &self,
        bytes: &[u8],
        segment: usize,
    ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
        when(&self.fd, WRITABLE, move |_| {
            self.try_send_segments(bytes, segment)
        })
    }

    /// As [`send_segments`](Self::send_segments), as far as there is room at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is no room, and as there.
    pub fn try_send_segments(&self, bytes: &[u8], segment: usize) -> io::Result<usize> {
        self.segments_now(bytes, segment, None)
    }

    /// As [`send_segments`](Self::send_segments), to an address.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_segments_to` has sent nothing.
    #[track_caller]
    pub fn send_segments_to(
        &self,
        bytes: &[u8],
        segment: usize,
        to: SocketAddr,
    ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
        when(&self.fd, WRITABLE, move |_| {
            self.try_send_segments_to(bytes, segment, to)
        })
    }

    /// As [`send_segments_to`](Self::send_segments_to), as far as there is room at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is no room, and as there.
    pub fn try_send_segments_to(
        &self,
        bytes: &[u8],
        segment: usize,
        to: SocketAddr,
    ) -> io::Result<usize> {
        self.segments_now(bytes, segment, Some(to))
    }

    /// How many datagrams one system call sends, as far as is known: 64, or 1 where the kernel or the device cannot.
    #[must_use]
    pub fn max_segments(&self) -> usize {
        if self.cutting.is_possible(&self.fd) {
            MOST_SEGMENTS
        } else {
            1
        }
    }

    fn segments_now(
        &self,
        bytes: &[u8],
        segment: usize,
        to: Option<SocketAddr>,
    ) -> io::Result<usize> {
        if segment == 0 {
            let message = "send_segments: datagrams of 0 bytes never end; give their length";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let most = MOST_SEGMENTS.min(MOST_BYTES / segment).max(1);
        let batch = &bytes[..bytes.len().min(most.saturating_mul(segment))];
        if batch.len() > segment
            && let Ok(length) = u16::try_from(segment)
            && self.cutting.is_possible(&self.fd)
        {
            let address = to.map(SockAddr::from);
            match ops::send_segments_now(&self.fd, batch, length, address.as_ref()) {
                Err(error) if self.is_refused(&error) => {}
                outcome => return outcome,
            }
        }
        self.one_by_one(batch, segment, to)
    }

    /// Whether an error is about the offload, and not about the datagrams.
    fn is_refused(&self, error: &io::Error) -> bool {
        match Errno::from_io_error(error) {
            // The device cannot.
            Some(Errno::IO | Errno::OPNOTSUPP | Errno::NOPROTOOPT) => {
                self.cutting.deny();
                true
            }
            // Longer than packets to this address may be: by themselves the datagrams go in fragments, or are refused.
            Some(Errno::INVAL | Errno::MSGSIZE) => true,
            _ => false,
        }
    }

    fn one_by_one(
        &self,
        batch: &[u8],
        segment: usize,
        to: Option<SocketAddr>,
    ) -> io::Result<usize> {
        let flags: SendFlags = SEND;
        let mut sent = 0;
        loop {
            let next = &batch[sent..batch.len().min(sent + segment)];
            let outcome = match &to {
                Some(to) => rustix::net::sendto(&self.fd, next, flags, to),
                None => rustix::net::send(&self.fd, next, flags),
            };
            match outcome {
                Ok(_) => sent += next.len(),
                // The next call is told.
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) => return Err(error.into()),
            }
            if sent == batch.len() {
                return Ok(sent);
            }
        }
    }

    /// Whether the kernel puts datagrams of one sender together that have the same length. Receive them with
    /// [`recv_segments`](Self::recv_segments) then: other methods do not tell where one ends.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` when the kernel cannot; datagrams come one by one then, to `recv_segments` too.
    pub fn set_gro(&self, on: bool) -> io::Result<()> {
        ops::set_gro(&self.fd, on)
    }

    /// Waits for a datagram, or for several that the kernel has put together ([`set_gro`](Self::set_gro)), and copies them
    /// into `into`, which should have room for 64 KiB.
    ///
    /// # Errors
    ///
    /// Those of `recvmsg(2)`.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: datagrams are taken only by a call that returns them.
    #[track_caller]
    pub fn recv_segments(
        &self,
        into: &mut [u8],
    ) -> impl Future<Output = io::Result<Segments>> + Send + Unpin {
        when(&self.fd, READABLE, move |_| self.try_recv_segments(into))
    }

    /// As [`recv_segments`](Self::recv_segments), of what is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is nothing, and those of `recvmsg(2)`.
    pub fn try_recv_segments(&self, into: &mut [u8]) -> io::Result<Segments> {
        let received = ops::recv_segments_now(&self.fd, into)?;
        Ok(Segments {
            len: received.len,
            segment: received.segment.unwrap_or(received.len),
            from: inet(&received.from)?,
            truncated: received.truncated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair() -> (UdpSocket, UdpSocket) {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        one.connect(other.local_addr().unwrap()).await.unwrap();
        (one, other)
    }

    /// A kernel that cannot: the datagrams are the same. Negative control: without `one_by_one` nothing is sent.
    #[test]
    fn without_offload_datagrams_are_sent_one_by_one() {
        heist_runtime::block_on(async {
            let (one, other) = pair().await;
            one.cutting.deny();
            assert_eq!(one.max_segments(), 1);
            let bytes: Vec<u8> = (0..1050_u32).map(|i| (i % 251) as u8).collect();
            assert_eq!(one.send_segments(&bytes, 100).await.unwrap(), 1050);
            let (mut all, mut count, mut buffer) = (Vec::new(), 0, [0; 200]);
            while all.len() < 1050 {
                let received = other.recv_segments(&mut buffer).await.unwrap();
                assert_eq!(
                    (received.len, received.segment),
                    (received.len, received.len)
                );
                all.extend_from_slice(&buffer[..received.len]);
                count += 1;
            }
            assert_eq!((all, count), (bytes, 11));
        });
    }

    #[test]
    fn only_refusals_of_the_offload_fall_back() {
        heist_runtime::block_on(async {
            let (one, _other) = pair().await;
            let refused = |errno: Errno| one.is_refused(&errno.into());
            assert!(refused(Errno::INVAL) && refused(Errno::MSGSIZE));
            assert!(!refused(Errno::AGAIN) && !refused(Errno::CONNREFUSED));
            let before = one.max_segments();
            assert!(refused(Errno::IO));
            assert!(before >= 1 && one.max_segments() == 1);
        });
    }
}

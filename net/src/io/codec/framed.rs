//! Messages from a reader, and both ways.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use heist_runtime::scope::leaf_fn;
use heist_sync::stream::Stream;

use super::framed_write::Outgoing;
use super::{Decoder, Encoder};
use crate::io::{AsyncRead, AsyncWrite};

/// The messages of a reader, as a [`Stream`].
///
/// After an error of the decoder or the reader comes one `None`, so that a loop ends. Whoever asks again gets what the
/// decoder finds behind the error, if it goes on at all. After the end of the reader nothing more comes.
///
/// # Cancel safety
///
/// Loses nothing: half a message is kept for the next one that is asked for.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct FramedRead<R, D> {
    inner: R,
    decoder: D,
    incoming: Incoming,
}

/// What was read and not decoded.
#[derive(Debug, Default)]
struct Incoming {
    bytes: BytesMut,
    phase: Phase,
}

#[derive(Debug, Default, Clone, Copy)]
enum Phase {
    /// More has to be read.
    #[default]
    Read,
    /// There may be a message in what was read.
    Decode,
    /// The last item was an error.
    Failed,
    /// The reader is at its end.
    Ending,
    Ended,
}

impl Incoming {
    fn poll<R: AsyncRead, D: Decoder>(
        &mut self,
        reader: &mut R,
        decoder: &mut D,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<D::Item, D::Error>>> {
        loop {
            match self.phase {
                Phase::Read => match ready!(reader.poll_recv(cx)) {
                    Ok(Some(bytes)) => {
                        self.bytes.extend_from_slice(&bytes);
                        self.phase = Phase::Decode;
                    }
                    Ok(None) => self.phase = Phase::Ending,
                    Err(error) => {
                        self.phase = Phase::Failed;
                        return Poll::Ready(Some(Err(error.into())));
                    }
                },
                Phase::Decode => match decoder.decode(&mut self.bytes).transpose() {
                    None => self.phase = Phase::Read,
                    Some(Ok(message)) => return Poll::Ready(Some(Ok(message))),
                    failed => {
                        self.phase = Phase::Failed;
                        return Poll::Ready(failed);
                    }
                },
                Phase::Failed => {
                    self.phase = Phase::Decode;
                    return Poll::Ready(None);
                }
                Phase::Ending => {
                    let message = decoder.decode_eof(&mut self.bytes).transpose();
                    if !matches!(message, Some(Ok(_))) {
                        self.phase = Phase::Ended;
                    }
                    return Poll::Ready(message);
                }
                Phase::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl<R: AsyncRead, D: Decoder> FramedRead<R, D> {
    /// The messages that `decoder` finds in `inner`.
    pub fn new(inner: R, decoder: D) -> Self {
        Self {
            inner,
            decoder,
            incoming: Incoming::default(),
        }
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader, past what [`read_buffer`](Self::read_buffer) shows.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The decoder.
    pub fn decoder(&self) -> &D {
        &self.decoder
    }

    /// The decoder.
    pub fn decoder_mut(&mut self) -> &mut D {
        &mut self.decoder
    }

    /// What was read and not decoded.
    pub fn read_buffer(&self) -> &BytesMut {
        &self.incoming.bytes
    }

    /// The reader, with what was read and not decoded put back (tokio-util's loses it). What the decoder keeps itself
    /// is lost.
    pub fn into_inner(mut self) -> R {
        if !self.incoming.bytes.is_empty() {
            self.inner.unread(Vec::from(self.incoming.bytes).into());
        }
        self.inner
    }
}

impl<R: AsyncRead + Unpin, D: Decoder + Unpin> Stream for FramedRead<R, D> {
    type Item = Result<D::Item, D::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.incoming.poll(&mut this.inner, &mut this.decoder, cx)
    }
}

/// Messages both ways: a [`Stream`] of those that come, and [`send`](Self::send) for those that go.
///
/// ```
/// use heist_net::io::codec::{Framed, LinesCodec};
/// use heist_net::{TcpListener, TcpStream};
/// use heist_sync::stream::StreamExt;
///
/// # heist_runtime::block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let client = TcpStream::connect(listener.local_addr()?).await?;
/// # let (server, _) = listener.accept().await?;
/// let mut client = Framed::new(client, LinesCodec::new_with_max_length(1000));
/// let mut server = Framed::new(server, LinesCodec::new_with_max_length(1000));
/// client.send("who is there?").await?;
/// assert_eq!(server.next().await.unwrap()?, "who is there?");
/// client.close().await?;
/// assert!(server.next().await.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// # Cancel safety
///
/// As for [`FramedRead`] and [`FramedWrite`](super::FramedWrite).
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct Framed<T, C> {
    inner: T,
    codec: C,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl<T: AsyncRead + AsyncWrite, C> Framed<T, C> {
    /// Messages as `codec` has them, over `inner`.
    pub fn new(inner: T, codec: C) -> Self {
        Self {
            inner,
            codec,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
        }
    }

    /// Encodes a message and waits until it is written and flushed.
    ///
    /// # Errors
    ///
    /// Those of the encoder and the writer.
    ///
    /// # Cancel safety
    ///
    /// As for [`FramedWrite::send`](super::FramedWrite::send).
    pub async fn send<I>(&mut self, item: I) -> Result<(), C::Error>
    where
        C: Encoder<I>,
    {
        self.feed(item).await?;
        leaf_fn(|cx| self.outgoing.poll_flush(&mut self.inner, cx)).await?;
        Ok(())
    }

    /// Encodes a message, and waits only while much is to be written.
    ///
    /// # Errors
    ///
    /// Those of the encoder and the writer.
    ///
    /// # Cancel safety
    ///
    /// As for [`FramedWrite::feed`](super::FramedWrite::feed).
    pub async fn feed<I>(&mut self, item: I) -> Result<(), C::Error>
    where
        C: Encoder<I>,
    {
        leaf_fn(|cx| self.outgoing.poll_ready(&mut self.inner, cx)).await?;
        self.outgoing.encode(&mut self.codec, item)
    }

    /// Waits until everything is written and flushed.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: another call goes on from there.
    #[track_caller]
    pub fn flush(&mut self) -> impl Future<Output = std::io::Result<()>> + Send {
        leaf_fn(|cx| self.outgoing.poll_flush(&mut self.inner, cx))
    }

    /// Flushes, and tells the peer that nothing more will come.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: another call goes on from there.
    #[track_caller]
    pub fn close(&mut self) -> impl Future<Output = std::io::Result<()>> + Send {
        leaf_fn(|cx| self.outgoing.poll_close(&mut self.inner, cx))
    }

    /// What it is made of.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What it is made of, past what was read and before what is to be written.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The codec.
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// The codec.
    pub fn codec_mut(&mut self) -> &mut C {
        &mut self.codec
    }

    /// What was read and not decoded.
    pub fn read_buffer(&self) -> &BytesMut {
        &self.incoming.bytes
    }

    /// What was encoded and not written.
    pub fn write_buffer(&self) -> &BytesMut {
        self.outgoing.bytes()
    }

    /// What it is made of, with what was read and not decoded put back (tokio-util's loses it), and without what was
    /// not flushed.
    pub fn into_inner(mut self) -> T {
        if !self.incoming.bytes.is_empty() {
            self.inner.unread(Vec::from(self.incoming.bytes).into());
        }
        self.inner
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, C: Decoder + Unpin> Stream for Framed<T, C> {
    type Item = Result<C::Item, C::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.incoming.poll(&mut this.inner, &mut this.codec, cx)
    }
}

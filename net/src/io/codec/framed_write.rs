//! Messages to a writer.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use heist_runtime::scope::leaf_fn;

use super::Encoder;
use crate::io::AsyncWrite;

/// Encoded bytes from which on another message waits until they are written.
const MUCH: usize = 8 * 1024;

/// What was encoded and not written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: BytesMut,
}

impl Outgoing {
    pub(super) fn bytes(&self) -> &BytesMut {
        &self.bytes
    }

    fn poll_drain<W: AsyncWrite>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            match ready!(writer.poll_write(cx, &self.bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.bytes.advance(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when another message may be encoded.
    pub(super) fn poll_ready<W: AsyncWrite>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.len() < MUCH {
            return Poll::Ready(Ok(()));
        }
        self.poll_drain(writer, cx)
    }

    pub(super) fn encode<I, E: Encoder<I>>(
        &mut self,
        encoder: &mut E,
        item: I,
    ) -> Result<(), E::Error> {
        encoder.encode(item, &mut self.bytes)
    }

    pub(super) fn poll_flush<W: AsyncWrite>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(writer, cx))?;
        writer.poll_flush(cx)
    }

    pub(super) fn poll_close<W: AsyncWrite>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(writer, cx))?;
        writer.poll_shutdown(cx)
    }
}

/// A writer of messages.
///
/// Unlike tokio-util's it is no `Sink`: its methods are its own.
#[derive(Debug)]
pub struct FramedWrite<W, E> {
    inner: W,
    encoder: E,
    outgoing: Outgoing,
}

impl<W: AsyncWrite, E> FramedWrite<W, E> {
    /// Messages as `encoder` has them, to `inner`.
    pub fn new(inner: W, encoder: E) -> Self {
        Self {
            inner,
            encoder,
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
    /// No message is ever sent in part: a dropped `send` has either not encoded it, or the rest of it goes out with
    /// the next `send` or [`flush`](Self::flush). [`write_buffer`](Self::write_buffer) tells which.
    pub async fn send<I>(&mut self, item: I) -> Result<(), E::Error>
    where
        E: Encoder<I>,
    {
        self.feed(item).await?;
        self.flush().await?;
        Ok(())
    }

    /// Encodes a message, and waits only while much is to be written (8 KiB).
    ///
    /// # Errors
    ///
    /// Those of the encoder and the writer.
    ///
    /// # Cancel safety
    ///
    /// A dropped `feed` has not encoded the message.
    pub async fn feed<I>(&mut self, item: I) -> Result<(), E::Error>
    where
        E: Encoder<I>,
    {
        leaf_fn(|cx| self.outgoing.poll_ready(&mut self.inner, cx)).await?;
        self.outgoing.encode(&mut self.encoder, item)
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
    pub fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send {
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
    pub fn close(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        leaf_fn(|cx| self.outgoing.poll_close(&mut self.inner, cx))
    }

    /// The writer.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The writer, before what is to be written.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// The encoder.
    pub fn encoder(&self) -> &E {
        &self.encoder
    }

    /// The encoder.
    pub fn encoder_mut(&mut self) -> &mut E {
        &mut self.encoder
    }

    /// What was encoded and not written.
    pub fn write_buffer(&self) -> &BytesMut {
        self.outgoing.bytes()
    }

    /// The writer, without what was not flushed.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

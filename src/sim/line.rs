//! One TLS connection that can be told to behave badly.
//!
//! Owns resets and slow writing. When a connection shall behave so is decided above it.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;

/// A connection and its orders.
#[derive(Debug)]
pub(super) struct Line {
    stream: TlsStream<TcpStream>,
    orders: Arc<Orders>,
    pause: Option<Pin<Box<Sleep>>>,
    /// Given back when the connection is gone.
    _permit: OwnedSemaphorePermit,
}

/// What a connection is told. The octets are those of HTTP, headers included.
#[derive(Debug)]
pub(super) struct Orders {
    /// After so many octets the connection is reset.
    reset_after: AtomicU64,
    /// So many octets are written, then follows a pause of [`PAUSE`].
    pace: AtomicU64,
}

impl Orders {
    /// Resets the connection as soon as `octets` more were written.
    pub(super) fn reset_after(&self, octets: u64) {
        self.reset_after.store(octets, Ordering::Release);
    }

    /// Spreads the next `octets` over `span`. Everything on this connection is slow from now on.
    pub(super) fn trickle(&self, octets: u64, span: Duration) {
        let pauses = span.as_millis().div_ceil(PAUSE.as_millis()).max(1);
        let pace = u128::from(octets).div_ceil(pauses).max(1);
        self.pace.store(u64::try_from(pace).unwrap_or(u64::MAX), Ordering::Release);
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self { reset_after: AtomicU64::new(u64::MAX), pace: AtomicU64::new(u64::MAX) }
    }
}

/// Between two pieces of a slow answer.
const PAUSE: Duration = Duration::from_millis(50);

impl Line {
    pub(super) fn new(stream: TlsStream<TcpStream>, permit: OwnedSemaphorePermit) -> Self {
        Self { stream, orders: Arc::default(), pause: None, _permit: permit }
    }

    pub(super) fn orders(&self) -> Arc<Orders> {
        Arc::clone(&self.orders)
    }

    fn reset(&self) -> io::Error {
        // Without lingering the kernel sends RST instead of FIN when the socket is dropped.
        drop(self.stream.get_ref().0.set_zero_linger());
        io::ErrorKind::ConnectionReset.into()
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        if let Some(pause) = line.pause.as_mut() {
            ready!(pause.as_mut().poll(cx));
            line.pause = None;
        }
        let left = line.orders.reset_after.load(Ordering::Acquire);
        if left == 0 {
            return Poll::Ready(Err(line.reset()));
        }
        let pace = line.orders.pace.load(Ordering::Acquire);
        let most = usize::try_from(left.min(pace)).unwrap_or(usize::MAX);
        let piece = octets.get(..octets.len().min(most)).unwrap_or(octets);
        let written = ready!(Pin::new(&mut line.stream).poll_write(cx, piece))?;
        if left != u64::MAX {
            line.orders.reset_after.store(left.saturating_sub(written as u64), Ordering::Release);
        }
        if pace != u64::MAX {
            line.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, into)
    }
}

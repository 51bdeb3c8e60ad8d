//! Connections with bounds: how many at once, how long each may last, and how long it may take for a request.
//!
//! Owns accepting. What is served on them is `page`'s.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Sleep, sleep, timeout},
};

use crate::{clock, limits};

/// How many connections there may be at once, and how long each may last and take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connections: usize,
    pub(super) lifetime: Duration,
    /// For a request, from its first octet (or the connection's beginning) to its last.
    pub(super) request: Duration,
    /// Between an answer and the next request, and for the other side to take a part of an answer.
    pub(super) idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: limits::HTTP_CONNECTIONS_MAX,
            lifetime: limits::HTTP_CONNECTION_LIFETIME,
            request: limits::HTTP_REQUEST_TIME_MAX,
            idle: limits::HTTP_IDLE_MAX,
        }
    }
}

/// A listener that keeps the bounds. When all places are taken, whoever has said nothing for longest makes room for one that
/// comes; if all are being answered, it waits.
#[derive(Debug)]
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    bounds: Bounds,
    // Bound: those that are gone leave when the next one comes.
    seats: Vec<Weak<Seat>>,
}

/// How often it is looked whether a connection has become idle that could make room.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Bounded {
    pub(super) fn new(listener: TcpListener, bounds: Bounds) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(bounds.connections)), bounds, seats: Vec::new() }
    }

    /// A place, taken from the connection that is idle longest if there is no other.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let taken = Arc::clone(&self.places).acquire_owned();
            match timeout(LOOK_AGAIN, taken).await {
                Ok(place) => return place.ok(),
                Err(_) => self.make_room(),
            }
        }
    }

    fn make_room(&self) {
        let seats = self.seats.iter().filter_map(Weak::upgrade);
        let idle = seats.filter_map(|seat| seat.idle_since().map(|since| (since, seat)));
        if let Some((_, seat)) = idle.min_by_key(|(since, _)| *since) {
            seat.give_up();
        }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Taken from the kernel first: as long as nobody comes, nobody has to go.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        if self.places.available_permits() == 0 {
            self.make_room();
        }
        let place = self.place().await;
        let (seat, given_up) = Seat::new();
        self.seats.retain(|seat| seat.strong_count() > 0);
        self.seats.push(Arc::downgrade(&seat));
        (Connection::new(stream, self.bounds, seat, given_up, place), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What the listener knows of a connection.
#[derive(Debug)]
struct Seat {
    /// Since when nothing is under way, in nanoseconds of the monotonic clock; [`BUSY`] while something is.
    idle_since: AtomicI64,
    end: Mutex<Option<oneshot::Sender<()>>>,
}

const BUSY: i64 = i64::MAX;

impl Seat {
    fn new() -> (Arc<Self>, oneshot::Receiver<()>) {
        let (end, given_up) = oneshot::channel();
        let idle_since = AtomicI64::new(clock::now().mono.as_nanos());
        (Arc::new(Self { idle_since, end: Mutex::new(Some(end)) }), given_up)
    }

    /// None if an answer is under way, or the connection was given up before.
    fn idle_since(&self) -> Option<i64> {
        let since = self.idle_since.load(Relaxed);
        let is_there = self.end.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        (is_there && since != BUSY).then_some(since)
    }

    fn give_up(&self) {
        if let Some(end) = self.end.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Otherwise it has just ended by itself.
            let _ = end.send(());
        }
    }
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The rest of a request, or the first one.
    Request,
    /// The next request, after an answer.
    Idle,
    /// Room for the rest of an answer.
    Answer,
}

/// A connection that ends after its lifetime, and when it takes too long, whatever the other side does or doesn't do.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    bounds: Bounds,
    phase: Phase,
    /// Of the phase.
    deadline: Pin<Box<Sleep>>,
    end: Pin<Box<Sleep>>,
    given_up: oneshot::Receiver<()>,
    has_ended: bool,
    seat: Arc<Seat>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(
        stream: TcpStream,
        bounds: Bounds,
        seat: Arc<Seat>,
        given_up: oneshot::Receiver<()>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let (deadline, end) = (Box::pin(sleep(bounds.request)), Box::pin(sleep(bounds.lifetime)));
        let phase = Phase::Request;
        Self { stream, bounds, phase, deadline, end, given_up, has_ended: false, seat, _place: place }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline.set(sleep(if phase == Phase::Request { self.bounds.request } else { self.bounds.idle }));
        let since = if phase == Phase::Answer { BUSY } else { clock::now().mono.as_nanos() };
        self.seat.idle_since.store(since, Relaxed);
    }

    /// Whether it was given up, or its lifetime is over.
    fn poll_end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        // A oneshot must not be asked again once it has answered.
        self.has_ended = self.has_ended
            || Pin::new(&mut self.given_up).poll(context).is_ready()
            || self.end.as_mut().poll(context).is_ready();
        if self.has_ended { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// Whether the other side took too long.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        self.has_ended |= self.deadline.as_mut().poll(context).is_ready();
        if self.has_ended { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_end(context)?;
        self.poll_deadline(context)?;
        let before = into.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, into);
        // The first octets of a request begin its time; more of them don't lengthen it.
        if self.phase == Phase::Idle && into.filled().len() > before {
            self.enter(Phase::Request);
            // So that the new deadline wakes whoever waits here.
            self.poll_deadline(context)?;
        }
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_end(context)?;
        if self.phase == Phase::Answer {
            // Before an answer begins it is we who take time.
            self.poll_deadline(context)?;
        }
        let result = Pin::new(&mut self.stream).poll_write(context, octets);
        match &result {
            Poll::Ready(Ok(_)) => self.enter(Phase::Idle),
            Poll::Pending if self.phase != Phase::Answer => self.enter(Phase::Answer),
            _ => return result,
        }
        self.poll_deadline(context)?;
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

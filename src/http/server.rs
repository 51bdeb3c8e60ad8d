//! The server of the pages.
//!
//! Owns its start and its end. What the pages show belongs to others.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use tokio::net::TcpListener;

use crate::metrics::page::Exposition;

use super::{
    connection::{Bounded, Bounds},
    page,
    readiness::{Ailment, Readiness},
};

/// An open port, not yet served: opened before anything else starts, so that a port in use is told at once.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    bounds: Bounds,
}

impl Server {
    /// Opens the port.
    ///
    /// # Errors
    /// What the system said; the caller knows the address.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, bounds: Bounds::default() })
    }

    /// Takes a listener that is bound already and does not block. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// The runtime can't take the socket.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, bounds: Bounds::default() })
    }

    /// Where it listens; the real port if 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the pages until `stop` comes, then lets answers that are under way finish.
    ///
    /// # Errors
    /// What the system said.
    pub async fn serve(
        self,
        exposition: Arc<Exposition>,
        readiness: Arc<Readiness>,
        ailment: Ailment,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let routes = page::routes(page::Shown { exposition, readiness, ailment });
        axum::serve(Bounded::new(self.listener, self.bounds), routes).with_graceful_shutdown(stop).await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fmt,
        sync::atomic::{AtomicBool, Ordering::Relaxed},
        time::Duration,
    };

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::oneshot,
        task::JoinHandle,
    };

    use super::*;
    use crate::{
        http::readiness::Stage,
        metrics::{
            list,
            page::{MEDIA_TYPE, Page},
        },
    };

    struct Running {
        address: SocketAddr,
        readiness: Arc<Readiness>,
        is_broken: Arc<AtomicBool>,
        stop: oneshot::Sender<()>,
        task: JoinHandle<io::Result<()>>,
    }

    async fn start() -> Running {
        start_with(Bounds::default()).await
    }

    async fn start_with(bounds: Bounds) -> Running {
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let server = Server { bounds, ..server };
        let address = server.address();
        let inflight = |page: &mut Page<'_>| -> fmt::Result { page.gauge(&list::INFLIGHT, [([], 5)]) };
        let exposition = Arc::new(Exposition::new(vec![Box::new(inflight)]));
        let readiness = Arc::<Readiness>::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async { drop(stopped.await) };
        let is_broken = Arc::<AtomicBool>::default();
        let broken = Arc::clone(&is_broken);
        let ailment = Arc::new(move || broken.load(Relaxed).then(|| "shard 1 has ended".to_owned()));
        let task = tokio::spawn(server.serve(exposition, Arc::clone(&readiness), ailment, until));
        Running { address, readiness, is_broken, stop, task }
    }

    async fn try_get(address: SocketAddr, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        try_get(address, path).await.unwrap()
    }

    #[tokio::test]
    async fn the_metrics_page_has_its_media_type_and_its_numbers() {
        let running = start().await;
        let answer = get(running.address, "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(&format!("content-type: {MEDIA_TYPE}\r\n")), "{answer}");
        assert!(answer.contains("\nradmit_inflight 5\n# EOF\n"), "{answer}");
    }

    #[tokio::test]
    async fn ready_is_said_only_while_requests_are_answered() {
        let running = start().await;
        for (stage, status) in [(None, "503"), (Some(Stage::Ready), "200"), (Some(Stage::Draining), "503")] {
            stage.into_iter().for_each(|stage| running.readiness.set(stage));
            let answer = get(running.address, "/readyz").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(get(running.address, "/healthz").await.starts_with("HTTP/1.1 200 "), "alive in every stage");
        }
        assert!(get(running.address, "/nothing").await.starts_with("HTTP/1.1 404 "));
    }

    #[tokio::test]
    async fn what_is_broken_is_said_until_the_server_stops() {
        let running = start().await;
        running.readiness.set(Stage::Ready);
        running.is_broken.store(true, Relaxed);
        let answer = get(running.address, "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("shard 1 has ended\n"), "{answer}");
        running.readiness.set(Stage::Draining);
        assert!(get(running.address, "/healthz").await.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn a_stop_ends_the_server_and_frees_the_port() {
        let running = start().await;
        get(running.address, "/healthz").await;
        running.stop.send(()).unwrap();
        running.task.await.unwrap().unwrap();
        assert!(TcpStream::connect(running.address).await.is_err());
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_gives_its_place_back() {
        let running =
            start_with(Bounds { connections: 2, lifetime: Duration::from_millis(20), ..Bounds::default() }).await;
        let mut silent = Vec::new();
        for _ in 0..2 {
            silent.push(TcpStream::connect(running.address).await.unwrap());
        }
        // On a busy machine our own connection may meet its end before it is served; the next one is another chance.
        let mut served = false;
        for _ in 0..50 {
            served |=
                try_get(running.address, "/healthz").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "));
        }
        assert!(served, "the silent ones keep their places");
        let mut rest = Vec::new();
        assert_eq!(silent[0].read_to_end(&mut rest).await.unwrap_or(0), 0, "it was closed without a word");
    }
    /// What comes until the other side closes.
    async fn rest_of(stream: &mut TcpStream) -> String {
        let mut rest = String::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut rest)).await;
        // It may be closed with a reset.
        let _ = closed.expect("it was closed");
        rest
    }

    #[tokio::test]
    async fn when_all_places_are_taken_the_one_idle_longest_leaves() {
        let running = start_with(Bounds { connections: 3, ..Bounds::default() }).await;
        let mut silent = Vec::new();
        for _ in 0..3 {
            silent.push(TcpStream::connect(running.address).await.unwrap());
        }
        let answered = tokio::time::timeout(Duration::from_secs(4), get(running.address, "/healthz")).await;
        assert!(answered.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")), "before any of them took too long");
        assert_eq!(rest_of(&mut silent[0]).await, "");
        silent[2].write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        assert!(rest_of(&mut silent[2]).await.starts_with("HTTP/1.1 200 "), "the others keep their places");
    }

    #[tokio::test]
    async fn half_a_request_and_a_pause_after_an_answer_end_before_their_connections_lifetime() {
        let moment = Duration::from_millis(20);
        let hour = Duration::from_secs(3_600);
        let running = start_with(Bounds { request: moment, idle: hour, lifetime: hour, connections: 9 }).await;
        let mut half = TcpStream::connect(running.address).await.unwrap();
        half.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
        assert_eq!(rest_of(&mut half).await, "");
        let running = start_with(Bounds { request: hour, idle: moment, lifetime: hour, connections: 9 }).await;
        let mut idle = TcpStream::connect(running.address).await.unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(rest_of(&mut idle).await.starts_with("HTTP/1.1 200 "));
    }
}

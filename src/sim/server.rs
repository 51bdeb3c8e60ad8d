//! The simulated cloud on a port: HTTPS on loopback, start and stop.
//!
//! Owns what happens between a connection and [`Cloud`]. What is answered is the cloud's matter.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    serve::IncomingStream,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{clock, limits};

use super::{
    answer::{Answer, Ending},
    bodies,
    call::Call,
    cloud::Cloud,
    control,
    settings::{Settings, StartError},
    tls::{Greeted, Identity, Peer},
};

/// A simulated cloud that runs. It stops when it is dropped; [`Sim::shutdown`] also waits for that.
#[derive(Debug)]
pub struct Sim {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its address for clients, such as `https://127.0.0.1:8443`, without a slash at the end.
    pub base_url: String,
    /// What a client must trust, as PEM.
    pub ca_pem: String,
    cloud: Arc<Cloud>,
    closing: watch::Sender<bool>,
    server: JoinHandle<()>,
    acceptor: JoinHandle<()>,
}

impl Sim {
    /// Starts a simulated cloud. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or can't be had, or certificates can't be used.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let listen = settings.listen;
        if !listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(listen));
        }
        let identity = Identity::new(&settings.tls)?;
        let cloud = Arc::new(Cloud::new(settings, clock::now())?);
        let failed = |error| StartError::Listen(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;

        let (closing, closed) = watch::channel(false);
        let (greeted, acceptor) = Greeted::new(listener, identity.config, closed.clone());
        let shared = Shared { cloud: Arc::clone(&cloud), closing: closed.clone() };
        let router = Router::new().fallback(handle).with_state(shared);
        let service = router.into_make_service_with_connect_info::<Peer>();
        let server = tokio::spawn(async move {
            // It ends without an error: accepting can't fail, and connections fail for themselves.
            drop(axum::serve(greeted, service).with_graceful_shutdown(until(closed)).await);
        });
        let base_url = format!("https://{addr}");
        Ok(Self { addr, base_url, ca_pem: identity.ca_pem, cloud, closing, server, acceptor })
    }

    /// What can be switched and read while it runs.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The address of the token endpoint (v2).
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.base_url, self.cloud.tenant())
    }

    /// Stops it and waits until the port is free. Requests that hang are cut.
    pub async fn shutdown(mut self) {
        self.closing.send_replace(true);
        drop((&mut self.acceptor).await);
        if tokio::time::timeout(STOP_MAX, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

/// Answers that trickle when a stop is wished get this long.
const STOP_MAX: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Shared {
    cloud: Arc<Cloud>,
    closing: watch::Receiver<bool>,
}

async fn until(mut closing: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    drop(closing.wait_for(|closing| *closing).await);
}

impl Connected<IncomingStream<'_, Greeted>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Greeted>) -> Self {
        stream.remote_addr().clone()
    }
}

async fn handle(State(shared): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, request: Request) -> Response {
    let Some(call) = read(request).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the request is too long, or it broke off").into_response();
    };
    let now = clock::now();
    let answer = match control::answer(&shared.cloud, now, &call) {
        Some(answer) => answer,
        None => shared.cloud.answer(now, &call),
    };
    let closing = until(shared.closing);
    tokio::select! {
        response = send(answer, &peer, shared.cloud.skew_secs()) => response,
        () = closing => {
            peer.orders.reset_after(0);
            Response::new(Body::empty())
        }
    }
}

async fn read(request: Request) -> Option<Call> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, limits::SIM_REQUEST_OCTETS_MAX).await.ok()?;
    let host = match parts.uri.authority() {
        Some(authority) => authority.as_str().to_owned(),
        None => parts.headers.get(header::HOST)?.to_str().ok()?.to_owned(),
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    Some(Call::new(parts.method, target, &host, parts.headers, body))
}

async fn send(answer: Answer, peer: &Peer, skew_secs: i64) -> Response {
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let octets = answer.body.len() as u64;
    match answer.ending {
        Ending::Whole => {}
        Ending::Reset => peer.orders.reset_after(0),
        Ending::HalfThenReset => peer.orders.reset_after(HEADER_OCTETS + octets / 2),
        Ending::Hang => std::future::pending().await,
        Ending::Trickle(span) => peer.orders.trickle(octets, span),
    }
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    if skew_secs != 0
        && let Ok(date) = HeaderValue::from_str(&bodies::http_date(clock::now().wall, skew_secs))
    {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// About what the headers of an answer take.
const HEADER_OCTETS: u64 = 200;

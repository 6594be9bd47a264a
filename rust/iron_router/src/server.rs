//! The server: accepts connections and speaks HTTP/1.1 on each.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router as App;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::tasks::Tasks;

/// Connections that may wait to be accepted: more than a swarm of agents opens at once.
const BACKLOG: u32 = 4_096;
/// Rest after a failed accept, which means that the process has no more file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(5);
/// Most bytes of a request's head; it may be twice that where it comes at once.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// What connections are allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) header_timeout: Duration,
}

/// Listen on `address`.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a fixed port can be taken again at once.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accept connections until the router drains.
pub(crate) async fn accept(listener: TcpListener, app: App, limits: Limits, tasks: Tasks) {
    let free = Arc::new(Semaphore::new(limits.connections));
    let draining = tasks.draining();
    loop {
        // Beyond the most, connections wait where the system keeps them.
        let next = async {
            let permit = free.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let Some((accepted, permit)) = draining.run_until_cancelled(next).await else { return };
        let (Ok((stream, _)), Ok(permit)) = (accepted, permit) else {
            sleep(ACCEPT_REST).await;
            continue;
        };
        tasks.spawn(serve(stream, app.clone(), limits, tasks.clone(), permit));
    }
}

/// Serve the requests of one connection; while the router drains, the one that is under way alone.
async fn serve(stream: TcpStream, app: App, limits: Limits, tasks: Tasks, _place: OwnedSemaphorePermit) {
    // An event shall leave when it is written. A socket that refuses is about to fail anyway.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    let draining = tasks.draining();
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(target: "iron_sdk.router", %error, "a connection ended early");
    }
}

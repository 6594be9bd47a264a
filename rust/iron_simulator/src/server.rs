//! The server: accepts connections and speaks HTTP/1.1 on each.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;

use crate::ending::Ending;
use crate::service::Service;
use crate::stats::Counters;
use crate::tasks::Spawner;
use crate::wire::{Socket, Wire};

/// Connections that may wait to be accepted: more than a swarm opens at once.
const BACKLOG: u32 = 4096;
/// Rest after a failed accept, which means that the process has no more file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(5);

/// Listen on `address`.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a fixed port can be taken again at once.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accept connections for ever.
pub(crate) async fn accept(listener: TcpListener, service: Arc<Service>, spawner: Spawner) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_REST).await;
            continue;
        };
        service.counters.connections_opened.fetch_add(1, Relaxed);
        if service.script().refuses(service.settings.seed) {
            service.counters.connections_refused.fetch_add(1, Relaxed);
            service.counters.add_fault("refuse");
            continue;
        }
        let open = Open::new(&service.counters);
        let service = Arc::clone(&service);
        spawner.spawn(async move {
            serve(stream, service).await;
            drop(open);
        });
    }
}

/// Serve the requests of one connection.
async fn serve(stream: TcpStream, service: Arc<Service>) {
    // A chunk shall leave when it is written. A socket that refuses is about to fail anyway.
    let _ = stream.set_nodelay(true);
    let wire = Arc::new(Wire::default());
    let socket = Socket::new(stream, Arc::clone(&wire));
    let answer = service_fn(move |request| Arc::clone(&service).answer(Arc::clone(&wire), request));
    // No date: the same requests shall give the same bytes.
    let mut connection = http1::Builder::new().auto_date_header(false).serve_connection(socket, answer);
    let served = poll_fn(|cx| Pin::new(&mut connection).poll(cx)).await;
    if let Err(error) = &served
        && let Some(ending) = Ending::of(error)
    {
        ending.apply(connection.into_parts().io.into_stream()).await;
    }
}

/// Counts an open connection.
struct Open(Arc<Counters>);

impl Open {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.connections_open.fetch_add(1, Relaxed);
        Self(Arc::clone(counters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Relaxed);
    }
}

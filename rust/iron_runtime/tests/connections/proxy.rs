//! A proxy that passes on what it is asked to, and notes what it can see.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The proxy.
pub(super) struct Proxy {
    port: u16,
    notes: Arc<Mutex<Notes>>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Notes {
    /// The head of each request to the proxy itself.
    heads: Vec<String>,
    /// All that clients sent after them.
    passed: Vec<u8>,
}

/// What the proxy does with whom it does not let through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Passes,
    Denies,
}

impl Proxy {
    pub(super) async fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let notes = Arc::new(Mutex::new(Notes::default()));
        let mut serving = JoinSet::new();
        serving.spawn({
            let notes = notes.clone();
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(serve(stream, manner, notes.clone()));
                }
            }
        });
        Self { port, notes, _serving: serving }
    }

    /// What goes into `HTTP_PROXY`, with whom to be for the proxy.
    pub(super) fn url(&self, user: &str) -> String {
        format!("http://{user}127.0.0.1:{}", self.port)
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.notes.lock().unwrap().heads.clone()
    }

    /// Whether a text went through it, readable.
    pub(super) fn saw(&self, text: &str) -> bool {
        let notes = self.notes.lock().unwrap();
        let passed = String::from_utf8_lossy(&notes.passed);
        notes.heads.iter().any(|head| head.contains(text)) || passed.contains(text)
    }
}

async fn serve(mut client: TcpStream, manner: Manner, notes: Arc<Mutex<Notes>>) -> Option<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    notes.lock().unwrap().heads.push(head.clone());
    let mut words = head.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if manner == Manner::Denies {
        let denied =
            b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(denied).await.ok();
    }
    let host = target.trim_start_matches("http://").split('/').next()?;
    let mut server = TcpStream::connect(host).await.ok()?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
        server.write_all(&bytes[end..]).await.ok()?;
    } else {
        let origin = head.replacen(&format!("http://{host}"), "", 1);
        server.write_all(origin.as_bytes()).await.ok()?;
        server.write_all(&bytes[end..]).await.ok()?;
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::select! {
        () = pass(&mut from_client, &mut to_server, Some(&notes)) => {}
        () = pass(&mut from_server, &mut to_client, None) => {}
    }
    Some(())
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    notes: Option<&Arc<Mutex<Notes>>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if let Some(notes) = notes {
            notes.lock().unwrap().passed.extend_from_slice(&buffer[..read]);
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

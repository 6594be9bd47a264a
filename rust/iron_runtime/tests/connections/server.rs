//! A provider behind TLS that speaks HTTP/2 and HTTP/1.1, and sees what reaches it.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use iron_simulator::Simulator;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const KEY_HEADERS: [&str; 2] = ["authorization", "x-api-key"];

/// An authority that vouches for certificates; a child trusts it alone if told so.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: TempDir,
}

/// What a certificate says.
#[derive(Clone, Copy)]
pub(super) struct Certificate {
    pub(super) host: &'static str,
    /// Years from and to which it is valid.
    pub(super) years: (i32, i32),
}

pub(super) const VALID: Certificate = Certificate { host: "localhost", years: (2020, 2100) };

/// A request that was answered.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) connection: usize,
    pub(super) version: Version,
    /// In either of the headers that may hold it.
    pub(super) key: String,
}

#[derive(Default)]
struct Ledger {
    connections: usize,
    seen: Vec<Seen>,
}

/// The server.
pub(super) struct TlsServer {
    port: u16,
    ledger: Arc<Mutex<Ledger>>,
    _serving: JoinSet<()>,
}

type Body = BoxBody<Bytes, io::Error>;

/// What the server speaks, in its order of preference.
#[derive(Clone, Copy)]
pub(super) enum Speaks {
    Http1,
    Both,
}

/// When and how the server answers.
#[derive(Clone, Copy)]
pub(super) enum Answers {
    /// Once so many requests are there.
    Together(usize),
    /// At once, with half of a body.
    Half,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = TempDir::new().unwrap();
        std::fs::write(file.path().join("authority.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// Where its own certificate is.
    pub(super) fn file(&self) -> PathBuf {
        self.file.path().join("authority.pem")
    }

    fn config(&self, certificate: Certificate, speaks: Speaks) -> ServerConfig {
        let mut params = CertificateParams::new(vec![certificate.host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(certificate.years.0, 1, 1);
        params.not_after = date_time_ymd(certificate.years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .unwrap();
        config.alpn_protocols = match speaks {
            Speaks::Http1 => vec![b"http/1.1".to_vec()],
            Speaks::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        config
    }
}

impl TlsServer {
    /// A server in front of `simulator`.
    pub(super) async fn new(
        authority: &Authority,
        certificate: Certificate,
        speaks: Speaks,
        simulator: &Simulator,
        answers: Answers,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(authority.config(certificate, speaks)));
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let backend = Backend {
            to: simulator.address().to_string(),
            barrier: Arc::new(Barrier::new(if let Answers::Together(together) = answers {
                together
            } else {
                1
            })),
            half: matches!(answers, Answers::Half),
            ledger: ledger.clone(),
        };
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = {
                    let mut ledger = backend.ledger.lock().unwrap();
                    ledger.connections += 1;
                    ledger.connections
                };
                connections.spawn(serve(stream, acceptor.clone(), backend.clone(), connection));
            }
        });
        Self { port, ledger, _serving: serving }
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}/v1", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Connections that were opened, whatever became of them.
    pub(super) fn connections(&self) -> usize {
        self.ledger.lock().unwrap().connections
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.ledger.lock().unwrap().seen.clone()
    }
}

/// Where requests go.
#[derive(Clone)]
struct Backend {
    to: String,
    barrier: Arc<Barrier>,
    half: bool,
    ledger: Arc<Mutex<Ledger>>,
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, backend: Backend, connection: usize) {
    // Who does not trust us breaks the handshake off.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(|request: Request<Incoming>| {
        let backend = backend.clone();
        async move { Ok::<_, Infallible>(backend.answer(request, connection).await) }
    });
    let served = auto::Builder::new(TokioExecutor::new());
    drop(served.serve_connection(TokioIo::new(stream), service).await);
}

impl Backend {
    async fn answer(&self, request: Request<Incoming>, connection: usize) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.ledger.lock().unwrap().seen.push(Seen {
            connection,
            version: head.version,
            key: KEY_HEADERS.map(|name| text(&head.headers, name)).concat(),
        });
        self.barrier.wait().await;
        // The simulator speaks HTTP/1.1 without TLS.
        let stream = TcpStream::connect(&self.to).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut forwarding = JoinSet::new();
        forwarding.spawn(async move { drop(connection.await) });
        let mut request = Request::post(head.uri.path()).body(Full::new(body)).unwrap();
        *request.headers_mut() = head.headers.clone();
        request.headers_mut().insert("host", self.to.parse().unwrap());
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Response::builder()
            .status(head.status)
            .header("content-type", text(&head.headers, "content-type"))
            .body(if self.half {
                half(&body)
            } else {
                Full::new(body).map_err(|never| match never {}).boxed()
            })
            .unwrap()
    }
}

/// Half of a body, and then a reset of its stream.
fn half(body: &Bytes) -> Body {
    let first = Ok(Frame::data(body.slice(..body.len() / 2)));
    StreamBody::new(futures::stream::iter([first, Err(io::Error::other("half is enough"))])).boxed()
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

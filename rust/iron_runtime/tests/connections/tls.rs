//! Certificates: who is not who it should be sees no request, and no key.

use iron_simulator::{Reply, Simulator};

use super::child::{self, KEY, Orders, Report};
use super::server::{Answers, Authority, Certificate, Speaks, TlsServer, VALID};
use crate::rig::{WIRES, Wire, simulator};

/// Every format, whole and streamed.
const WAYS: [(Wire, bool); 4] =
    [(Wire::OpenAi, false), (Wire::OpenAi, true), (Wire::Anthropic, false), (Wire::Anthropic, true)];

/// A call to a server with that certificate, from a process that trusts `trusted` alone.
async fn call(server: &TlsServer, trusted: &Authority, (wire, stream): (Wire, bool)) -> Report {
    let orders = Orders { url: &server.url(), wire, rounds: &[1], stream };
    child::run(orders, &[("SSL_CERT_FILE", trusted.file().to_str().unwrap())]).await
}

async fn provider() -> Simulator {
    simulator(vec![Reply::text("sealed").into()]).await
}

#[tokio::test]
async fn a_server_that_is_vouched_for_is_called() {
    let (authority, provider) = (Authority::new("ours"), provider().await);
    for speaks in [Speaks::Http1, Speaks::Both] {
        let server = TlsServer::new(&authority, VALID, speaks, &provider, Answers::Together(1)).await;
        for way in WAYS {
            let report = call(&server, &authority, way).await;
            assert_eq!((report.calls, report.held), (vec![Ok("sealed".to_owned())], 0));
        }
        let keys: Vec<_> = server.seen().into_iter().map(|seen| seen.key).collect();
        let bearer = format!("Bearer {KEY}");
        assert_eq!(keys, [&*bearer, &bearer, KEY, KEY]);
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_costs_one_connection_and_no_request() {
    let (authority, stranger, provider) =
        (Authority::new("ours"), Authority::new("theirs"), provider().await);
    for (certificate, trusted, told) in [
        (Certificate { years: (2019, 2020), ..VALID }, &authority, "expired"),
        (Certificate { years: (2099, 2100), ..VALID }, &authority, "not valid yet"),
        (Certificate { host: "other.example", ..VALID }, &authority, "not valid for name"),
        (VALID, &stranger, "UnknownIssuer"),
    ] {
        let server =
            TlsServer::new(&authority, certificate, Speaks::Both, &provider, Answers::Together(1)).await;
        for way in WAYS {
            let before = server.connections();
            let report = call(&server, trusted, way).await;
            let [Err((code, causes))] = &report.calls[..] else { panic!("{told}: {report:?}") };
            assert_eq!(code, "upstream_connection", "{told}: {causes}");
            assert!(causes.starts_with("sim/m: could not connect"), "{told}: {causes}");
            assert!(causes.contains(told), "{told}: {causes}");
            assert_eq!((report.settled, report.held), (0, 0), "{told}");
            assert_eq!(server.connections() - before, 1, "{told}: it would not be trusted a moment later");
        }
        assert!(server.seen().is_empty(), "{told}");
    }
    assert_eq!(provider.stats().requests, 0);
}

#[tokio::test]
async fn a_server_without_tls_is_not_asked_again() {
    for wire in WIRES {
        let provider = provider().await;
        let url = provider.url().replace("http://", "https://");
        let report = child::run(Orders { url: &url, wire, rounds: &[1], stream: false }, &[]).await;
        let [Err((code, _))] = &report.calls[..] else { panic!("{report:?}") };
        assert_eq!((code.as_str(), report.settled, report.held), ("upstream_connection", 0, 0));
        assert!(provider.quiet(crate::rig::LONG).await);
        assert_eq!((provider.stats().requests, provider.stats().connections_opened), (0, 1));
    }
}

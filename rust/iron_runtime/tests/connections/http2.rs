//! HTTP/2, where the server offers it.

use http::Version;
use iron_simulator::Reply;

use super::child::{self, KEY, Orders};
use super::server::{Answers, Authority, Speaks, TlsServer, VALID};
use crate::rig::{Wire, reserved, simulator};

const TOGETHER: usize = 50;

#[tokio::test]
async fn calls_at_once_share_one_connection() {
    let (authority, provider) = (Authority::new("ours"), simulator(vec![Reply::text("shared").into()]).await);
    for stream in [false, true] {
        // The server answers when all of a round are there, so that they are at once on their way or never done.
        let server =
            TlsServer::new(&authority, VALID, Speaks::Both, &provider, Answers::Together(TOGETHER)).await;
        let rounds = &[TOGETHER, TOGETHER];
        let orders = Orders { url: &server.url(), wire: Wire::OpenAi, rounds, stream };
        let report = child::run(orders, &[("SSL_CERT_FILE", authority.file().to_str().unwrap())]).await;
        assert_eq!(report.calls, vec![Ok("shared".to_owned()); 2 * TOGETHER]);
        assert_eq!(report.held, 0);
        let seen = server.seen();
        assert_eq!(seen.len(), 2 * TOGETHER);
        assert!(seen.iter().all(|seen| seen.version == Version::HTTP_2));
        assert!(seen.iter().all(|seen| seen.key == format!("Bearer {KEY}")));
        // All of the second round; those of the first come before anybody knows what the server speaks.
        let connection = seen[TOGETHER].connection;
        assert!(seen[TOGETHER..].iter().all(|seen| seen.connection == connection), "{seen:?}");
    }
}

#[tokio::test]
async fn http_1_has_a_connection_for_each_call_at_once() {
    let (authority, provider) = (Authority::new("ours"), simulator(vec![Reply::text("alone").into()]).await);
    let server = TlsServer::new(&authority, VALID, Speaks::Http1, &provider, Answers::Together(5)).await;
    let orders = Orders { url: &server.url(), wire: Wire::OpenAi, rounds: &[5, 5], stream: false };
    let report = child::run(orders, &[("SSL_CERT_FILE", authority.file().to_str().unwrap())]).await;
    assert_eq!(report.calls, vec![Ok("alone".to_owned()); 10]);
    assert!(server.seen().iter().all(|seen| seen.version == Version::HTTP_11));
    assert_eq!(server.connections(), 5, "and uses it again");
}

#[tokio::test]
async fn a_reset_is_a_connection_that_broke_for_one_call_alone() {
    let (authority, provider) = (Authority::new("ours"), simulator(vec![Reply::text("broken").into()]).await);
    let server = TlsServer::new(&authority, VALID, Speaks::Both, &provider, Answers::Half).await;
    let orders = Orders { url: &server.url(), wire: Wire::OpenAi, rounds: &[1], stream: false };
    let report = child::run(orders, &[("SSL_CERT_FILE", authority.file().to_str().unwrap())]).await;
    let [Err((code, causes))] = &report.calls[..] else { panic!("{report:?}") };
    // Whether the reset overtakes what was sent before it is up to the server.
    assert_eq!(code, "upstream_connection", "{causes}");
    let seen = server.seen();
    assert!(seen.len() == 3 && seen.iter().all(|seen| seen.version == Version::HTTP_2), "{seen:?}");
    assert_eq!(server.connections(), 1, "the connection goes on");
    // Each of them may be billed.
    assert_eq!((report.settled, report.held), (3 * reserved("Hello", 20).nanos(), 0));
}

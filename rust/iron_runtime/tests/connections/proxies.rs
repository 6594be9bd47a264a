//! The proxies that the environment names.

use iron_simulator::Reply;

use super::child::{self, KEY, Orders, Report};
use super::proxy::{Manner, Proxy};
use super::server::{Answers, Authority, Speaks, TlsServer, VALID};
use crate::rig::{Wire, simulator};

async fn call(url: &str, stream: bool, environment: &[(&str, &str)]) -> Report {
    child::run(Orders { url, wire: Wire::OpenAi, rounds: &[1], stream }, environment).await
}

fn passed(report: &Report) {
    assert_eq!((&report.calls[..], report.held), (&[Ok("passed".to_owned())][..], 0), "{report:?}");
}

#[tokio::test]
async fn http_goes_through_the_proxy_by_its_whole_url() {
    let provider = simulator(vec![Reply::text("passed").into()]).await;
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        for stream in [false, true] {
            let proxy = Proxy::new(Manner::Passes).await;
            passed(&call(&provider.url(), stream, &[(name, &proxy.url(""))]).await);
            let heads = proxy.heads();
            let expected = format!("POST {}/chat/completions HTTP/1.1\r\n", provider.url());
            assert!(heads.len() == 1 && heads[0].starts_with(&expected), "{name}: {heads:?}");
        }
    }
    assert!(provider.quiet(crate::rig::LONG).await);
    assert_eq!(provider.stats().served, 6);
}

#[tokio::test]
async fn https_goes_through_a_tunnel_into_which_the_proxy_cannot_see() {
    let (authority, provider) = (Authority::new("ours"), simulator(vec![Reply::text("passed").into()]).await);
    let server = TlsServer::new(&authority, VALID, Speaks::Both, &provider, Answers::Together(1)).await;
    let trusted = authority.file();
    for (name, stream) in [("HTTPS_PROXY", false), ("https_proxy", true), ("ALL_PROXY", false)] {
        let proxy = Proxy::new(Manner::Passes).await;
        let environment =
            [(name, proxy.url("user:hush@")), ("SSL_CERT_FILE", trusted.to_str().unwrap().to_owned())];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        passed(&call(&server.url(), stream, &environment).await);
        let heads = proxy.heads();
        assert_eq!(heads.len(), 1, "{name}: {heads:?}");
        assert!(
            heads[0].starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.port())),
            "{heads:?}"
        );
        // "user:hush", as RFC 7617 writes it.
        assert!(heads[0].to_lowercase().contains("proxy-authorization: basic dxnlcjpodxno"), "{heads:?}");
        assert!(!proxy.saw(KEY) && !proxy.saw("Hello"), "{name}");
    }
    assert!(server.seen().iter().all(|seen| seen.key == format!("Bearer {KEY}")));
}

#[tokio::test]
async fn some_hosts_go_through_no_proxy() {
    let provider = simulator(vec![Reply::text("passed").into()]).await;
    let proxy = Proxy::new(Manner::Denies).await;
    let named = provider.url().replace("127.0.0.1", "localhost");
    for (url, name, value) in [
        (provider.url(), "NO_PROXY", "127.0.0.1"),
        (provider.url(), "no_proxy", "example.com, 127.0.0.0/8"),
        (named.clone(), "NO_PROXY", "localhost"),
        (named, "NO_PROXY", "*"),
    ] {
        passed(&call(&url, false, &[("HTTP_PROXY", &proxy.url("")), (name, value)]).await);
    }
    // The proxy of the other scheme is not asked either.
    passed(&call(&provider.url(), false, &[("HTTPS_PROXY", &proxy.url(""))]).await);
    assert!(proxy.heads().is_empty(), "{:?}", proxy.heads());
    let report =
        call(&provider.url(), false, &[("HTTP_PROXY", &proxy.url("")), ("NO_PROXY", "example.com")]).await;
    let [Err((code, causes))] = &report.calls[..] else { panic!("{report:?}") };
    assert_eq!(code, "upstream_status", "{causes}");
    assert!(causes.contains("answered 407"), "{causes}");
    assert_eq!((report.settled, proxy.heads().len()), (0, 1));
}

#[tokio::test]
async fn a_proxy_that_lets_nobody_through_is_an_upstream_that_cannot_be_reached() {
    let (authority, provider) = (Authority::new("ours"), simulator(vec![Reply::text("passed").into()]).await);
    let server = TlsServer::new(&authority, VALID, Speaks::Both, &provider, Answers::Together(1)).await;
    let proxy = Proxy::new(Manner::Denies).await;
    // Bound once, so that nobody else has the port, and closed again.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://user:hush@{gone}");
    for (target, name, url) in [
        (server.url(), "HTTPS_PROXY", &proxy.url("user:hush@")),
        (server.url(), "HTTPS_PROXY", &gone),
        (provider.url(), "HTTP_PROXY", &gone),
    ] {
        let report = call(&target, false, &[(name, url)]).await;
        let [Err((code, causes))] = &report.calls[..] else { panic!("{report:?}") };
        assert_eq!(code, "upstream_connection", "{causes}");
        assert!(causes.starts_with("sim/m: could not connect") && !causes.contains("hush"), "{causes}");
        assert_eq!((report.settled, report.held), (0, 0));
    }
    assert_eq!(proxy.heads().len(), 3, "a connection that fails is tried again");
    assert!(server.seen().is_empty() && server.connections() == 0);
    assert_eq!(provider.stats().connections_opened, 0);
}

//! The leanest OpenAI-shaped provider that can be written: it is never what a bench measures.
//!
//! One thread serves `POST [/SHAPE]/v1/chat/completions` on a free loopback port, whose number is the first
//! line of standard output; it ends when standard input does. A plain request gets one fixed completion. A
//! request with `"stream":true` gets a stream of the shape its path names: `burst-N` (N chunks written at
//! once), `paced-N-MS` (N chunks, one every MS milliseconds) or `stall` (one chunk, then silence until the
//! client hangs up). Each chunk carries the text `" token"`.

use std::io::{self, Write as _};
use std::sync::LazyLock;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const COMPLETION: &str = concat!(
    r#"{"id":"chatcmpl-C9qTz0XbYkYQ5m8sWcE1rUuTn3vLd","object":"chat.completion","created":1762000000,"#,
    r#""model":"gpt-5-mini-2025-08-07","choices":[{"index":0,"message":{"role":"assistant","content":"#,
    r#""A budget is a promise about the future: it says how much may be spent before anyone knows what "#,
    r#"will be asked, and it holds only if every call is weighed before it leaves.","refusal":null,"#,
    r#""annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":412,"#,
    r#""completion_tokens":37,"total_tokens":449,"prompt_tokens_details":{"cached_tokens":0,"#,
    r#""audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"#,
    r#""accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","#,
    r#""system_fingerprint":null}"#,
);
const STREAM_HEAD: &str = concat!(
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n",
    "transfer-encoding: chunked\r\n\r\n",
);
const CHUNK_HEAD: &str = concat!(
    r#"data: {"id":"chatcmpl-C9qTz0XbYkYQ5m8sWcE1rUuTn3vLd","object":"chat.completion.chunk","#,
    r#""created":1762000000,"model":"gpt-5-mini-2025-08-07","service_tier":"default","#,
    r#""system_fingerprint":null,"choices":["#,
);
const DELTA: &str =
    r#"{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}"#;
const LAST_DELTA: &str = r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#;
const USAGE: &str = concat!(
    r#"],"usage":{"prompt_tokens":412,"completion_tokens":100,"total_tokens":512,"#,
    r#""prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":"#,
    r#"{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#,
);
const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// Far above the 2 kB prompt of the benches; a larger request is not theirs.
const MAX_REQUEST_BYTES: usize = 4 << 20;

static PLAIN_REPLY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let length = COMPLETION.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{COMPLETION}"
    )
    .into_bytes()
});
static CHUNK: LazyLock<Vec<u8>> = LazyLock::new(|| frame(&format!("{CHUNK_HEAD}{DELTA}\n\n")).into_bytes());
/// Finish reason, usage, `[DONE]` and the end of the body: what every whole stream ends with.
static STREAM_TAIL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let finish = frame(&format!("{CHUNK_HEAD}{LAST_DELTA}\n\n"));
    let usage = frame(&format!("{CHUNK_HEAD}{USAGE}\n\n"));
    let done = frame("data: [DONE]\n\n");
    format!("{finish}{usage}{done}0\r\n\r\n").into_bytes()
});

/// One piece of a chunked body.
fn frame(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// What a request asks to be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Plain,
    Burst { chunks: usize },
    Paced { chunks: usize, every_ms: u64 },
    Stall,
}

impl Reply {
    fn of(path: &str, body: &[u8]) -> Option<Self> {
        let shape = path.strip_suffix("/v1/chat/completions")?.trim_start_matches('/');
        let streamed = [&br#""stream":true"#[..], br#""stream": true"#]
            .iter()
            .any(|flag| memmem::find(body, flag).is_some());
        if !streamed {
            return Some(Self::Plain);
        }
        let mut words = shape.split('-');
        match (words.next()?, words.next(), words.next()) {
            ("burst", Some(chunks), None) => Some(Self::Burst { chunks: chunks.parse().ok()? }),
            ("paced", Some(chunks), Some(every_ms)) => {
                let every_ms = every_ms.parse().ok().filter(|ms| *ms > 0)?;
                Some(Self::Paced { chunks: chunks.parse().ok()?, every_ms })
            }
            ("stall", None, None) => Some(Self::Stall),
            _ => None,
        }
    }
}

/// A request taken off the front of what was received.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Incomplete,
    Refused,
    Request { bytes: usize, reply: Reply },
}

fn parse(received: &[u8]) -> Parsed {
    let Some(head_bytes) = memmem::find(received, b"\r\n\r\n") else {
        return if received.len() > MAX_REQUEST_BYTES { Parsed::Refused } else { Parsed::Incomplete };
    };
    let Ok(head) = std::str::from_utf8(&received[..head_bytes]) else { return Parsed::Refused };
    let mut lines = head.split("\r\n");
    let mut request_line = lines.next().unwrap_or_default().split(' ');
    let (Some("POST"), Some(path)) = (request_line.next(), request_line.next()) else {
        return Parsed::Refused;
    };
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .filter(|length| *length <= MAX_REQUEST_BYTES);
    let Some(length) = length else { return Parsed::Refused };
    let body = head_bytes + 4;
    let Some(body) = received.get(body..body + length) else { return Parsed::Incomplete };
    match Reply::of(path, body) {
        Some(reply) => Parsed::Request { bytes: head_bytes + 4 + length, reply },
        None => Parsed::Refused,
    }
}

async fn serve(mut socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut received = Vec::with_capacity(16 << 10);
    let mut out = Vec::with_capacity(16 << 10);
    loop {
        let mut taken = 0;
        loop {
            match parse(&received[taken..]) {
                Parsed::Incomplete => break,
                Parsed::Refused => {
                    out.extend_from_slice(REFUSED.as_bytes());
                    return socket.write_all(&out).await;
                }
                Parsed::Request { bytes, reply } => {
                    taken += bytes;
                    answer(reply, &mut socket, &mut out).await?;
                }
            }
        }
        received.drain(..taken);
        if !out.is_empty() {
            socket.write_all(&out).await?;
            out.clear();
        }
        if socket.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// Appends a reply to `out`, or writes it where its timing is the point.
async fn answer(reply: Reply, socket: &mut TcpStream, out: &mut Vec<u8>) -> io::Result<()> {
    if reply == Reply::Plain {
        out.extend_from_slice(&PLAIN_REPLY);
        return Ok(());
    }
    out.extend_from_slice(STREAM_HEAD.as_bytes());
    match reply {
        Reply::Plain => {}
        Reply::Burst { chunks } => {
            for _ in 0..chunks {
                out.extend_from_slice(&CHUNK);
            }
            out.extend_from_slice(&STREAM_TAIL);
        }
        Reply::Paced { chunks, every_ms } => {
            socket.write_all(out).await?;
            out.clear();
            let mut ticks = tokio::time::interval(Duration::from_millis(every_ms));
            for _ in 0..chunks {
                ticks.tick().await;
                socket.write_all(&CHUNK).await?;
            }
            out.extend_from_slice(&STREAM_TAIL);
        }
        Reply::Stall => {
            out.extend_from_slice(&CHUNK);
            socket.write_all(out).await?;
            out.clear();
            // A client of a stalled stream sends nothing more: one byte or an end both mean it is gone.
            socket.read_u8().await?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    }
    Ok(())
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(serve(accepted?.0));
            }
            // A connection that breaks is the client's business; reaping keeps the set small.
            Some(_) = connections.join_next() => {}
        }
    }
}

fn main() -> io::Result<()> {
    std::thread::spawn(|| {
        let ended = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(i32::from(ended.is_err()));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
        accept(listener).await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, body: &str) -> Vec<u8> {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .into_bytes()
    }

    #[test]
    fn pipelined_requests_are_taken_one_by_one() {
        let first = request("/v1/chat/completions", r#"{"stream":false}"#);
        let second = request("/paced-7-5/v1/chat/completions", r#"{"stream": true}"#);
        let both = [first.clone(), second.clone()].concat();
        assert_eq!(parse(&both), Parsed::Request { bytes: first.len(), reply: Reply::Plain });
        let reply = Reply::Paced { chunks: 7, every_ms: 5 };
        assert_eq!(parse(&both[first.len()..]), Parsed::Request { bytes: second.len(), reply });
    }

    #[test]
    fn every_cut_of_a_request_is_incomplete() {
        let whole = request("/burst-3/v1/chat/completions", r#"{"stream":true}"#);
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), Parsed::Incomplete, "cut at {cut}");
        }
        let reply = Reply::Burst { chunks: 3 };
        assert_eq!(parse(&whole), Parsed::Request { bytes: whole.len(), reply });
    }

    #[test]
    fn what_the_benches_never_send_is_refused() {
        for (path, body) in [
            ("/v1/embeddings", "{}"),
            ("/v1/chat/completions", r#"{"stream":true}"#),
            ("/paced-3-0/v1/chat/completions", r#"{"stream":true}"#),
        ] {
            assert_eq!(parse(&request(path, body)), Parsed::Refused, "{path}");
        }
        assert_eq!(parse(b"POST /v1/chat/completions HTTP/1.1\r\n\r\n"), Parsed::Refused);
    }

    #[test]
    fn a_completion_is_of_realistic_size() {
        assert!((600..1100).contains(&COMPLETION.len()), "{}", COMPLETION.len());
    }
}

//! Bare reqwest under the benches' load: the floor every other client is compared with.
//!
//! Reads the request body from standard input, loads the mock from one tokio worker, and writes one JSON
//! line of the same form as `contenders.py`. The client has the features and options of `iron_runtime`'s.
#![expect(
    clippy::disallowed_methods,
    reason = "a client with no runtime around it has no other clock or spawn"
)]

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use memchr::memmem;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What is read of each reply.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// One JSON body.
    Plain,
    /// Server-sent events to their end.
    Stream,
    /// Server-sent events that never end: memory is measured once each has begun.
    Stall,
}

#[derive(Parser)]
struct Arguments {
    kind: Kind,
    /// Address of the provider, ending in `/v1`.
    base_url: String,
    concurrency: usize,
    seconds: f64,
}

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, alias = "delta")]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Cow<'a, str>,
}

/// What a run measured; absent where its kind does not measure it.
#[derive(Default, Serialize)]
struct Sample {
    calls: usize,
    characters: usize,
    seconds: f64,
    cpu_seconds: f64,
    p50_us: f64,
    p99_us: f64,
    rss_bytes: i64,
}

/// A client and the request it repeats.
struct Load {
    client: reqwest::Client,
    url: String,
    body: Bytes,
    kind: Kind,
    characters: AtomicUsize,
}

impl Load {
    fn new(arguments: &Arguments, body: Vec<u8>) -> Outcome<Self> {
        rustls::crypto::ring::default_provider().install_default().map_err(|_| "a TLS provider was there")?;
        let client = reqwest::Client::builder()
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            client,
            url: format!("{}/chat/completions", arguments.base_url),
            body: Bytes::from(body),
            kind: arguments.kind,
            characters: AtomicUsize::new(0),
        })
    }

    async fn call(&self) -> Outcome<()> {
        let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/json");
        let reply = request.header(AUTHORIZATION, "Bearer sk-bench").body(self.body.clone()).send().await?;
        let mut reply = reply.error_for_status()?;
        if matches!(self.kind, Kind::Plain) {
            return self.read(&reply.bytes().await?);
        }
        let mut pending = Vec::new();
        while let Some(received) = reply.chunk().await? {
            pending.extend_from_slice(&received);
            let mut taken = 0;
            while let Some(length) = memmem::find(&pending[taken..], b"\n\n") {
                let event = &pending[taken..taken + length];
                taken += length + 2;
                match event.strip_prefix(b"data: ").ok_or("not an event")? {
                    b"[DONE]" => return Ok(()),
                    json => self.read(json)?,
                }
            }
            pending.drain(..taken);
        }
        Err("the stream ended without [DONE]".into())
    }

    fn read(&self, json: &[u8]) -> Outcome<()> {
        let completion: Completion<'_> = serde_json::from_slice(json)?;
        let text = completion.choices.first().map_or("", |choice| &choice.message.content);
        self.characters.fetch_add(text.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Repeats the call from `concurrency` tasks until `seconds` have passed; gives each call's duration.
    async fn repeat(self: &Arc<Self>, concurrency: usize, seconds: f64) -> Outcome<Vec<Duration>> {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut tasks = JoinSet::new();
        for _ in 0..concurrency {
            let load = Arc::clone(self);
            tasks.spawn(async move {
                let mut durations = Vec::new();
                let mut begun = Instant::now();
                while begun < end {
                    load.call().await?;
                    let now = Instant::now();
                    durations.push(now - begun);
                    begun = now;
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(durations)
            });
        }
        let mut durations = Vec::new();
        while let Some(task) = tasks.join_next().await {
            durations.append(&mut task??);
        }
        Ok(durations)
    }

    async fn measure(self: Arc<Self>, concurrency: usize, seconds: f64) -> Outcome<Sample> {
        self.repeat(concurrency, seconds / 4.0).await?;
        self.characters.store(0, Ordering::Relaxed);
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        let mut durations = self.repeat(concurrency, seconds).await?;
        let (cpu_seconds, seconds) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
        durations.sort_unstable();
        let at = |percent: usize| {
            durations.get(durations.len() * percent / 100).map_or(0.0, |d| d.as_secs_f64() * 1e6)
        };
        Ok(Sample {
            calls: durations.len(),
            characters: self.characters.load(Ordering::Relaxed),
            seconds,
            cpu_seconds,
            p50_us: at(50),
            p99_us: at(99),
            rss_bytes: 0,
        })
    }

    /// Gives the memory that all but the first of `streams` open streams take, as `contenders.py` does.
    async fn stall(self: Arc<Self>, streams: usize) -> Outcome<Sample> {
        let mut open = JoinSet::new();
        self.open(&mut open, 1).await?;
        let before = rss_bytes()?;
        self.open(&mut open, streams - 1).await?;
        Ok(Sample { calls: streams - 1, rss_bytes: rss_bytes()? - before, ..Sample::default() })
    }

    /// Opens more streams and returns once each has brought its first chunk.
    async fn open(self: &Arc<Self>, open: &mut JoinSet<Outcome<()>>, streams: usize) -> Outcome<()> {
        let awaited = self.characters.load(Ordering::Relaxed) + streams * " token".len();
        for _ in 0..streams {
            let load = Arc::clone(self);
            open.spawn(async move { load.call().await });
        }
        while self.characters.load(Ordering::Relaxed) < awaited {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(ended) = open.try_join_next() {
                ended??;
                return Err("a stalled stream ended".into());
            }
        }
        Ok(())
    }
}

/// User and system time of every thread of this process.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default().as_secs_f64()
}

fn rss_bytes() -> Outcome<i64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<i64>()? * 1024)
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let load = Arc::new(Load::new(&arguments, body)?);
    // Spawned, so that the load is driven by the worker and not by this thread beside it.
    let sample = match arguments.kind {
        Kind::Stall => runtime.spawn(load.stall(arguments.concurrency)),
        Kind::Plain | Kind::Stream => runtime.spawn(load.measure(arguments.concurrency, arguments.seconds)),
    };
    let sample = runtime.block_on(sample)??;
    writeln!(io::stdout(), "{}", serde_json::to_string(&sample)?)?;
    runtime.shutdown_background();
    Ok(())
}

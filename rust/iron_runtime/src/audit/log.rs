//! The log of a directory: opened by the first call, shared by all clients of a process that name the directory.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::chain::{Chain, Options};
use super::digest::Key;
use super::fault::AuditFault;
use super::place;
use super::queue::{Missed, Order, Queue};
use super::writer::Writer;
use crate::Error;
use crate::clock::now;

/// How long whoever leaves waits for what is left to be written.
const LEAVING: Duration = Duration::from_secs(2);
/// The bytes of a key that we make.
const KEY_BYTES: usize = 32;

/// The logs of this process.
#[derive(Default)]
struct Logs {
    by_directory: HashMap<PathBuf, Weak<Log>>,
    /// A writer owns its queue for as long as it runs.
    queues: Vec<Weak<Queue>>,
}

static LOGS: OnceLock<Mutex<Logs>> = OnceLock::new();

/// The log of a directory.
pub(crate) struct Log {
    options: Options,
    /// Made by the first call, so that a process may still fork before it.
    queue: Mutex<Option<Arc<Queue>>>,
    missed: Arc<Missed>,
}

impl Log {
    /// The log of `options`, which all clients share that name its directory.
    ///
    /// # Errors
    /// [`Error::Config`] if one of them has it written otherwise.
    pub(crate) fn shared(options: Options) -> Result<Arc<Self>, Error> {
        let mut logs = logs();
        let by_directory = &mut logs.by_directory;
        by_directory.retain(|_, log| log.strong_count() > 0);
        if let Some(log) = by_directory.get(&options.directory).and_then(Weak::upgrade) {
            if log.options == options {
                return Ok(log);
            }
            return Err(Error::config(format!(
                "audit.directory {} is written by another client of this process with other settings: \
                 give both the same, or each a directory of its own",
                options.directory.display()
            )));
        }
        let directory = options.directory.clone();
        let log = Arc::new(Self { options, queue: Mutex::new(None), missed: Arc::default() });
        by_directory.insert(directory, Arc::downgrade(&log));
        Ok(log)
    }

    pub(super) fn missed(&self) -> &Missed {
        &self.missed
    }

    /// The queue to the writer, which the first call starts.
    pub(super) fn queue(&self) -> Result<Arc<Queue>, AuditFault> {
        let mut queue = lock(&self.queue);
        if let Some(queue) = &*queue {
            return Ok(queue.clone());
        }
        let opened = self.open()?;
        *queue = Some(opened.clone());
        Ok(opened)
    }

    fn open(&self) -> Result<Arc<Queue>, AuditFault> {
        let options = &self.options;
        let directory = &options.directory;
        let chain = Chain::open(options)?;
        let key = match &options.key {
            Some(key) => key.clone(),
            None => own_key(directory).map_err(|error| AuditFault::io(directory, "making its key", error))?,
        };
        let queue = Arc::new(Queue::new(directory.clone()));
        let writer = Writer::new(queue.clone(), chain, options.sync, key, self.missed.clone());
        std::thread::Builder::new()
            .name("iron-audit".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| AuditFault::io(directory, "starting its thread", error))?;
        let mut logs = logs();
        logs.queues.retain(|queue| queue.strong_count() > 0);
        logs.queues.push(Arc::downgrade(&queue));
        Ok(queue)
    }

    /// Wait until everything told so far is written, as far as it can be.
    pub(crate) async fn flush(&self) {
        let queue = lock(&self.queue).clone();
        if let Some(queue) = queue {
            let (done, written) = oneshot::channel();
            queue.order(Order::Flush(done));
            // Nobody is left to say so where the writer has ended.
            drop(written.await);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(queue) = lock(&self.queue).take() {
            stop([queue].into_iter(), LEAVING);
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Log").field(&self.options).finish()
    }
}

/// End all logs of the process, once what was told is written.
pub fn stop_all(timeout: Duration) {
    let queues: Vec<_> = logs().queues.drain(..).filter_map(|queue| queue.upgrade()).collect();
    stop(queues.into_iter(), timeout);
}

fn stop(queues: impl Iterator<Item = Arc<Queue>>, timeout: Duration) {
    let (done, all_done) = channel();
    let mut told = queues.filter(|queue| queue.order(Order::Stop(done.clone()))).count();
    let until = now() + timeout;
    while told > 0 && all_done.recv_timeout(until.saturating_duration_since(now())).is_ok() {
        told -= 1;
    }
}

/// The key of content digests that lies in the directory of a log, made where there is none.
fn own_key(directory: &Path) -> io::Result<Key> {
    let path = directory.join(place::KEY_FILE);
    if !path.try_exists()? {
        // A key that is there is whole, and the same for all who make one at once.
        let own = directory.join(format!("{}.{}", place::KEY_FILE, std::process::id()));
        let mut options = OpenOptions::new();
        let mut file = place::private(options.write(true).create(true).truncate(true)).open(&own)?;
        file.write_all(&rand::random::<[u8; KEY_BYTES]>())?;
        file.sync_all()?;
        let made = std::fs::hard_link(&own, &path);
        std::fs::remove_file(&own)?;
        made.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })?;
    }
    let mut secret = Vec::new();
    File::open(&path)?.read_to_end(&mut secret)?;
    Key::new(&secret).ok_or_else(|| io::Error::other("it is empty: delete it"))
}

fn logs() -> MutexGuard<'static, Logs> {
    lock(LOGS.get_or_init(Mutex::default))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Were it to panic under the lock, the log would only be opened once more.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A budget in a ledger file, as this process sees it, and the bell that calls its keeper.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::book::NodeId;
use super::file::{Amounts, BudgetKey};
use super::window::{Span, Window};

/// What makes a budget shared: where it is, and after which time it begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The ledger file.
    pub ledger: PathBuf,
    /// The window.
    pub window: Window,
}

/// A budget of a ledger file that this process uses.
pub(super) struct Account {
    pub(super) node: NodeId,
    pub(super) key: BudgetKey,
    path: PathBuf,
    limit: AtomicI64,
    view: Mutex<View>,
    bell: Mutex<Option<Bell>>,
}

/// The accounts of the window as they were at the last look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    pub(crate) amounts: Amounts,
    /// What other processes hold.
    pub(crate) elsewhere: i64,
}

/// How a keeper is called.
#[derive(Clone)]
pub(super) struct Bell {
    pub(super) messages: Sender<Message>,
    /// It has been called and has not come yet.
    pub(super) rung: Arc<AtomicBool>,
}

/// What a keeper is told.
pub(super) enum Message {
    /// An account has something for it to do.
    Ring,
    /// Keep this account too.
    Join(Arc<Account>),
    /// Give back what is leased of this account.
    Drain(NodeId),
    /// Nobody uses this account any more.
    Leave(NodeId),
    /// Give back what can be given back, say so, and end.
    Stop(Sender<()>),
}

impl Account {
    pub(super) fn new(node: NodeId, key: BudgetKey, path: &Path, limit: i64, view: View) -> Self {
        Self {
            node,
            key,
            path: path.into(),
            limit: AtomicI64::new(limit),
            view: Mutex::new(view),
            bell: Mutex::new(None),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn span(&self, now: i64) -> Span {
        self.key.window.around(now)
    }

    pub(super) fn limit(&self) -> i64 {
        self.limit.load(Ordering::Acquire)
    }

    pub(super) fn set_limit(&self, limit: i64) {
        self.limit.store(limit, Ordering::Release);
    }

    pub(super) fn view(&self) -> View {
        *lock(&self.view)
    }

    pub(super) fn set_view(&self, view: View) {
        *lock(&self.view) = view;
    }

    /// Call the keeper; `join` finds one if there is none, or if it has ended.
    pub(super) fn ring(self: &Arc<Self>, join: impl FnOnce(&Arc<Self>) -> Bell) {
        let mut bell = lock(&self.bell);
        if let Some(bell) = &*bell {
            let called = bell.rung.swap(true, Ordering::AcqRel);
            if called || bell.messages.send(Message::Ring).is_ok() {
                return;
            }
        }
        *bell = Some(join(self));
    }

    /// Whether a keeper has been called, and not ended since.
    pub(super) fn is_kept(&self) -> bool {
        lock(&self.bell).as_ref().is_some_and(|bell| bell.messages.send(Message::Ring).is_ok())
    }

    /// Tell the keeper to give back what is leased.
    pub(super) fn drain(&self) {
        if let Some(bell) = &*lock(&self.bell) {
            // A keeper that has ended has nothing to give back.
            let _ = bell.messages.send(Message::Drain(self.node));
        }
    }

    /// Tell the keeper that nobody uses the account any more: whether there is one.
    pub(super) fn leave(&self) -> bool {
        let told = |bell: Bell| bell.messages.send(Message::Leave(self.node)).is_ok();
        lock(&self.bell).take().is_some_and(told)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("key", &self.key).field("path", &self.path).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics, and each holds one whole value.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

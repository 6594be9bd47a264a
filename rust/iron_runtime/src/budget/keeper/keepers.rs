//! The keepers of a process: one for each ledger file in use.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Keeper;
use crate::budget::account::{Account, Bell, Message};
use crate::budget::fault::LedgerFault;
use crate::budget::ledger::Ledger;

/// The keepers of a process, by the file they keep.
#[derive(Default)]
pub(in crate::budget) struct Keepers(Mutex<HashMap<PathBuf, Bell>>);

impl Keepers {
    /// The keeper of the account's file, which keeps it from now on; started if there is none.
    pub(in crate::budget) fn join(&self, ledger: &Ledger, account: &Arc<Account>) -> Bell {
        let mut keepers = self.lock();
        if let Some(bell) = keepers.get(account.path())
            && bell.messages.send(Message::Join(account.clone())).is_ok()
        {
            return bell.clone();
        }
        let (messages, inbox) = channel();
        let bell = Bell { messages, rung: Arc::default() };
        let keeper = Keeper::new(ledger.clone(), account, inbox, bell.rung.clone());
        let started = std::thread::Builder::new().name("iron-ledger".to_owned()).spawn(move || keeper.run());
        match started {
            Ok(_) => drop(keepers.insert(account.path().into(), bell.clone())),
            Err(error) => {
                drop(keepers);
                ledger.fail(account.node, &LedgerFault::io(account.path(), "starting its thread", error));
            }
        }
        bell
    }

    /// Tell all keepers to give back what they can, and wait until they have.
    pub(in crate::budget) fn stop(&self, timeout: Duration) {
        let bells: Vec<Bell> = self.lock().drain().map(|(_, bell)| bell).collect();
        let (done, all_done) = channel();
        for bell in bells {
            drop(bell.messages.send(Message::Stop(done.clone())));
        }
        drop(done);
        let until = crate::clock::now() + timeout;
        // It ends with the last keeper, whether that says so or not.
        while all_done.recv_timeout(until.saturating_duration_since(crate::clock::now())).is_ok() {}
    }

    /// Forget the keeper of a file, unless somebody has just joined it.
    pub(super) fn retire(&self, path: &Path, inbox: &Receiver<Message>) -> Option<Message> {
        let mut keepers = self.lock();
        let last = inbox.try_recv().ok();
        if last.is_none() {
            keepers.remove(path);
        }
        last
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Bell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

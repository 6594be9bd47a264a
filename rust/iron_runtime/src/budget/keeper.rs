//! The keeper of a ledger file: the one thread of a process that reads and writes it.
//!
//! Calls never wait for a disk: they spend what is leased, and ring when that gets low. The keeper takes the next
//! lease, reports what was spent, and gives back what is not needed: when no call is made, when another process waits
//! for money, when the window is over, and at the end.

mod keepers;
mod kept;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

pub(super) use self::keepers::Keepers;
use self::kept::Kept;
use super::account::{Account, Message};
use super::book::NodeId;
use super::fault::LedgerFault;
use super::file::LedgerFile;
use super::ledger::Ledger;
use crate::clock::Calendar;
use crate::event::LeaseEnd;

/// How often the file is looked at while money is leased.
const TICK: Duration = Duration::from_millis(250);
/// How often it is looked at while calls wait for money that other processes hold.
const POLL: Duration = Duration::from_millis(50);
/// What was spent is reported every so many ticks, for others to see.
const REPORT_TICKS: u32 = 4;

struct Keeper {
    ledger: Ledger,
    calendar: Calendar,
    path: PathBuf,
    file: Option<LedgerFile>,
    kept: Vec<Kept>,
    inbox: Receiver<Message>,
    rung: Arc<AtomicBool>,
    ticks: u32,
}

impl Keeper {
    fn new(ledger: Ledger, account: &Arc<Account>, inbox: Receiver<Message>, rung: Arc<AtomicBool>) -> Self {
        let calendar = ledger.calendar().clone();
        let path = account.path().into();
        let kept = vec![Kept::new(account.clone())];
        Self { ledger, calendar, path, file: None, kept, inbox, rung, ticks: 0 }
    }

    fn run(mut self) {
        self.serve(false);
        loop {
            let ticked = match self.next() {
                Ok(Message::Stop(done)) => return self.stop(&done),
                Ok(message) => {
                    self.take(message);
                    false
                }
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.serve(ticked);
            if self.kept.is_empty() {
                match self.ledger.keepers().retire(&self.path, &self.inbox) {
                    None => return,
                    Some(Message::Stop(done)) => return self.stop(&done),
                    Some(message) => self.take(message),
                }
            }
        }
    }

    fn next(&self) -> Result<Message, RecvTimeoutError> {
        match self.pause() {
            Some(pause) => self.inbox.recv_timeout(pause),
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// How long until the file is looked at without being rung for: never, while nothing is leased.
    fn pause(&self) -> Option<Duration> {
        let pauses = self.kept.iter().filter_map(|kept| {
            let book = self.ledger.lock();
            let node = book.node(kept.account.node)?;
            let waiting = node.waiting() > 0;
            let leased = node.pool.as_ref().is_some_and(|pool| !pool.is_empty());
            (waiting || leased).then_some(if waiting { POLL } else { TICK })
        });
        pauses.min()
    }

    fn take(&mut self, message: Message) {
        // What is rung for from here on is rung for again.
        self.rung.store(false, Ordering::Release);
        let ledger = self.ledger.clone();
        match message {
            Message::Join(account) => self.kept.push(Kept::new(account)),
            Message::Drain(node) => self.of(node).for_each(|kept| kept.drain(&ledger, LeaseEnd::GivenBack)),
            Message::Leave(node) => self.of(node).for_each(|kept| kept.left = true),
            Message::Ring | Message::Stop(_) => {}
        }
    }

    fn of(&mut self, node: NodeId) -> impl Iterator<Item = &mut Kept> {
        self.kept.iter_mut().filter(move |kept| kept.account.node == node)
    }

    /// Give back what can be given back. The budgets stay known to those who still have them.
    fn stop(mut self, done: &Sender<()>) {
        let now = self.calendar.seconds();
        for kept in &self.kept {
            let Some(file) = &mut self.file else { break };
            if let Err(fault) = kept.report(&self.ledger, file, now, Some(LeaseEnd::GivenBack), true) {
                tracing::warn!(%fault, "what is leased goes back once this process has ended");
            }
        }
        // Whoever asked may wait no longer.
        let _ = done.send(());
    }

    /// Do what each account needs.
    fn serve(&mut self, ticked: bool) {
        self.ticks = self.ticks.wrapping_add(u32::from(ticked));
        for nth in 0..self.kept.len() {
            let file = match &mut self.file {
                Some(file) => Ok(file),
                None => open(&self.path, &self.ledger).map(|file| self.file.insert(file)),
            };
            let Some(kept) = self.kept.get_mut(nth) else { break };
            let now = self.calendar.seconds();
            let reports = ticked && self.ticks.is_multiple_of(REPORT_TICKS);
            let served = file.and_then(|file| kept.serve(&self.ledger, file, now, ticked, reports));
            if let Err(fault) = served {
                // What is leased may still be spent; whoever waits for more cannot be told when there will be.
                tracing::warn!(%fault, "the ledger cannot be used");
                kept.stall(&self.ledger);
                self.ledger.fail(kept.account.node, &fault);
            }
        }
        self.kept.retain(|kept| !(kept.left && self.ledger.forget_if_idle(kept.account.node)));
    }
}

fn open(path: &Path, ledger: &Ledger) -> Result<LedgerFile, LedgerFault> {
    let mut file = LedgerFile::open(path)?;
    ledger.tell_recovered(&file.settle_dead(ledger.calendar())?);
    Ok(file)
}

//! The keeper of a ledger file: the one thread of a process that reads and writes it.
//!
//! Calls never wait for a disk: they spend what is leased, and ring when that gets low. The keeper takes the next
//! lease, reports what was spent, and gives back what is not needed: when no call is made, when another process waits
//! for money, when the window is over, and at the end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::account::{Account, Bell, Message, View};
use super::book::NodeId;
use super::fault::LedgerFault;
use super::file::{LedgerFile, Outcome};
use super::ledger::Ledger;
use super::tranche::Want;
use crate::clock::Calendar;

/// How often the file is looked at while money is leased.
const TICK: Duration = Duration::from_millis(250);
/// How often it is looked at while calls wait for money that other processes hold.
const POLL: Duration = Duration::from_millis(50);
/// What was spent is reported every so many ticks, for others to see.
const REPORT_TICKS: u32 = 4;
/// What is leased goes back after so many ticks without a call.
const IDLE_TICKS: u32 = 40;

/// Leases taken for one account before the others have their turn.
const MOST_LEASES_A_TURN: usize = 4;

/// The keepers of a process, by the file they keep.
#[derive(Default)]
pub(super) struct Keepers(Mutex<HashMap<PathBuf, Bell>>);

impl Keepers {
    /// The keeper of the account's file, which keeps it from now on; started if there is none.
    pub(super) fn join(&self, ledger: &Ledger, account: &Arc<Account>) -> Bell {
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
    pub(super) fn stop(&self, timeout: Duration) {
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
    fn retire(&self, path: &Path, inbox: &Receiver<Message>) -> Option<Message> {
        let mut keepers = self.lock();
        let last = inbox.try_recv().ok();
        if last.is_none() {
            keepers.remove(path);
        }
        last
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Bell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One account that is kept.
struct Kept {
    account: Arc<Account>,
    /// Nobody uses it any more: it goes once its last call has settled.
    left: bool,
    /// The limit at the last look at how the window stands.
    seen_limit: i64,
    /// The count of reservations at the last tick, and for how many ticks it has stood there.
    taken: u64,
    idle_ticks: u32,
}

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
            Message::Drain(node) => self.of(node).for_each(|kept| kept.drain(&ledger)),
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
            if let Err(fault) = kept.report(&self.ledger, file, now, true, true) {
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
                None => open(&self.path, &self.calendar).map(|file| self.file.insert(file)),
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

fn open(path: &Path, calendar: &Calendar) -> Result<LedgerFile, LedgerFault> {
    let mut file = LedgerFile::open(path)?;
    file.recover(calendar)?;
    Ok(file)
}

impl Kept {
    fn new(account: Arc<Account>) -> Self {
        let seen_limit = account.limit();
        Self { account, left: false, seen_limit, taken: 0, idle_ticks: 0 }
    }

    fn serve(
        &mut self,
        ledger: &Ledger,
        file: &mut LedgerFile,
        now: i64,
        ticked: bool,
        reports: bool,
    ) -> Result<(), LedgerFault> {
        let limit = self.account.limit();
        if limit != self.seen_limit {
            // Whoever changed it has written it down.
            self.see(file.standing(&self.account.key, now)?.view());
            self.seen_limit = limit;
        }
        let drains = self.left || (ticked && self.should_drain(ledger, file, now)?);
        self.report(ledger, file, now, drains, reports)?;
        if self.left { Ok(()) } else { self.lease(ledger, file) }
    }

    /// Whether what is leased has to go back: nobody here uses it, others wait for it, or its file is gone.
    fn should_drain(
        &mut self,
        ledger: &Ledger,
        file: &mut LedgerFile,
        now: i64,
    ) -> Result<bool, LedgerFault> {
        if let Err(fault) = file.check_place() {
            self.drain(ledger);
            return Err(fault);
        }
        let standing = file.standing(&self.account.key, now)?;
        self.see(standing.view());
        let mut book = ledger.lock();
        let Some(pool) = book.pool(self.account.node) else { return Ok(false) };
        pool.may_ask(standing.amounts.available > 0);
        let is_idle = pool.taken() == self.taken;
        self.idle_ticks = if is_idle { self.idle_ticks + 1 } else { 0 };
        self.taken = pool.taken();
        Ok(standing.claimed || self.idle_ticks >= IDLE_TICKS)
    }

    fn drain(&self, ledger: &Ledger) {
        if let Some(pool) = ledger.lock().pool(self.account.node) {
            pool.drain();
        }
    }

    /// Report what has changed, and remove the journals of leases that are over.
    fn report(
        &self,
        ledger: &Ledger,
        file: &mut LedgerFile,
        now: i64,
        drains: bool,
        all: bool,
    ) -> Result<(), LedgerFault> {
        let reports = {
            let mut book = ledger.lock();
            let Some(pool) = book.pool(self.account.node) else { return Ok(()) };
            pool.enter(self.account.span(now));
            if drains {
                pool.drain();
            }
            pool.reports(all || drains)
        };
        if reports.is_empty() {
            return Ok(());
        }
        file.report(&reports, now)?;
        let standing = file.standing(&self.account.key, now)?;
        let over = {
            let mut book = ledger.lock();
            self.see(standing.view());
            book.pool(self.account.node).map(|pool| pool.reported(&reports)).unwrap_or_default()
        };
        for journal in over {
            // One that stays is removed at the next opening of the file.
            drop(std::fs::remove_file(journal.path()));
        }
        Ok(())
    }

    /// Take leases until calls have what they need, or there is no more.
    fn lease(&self, ledger: &Ledger, file: &mut LedgerFile) -> Result<(), LedgerFault> {
        // A lease of a window that has just ended serves nobody: the next turn asks again.
        for _ in 0..MOST_LEASES_A_TURN {
            let Some(want) = self.want(ledger) else { break };
            // Read after those who wait were looked at: none of them is in a later window than this.
            let now = ledger.calendar().seconds();
            let opened = file.open_lease(&self.account.key, want, now)?;
            self.see(View { amounts: opened.amounts, elsewhere: opened.elsewhere });
            match opened.outcome {
                Outcome::Granted { amount, journal } => {
                    ledger.grant(self.account.node, opened.span, amount, journal);
                }
                Outcome::Short => {
                    let coming = opened.amounts.available.saturating_add(opened.elsewhere);
                    ledger.refuse_beyond(self.account.node, opened.span, coming);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn want(&self, ledger: &Ledger) -> Option<Want> {
        let mut book = ledger.lock();
        let waited_for = book.waited_for(self.account.node);
        book.pool(self.account.node)?.wants(waited_for)
    }

    fn see(&self, view: View) {
        self.account.set_view(view);
    }

    /// Ask no more until the next tick.
    fn stall(&self, ledger: &Ledger) {
        if let Some(pool) = ledger.lock().pool(self.account.node) {
            pool.stall();
        }
    }
}

//! One account that a keeper keeps: when its leases are taken, reported and given back.

use std::sync::Arc;

use crate::budget::account::{Account, View};
use crate::budget::fault::LedgerFault;
use crate::budget::file::{LedgerFile, Outcome};
use crate::budget::ledger::Ledger;
use crate::budget::tranche::Want;
use crate::event::LeaseEnd;

/// What is leased goes back after so many ticks without a call.
const IDLE_TICKS: u32 = 40;
/// Leases taken for one account before the others have their turn.
const MOST_LEASES_A_TURN: usize = 4;

/// One account that is kept.
pub(super) struct Kept {
    pub(super) account: Arc<Account>,
    /// Nobody uses it any more: it goes once its last call has settled.
    pub(super) left: bool,
    /// The limit at the last look at how the window stands.
    seen_limit: i64,
    /// The count of reservations at the last tick, and for how many ticks it has stood there.
    taken: u64,
    idle_ticks: u32,
}

impl Kept {
    pub(super) fn new(account: Arc<Account>) -> Self {
        let seen_limit = account.limit();
        Self { account, left: false, seen_limit, taken: 0, idle_ticks: 0 }
    }

    pub(super) fn serve(
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
        let drains = match (self.left, ticked) {
            (true, _) => Some(LeaseEnd::GivenBack),
            (false, true) => self.should_drain(ledger, file, now)?,
            (false, false) => None,
        };
        self.report(ledger, file, now, drains, reports)?;
        if self.left { Ok(()) } else { self.lease(ledger, file) }
    }

    /// Why what is leased has to go back, if it has: others wait for it, nobody here uses it, or its file is gone.
    fn should_drain(
        &mut self,
        ledger: &Ledger,
        file: &mut LedgerFile,
        now: i64,
    ) -> Result<Option<LeaseEnd>, LedgerFault> {
        if let Err(fault) = file.check_place() {
            self.drain(ledger, LeaseEnd::Fault);
            return Err(fault);
        }
        let standing = file.standing(&self.account.key, now)?;
        self.see(standing.view());
        let mut book = ledger.lock();
        let Some(pool) = book.pool(self.account.node) else { return Ok(None) };
        pool.may_ask(standing.amounts.available > 0);
        let is_idle = pool.taken() == self.taken;
        self.idle_ticks = if is_idle { self.idle_ticks + 1 } else { 0 };
        self.taken = pool.taken();
        let idle = (self.idle_ticks >= IDLE_TICKS).then_some(LeaseEnd::Idle);
        Ok(if standing.claimed { Some(LeaseEnd::Wanted) } else { idle })
    }

    pub(super) fn drain(&self, ledger: &Ledger, why: LeaseEnd) {
        if let Some(pool) = ledger.lock().pool(self.account.node) {
            pool.drain(why);
        }
    }

    /// Report what has changed, and remove the journals of leases that are over; `drains` gives all of them back.
    pub(super) fn report(
        &self,
        ledger: &Ledger,
        file: &mut LedgerFile,
        now: i64,
        drains: Option<LeaseEnd>,
        all: bool,
    ) -> Result<(), LedgerFault> {
        let reports = {
            let mut book = ledger.lock();
            let Some(pool) = book.pool(self.account.node) else { return Ok(()) };
            pool.enter(self.account.span(now));
            if let Some(why) = drains {
                pool.drain(why);
            }
            pool.reports(all || drains.is_some())
        };
        if reports.is_empty() {
            return Ok(());
        }
        let lost = file.report(&reports, now)?;
        let standing = file.standing(&self.account.key, now)?;
        let (lost, closed) = {
            let mut book = ledger.lock();
            self.see(standing.view());
            let Some(pool) = book.pool(self.account.node) else { return Ok(()) };
            let lost: Vec<_> = lost.into_iter().filter_map(|id| Some((id, pool.lose(id)?))).collect();
            (lost, pool.reported(&reports))
        };
        for (id, granted) in lost {
            ledger.tell_lost(&self.account.key, id, granted);
        }
        for closed in closed {
            ledger.tell_closed(&self.account.key, &closed);
            // One that stays is removed at the next opening of the file.
            drop(std::fs::remove_file(closed.journal.path()));
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
            ledger.tell_recovered(&opened.recovered);
            match opened.outcome {
                Outcome::Granted { amount, journal } => {
                    ledger.tell_taken(&self.account.key, journal.lease(), amount, want == Want::AHEAD);
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
    pub(super) fn stall(&self, ledger: &Ledger) {
        if let Some(pool) = ledger.lock().pool(self.account.node) {
            pool.stall();
        }
    }
}

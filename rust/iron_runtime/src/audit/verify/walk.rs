//! A walk along a chain: each line is what is expected next, or a problem, which is told once.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Problem, Verified, Wrong};
use crate::audit::digest::Digest;
use crate::audit::record::{self, Envelope, Link};

/// So many records back a copy is told from an insertion.
const RECENT: usize = 64;

/// A place on the way along a chain.
pub(super) struct Walk<'v> {
    /// Nothing is known of what comes before.
    is_part: bool,
    chain: Option<String>,
    /// What the head counts.
    counted: Option<Link>,
    pins: &'v mut Vec<Digest>,
    verified: &'v mut Verified,
    file: PathBuf,
    number: u64,
    line: u64,
    records: u64,
    /// The first record, with where it stands, until another tells that those before were deleted.
    beginning: Option<(Problem, Link)>,
    /// The last record in its place; none yet where the chain's beginning is not looked at.
    last: Option<Link>,
    recent: VecDeque<Link>,
    /// Another record with the last one's number.
    rival: Option<Digest>,
    /// Lines since the last record that are none: they may stand in the place of some.
    unsound: u64,
    /// Before the last record some were missing: which one came before, and the problem.
    jump: Option<(Link, Option<usize>)>,
    /// A record that has come too early, and the problem.
    early: Option<(Link, Option<usize>)>,
    missing: Vec<(u64, u64)>,
    missing_file: Option<PathBuf>,
}

/// What a record tells of files that were deleted.
#[derive(Deserialize)]
struct Pruned {
    last_seq: u64,
    last_hash: Digest,
}

impl<'v> Walk<'v> {
    pub(super) fn new(
        chain: String,
        counted: Option<Link>,
        pins: &'v mut Vec<Digest>,
        verified: &'v mut Verified,
    ) -> Self {
        Self { is_part: false, chain: Some(chain), counted, ..Self::of_a_part(pins, verified) }
    }

    /// Along one file, of whatever chain.
    pub(super) fn of_a_part(pins: &'v mut Vec<Digest>, verified: &'v mut Verified) -> Self {
        Self {
            is_part: true,
            chain: None,
            counted: None,
            pins,
            verified,
            file: PathBuf::new(),
            number: 0,
            line: 0,
            records: 0,
            beginning: None,
            last: None,
            recent: VecDeque::with_capacity(RECENT),
            rival: None,
            unsound: 0,
            jump: None,
            early: None,
            missing: Vec::new(),
            missing_file: None,
        }
    }

    /// The next file; `path_of` says what the others are called.
    pub(super) fn enter(&mut self, file: &Path, number: u64, path_of: impl Fn(u64) -> PathBuf) {
        if self.number > 0 && number > self.number + 1 {
            self.missing_file = Some(path_of(self.number + 1));
        }
        (self.file, self.number, self.line) = (file.to_owned(), number, 0);
    }

    /// A line that does not end.
    pub(super) fn broken_line(&mut self) {
        self.line += 1;
        self.unsound_line(None);
    }

    pub(super) fn line(&mut self, line: &[u8]) {
        self.line += 1;
        let envelope = serde_json::from_slice::<Envelope>(line).ok();
        match (record::hashes(line), envelope) {
            (Some((has, says)), Some(envelope)) if has == says && self.is_ours(&envelope) => {
                self.records += 1;
                self.record(&envelope, has);
                self.look_at(&envelope, has, line);
            }
            (_, envelope) => self.unsound_line(envelope.map(|envelope| envelope.seq)),
        }
    }

    fn is_ours(&mut self, envelope: &Envelope) -> bool {
        let chain = self.chain.get_or_insert_with(|| envelope.chain.clone());
        *chain == envelope.chain && envelope.v == record::VERSION
    }

    fn unsound_line(&mut self, seq: Option<u64>) {
        self.unsound += 1;
        let wrong = if seq.is_some() { Wrong::Altered } else { Wrong::Foreign };
        self.tell(seq, wrong);
    }

    /// A sound record: where it stands.
    fn record(&mut self, envelope: &Envelope, hash: Digest) {
        let (seq, prev) = (envelope.seq, envelope.prev);
        let this = Link { seq, hash };
        let Some(last) = self.last else { return self.first(envelope, this) };
        let next = last.seq + 1;
        if seq < next {
            return self.again(envelope, this, last);
        }
        if let Some((early, _)) = self.early.take_if(|(early, _)| early.seq == next) {
            if hash == early.hash {
                // It stands in its place too.
                self.amend(early.seq, Wrong::Copied);
            } else if seq == next + 1 && prev == early.hash {
                return self.go_on(this);
            }
        }
        if seq == next {
            if prev != last.hash && Some(prev) != self.rival {
                self.tell(Some(seq), Wrong::Unlinked);
            }
        } else if seq > next + self.unsound {
            let (first, end) = (next, seq - 1);
            let told = match self.missing_file.take() {
                Some(file) => self.verified.tell(Problem::of(&file, Wrong::FileMissing { first, last: end })),
                None => self.tell(Some(seq), Wrong::Missing { first, last: end }),
            };
            self.missing.push((first, end));
            self.go_on(this);
            self.jump = Some((last, told));
            return;
        }
        self.go_on(this);
    }

    fn first(&mut self, envelope: &Envelope, this: Link) {
        let begins = Link { seq: envelope.seq.saturating_sub(1), hash: envelope.prev };
        if begins != Link::BEGINNING && !self.is_part {
            let problem = self.here(None, Wrong::BeginningMissing { first: envelope.seq });
            self.beginning = Some((problem, begins));
        }
        self.go_on(this);
    }

    /// A record whose number has been passed.
    fn again(&mut self, envelope: &Envelope, this: Link, last: Link) {
        let seq = envelope.seq;
        if let Some((before, told)) = self.jump.take()
            && seq == before.seq + 1
            && envelope.prev == before.hash
        {
            // It goes on here: what came in between came too early.
            if let Some(problem) = told.and_then(|told| self.verified.problems.get_mut(told)) {
                problem.wrong = Wrong::Moved;
            }
            self.missing.pop();
            self.early = Some((last, told));
            return self.go_on(this);
        }
        if let Some(place) = self.missing.iter().position(|(first, end)| (*first..=*end).contains(&seq)) {
            let (first, end) = self.missing.swap_remove(place);
            self.missing
                .extend([(first, seq.wrapping_sub(1)), (seq + 1, end)].into_iter().filter(|(a, b)| a <= b));
            self.tell(Some(seq), Wrong::Moved);
            return;
        }
        let known = self.recent.iter().find(|recent| recent.seq == seq);
        let wrong = match known {
            Some(known) if known.hash != this.hash => Wrong::Inserted,
            _ => Wrong::Copied,
        };
        if seq == last.seq && wrong == Wrong::Inserted {
            self.rival = Some(this.hash);
        }
        self.tell(Some(seq), wrong);
    }

    /// The record is in its place.
    fn go_on(&mut self, this: Link) {
        self.last = Some(this);
        (self.rival, self.unsound, self.jump) = (None, 0, None);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(this);
    }

    /// What else a record is good for.
    fn look_at(&mut self, envelope: &Envelope, hash: Digest, line: &[u8]) {
        self.pins.retain(|pin| *pin != hash);
        if let Some(counted) = self.counted
            && counted.seq == envelope.seq
            && counted.hash != hash
        {
            self.tell(Some(envelope.seq), Wrong::Rewritten);
        }
        if envelope.kind == "pruned"
            && let Ok(Pruned { last_seq, last_hash }) = serde_json::from_slice(line)
        {
            let deleted = Link { seq: last_seq, hash: last_hash };
            self.beginning.take_if(|(_, begins)| *begins == deleted);
        }
    }

    fn tell(&mut self, seq: Option<u64>, wrong: Wrong) -> Option<usize> {
        let problem = self.here(seq, wrong);
        self.verified.tell(problem)
    }

    fn here(&self, seq: Option<u64>, wrong: Wrong) -> Problem {
        Problem { file: self.file.clone(), line: Some(self.line), seq, wrong }
    }

    fn amend(&mut self, seq: u64, wrong: Wrong) {
        let told = self.verified.problems.iter_mut().rev().find(|problem| problem.seq == Some(seq));
        if let Some(problem) = told {
            problem.wrong = wrong;
        }
    }

    /// The last record.
    pub(super) fn end(&mut self) -> Link {
        if let Some((problem, _)) = self.beginning.take() {
            self.verified.tell(problem);
        }
        self.last.unwrap_or(Link::BEGINNING)
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// The chain that it is.
    pub(super) fn chain(&self) -> String {
        self.chain.clone().unwrap_or_default()
    }
}

//! Looking ahead: whether a match of a pattern that has begun may go on behind the end of a text.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::Compiler;
use regex_automata::util::pool::Pool;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

type Make = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// A pattern as an automaton that is stepped a byte at a time.
pub(super) struct Ahead {
    automaton: DFA,
    caches: Pool<Cache, Make>,
    /// The longest match, where there is one.
    longest: Option<usize>,
    /// It asks where the text or a line begins.
    begins: bool,
    /// It asks what stands beside a match.
    looks: bool,
}

impl Ahead {
    pub(super) fn new(pattern: &str, most: usize) -> Result<Self, String> {
        let hir: Hir = regex_syntax::parse(pattern).map_err(|error| error.to_string())?;
        let looks = hir.properties().look_set();
        // What stands beside a match is not asked: more is open than must be, and no text stops the automaton.
        let kind = if looks.is_empty() { MatchKind::LeftmostFirst } else { MatchKind::All };
        let nfa = Compiler::new().build_from_hir(&blind(&hir)).map_err(|error| error.to_string())?;
        let config = DFA::config().match_kind(kind).cache_capacity(most).skip_cache_capacity_check(true);
        let automaton =
            DFA::builder().configure(config).build_from_nfa(nfa).map_err(|error| error.to_string())?;
        let template = automaton.clone();
        let make: Make = Box::new(move || template.create_cache());
        Ok(Self {
            automaton,
            caches: Pool::new(make),
            longest: hir.properties().maximum_len(),
            begins: [Look::Start, Look::StartLF, Look::StartCRLF]
                .into_iter()
                .any(|look| looks.contains(look)),
            looks: !looks.is_empty(),
        })
    }

    pub(super) fn needs_whole(&self) -> bool {
        self.begins
    }

    /// The first place from `from` on from which a match may go on behind the end of the text.
    pub(super) fn open(&self, text: &str, from: usize) -> Option<usize> {
        let from = from.max(text.len().saturating_sub(self.longest.unwrap_or(text.len())));
        let mut cache = self.caches.get();
        (from..text.len()).find(|at| text.is_char_boundary(*at) && self.goes_on(&mut cache, text, *at))
    }

    /// Whether the automaton is alive at the end, or cannot tell.
    fn goes_on(&self, cache: &mut Cache, text: &str, from: usize) -> bool {
        let input = Input::new(text).range(from..).anchored(Anchored::Yes);
        let Ok(mut state) = self.automaton.start_state_forward(cache, &input) else { return true };
        for byte in &text.as_bytes()[from..] {
            match self.automaton.next_state(cache, state, *byte) {
                Ok(next) if next.is_dead() => return false,
                Ok(next) if next.is_quit() => return true,
                Ok(next) => state = next,
                Err(_) => return true,
            }
        }
        // A match is told one byte late: it may be that nothing goes on behind it.
        let dead = |byte| self.automaton.next_state(cache, state, byte).is_ok_and(|next| next.is_dead());
        self.looks || !state.is_match() || !(0..=u8::MAX).all(dead)
    }
}

/// The pattern without what it asks of the text beside a match.
fn blind(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(_) => Hir::empty(),
        HirKind::Repetition(own) => {
            Hir::repetition(Repetition { sub: Box::new(blind(&own.sub)), ..own.clone() })
        }
        HirKind::Capture(own) => blind(&own.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(blind).collect()),
        HirKind::Alternation(ways) => Hir::alternation(ways.iter().map(blind).collect()),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead")
            .field("longest", &self.longest)
            .field("begins", &self.begins)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_that_has_begun_is_open_until_it_cannot_go_on() {
        let open = |pattern: &str, text: &str| Ahead::new(pattern, 1 << 20).unwrap().open(text, 0);
        assert_eq!(open("sk-[a-z]+", "a key: sk"), Some(7));
        assert_eq!(open("sk-[a-z]+", "a key: sk-abc"), Some(7));
        assert_eq!(open("sk-[a-z]+", "a key: sk-abc "), None);
        assert_eq!(open("sk-[a-z]{2}", "a key: sk-abc"), None);
        assert_eq!(open(r"\bproject \w+\b", "the project Ā"), Some(4));
        assert_eq!(open(r"\bfoo\b", "a foo"), Some(2), "it may be the beginning of food");
        assert_eq!(open(r"\bticket \w+\b", "今天天气很好"), None);
        assert_eq!(open(r"a$|ab+", "xab"), Some(1));
        assert_eq!(open(r"\d{3}", "no number"), None);
        assert!(Ahead::new("(?m)^a", 1 << 20).unwrap().needs_whole());
        assert!(!Ahead::new("a$", 1 << 20).unwrap().needs_whole());
    }
}

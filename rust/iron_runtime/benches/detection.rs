//! What judging a text costs: throughput on one core, the time for a prompt, and texts made to be slow.

use divan::counter::BytesCount;
use iron_runtime::config::{PolicySettings, RuleSettings};
use iron_runtime::policy::{Action, Direction, PolicySet};

fn main() {
    divan::main();
}

/// English as people write it: this project's own pages.
const PROSE: &str = concat!(
    include_str!("../../../docs/concepts.md"),
    include_str!("../../../docs/operations.md"),
    include_str!("../../../docs/security.md"),
    include_str!("../../../LICENSE"),
);
/// Source code: this project's own.
const CODE: &str = concat!(
    include_str!("../src/config/validate.rs"),
    include_str!("../src/budget/ledger.rs"),
    include_str!("../src/stream.rs"),
    include_str!("../src/upstream/http.rs"),
    include_str!("../../../iron_sdk/_client.py"),
    include_str!("../../../iron_sdk/_types.py"),
);
const MEBI: usize = 1 << 20;
/// As long as the adversarial texts are: what is slower than linear shows here.
const LONG: usize = 10 * MEBI;

fn policy() -> PolicySet {
    // A bench has nobody to tell.
    PolicySet::recommended().unwrap_or_else(|_| std::process::abort())
}

fn repeated(piece: &str, len: usize) -> String {
    let mut text = piece.repeat(len / piece.len() + 1);
    let end = (0..=len).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}

/// The next of a row of numbers that is the same in every run.
fn drawn(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}

/// Rows of numbers, as tables and logs have them.
fn digits(len: usize) -> String {
    let mut text = String::with_capacity(len + 64);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while text.len() < len {
        state = drawn(state);
        let number = state >> 20;
        let cells =
            [number % 100_000, number % 9_999, number % 1_000, number % 99_999].map(|cell| cell.to_string());
        text.extend([cells[0].as_str(), ",", &cells[1], ".25,", &cells[2], " ", &cells[3], "\n"]);
    }
    text
}

/// Numbers of three to sixteen digits and nothing else: each may be one of a dozen things.
fn numbers(len: usize) -> String {
    let mut text = String::with_capacity(len + 64);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while text.len() < len {
        state = drawn(state);
        let most = 10_u64.pow(3 + u32::try_from(state >> 40).unwrap_or(0) % 14);
        text.extend([(most / 10 + (state >> 8) % (most - most / 10)).to_string().as_str(), " "]);
    }
    text
}

fn judge(bencher: divan::Bencher<'_, '_>, text: &str) {
    let policy = policy();
    bencher.counter(BytesCount::of_str(text)).bench_local(|| policy.judge(text, Direction::Input));
}

#[divan::bench]
fn prose(bencher: divan::Bencher<'_, '_>) {
    judge(bencher, &repeated(PROSE, MEBI));
}

#[divan::bench]
fn code(bencher: divan::Bencher<'_, '_>) {
    judge(bencher, &repeated(CODE, MEBI));
}

#[divan::bench]
fn dense_digits(bencher: divan::Bencher<'_, '_>) {
    judge(bencher, &digits(MEBI));
}

#[divan::bench]
fn numbers_alone(bencher: divan::Bencher<'_, '_>) {
    judge(bencher, &numbers(MEBI));
}

#[divan::bench(sample_size = 100)]
fn prompt_of_2_kb(bencher: divan::Bencher<'_, '_>) {
    judge(bencher, &repeated(PROSE, 2_000));
}

/// Pieces that make each detector begin again and again. More than twenty such names make divan panic: it cannot sort them.
const ADVERSARIAL: [&str; 20] = [
    "a",
    "1",
    "1 ",
    "4-",
    "sk-",
    "glpat-",
    "_authToken=",
    "eyJ.",
    "eyJ-",
    "@",
    "a@a.",
    "ignore ",
    "ab:12:",
    "password=",
    "http://a:",
    "http x:@",
    "http://(",
    "http://a)))))))))))))))))))",
    "curl ",
    "+1 (415) 555-2671 ",
];

#[divan::bench(args = ADVERSARIAL, sample_count = 1, sample_size = 1)]
fn adversarial(bencher: divan::Bencher<'_, '_>, piece: &str) {
    judge(bencher, &repeated(piece, LONG));
}

#[divan::bench(args = ADVERSARIAL, sample_count = 1, sample_size = 1)]
fn adversarial_a_tenth(bencher: divan::Bencher<'_, '_>, piece: &str) {
    judge(bencher, &repeated(piece, LONG / 10));
}

/// A text whose addresses are sent as placeholders, and which is looked through for what only reads like one.
#[divan::bench(args = ["prose", "code"])]
fn pseudonyms(bencher: divan::Bencher<'_, '_>, kind: &str) {
    let text = repeated(if kind == "prose" { PROSE } else { CODE }, MEBI);
    let rule = RuleSettings::new(["EMAIL_ADDRESS"], Action::Pseudonymize);
    let settings = PolicySettings { rules: vec![rule], ..PolicySettings::default() };
    let policy = PolicySet::new(&settings).unwrap_or_else(|_| std::process::abort());
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| policy.judge(&text, Direction::Input));
}

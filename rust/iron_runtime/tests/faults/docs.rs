//! The table of docs/reliability.md says what the tests say.

use std::collections::BTreeSet;

use iron_simulator::{
    At, Bare, BreakFault, Coding, EmptyFault, EndlessFault, ErrorBody, EventFault, Fault, Filler,
    LengthFault, PaddingFault, RedirectFault, StallFault, StatusFault, TruncateFault,
};

use super::expected::{Expected, Tries, expected};
use super::simulated::strikes;
use super::{FORMS, Outcome, Paid};
use crate::rig::Wire;

const PAGE: &str = include_str!("../../../../docs/reliability.md");

/// What goes wrong, in the page's words.
fn rows() -> Vec<(&'static str, Fault)> {
    let broken = |at| BreakFault { at };
    let padded = |bytes, coding| Fault::Padded(PaddingFault { bytes, coding });
    vec![
        ("408, 409, 425, 500 to 599", Fault::status(503)),
        ("429", Fault::status(429)),
        (
            "429, and the account is empty",
            Fault::Status(StatusFault { code: Some("insufficient_quota".into()), ..StatusFault::new(429) }),
        ),
        ("400, 401, 403, 404, 413, 422", Fault::status(400)),
        (
            "an error page of a proxy",
            Fault::Status(StatusFault { body: ErrorBody::Html, ..StatusFault::new(502) }),
        ),
        ("a redirect", Fault::Redirect(RedirectFault { to: String::new(), status: 307 })),
        ("the connection is closed on arrival", Fault::Refuse(Bare {})),
        ("the connection breaks before the headers", Fault::Reset(broken(At::BeforeHeaders))),
        ("the connection breaks in the reply, before its content", Fault::Close(broken(At::AfterBytes(20)))),
        ("the connection breaks in the content of a stream", Fault::Close(broken(At::AfterChunks(4)))),
        ("`content-length` is more than comes", Fault::WrongLength(LengthFault { by: 10 })),
        ("`content-length` is less than comes", Fault::WrongLength(LengthFault { by: -10 })),
        ("a chunked body is cut short", Fault::TruncatedChunks(TruncateFault { missing: 0 })),
        ("silence", Fault::Stall(StallFault { at: At::AfterHeaders, ms: None })),
        ("200 with an error in it that passes", Fault::ErrorInOk(Bare {})),
        ("200 with nothing in it", Fault::EmptyBody(Bare {})),
        ("200 with a page in HTML", Fault::Page(Bare {})),
        ("a body that is not JSON", Fault::MalformedJson(Bare {})),
        ("a body of more than 64 MiB", padded(100_000_000, None)),
        ("a decompression bomb", padded(100_000_000, Some(Coding::Gzip))),
        ("an event with an error that passes, before any content", Fault::ErrorEvent(EventFault::after(0))),
        ("an event with an error, after content", Fault::ErrorEvent(EventFault::after(2))),
        ("an event that is no chunk", Fault::MalformedEvent(EventFault::after(2))),
        ("a stream without events", Fault::EmptyStream(EmptyFault { done: false })),
        ("`[DONE]` and nothing else", Fault::EmptyStream(EmptyFault { done: true })),
        ("no `finish_reason`", Fault::NoFinishReason(Bare {})),
        ("a stream that never ends", Fault::Endless(EndlessFault { with: Filler::Chunks, every_ms: 0 })),
        ("no `[DONE]`", Fault::NoDone(Bare {})),
        ("CR LF as line end", Fault::Crlf(Bare {})),
        ("comments between the events", Fault::Comments(Bare {})),
        ("data of several lines", Fault::MultiLineData(Bare {})),
        ("a byte-order mark", Fault::Bom(Bare {})),
        ("bytes that come one by one, characters split", Fault::SplitBytes(Bare {})),
    ]
}

fn row(words: &str, fault: &Fault) -> String {
    let cells = |form| {
        let Expected { outcome, tries, paid } = expected(fault, form, Wire::OpenAi);
        let seen = match outcome {
            Outcome::Reply => "the whole reply".to_owned(),
            Outcome::Status(200) => "`UpstreamStatusError`, status 200".to_owned(),
            Outcome::Status(_) => "`UpstreamStatusError`".to_owned(),
            Outcome::Told(code) => format!("`{}`", class(code.as_str())),
        };
        let requests = match tries {
            Tries::Once => "1",
            Tries::All => "all",
            Tries::Unread => "all, unread",
        };
        let cost = match paid {
            Paid::Nothing => "nothing",
            Paid::InDoubt if matches!(tries, Tries::Unread) => "its reservation, if it had left",
            Paid::InDoubt => "its reservation",
            Paid::Served => "what it used",
        };
        [seen, requests.to_owned(), cost.to_owned()]
    };
    let forms = FORMS.into_iter().filter(|form| strikes(fault, *form));
    let mut told: Vec<_> = forms.map(cells).collect();
    told.dedup();
    let joined = (0..3).map(|cell| {
        let mut texts: Vec<_> = told.iter().map(|cells| cells[cell].as_str()).collect();
        texts.dedup();
        texts.join("; a stream ")
    });
    let cells: Vec<_> = joined.collect();
    format!("| {words} | {} |", cells.join(" | "))
}

/// The Python class of a code.
fn class(code: &str) -> &'static str {
    match code {
        "rate_limited" => "RateLimitError",
        "upstream_timeout" => "UpstreamTimeoutError",
        "upstream_connection" => "UpstreamConnectionError",
        other => panic!("{other} is in no row yet"),
    }
}

#[test]
fn the_page_says_what_the_tests_say() {
    let missing: Vec<_> =
        rows().iter().map(|(words, fault)| row(words, fault)).filter(|row| !PAGE.contains(row)).collect();
    assert!(missing.is_empty(), "docs/reliability.md has not:\n{}", missing.join("\n"));
}

/// The page says it of them beside the table.
#[test]
fn anthropic_s_format_comes_to_the_same() {
    for (words, fault) in rows() {
        for form in FORMS.into_iter().filter(|form| strikes(&fault, *form)) {
            let same = expected(&fault, form, Wire::OpenAi) == expected(&fault, form, Wire::Anthropic);
            assert_eq!(same, fault.kind() != "no_finish_reason", "{words}");
        }
    }
    assert!(PAGE.contains("Anthropic tells usage and `stop_reason` in one event"));
}

#[test]
fn the_page_has_a_row_for_every_fault() {
    let told: BTreeSet<_> = rows().iter().map(|(_, fault)| fault.kind()).collect();
    assert_eq!(told, Fault::KINDS.into_iter().collect());
}

//! Dates of birth: dates behind words that speak of birth.

use super::Finding;
use super::checksum::value;
use super::entity::Known;
use super::topic::Topic;
use super::view::View;
use super::work::looked_at;

/// The date stands so close behind the word.
const BEHIND: usize = 40;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// The same in German, French, Spanish, Italian, Portuguese and Dutch where they begin in another way.
const MORE_MONTHS: [&str; 22] = [
    "mai", "okt", "dez", "maerz", "marz", "fev", "avr", "juin", "juil", "aou", "ene", "abr", "ago", "dic",
    "gen", "mag", "giu", "lug", "set", "ott", "mei", "maart",
];

/// Add every date of birth.
pub(super) fn find(view: &View<'_>, findings: &mut Vec<Finding>) {
    if !view.speaks_of(Topic::Birth) {
        return;
    }
    let mut next = 0;
    for hit in view.mentions(Topic::Birth) {
        // What was no date behind one word is none behind the next.
        next += view.numbers[next..].partition_point(|(start, _)| *start < hit.end);
        let near = view.numbers[next..].iter().take_while(|(start, _)| *start <= hit.end + BEHIND);
        let found = near
            .map(|(start, _)| date(view.bytes, *start))
            .inspect(|_| {
                next += 1;
                looked_at(1);
            })
            .find_map(|date| date);
        if let Some((start, end)) = found {
            findings.push(Finding::new(Known::DateOfBirth, start..end, 0.85, "date behind a word of birth"));
        }
    }
}

/// The date whose first number begins at `start`.
fn date(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let (first, at) = number(text, start)?;
    let behind_month = || {
        let from = start.checked_sub(1).filter(|before| text[*before] == b' ')?;
        let word = text[..from].iter().rev().take(9).take_while(|byte| byte.is_ascii_alphabetic()).count();
        is_month(&text[from - word..from]).then_some(from - word)
    };
    let separator = *text.get(at)?;
    if b"-/.".contains(&separator) {
        let (second, at) = number(text, at + 1)?;
        if text.get(at) != Some(&separator) {
            return None;
        }
        let (third, end) = number(text, at + 1)?;
        let digits = end - start;
        let fits = is_year(first) && second <= 12 && third <= 31
            || first <= 31
                && second <= 31
                && (first <= 12 || second <= 12)
                && (is_year(third) || third < 100);
        return (digits >= 6 && first > 0 && second > 0 && third > 0 && fits).then_some((start, end));
    }
    if let Some(from) = behind_month() {
        // March 12, 1985
        let at = at
            + text[at..]
                .iter()
                .take(4)
                .take_while(|byte| byte.is_ascii_alphabetic() || b", ".contains(byte))
                .count();
        let (year, end) = number(text, at)?;
        return (first <= 31 && is_year(year)).then_some((from, end));
    }
    // 12 March 1985, 12th of March 1985, 12. März 1985
    let gap = text[at..]
        .iter()
        .take(7)
        .take_while(|byte| byte.is_ascii_alphabetic() && at + 2 > start || b". ".contains(byte))
        .count();
    let tail = &text[at..text.len().min(at + 28)];
    let month_at = (0..=gap).find(|skip| tail.get(*skip..).is_some_and(is_month))?;
    let year_at = at + month_at + tail[month_at..].iter().take_while(|byte| !byte.is_ascii_digit()).count();
    let (year, end) = number(text, year_at)?;
    (first <= 31 && is_year(year)).then_some((start, end))
}

/// The number of at most four digits at `start`, and where it ends.
fn number(text: &[u8], start: usize) -> Option<(u32, usize)> {
    let len = text[start.min(text.len())..].iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
    let read = text.get(start..start + len)?.iter().fold(0, |sum, digit| sum * 10 + value(*digit));
    (1..=4).contains(&len).then_some((read, start + len))
}

fn is_year(number: u32) -> bool {
    (1900..=2100).contains(&number)
}

fn is_month(word: &[u8]) -> bool {
    let begins = |month: &&str| {
        word.get(..month.len()).is_some_and(|head| head.eq_ignore_ascii_case(month.as_bytes()))
    };
    // No month begins with another letter.
    let first = word.first().map_or(0, u8::to_ascii_lowercase);
    b"jfmasondelg".contains(&first) && MONTHS.iter().chain(&MORE_MONTHS).any(begins)
}

//! E-mail addresses, web addresses, IP addresses and network cards' addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use memchr::memchr_iter;

use super::Finding;
use super::entity::Known;
use super::view::View;
use super::work::looked_at;

/// RFC 5321, section 4.5.3.1.
const LOCAL_PART: usize = 64;
const DOMAIN: usize = 255;
/// Eight groups of four digits, an IPv4 address in the last two.
const LONGEST_IP: usize = 45;

/// Add every e-mail address.
pub(super) fn find_email(view: &View<'_>, findings: &mut Vec<Finding>) {
    let text = view.bytes;
    for at in memchr_iter(b'@', text) {
        let in_local = |byte: &&u8| {
            byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(byte) || **byte >= 0x80
        };
        let window = &text[at.saturating_sub(LOCAL_PART)..at];
        let row = window.iter().rev().take_while(in_local).count();
        // A quote, a mark or an equals sign before the address is the text's, not the address's.
        let local = text[at - row..at].iter().rposition(|byte| b"=/?'`|{}&!#$*".contains(byte));
        let start = local.map_or(at - row, |inside| at - row + inside + 1);
        let start = start + text[start..at].iter().take_while(|byte| **byte == b'.').count();
        let rest = &text[at + 1..text.len().min(at + 1 + DOMAIN)];
        let in_domain = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-".contains(byte) || **byte >= 0x80;
        let row = rest.iter().take_while(in_domain).count();
        looked_at(window.len() + row);
        let domain = rest[..row].trim_ascii_end();
        let domain =
            &domain[..domain.iter().rposition(|byte| !b".-".contains(byte)).map_or(0, |last| last + 1)];
        let mut labels = domain.rsplit(|byte| *byte == b'.');
        let top = labels.next().unwrap_or_default();
        let named = top.len() >= 2 && top.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
            || top.starts_with(b"xn--");
        let mut below = labels.peekable();
        let whole = below.peek().is_some() && below.all(|label| !label.is_empty() && label[0] != b'-');
        let is_remote = text[start..at] == *b"git" && rest.get(domain.len()) == Some(&b':');
        let in_url = text[..start].ends_with(b":")
            && text[..start.saturating_sub(1)].last().is_some_and(u8::is_ascii_alphanumeric)
            && follows_scheme(view, start);
        if start < at && named && whole && text[at - 1] != b'.' && !is_remote && !in_url {
            let end = at + 1 + domain.len();
            findings.push(Finding::new(Known::EmailAddress, start..end, 0.95, "form"));
        }
    }
}

/// Whether a URL begins so close before `at` that this is part of it.
fn follows_scheme(view: &View<'_>, at: usize) -> bool {
    const NEAR: usize = 80;
    let from = view.schemes.partition_point(|hit| hit.start + NEAR <= at);
    let mut near = view.schemes[from..].iter().take_while(|hit| hit.start < at).inspect(|_| looked_at(1));
    near.any(|hit| view.bytes[hit.end..].starts_with(b"://"))
}

/// Add every web address.
pub(super) fn find_url(view: &View<'_>, findings: &mut Vec<Finding>) {
    const LONGEST: usize = 2_048;
    let text = view.bytes;
    let mut done = 0;
    for hit in &view.schemes {
        let web = text[hit.start..hit.end].to_ascii_lowercase();
        if hit.start < done
            || !matches!(&*web, b"http" | b"https" | b"ftp" | b"ws" | b"wss")
            || !text[hit.end..].starts_with(b"://")
        {
            continue;
        }
        let rest = &text[hit.end + 3..text.len().min(hit.end + 3 + LONGEST)];
        let first = |byte: &u8| byte.is_ascii_alphanumeric() || b"[-_@".contains(byte) || *byte >= 0x80;
        if !rest.first().is_some_and(first) {
            continue;
        }
        let outside = |byte: &u8| byte.is_ascii_whitespace() || b"<>\"'`{}|\\^".contains(byte);
        let row = &rest[..rest.iter().position(outside).unwrap_or(rest.len())];
        looked_at(row.len());
        done = hit.end + 3 + without_closing(row).len();
        findings.push(Finding::new(Known::Url, hit.start..done, 0.6, "form"));
    }
}

/// An address without what ends a sentence behind it, or closes a bracket that was opened before it.
fn without_closing(mut row: &[u8]) -> &[u8] {
    let unopened =
        |open: u8, close: u8| memchr_iter(close, row).count().saturating_sub(memchr_iter(open, row).count());
    let (mut round, mut square) = (unopened(b'(', b')'), unopened(b'[', b']'));
    while let [rest @ .., last] = row {
        match last {
            b'.' | b',' | b';' | b':' | b'!' | b'?' | b'*' => {}
            b')' if round > 0 => round -= 1,
            b']' if square > 0 => square -= 1,
            _ => break,
        }
        row = rest;
    }
    row
}

/// Add the IP or network card's address that the run at `start` is part of: where it ends, if there is one. `row_end` is
/// where the row of hexadecimal digits and colons ends that was looked at last.
pub(super) fn find_address(
    view: &View<'_>,
    (start, end): (usize, usize),
    row_end: &mut usize,
    findings: &mut Vec<Finding>,
) -> Option<usize> {
    let text = view.bytes;
    let after = text.get(end).copied().unwrap_or(0);
    if after == b'.' && end - start <= 3 {
        return ip_v4(text, start, findings);
    }
    let before = if start == 0 { 0 } else { text[start - 1] };
    if end - start == 2
        && (after == b':' || after == b'-')
        && let Some((from, end)) = mac(text, start, after)
    {
        findings.push(Finding::new(Known::MacAddress, from..end, 0.9, "form"));
        return Some(end);
    }
    // A row of hexadecimal digits and colons was looked at with its first number.
    if start < *row_end || end - start > 4 || !(after == b':' || before == b':') {
        return None;
    }
    let inside = |byte: &&u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
    let back = text[start.saturating_sub(LONGEST_IP)..start].iter().rev().take_while(inside).count();
    let from = start - back;
    let row = text[from..text.len().min(from + LONGEST_IP)].iter().take_while(inside).count();
    *row_end = from + row;
    let row = &text[from..from + row];
    let row = row.strip_suffix(b".").unwrap_or(row);
    let row = if row.ends_with(b"::") { row } else { row.strip_suffix(b":").unwrap_or(row) };
    let colons = memchr_iter(b':', row).count();
    let cut = text.get(from + row.len()).is_some_and(u8::is_ascii_alphanumeric)
        || from > 0 && text[from - 1].is_ascii_alphanumeric();
    if cut || colons < 2 || colons < 7 && memchr::memmem::find(row, b"::").is_none() {
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(row).ok()?.parse().ok()?;
    // `::1` and `a::b` are paths in source code more often than addresses.
    let groups = address.segments().iter().filter(|group| **group > 0xff).count();
    if groups >= 2
        || address.is_loopback()
            && row == b"::1"
            && colons == 2
            && before == b':'
            && !text[..from].ends_with(b"::")
    {
        let score = if groups >= 2 { 0.8 } else { 0.5 };
        findings.push(Finding::new(Known::IpAddress, from..from + row.len(), score, "form"));
        return Some(from + row.len());
    }
    None
}

fn ip_v4(text: &[u8], start: usize, findings: &mut Vec<Finding>) -> Option<usize> {
    /// 255.255.255.255
    const LONGEST: usize = 15;
    if text[..start].last().is_some_and(|byte| b".-_".contains(byte)) {
        return None;
    }
    let row = text[start..]
        .iter()
        .take(LONGEST + 1)
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .count();
    let row = text[start..start + row].strip_suffix(b".").unwrap_or(&text[start..start + row]);
    let end = start + row.len();
    if text.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)) {
        return None;
    }
    let address: Ipv4Addr = std::str::from_utf8(row).ok()?.parse().ok()?;
    // Versions have small numbers; 0.x is no host.
    let [first, second, third, _] = address.octets();
    let score = if first == 0 || (first < 10 && second < 10 && third < 30) { 0.3 } else { 0.7 };
    findings.push(Finding::new(Known::IpAddress, start..end, score, "form"));
    Some(end)
}

/// The six pairs of hexadecimal digits of which the one at `start` is the first with a digit.
fn mac(text: &[u8], start: usize, separator: u8) -> Option<(usize, usize)> {
    const LEN: usize = 17;
    let is_pair = |pair: &[u8]| pair[..2].iter().all(u8::is_ascii_hexdigit);
    let mut from = start;
    while from >= 3 && is_pair(&text[from - 3..]) && text[from - 1] == separator {
        from -= 3;
        if start - from == 15 {
            break;
        }
    }
    let row = text.get(from..from + LEN)?;
    let pairs = row.chunks(3).all(|pair| is_pair(pair) && pair.get(2).is_none_or(|byte| *byte == separator));
    let outside =
        |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != separator);
    let before = from.checked_sub(1).and_then(|at| text.get(at));
    let same = row.chunks(3).all(|pair| pair[..2] == row[..2]);
    (pairs && !same && outside(before) && outside(text.get(from + LEN))).then_some((from, from + LEN))
}

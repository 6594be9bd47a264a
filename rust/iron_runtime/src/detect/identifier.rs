//! Identifiers of people, accounts and companies: a pattern, a checksum, and the words that speak of them.

use std::sync::LazyLock;

use super::Finding;
use super::checksum::icao;
use super::entity::Known;
use super::group::Group;
use super::national as check;
use super::topic::Topic;
use super::view::View;

/// The fewest and the most characters of an identifier here.
const SHORTEST: usize = 8;
const LONGEST: usize = 16;

/// One kind of identifier. In a pattern `9` is a digit, `A` a letter, `*` either; anything else is itself.
struct Identifier {
    entity: Known,
    pattern: &'static str,
    /// The lengths of its parts where it is written with separators.
    shape: &'static [usize],
    check: fn(&[u8]) -> bool,
    topic: Topic,
    /// The score of the bare characters, of the separated form, and of either beside a word of its topic.
    scores: [f32; 3],
}

const fn id(
    entity: Known,
    pattern: &'static str,
    shape: &'static [usize],
    check: fn(&[u8]) -> bool,
    topic: Topic,
    scores: [f32; 3],
) -> Identifier {
    Identifier { entity, pattern, shape, check, topic, scores }
}

fn any(chars: &[u8]) -> bool {
    chars.windows(2).any(|pair| pair[0] != pair[1])
}

/// The highest score of a kind.
pub(super) fn highest_score(entity: Known) -> f32 {
    let scores =
        IDENTIFIERS.iter().filter(|identifier| identifier.entity == entity).flat_map(|kind| kind.scores);
    scores.fold(0.0, f32::max)
}

/// By how much a checksum alone says: one in ten random numbers passes a check digit, so that form or words decide.
#[rustfmt::skip]
static IDENTIFIERS: &[Identifier] = &[
    id(Known::UsSsn, "999999999", &[3, 2, 4], check::ssn, Topic::Ssn, [0.0, 0.6, 0.9]),
    id(Known::UsItin, "999999999", &[3, 2, 4], check::itin, Topic::Itin, [0.0, 0.6, 0.9]),
    id(Known::AbaRoutingNumber, "999999999", &[], check::aba, Topic::Routing, [0.0, 0.0, 0.9]),
    id(Known::UsPassport, "999999999", &[], any, Topic::Passport, [0.0, 0.0, 0.7]),
    id(Known::UsPassport, "A99999999", &[], any, Topic::Passport, [0.0, 0.0, 0.75]),
    id(Known::UsDriverLicense, "A9999999", &[], any, Topic::Driver, [0.0, 0.0, 0.7]),
    id(Known::UsDriverLicense, "A99999999", &[], any, Topic::Driver, [0.0, 0.0, 0.65]),
    id(Known::UsDriverLicense, "A999999999999", &[4, 3, 2, 3, 1], any, Topic::Driver, [0.0, 0.0, 0.7]),
    id(Known::UsDriverLicense, "A99999999999999", &[5, 5, 5], any, Topic::Driver, [0.0, 0.0, 0.7]),
    id(Known::UsDriverLicense, "99999999", &[], any, Topic::Driver, [0.0, 0.0, 0.55]),
    id(Known::UsDriverLicense, "999999999", &[3, 3, 3], any, Topic::Driver, [0.0, 0.0, 0.55]),
    id(Known::UsDriverLicense, "AA999999", &[], any, Topic::Driver, [0.0, 0.0, 0.65]),
    id(Known::UsDriverLicense, "A99999999999", &[4, 4, 4], any, Topic::Driver, [0.0, 0.0, 0.7]),
    id(Known::UsDriverLicense, "999999999999", &[], any, Topic::Driver, [0.0, 0.0, 0.55]),
    id(Known::UsBankNumber, "99999999", &[], any, Topic::Account, [0.0, 0.0, 0.5]),
    id(Known::UsBankNumber, "999999999", &[], any, Topic::Account, [0.0, 0.0, 0.5]),
    id(Known::UsBankNumber, "9999999999", &[], any, Topic::Account, [0.0, 0.0, 0.55]),
    id(Known::UsBankNumber, "99999999999", &[], any, Topic::Account, [0.0, 0.0, 0.55]),
    id(Known::UsBankNumber, "999999999999", &[], any, Topic::Account, [0.0, 0.0, 0.6]),
    id(Known::UsBankNumber, "9999999999999", &[], any, Topic::Account, [0.0, 0.0, 0.55]),
    id(Known::UsBankNumber, "99999999999999", &[], any, Topic::Account, [0.0, 0.0, 0.55]),
    id(Known::UsNpi, "9999999999", &[], check::npi, Topic::Npi, [0.0, 0.0, 0.9]),
    id(Known::MedicalLicense, "AA9999999", &[], check::dea, Topic::Medical, [0.6, 0.0, 0.95]),
    id(Known::UkNhs, "9999999999", &[3, 3, 4], check::nhs, Topic::Nhs, [0.0, 0.4, 0.95]),
    id(Known::UkNino, "AA999999A", &[2, 2, 2, 2, 1], check::nino, Topic::Nino, [0.65, 0.75, 0.95]),
    id(Known::DeTaxId, "99999999999", &[2, 3, 3, 3], check::de_tax_id, Topic::DeTax, [0.3, 0.6, 0.95]),
    id(Known::DeIdCard, "A********9", &[], icao, Topic::IdCard, [0.0, 0.0, 0.85]),
    id(Known::FrNir, "99999**99999999", &[1, 2, 2, 2, 3, 3, 2], check::nir, Topic::FrNir, [0.75, 0.9, 0.98]),
    id(Known::EsNif, "99999999A", &[8, 1], check::es_nif, Topic::EsId, [0.7, 0.75, 0.98]),
    id(Known::EsNie, "A9999999A", &[1, 7, 1], check::es_nie, Topic::EsId, [0.85, 0.9, 0.98]),
    id(Known::ItFiscalCode, "AAAAAA99A99A999A", &[6, 5, 5], check::it_fiscal_code, Topic::ItId, [0.98, 0.9, 1.0]),
    id(Known::PlPesel, "99999999999", &[], check::pesel, Topic::PlId, [0.35, 0.0, 0.95]),
    id(Known::NlBsn, "999999999", &[3, 3, 3], check::bsn, Topic::NlId, [0.0, 0.0, 0.9]),
    id(Known::InPan, "AAAAA9999A", &[5, 4, 1], check::in_pan, Topic::InPan, [0.7, 0.0, 0.95]),
    id(Known::InAadhaar, "999999999999", &[4, 4, 4], check::aadhaar, Topic::InId, [0.3, 0.6, 0.95]),
    id(Known::SgNricFin, "A9999999A", &[], check::sg_nric, Topic::SgId, [0.9, 0.0, 0.98]),
    id(Known::AuTfn, "999999999", &[3, 3, 3], check::tfn, Topic::AuTfn, [0.0, 0.3, 0.9]),
    id(Known::AuAbn, "99999999999", &[2, 3, 3, 3], check::abn, Topic::AuAbn, [0.3, 0.75, 0.97]),
    id(Known::AuAcn, "999999999", &[3, 3, 3], check::acn, Topic::AuAcn, [0.0, 0.3, 0.9]),
    id(Known::AuMedicare, "9999999999", &[4, 5, 1], check::au_medicare, Topic::AuMedicare, [0.0, 0.6, 0.9]),
    id(Known::KrRrn, "9999999999999", &[6, 7], check::kr_rrn, Topic::KrId, [0.35, 0.8, 0.97]),
    id(Known::KrRrn, "9999999999999", &[6, 7], check::kr_rrn_form, Topic::KrId, [0.0, 0.55, 0.8]),
    id(Known::BrCpf, "99999999999", &[3, 3, 3, 2], check::cpf, Topic::BrCpf, [0.35, 0.9, 0.97]),
    id(Known::BrCnpj, "99999999999999", &[2, 3, 3, 4, 2], check::cnpj, Topic::BrCnpj, [0.5, 0.95, 0.98]),
    // Since July 2026 new ones have letters.
    id(Known::BrCnpj, "************99", &[2, 3, 3, 4, 2], check::cnpj, Topic::BrCnpj, [0.3, 0.95, 0.98]),
];

/// Where the identifiers of each length are in [`IDENTIFIERS`].
static BY_LENGTH: LazyLock<[Vec<u8>; LONGEST + 1]> = LazyLock::new(|| {
    std::array::from_fn(|length| {
        let of_length = (0..).zip(IDENTIFIERS).filter(|(_, identifier)| identifier.pattern.len() == length);
        of_length.map(|(index, _)| index).collect()
    })
});

/// Whether the characters have the form of the pattern.
pub(super) fn fits(pattern: &str, chars: &[u8]) -> bool {
    chars.len() == pattern.len()
        && chars.iter().zip(pattern.bytes()).all(|(c, wanted)| match wanted {
            b'9' => c.is_ascii_digit(),
            b'A' => c.is_ascii_uppercase(),
            b'*' => c.is_ascii_digit() || c.is_ascii_uppercase(),
            own => own == *c,
        })
}

/// Whether the group goes on from a row before it that is as long as its first, as the rest of a card's number does.
fn continues(text: &[u8], start: usize, group: &Group) -> bool {
    let (length, separator) = (group.part(0).chars, group.part(1).separator);
    let [before @ .., last] = &text[..start] else { return false };
    if *last != separator {
        return false;
    }
    let row = before.iter().rev().take(length + 1).take_while(|byte| byte.is_ascii_digit()).count();
    row == length
}

/// Add what begins at `start`.
pub(super) fn find(view: &View<'_>, group: &Group, start: usize, findings: &mut Vec<Finding>) {
    for (index, part) in group.parts().enumerate().filter(|(_, part)| part.chars >= SHORTEST) {
        let count = index + 1;
        let chars = group.chars(count);
        let Some(candidates) = BY_LENGTH.get(chars.len()).filter(|found| !found.is_empty()) else { continue };
        if group.goes_on(count) {
            continue;
        }
        let end = part.end;
        for identifier in candidates.iter().map(|index| &IDENTIFIERS[usize::from(*index)]) {
            let shaped = count > 1;
            if shaped && (identifier.shape.len() != count || !group.is_shaped(identifier.shape)) {
                continue;
            }
            if shaped && continues(view.bytes, start, group) {
                continue;
            }
            let alone = identifier.scores[usize::from(shaped)];
            if alone == 0.0 && !view.speaks_of(identifier.topic)
                || !fits(identifier.pattern, chars)
                || !(identifier.check)(chars)
            {
                continue;
            }
            let beside = view.beside(identifier.topic, start, end);
            let score = if beside { identifier.scores[2] } else { alone };
            if score > 0.0 {
                let reason = if beside { "form, checksum and context" } else { "form and checksum" };
                findings.push(Finding::new(identifier.entity, start..end, score, reason));
            }
        }
    }
}

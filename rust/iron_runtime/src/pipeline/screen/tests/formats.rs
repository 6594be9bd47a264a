//! Every format of a key and every entity, in a stream that is split within it.

use std::sync::Arc;

use serde_json::json;

use super::{content, policy, streamed, whole};
use crate::detect::{Known, keys};
use crate::policy::Chain;

/// A text with each entity that streams wait for.
const ENTITIES: &[(Known, &str)] = &[
    (Known::EmailAddress, "to jane.doe@example.org today"),
    (Known::PhoneNumber, "call +49 30 901820 today"),
    (Known::CreditCard, "the card 4111 1111 1111 1111 is"),
    (Known::IbanCode, "IBAN DE89 3704 0044 0532 0130 00 is"),
    (Known::UsSsn, "the SSN 536-90-4399 is"),
    (Known::UsItin, "ITIN 912-70-1234 is"),
    (Known::UsPassport, "passport number 912803456 is"),
    (Known::UsDriverLicense, "driver license B7364521 is"),
    (Known::UsBankNumber, "bank account number 7364521908 is"),
    (Known::AbaRoutingNumber, "routing number 021000021 is"),
    (Known::UsNpi, "NPI 1234567893 is"),
    (Known::MedicalLicense, "the DEA AB1234563 is"),
    (Known::UkNhs, "NHS number 943 476 5919 is"),
    (Known::UkNino, "NI AB 12 34 56 C is"),
    (Known::EuVatNumber, "VAT AT U13585627 is"),
    (Known::DeTaxId, "Steuer-ID 86 095 742 719 ist"),
    (Known::DeIdCard, "Personalausweis T220001293 ist"),
    (Known::FrNir, "NIR 2 55 08 14 168 025 38 est"),
    (Known::EsNif, "DNI 12345678Z es"),
    (Known::EsNie, "NIE X1234567L es"),
    (Known::ItFiscalCode, "CF RSSMRA85T10A562S e"),
    (Known::PlPesel, "PESEL 44051401359 jest"),
    (Known::NlBsn, "BSN 111222333 is"),
    (Known::InPan, "PAN ABCPE1234F is"),
    (Known::InAadhaar, "Aadhaar 2341 2341 2346 is"),
    (Known::SgNricFin, "NRIC S1234567D is"),
    (Known::AuTfn, "TFN 123 456 782 is"),
    (Known::AuAbn, "ABN 51 824 753 556 is"),
    (Known::AuAcn, "ACN 004 085 616 is"),
    (Known::AuMedicare, "Medicare 2123 45670 1 is"),
    (Known::KrRrn, "RRN 900101-1234568 is"),
    (Known::BrCpf, "CPF 529.982.247-25 e"),
    (Known::BrCnpj, "CNPJ 11.222.333/0001-81 e"),
    (Known::DateOfBirth, "born 12 March 1985 in"),
    (Known::Crypto, "to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa or"),
    (Known::Crypto, "to bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 or"),
    (Known::Crypto, "to 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed or"),
    (Known::IpAddress, "at 2001:db8:85a3::8a2e:370:7334 now"),
    (Known::MacAddress, "eth0 aa:bb:cc:1d:ee:ff up"),
    (Known::Url, "see https://example.org/a?b=c now"),
    (Known::ApiKey, "key AKIAQ3EGRZ2VMX7LTWHB here"),
    (
        Known::PrivateKey,
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\nQyNTUxOQ\n-----END OPENSSH PRIVATE KEY-----\nthat",
    ),
    (
        Known::Jwt,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U is",
    ),
    (Known::ConnectionString, "at postgres://app:Tr0ub4dor@db.internal:5432/main now"),
    (Known::ConnectionString, "Server=tcp:db,1433;User ID=app;Password=Vx9kLq2z; is"),
    (Known::Password, "password = \"hunter2-Xk9!\" is"),
    (Known::Password, "Authorization: Basic YWRtaW46azlYdjJtUTdwTHo= is"),
    (Known::Password, "curl -u admin:k9Xv2mQ7pLz https://x.test/api is"),
];

/// A number below the one that is asked for, another each time.
fn drawn() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    }
}

/// A text with each entity, and a key in each format.
pub(super) fn all() -> Vec<String> {
    let entities = ENTITIES.iter().map(|(_, text)| (*text).to_owned());
    entities.chain(keys(drawn())).collect()
}

/// What a stream makes of the text, in two parts and character by character, is what the plain call makes of it.
fn assert_any_split_is_whole(policy: &Arc<Chain>, text: &str, entity: &str, cut: usize) {
    let (expected, found) = whole(policy, &[json!({"content": text})]);
    let expected = expected.unwrap()[0]["content"].as_str().unwrap().to_owned();
    let is_found = found.iter().any(|told| told.contains(&format!("Known({entity})")));
    assert!(is_found, "{entity} is not found in {text:?}: {found:?}");
    let cut = (cut..text.len()).find(|cut| text.is_char_boundary(*cut)).unwrap_or(text.len());
    let two = vec![&text[..cut], &text[cut..]];
    for parts in [two, text.split_inclusive(|_| true).collect()] {
        let mut events: Vec<_> = parts.iter().map(|part| (0, json!({"content": part}), None)).collect();
        events.push((0, json!({}), Some("stop")));
        let streamed = streamed(policy, 1, &events);
        assert_eq!(content(&streamed.shown, 0), expected, "{text:?} in {} parts", parts.len());
        assert_eq!(streamed.told, found, "{text:?} in {} parts", parts.len());
    }
}

#[test]
fn every_format_of_a_key_is_held_until_it_is_whole() {
    let (policy, mut draw) = (policy("redact", 0.5), drawn());
    for key in keys(drawn()) {
        let text = format!("It is {key} and goes on.");
        assert_any_split_is_whole(&policy, &text, "ApiKey", 6 + draw(key.len()));
    }
}

#[test]
fn every_entity_is_held_until_it_is_whole() {
    for known in Known::ALL.iter().filter(|known| **known != Known::PromptInjection) {
        assert!(ENTITIES.iter().any(|(entity, _)| entity == known), "{known:?} has no text");
    }
    // The policy of these tests lets network cards' addresses pass.
    let (policy, mut draw) = (policy("redact", 0.5), drawn());
    for (entity, text) in ENTITIES.iter().filter(|(entity, _)| *entity != Known::MacAddress) {
        for _ in 0..4 {
            assert_any_split_is_whole(&policy, text, &format!("{entity:?}"), draw(text.len()));
        }
    }
}

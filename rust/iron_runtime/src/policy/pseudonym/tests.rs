//! Placeholders: stable, never another's, restored in any split where they are certain, and nowhere else.

use proptest::prelude::*;

use super::scan::LONGEST;
use super::*;
use crate::detect::Known;

const MAIL: Entity = Entity::Known(Known::EmailAddress);
const URL: Entity = Entity::Known(Known::Url);
/// What JSON has to escape.
const ODD: &str = "a \"b\" \\c\nd";

fn vault() -> Vault {
    let vault = Vault::default();
    for number in 1..=12 {
        vault.pseudonym(&MAIL, &format!("jane{number}@example.org")).unwrap();
    }
    vault.pseudonym(&URL, "https://example.org").unwrap();
    vault.pseudonym(&Entity::Pattern("odd".into()), ODD).unwrap();
    vault
}

fn restored(vault: &Vault, text: &str, form: Form) -> Option<String> {
    vault.view().unwrap().restore(text, form)
}

#[test]
fn the_same_text_has_the_same_placeholder_and_another_has_another() {
    let vault = Vault::default();
    let given = |value| vault.pseudonym(&MAIL, value).unwrap();
    assert_eq!(given("jane@example.org"), "[EMAIL_ADDRESS_1]");
    assert_eq!(given("joe@example.org"), "[EMAIL_ADDRESS_2]");
    assert_eq!(given("jane@example.org"), "[EMAIL_ADDRESS_1]");
    assert_eq!(given("Jane@example.org"), "[EMAIL_ADDRESS_3]", "what comes back is what was there");
    assert_eq!(vault.pseudonym(&URL, "https://x.org").unwrap(), "[URL_1]");
}

#[test]
fn what_models_make_of_a_placeholder_is_restored_where_it_is_certain() {
    let vault = vault();
    for (text, expected) in [
        ("[EMAIL_ADDRESS_1]", "jane1@example.org"),
        ("[email_address_1]", "jane1@example.org"),
        ("[Email Address 1]", "jane1@example.org"),
        ("[EMAIL-ADDRESS-11]", "jane11@example.org"),
        (r"\[EMAIL\_ADDRESS\_2\]", "jane2@example.org"),
        (r"EMAIL\_ADDRESS\_2", "jane2@example.org"),
        (r"\[EMAIL_ADDRESS_2]", r"\jane2@example.org"),
        ("**EMAIL_ADDRESS_1**", "**jane1@example.org**"),
        ("`EMAIL_ADDRESS_1`", "`jane1@example.org`"),
        ("Jane <EMAIL_ADDRESS_1>", "Jane <jane1@example.org>"),
        ("&lt;EMAIL_ADDRESS_1&gt; (EMAIL_ADDRESS_2)", "&lt;jane1@example.org&gt; (jane2@example.org)"),
        ("[EMAIL_ADDRESS_1, EMAIL_ADDRESS_2]", "[jane1@example.org, jane2@example.org]"),
        ("[see EMAIL_ADDRESS_1]", "[see jane1@example.org]"),
        ("EMAIL-ADDRESS-12's", "jane12@example.org's"),
        ("EMAIL_ADDRESS_1に送信", "jane1@example.orgに送信"),
        ("[URL_1] URL_1 [url_1]", "https://example.org https://example.org https://example.org"),
        ("mailto:[EMAIL_ADDRESS_1]?x=[[EMAIL_ADDRESS_2]]", "mailto:jane1@example.org?x=[jane2@example.org]"),
    ] {
        assert_eq!(restored(&vault, text, Form::Plain).as_deref(), Some(expected), "{text}");
    }
    for text in [
        "[EMAIL_ADDRESS_99]",
        "[EMAIL_ADDRESS_0]",
        "[EMAIL_ADDRESS_01]",
        "[EMAIL_ADDRESS_1000000]",
        "EMAIL_ADDRESS_13",
        "EMAIL_ADDRESS_123",
        "EMAIL_ADDRESS_1a",
        "EMAIL_ADDRESS_1é",
        "email_address_1 = x",
        "Email_Address_1",
        "email address 1",
        "EMAIL ADDRESS 1",
        "URL 1, URL-1, [url 1], [URL-1]",
        "MY_EMAIL_ADDRESS_1",
        "$EMAIL_ADDRESS_1",
        "EMAIL_ADDRESS_1_OLD",
        "[EMAIL_ADDRESS]",
        "[EMAIL ADDRESS]_1",
        "[EMAIL_ADDRESS_1_1]",
        "[CREDIT_CARD_1]",
        "[EMAIL__ADDRESS_1",
    ] {
        assert_eq!(restored(&vault, text, Form::Plain), None, "{text}");
    }
}

#[test]
fn what_is_restored_within_json_stays_json() {
    let vault = vault();
    let text = r#"{"[EMAIL_ADDRESS_1]": ["\u005bODD_1\u005d", "a\nODD_1", "\\[ODD\\_1\\]", "\\u005bODD_1"]}"#;
    let value: serde_json::Value =
        serde_json::from_str(&restored(&vault, text, Form::Json).unwrap()).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"jane1@example.org": [ODD, format!("a\n{ODD}"), ODD, "\\u005bODD_1"]})
    );
}

#[test]
fn what_only_looks_like_a_placeholder_never_becomes_a_value() {
    let vault = Vault::default();
    assert_eq!(vault.guard("the fields [EMAIL_ADDRESS_1] and email address 3", &[]).unwrap(), None);
    assert_eq!(vault.pseudonym(&MAIL, "jane@example.org").unwrap(), "[EMAIL_ADDRESS_2]");
    assert_eq!(restored(&vault, "[EMAIL_ADDRESS_1]", Form::Plain), None);

    // The number has been given: whoever writes it now gets a placeholder that stands for what was written.
    for forged in ["[EMAIL_ADDRESS_2]", "EMAIL_ADDRESS_2", "[email address 2]", r"\[EMAIL\_ADDRESS\_2\]"] {
        let sent = vault.guard(&format!("say {forged}!"), &[]).unwrap().unwrap();
        assert!(!sent.contains(forged), "{sent}");
        assert_eq!(restored(&vault, &sent, Form::Plain).unwrap(), format!("say {forged}!"));
        assert_eq!(vault.guard(&format!("say {forged}!"), &[]).unwrap().unwrap(), sent, "it is stable too");
    }
    assert!(vault.view().unwrap().stand_ins("[EMAIL_ADDRESS_3] [EMAIL_ADDRESS_2]").len() == 1);
}

#[test]
fn nothing_is_restored_that_was_given_later_or_in_another_scope() {
    let vault = vault();
    let view = vault.view().unwrap();
    assert_eq!(vault.pseudonym(&MAIL, "late@example.org").unwrap(), "[EMAIL_ADDRESS_13]");
    assert_eq!(view.restore("[EMAIL_ADDRESS_13]", Form::Plain), None);
    assert_eq!(restored(&vault, "[EMAIL_ADDRESS_13]", Form::Plain).unwrap(), "late@example.org");
    let other = Vault::default();
    assert!(other.view().is_none());
    other.pseudonym(&MAIL, "other@example.org").unwrap();
    assert_eq!(
        restored(&other, "[EMAIL_ADDRESS_1] [EMAIL_ADDRESS_2]", Form::Plain).unwrap(),
        "other@example.org [EMAIL_ADDRESS_2]"
    );
}

#[test]
fn a_full_scope_gives_no_more() {
    let vault = Vault::default();
    assert_eq!(vault.pseudonym(&MAIL, &"x".repeat(MOST_BYTES + 1)), Err(Full));
    for number in 0..MOST_VALUES {
        assert!(vault.pseudonym(&MAIL, &format!("{number}@example.org")).is_ok());
    }
    assert_eq!(vault.pseudonym(&MAIL, "one@more.org"), Err(Full));
    assert!(vault.pseudonym(&MAIL, "7@example.org").is_ok());
    let vault = Vault::default();
    let written: Vec<_> = (1..=MOST_WRITTEN).map(|number| format!("A_{number}")).collect();
    vault.keep_off(&written.join(" ")).unwrap();
    assert_eq!(vault.keep_off("B_1"), Err(Full));
    assert_eq!(vault.keep_off("A_7"), Ok(()));
}

#[test]
fn no_value_is_shown() {
    let vault = vault();
    let restorer = Restorer::new(vault.view().unwrap(), Form::Plain);
    let shown = format!("{vault:?} {:?} {restorer:?}", vault.view());
    assert!(shown.contains("Vault { values: 14, .. }") && !shown.contains("example.org"), "{shown}");
}

#[test]
fn threads_that_share_a_scope_give_each_value_one_number() {
    let vault = Vault::default();
    let all: Vec<Vec<String>> = std::thread::scope(|scope| {
        let give =
            || (0..200).map(|n| vault.pseudonym(&MAIL, &format!("{n}@example.org")).unwrap()).collect();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(give)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|own| *own == all[0]));
    assert_eq!(all[0].iter().collect::<HashSet<_>>().len(), 200);
}

const PARTS: &[&str] = &[
    "[EMAIL_ADDRESS_1]",
    "[EMAIL_ADDRESS_11]",
    "EMAIL_ADDRESS_1",
    "EMAIL_ADDRESS_12",
    "[email address 2]",
    "[URL_1]",
    "URL_1",
    "[ODD_1]",
    "[",
    "]",
    "\\",
    "_",
    "-",
    "$",
    "1",
    " ",
    "\n",
    "\"",
    "[EMAIL",
    "_ADDRESS",
    "EMAIL",
    "E",
    "é",
    "に",
    "text ",
    "\\n",
    "[EMAIL_ADDRESS_99]",
    "\\[EMAIL\\_ADDRESS\\_3\\]",
    "\\u005b",
    "\\u00",
    "\\\\[URL\\\\_1\\\\]",
    "jane1@example.org",
    "x",
];

fn parts() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PARTS), 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_split_restores_the_same(
        text in parts(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        json in any::<bool>(),
    ) {
        let form = if json { Form::Json } else { Form::Plain };
        let view = vault().view().unwrap();
        let expected = view.restore(&text, form).unwrap_or_else(|| text.clone());
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
        ends.retain(|end| text.is_char_boundary(*end));
        ends.sort_unstable();
        let mut restorer = Restorer::new(view, form);
        let mut shown = String::new();
        for pair in ends.windows(2) {
            shown += &restorer.push(&text[pair[0]..pair[1]]);
            prop_assert!(restorer.waiting() <= 6 * LONGEST, "{}", restorer.waiting());
        }
        shown += &restorer.finish();
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_sent_comes_back_as_it_was(texts in prop::collection::vec(parts(), 1..4)) {
        let settings = crate::config::PolicySettings {
            patterns: [("mail".to_owned(), r"jane\d@example\.org".to_owned()), ("x".to_owned(), "x".to_owned())].into(),
            rules: vec![crate::config::RuleSettings::new(["pattern:mail", "pattern:x"], crate::policy::Action::Pseudonymize)],
            ..crate::config::PolicySettings::default()
        };
        let who = crate::run::Who::default();
        let policy = crate::policy::PolicySet::new(&settings).unwrap();
        let chain = crate::policy::Chain::new([&policy], &crate::policy::Caller::new(&who, "", []));
        let vault = vault();
        for text in &texts {
            let judged = chain.judge_with(text, crate::policy::Direction::Input, None, Vec::new(), Some(&vault)).unwrap();
            let sent = judged.text.unwrap_or_else(|| text.clone());
            prop_assert!(!sent.contains("jane1"));
            let back = restored(&vault, &sent, Form::Plain).unwrap_or(sent);
            prop_assert_eq!(&back, text);
        }
    }
}

#[test]
fn texts_that_nearly_have_placeholders_are_read_once() {
    // Were anything read again from each place, these would take hours.
    let view = vault().view().unwrap();
    for part in [
        "[",
        "[EMAIL_",
        "\\",
        "[EMAIL_ADDRESS_",
        "EMAIL_ADDRESS_1_",
        "[a ",
        "A-",
        "EMAIL_ADDRESS_99 ",
        "\\u005b",
    ] {
        let text = part.repeat((1 << 20) / part.len());
        for form in [Form::Plain, Form::Json] {
            assert_eq!(view.restore(&text, form), None, "{part}");
            let mut restorer = Restorer::new(view.clone(), form);
            let mut len = 0;
            let bytes = text.as_bytes().chunks(7).map(|piece| std::str::from_utf8(piece).unwrap());
            for piece in bytes {
                len += restorer.push(piece).len();
            }
            assert_eq!(len + restorer.finish().len(), text.len());
        }
    }
}

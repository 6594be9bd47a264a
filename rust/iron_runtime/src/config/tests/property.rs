//! Whatever a file holds, reading it ends in a configuration or in an error that names a place.

use proptest::prelude::*;

use super::template::with_all_settings;
use super::*;

const SECRET: &str = "sk-481516";

/// A file with every setting and every profile, in which `SECRET` is the key.
fn whole() -> String {
    with_all_settings(&crate::config::template()).replace("sk-...", SECRET)
}

/// One change of a text: at a place, so many characters are replaced.
#[derive(Clone, Debug)]
struct Edit {
    at: prop::sample::Index,
    removed: usize,
    added: String,
}

fn edit() -> impl Strategy<Value = Edit> {
    let added = prop_oneof![
        Just(String::new()),
        "[\\[\\]{}\"'=.,#\n\\-0-9a-z_é]{1,3}",
        prop::sample::select(vec![
            "\n[",
            "\n[[models]]\n",
            " = 1\n",
            "true",
            "-1",
            "1e9",
            "2020-01-01",
            "\"\"\"",
            "0"
        ])
        .prop_map(str::to_owned),
    ];
    (any::<prop::sample::Index>(), 0..12_usize, added).prop_map(|(at, removed, added)| Edit {
        at,
        removed,
        added,
    })
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for edit in edits {
        let at = edit.at.index(characters.len() + 1);
        let end = (at + edit.removed).min(characters.len());
        characters.splice(at..end, edit.added.chars());
    }
    characters.into_iter().collect()
}

/// What it comes to, once with a profile and once without.
fn outcomes(text: &str) -> [Result<(), String>; 2] {
    [None, Some("production".to_owned())].map(|profile| {
        let sources = Sources { profile, ..Sources::default() };
        let config = load(text, &[], &sources).and_then(|loaded| Config::new(&loaded));
        config.map(drop).map_err(|error| error.to_string())
    })
}

fn names_a_place(error: &str, text: &str) -> bool {
    if error.starts_with("argument profile: ") {
        // The file no longer has that profile.
        return true;
    }
    let Some((line, rest)) = error.strip_prefix("iron.toml:").and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let Some((column, _)) = rest.split_once(": ") else { return false };
    let (Ok(line), Ok(column)) = (line.parse::<usize>(), column.parse::<usize>()) else { return false };
    // An end that is missing is missed at the end.
    let length = text.split('\n').nth(line - 1).map(|line| line.chars().count());
    length.is_some_and(|length| (1..=length + 1).contains(&column))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_file_that_was_edited_anyhow(edits in prop::collection::vec(edit(), 1..4)) {
        let text = edited(&whole(), &edits);
        for outcome in outcomes(&text) {
            if let Err(error) = outcome {
                prop_assert!(names_a_place(&error, &text), "{}", error);
                prop_assert!(!error.contains(SECRET), "{}", error);
            }
        }
    }

    #[test]
    fn any_text(text in "(?s).{0,80}") {
        for outcome in outcomes(&text) {
            if let Err(error) = outcome {
                prop_assert!(names_a_place(&error, &text), "{}", error);
            }
        }
    }

    #[test]
    fn any_value_of_any_setting(key in prop::sample::select(keys()), value in prop::sample::select(vec![
        "0", "-1", "1", "4294967296", "9223372036854775807", "18446744073709551615", "1.5", "nan", "true", "''", "'x'", "'-1'",
        "'1'", "2020-01-01T00:00:00Z", "[]", "['']", "[[]]", "{}", "{x = 1}", "{x = {}}", "{x = {y = 1}}", "'a/b'", "'\u{0}'",
    ])) {
        let text = format!("{key} = {value}");
        for outcome in outcomes(&text) {
            if let Err(error) = outcome {
                prop_assert!(names_a_place(&error, &text), "{}\n{}", text, error);
            }
        }
    }
}

/// Every section, and every key in it.
fn keys() -> Vec<String> {
    let mut section = String::new();
    let mut keys = vec!["profiles".to_owned(), "profiles.production".to_owned()];
    for line in whole().lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            keys.push(section.clone());
            section.push('.');
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push(format!("{section}{key}"));
        }
    }
    keys
}

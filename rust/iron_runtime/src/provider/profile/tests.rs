//! The profiles are sound, and docs/providers.md says what they say.

use std::collections::HashSet;

use reqwest::Url;

use super::*;

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_profile_is_sound() {
    let profiles = profiles().unwrap();
    assert!(profiles.len() >= 25, "{}", profiles.len());
    let mut names = HashSet::new();
    let mut addresses = HashSet::new();
    for profile in profiles {
        let name = &profile.name;
        assert!(names.insert(name), "{name} stands twice");
        assert!(!name.is_empty() && !name.contains('/') && name.to_lowercase() == *name, "{name}");
        assert!(!profile.key_env.is_empty(), "{name}: somebody must hold a key somewhere");
        for variable in &profile.key_env {
            let plain = |c: char| c.is_ascii_uppercase() || c == '_';
            assert!(variable.chars().all(plain), "{name}: {variable}");
        }
        let lacks: HashSet<_> = profile.lacks.iter().collect();
        assert_eq!(lacks.len(), profile.lacks.len(), "{name} lacks something twice");
        assert!(
            profile.renames.keys().all(|renamed| !profile.lacks(renamed)),
            "{name} renames what it lacks"
        );
        let Some(address) = &profile.base_url else { continue };
        let url = Url::parse(address).unwrap();
        // A key never leaves this machine in the clear.
        assert!(url.scheme() == "https" || url.host_str() == Some("127.0.0.1"), "{name}: {address}");
        assert_eq!(
            profile.key_optional,
            url.scheme() == "http",
            "{name}: only servers of one's own go without a key"
        );
        assert!(!address.ends_with('/'), "{name}: {address}");
        assert!(addresses.insert(address), "{name}: {address} stands twice");
    }
}

#[test]
fn the_documentation_has_every_profile_as_it_is() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers.md");
    let page = std::fs::read_to_string(page).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("Profiles\n")).unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let expected: Vec<Vec<String>> = profiles()
        .unwrap()
        .iter()
        .map(|profile| {
            let optional = if profile.key_optional { " (optional)" } else { "" };
            vec![
                format!("`{}`", profile.name),
                profile.base_url.as_ref().map_or_else(|| "yours".to_owned(), |url| format!("`{url}`")),
                format!("{}{optional}", listed(&profile.key_env)),
                if profile.embeddings { "yes" } else { "no" }.to_owned(),
                listed(&profile.lacks),
            ]
        })
        .collect();
    // All but the vendor's name as it writes it.
    let found: Vec<Vec<&str>> = rows
        .into_iter()
        .map(|mut row| {
            row.remove(1);
            row
        })
        .collect();
    assert_eq!(found, expected);
}

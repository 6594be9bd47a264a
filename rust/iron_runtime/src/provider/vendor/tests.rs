//! The vendors are sound, and docs/providers.md says what they say.

use std::collections::HashSet;

use reqwest::Url;

use super::*;

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_vendor_is_sound() {
    let vendors = vendors().unwrap();
    assert!(vendors.len() >= 25, "{}", vendors.len());
    let mut names = HashSet::new();
    let mut addresses = HashSet::new();
    for vendor in vendors {
        let name = &vendor.name;
        assert!(names.insert(name), "{name} stands twice");
        assert!(!name.is_empty() && !name.contains('/') && name.to_lowercase() == *name, "{name}");
        assert!(!vendor.key_env.is_empty(), "{name}: somebody must hold a key somewhere");
        for variable in &vendor.key_env {
            let plain = |c: char| c.is_ascii_uppercase() || c == '_';
            assert!(variable.chars().all(plain), "{name}: {variable}");
        }
        let lacks: HashSet<_> = vendor.lacks.iter().collect();
        assert_eq!(lacks.len(), vendor.lacks.len(), "{name} lacks something twice");
        assert!(vendor.renames.keys().all(|renamed| !vendor.lacks(renamed)), "{name} renames what it lacks");
        assert!(!(vendor.embeddings && vendor.no_embeddings.is_some()), "{name} has embeddings, or has none");
        let Some(address) = &vendor.base_url else { continue };
        let url = Url::parse(address).unwrap();
        // A key never leaves this machine in the clear.
        assert!(url.scheme() == "https" || url.host_str() == Some("127.0.0.1"), "{name}: {address}");
        assert_eq!(
            vendor.key_optional,
            url.scheme() == "http",
            "{name}: only servers of one's own go without a key"
        );
        assert!(!address.ends_with('/'), "{name}: {address}");
        assert!(addresses.insert(address), "{name}: {address} stands twice");
    }
}

#[test]
fn the_documentation_has_every_vendor_as_it_is() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers.md");
    let page = std::fs::read_to_string(page).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("Vendors\n")).unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let expected: Vec<Vec<String>> = vendors()
        .unwrap()
        .iter()
        .map(|vendor| {
            let optional = if vendor.key_optional { " (optional)" } else { "" };
            vec![
                format!("`{}`", vendor.name),
                vendor.base_url.as_ref().map_or_else(|| "yours".to_owned(), |url| format!("`{url}`")),
                format!("{}{optional}", listed(&vendor.key_env)),
                if vendor.embeddings { "yes" } else { "no" }.to_owned(),
                listed(&vendor.lacks),
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

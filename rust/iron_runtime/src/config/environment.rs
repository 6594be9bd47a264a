//! The environment: the one place that reads it, and the settings that its `IRON_*` variables hold.
//!
//! `IRON_` and the path of a setting in capitals, with `_` for whatever is neither letter nor digit, names the variable:
//! `IRON_PROVIDERS_MY_VENDOR_BASE_URL` for `base_url` of `[providers.my-vendor]`.

use std::collections::BTreeMap;

use super::nearest::nearest;
use super::origin::Origin;
use super::shape::{Shape, capitals};
use super::tree::{Node, Value};
use super::wrong::Wrong;

/// The path of the file.
pub(super) const CONFIG: &str = "IRON_CONFIG";
/// The profile.
pub(super) const PROFILE: &str = "IRON_PROFILE";
const PREFIX: &str = "IRON_";

/// The environment as it was when settings were read.
pub(super) type Environment = BTreeMap<String, String>;

/// Read it.
///
/// # Errors
/// A variable of ours is not text.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(super) fn read() -> Result<Environment, Wrong> {
    let mut environment = Environment::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => drop(environment.insert(name, value)),
            Err(_) if name.starts_with(PREFIX) => return Err(wrong(&name, "is not UTF-8")),
            Err(_) => {}
        }
    }
    Ok(environment)
}

/// The value of a variable that is no setting itself.
///
/// # Errors
/// It is empty.
pub(super) fn get<'a>(environment: &'a Environment, name: &str) -> Result<Option<&'a str>, Wrong> {
    environment.get_key_value(name).map(|(name, text)| given(name, text)).transpose()
}

/// The settings in `IRON_*`. `tree` holds what the file says, whose names the variables may use.
///
/// # Errors
/// A variable is empty, or its name is a slip. One whose name is like nothing of ours is somebody else's.
pub(super) fn settings(environment: &Environment, tree: &Node) -> Result<Node, Wrong> {
    let mut settings = Node::table(Origin::Mapping);
    for (name, words) in ours(environment) {
        let Some(path) = Shape::settings().path(words, Some(tree)) else {
            check_name(name, words)?;
            continue;
        };
        let text = given(name, &environment[name])?.to_owned();
        settings.set(&path, Node { origin: Origin::Variable(name.into()), value: Value::Untyped(text) });
    }
    Ok(settings)
}

/// The variables that begin like ours and are not.
pub(super) fn foreign<'a>(environment: &'a Environment, tree: &'a Node) -> impl Iterator<Item = &'a str> {
    ours(environment)
        .filter(|(_, words)| Shape::settings().path(words, Some(tree)).is_none())
        .map(|(name, _)| name)
}

fn ours(environment: &Environment) -> impl Iterator<Item = (&str, &str)> {
    let named = environment.keys().filter_map(|name| Some((&**name, name.strip_prefix(PREFIX)?)));
    named.filter(|(name, _)| ![CONFIG, PROFILE].contains(name))
}

fn given<'a>(name: &str, text: &'a str) -> Result<&'a str, Wrong> {
    // `IRON_BUDGET_LIMIT_USD=$UNDEFINED` must not come to mean no limit.
    if text.is_empty() { Err(wrong(name, "is empty: give it a value, or unset it")) } else { Ok(text) }
}

fn check_name(name: &str, words: &str) -> Result<(), Wrong> {
    let mut known = Shape::settings().candidates(words);
    known.extend([CONFIG, PROFILE].map(|name| name[PREFIX.len()..].to_owned()));
    let known = known.iter().map(String::as_str);
    let Shape::Keys(sections) = Shape::settings() else { return Ok(()) };
    let begins =
        |section: &&String| words.strip_prefix(&capitals(section)).is_some_and(|rest| rest.starts_with('_'));
    let Some(section) = sections.keys().find(begins) else {
        return match nearest(words, known) {
            Some(meant) => Err(wrong(name, &format!("is not known: did you mean {PREFIX}{meant}?"))),
            None => Ok(()),
        };
    };
    // The section is right, and would make every key in it look alike.
    let (section_words, rest) = words.split_at(section.len() + 1);
    let keys = known.filter_map(|known| known.strip_prefix(section_words));
    Err(wrong(
        name,
        &match nearest(rest, keys) {
            Some(meant) => format!("is not known: did you mean {PREFIX}{section_words}{meant}?"),
            None => format!("is not known: it names no key of [{section}]"),
        },
    ))
}

fn wrong(name: &str, message: &str) -> Wrong {
    Wrong::new(format!("environment variable {name} {message}"))
}

//! The name in a placeholder: what an entity is called, in the letters that models copy as they are.

use super::scan::LONGEST_NAME;
use crate::detect::Entity;

/// The entity's own name in capitals, digits and single `_`. Two entities may have the same: their numbers go on.
pub(super) fn name(entity: &Entity) -> String {
    let own = match entity {
        Entity::Known(known) => return known.as_str().to_owned(),
        Entity::Keyword(name) | Entity::Pattern(name) | Entity::Detector(name, None) => name,
        Entity::Detector(_, Some(label)) => label,
        Entity::Size => "SIZE",
    };
    let mut name = String::with_capacity(own.len());
    for c in own.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_uppercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        name.insert_str(0, "VALUE_");
    }
    name.truncate(LONGEST_NAME);
    name.truncate(name.trim_end_matches('_').len());
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Known;

    #[test]
    fn every_entity_has_a_name_that_a_placeholder_can_have() {
        for (entity, expected) in [
            (Entity::Keyword("my projects".into()), "MY_PROJECTS"),
            (Entity::Pattern("ticket.v2".into()), "TICKET_V2"),
            (Entity::Detector("names".into(), Some("Person".into())), "PERSON"),
            (Entity::Detector("names".into(), None), "NAMES"),
            (Entity::Keyword("3rd".into()), "VALUE_3RD"),
            (Entity::Keyword("プロジェクト".into()), "VALUE"),
            (Entity::Keyword("--x--".into()), "X"),
        ] {
            assert_eq!(name(&entity), expected);
        }
        assert_eq!(name(&Entity::Keyword("x".repeat(200).into())).len(), LONGEST_NAME);
        assert!(Known::ALL.iter().all(|known| known.as_str().len() <= LONGEST_NAME));
    }
}

//! The rules of a simulator, read from a file.

use std::io::Read;
use std::path::Path;

use iron_simulator::Rule;

use crate::failure::Failure;

/// Read a JSON list of rules from `path`, or from standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<Rule>, Failure> {
    let (name, text) = text(path, "rules")?;
    parse(&name, &text)
}

/// Read all of `path`, or of standard input for `-`: what errors call it, and its text.
pub(crate) fn text(path: &Path, what: &str) -> Result<(String, String), Failure> {
    let (name, text) = if path.as_os_str() == "-" {
        let mut text = String::new();
        ("<stdin>".to_owned(), std::io::stdin().lock().read_to_string(&mut text).map(|_| text))
    } else {
        (path.display().to_string(), std::fs::read_to_string(path))
    };
    let text = text.map_err(|error| Failure::config(format!("cannot read the {what} in {name}: {error}")))?;
    Ok((name, text))
}

fn parse(name: &str, text: &str) -> Result<Vec<Rule>, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::json(name, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_file_is_named_with_line_and_column() {
        for (text, expected) in [
            ("[\n  {\"replay\": {}}\n]", "rules.json:2:11: unknown field `replay`"),
            ("[\n  {\"every\": 2,}\n]", "rules.json:2:15: trailing comma"),
            ("{}", "rules.json:1:0: invalid type: map, expected a sequence"),
            ("", "rules.json:1:0: EOF while parsing"),
        ] {
            match parse("rules.json", text) {
                Err(Failure::Error { code: "config", message }) => {
                    assert!(message.starts_with(expected), "{message}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn rules_are_a_list() {
        let rules =
            parse("rules.json", r#"[{"every": 2, "fault": {"kind": "status", "status": 503}}]"#).unwrap();
        assert_eq!(rules.len(), 1);
    }
}

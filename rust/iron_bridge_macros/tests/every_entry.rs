//! Nothing of the native module is left without its guard.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::path::{Path, PathBuf};

#[test]
fn every_entry_of_the_bridge_is_guarded() {
    let mut entries = 0;
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../iron_bridge/src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut before = "";
        for line in text.lines() {
            if ["#[pymethods]", "#[pyfunction]"].contains(&line.trim()) {
                assert_eq!(before, "#[guarded]", "above {line} in {}", file.display());
                entries += 1;
            }
            before = line.trim();
        }
    }
    assert!(entries >= 9, "only {entries} were found");
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

//! Which crate may depend on which.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// The workspace's crates, with their dependencies of every kind but `dev`, optional ones included.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let used = dependencies.filter(|dependency| dependency["kind"] != "dev");
        used.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
    };
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|package| (package["name"].as_str().unwrap().to_owned(), names(package))).collect()
}

/// The crates of ours that `name` is allowed to depend on.
fn allowed(name: &str) -> &'static [&'static str] {
    match name {
        "iron_protocol" | "iron_simulator" | "iron_bridge_macros" => &[],
        "iron_runtime" => &["iron_protocol"],
        "iron_router" => &["iron_protocol", "iron_runtime"],
        "iron_bridge" => {
            &["iron_protocol", "iron_runtime", "iron_simulator", "iron_cli", "iron_bridge_macros"]
        }
        // `iron_cli`, and benches.
        _ => &["iron_protocol", "iron_runtime", "iron_router", "iron_simulator"],
    }
}

#[test]
fn crates_depend_downwards_alone() {
    let crates = dependencies();
    assert!(crates.contains_key("iron_runtime") && crates.contains_key("iron_bridge"), "{crates:?}");
    for (name, dependencies) in &crates {
        for dependency in dependencies.iter().filter(|dependency| dependency.starts_with("iron_")) {
            assert!(allowed(name).contains(&&**dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_bridge_alone_knows_python() {
    for (name, dependencies) in dependencies() {
        let python = dependencies.iter().find(|dependency| dependency.starts_with("pyo3"));
        assert!(python.is_none() || name == "iron_bridge", "{name} must not depend on {python:?}");
    }
}

#[test]
fn the_protocol_knows_neither_network_nor_runtime() {
    for network in ["tokio", "reqwest", "hyper", "http"] {
        assert!(!dependencies()["iron_protocol"].iter().any(|dependency| dependency == network), "{network}");
    }
}

//! What SECURITY.md says of its tests is so: each that it names is there, and is run by the commands that it names.

use std::fs;
use std::path::PathBuf;

use support::tests;

fn root() -> PathBuf {
    tests().join("..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The last cells of the tables whose last column names tests, row by row.
fn cells(manual: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut names_tests = false;
    for line in manual.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
            names_tests = false;
            continue;
        };
        let cell = row.rsplit('|').next().unwrap().trim();
        if cell == "shown by" || cell == "test" {
            names_tests = true;
        } else if names_tests && cell != "---" {
            cells.push(cell);
        }
    }
    cells
}

/// The source of a theme of tests, if there is one of this name.
fn theme(name: &str) -> Option<String> {
    if name == "plugins" {
        return Some(text("host/examples/plugins/tests/plugins.rs"));
    }
    if name == "strength" {
        return Some(text("guest/records/tests/strength.rs"));
    }
    let is_run = text("tests/main.rs").lines().any(|line| line == format!("mod {name};"));
    is_run.then(|| text(&format!("tests/{name}.rs")))
}

/// Whether the source has a test of this name; of any name, if it is empty; `…` stands for any end.
fn has_test(source: &str, name: &str) -> bool {
    let name = name.strip_suffix('…').map_or_else(|| format!("{name}("), str::to_owned);
    let mut functions = source.split("#[test]").skip(1);
    functions.any(|function| {
        let (_, rest) = function.split_once("fn ").unwrap();
        name == "(" || rest.starts_with(&name)
    })
}

/// Whether there is a unit test of this name: `module::module`, or `module::module::tests::name`.
fn has_unit_test(name: &str) -> bool {
    let (module, test) = name.split_once("::tests").unwrap_or((name, ""));
    let module = module.replace("::", "/");
    ["guest/format", "guest/keys", "guest/records", "host/cli", "host/vault"]
        .iter()
        .flat_map(|package| [".rs", "/mod.rs"].map(|end| format!("{package}/src/{module}{end}")))
        .filter_map(|path| fs::read_to_string(root().join(path)).ok())
        .any(|source| has_test(&source, test.trim_start_matches("::")))
}

/// Whether a name in a cell is that of a test, or in brackets that of a case of the test before.
fn is_test(name: &str, before: &str) -> bool {
    if name.ends_with(".console") {
        return root().join(name).is_file();
    }
    let (first, test) = name.split_once("::").unwrap_or((name, ""));
    if theme(first).is_some_and(|source| has_test(&source, test)) {
        return true;
    }
    let case = || theme(before).is_some_and(|source| source.contains(&format!("\"{name}\"")));
    has_unit_test(name) || (!before.is_empty() && case())
}

#[test]
fn each_test_that_the_manual_names_is_there() {
    let manual = text("SECURITY.md");
    let fuzzing = text("tests/fuzz/Cargo.toml");
    let mut count = 0;
    for cell in cells(&manual) {
        let mut before = "";
        for part in cell.split('`').collect::<Vec<_>>().chunks_exact(2) {
            let (said, name) = (part[0], part[1]);
            let is_fuzzed = cell[..cell.find(name).unwrap()].contains("fuzz target");
            let is_there = if is_fuzzed {
                fuzzing.contains(&format!("name = \"{name}\""))
            } else {
                is_test(name, if said.ends_with('(') { before } else { "" })
            };
            assert!(is_there, "{name} in: {cell}");
            before = name;
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
    // That the search finds what is missing.
    for name in [
        "nothing",
        "sandbox::nothing",
        "keys::nothing",
        "keys::document::tests::nothing",
        "nothing.console",
    ] {
        assert!(!is_test(name, ""), "{name}");
    }
}

#[test]
fn the_command_that_the_manual_names_runs_each_test() {
    let manual = text("SECURITY.md");
    let command = manual.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(command, "cargo test --release --workspace\n");
    // It is the end of the README's second, which CI runs.
    assert!(text("README.md").contains(&format!("&& {command}")));

    // No feature of the library is off then.
    let manifest = text("host/vault/Cargo.toml");
    let features = manifest.split("[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let features = features.lines().filter_map(|line| line.split_once(" = "));
    let features: Vec<_> = features.map(|(name, _)| name).collect();
    assert!(features.contains(&"tokio"), "{features:?}");
    let tests = text("tests/Cargo.toml");
    let on = tests.lines().find(|line| line.starts_with("moat = ")).unwrap();
    assert!(features.iter().all(|name| on.contains(&format!("{name:?}"))), "{on}");
}

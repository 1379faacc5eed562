//! What SECURITY.md says of its tests is so: each that it names is there, and is run by the commands that it names.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

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

/// The tests of the packages of this workspace: their names, and whether each needs a feature.
fn registered() -> Vec<(String, bool)> {
    let manifests = text("host/Cargo.toml") + &text("host/examples/plugins/Cargo.toml");
    let entries = manifests.split("[[test]]\nname = \"").skip(1);
    let name = |entry: &str| entry.split('"').next().unwrap().to_owned();
    entries
        .map(|entry| (name(entry), entry.split("[[").next().unwrap().contains("required-features")))
        .collect()
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
    let path = format!("host/src/{}", module.replace("::", "/"));
    let source = fs::read_to_string(root().join(format!("{path}.rs")))
        .or_else(|_| fs::read_to_string(root().join(format!("{path}/mod.rs"))));
    let is_built = |feature: &str| text("host/examples/plugins/Cargo.toml").contains(feature);
    let gate = format!("\nmod {};", module.split("::").next().unwrap());
    let library = text("host/src/lib.rs");
    let before = library.split(&gate).next().unwrap();
    let feature = before.rsplit('\n').next().unwrap().strip_prefix("#[cfg(feature = ");
    let is_on = feature.is_none_or(|feature| is_built(feature.trim_end_matches(")]")));
    source.is_ok_and(|source| has_test(&source, test.trim_start_matches("::"))) && is_on
}

/// Whether a name in a cell is that of a test, or in brackets that of a case of the test before.
fn is_test(name: &str, before: &str) -> bool {
    if name.ends_with(".console") {
        return root().join(name).is_file();
    }
    let (theme, test) = name.split_once("::").unwrap_or((name, ""));
    if registered().iter().any(|(registered, _)| registered == theme)
        && has_test(&text(&format!("tests/{theme}.rs")), test)
    {
        return true;
    }
    let case = || text(&format!("tests/{before}.rs")).contains(&format!("\"{name}\""));
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
fn the_commands_that_the_manual_names_run_each_test() {
    let manual = text("SECURITY.md");
    let commands = manual.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let [all, featured] = commands.lines().collect::<Vec<_>>()[..] else { panic!("{commands}") };
    assert_eq!(all, "cargo test --release --workspace");
    let gated = registered().into_iter().filter(|(_, is_gated)| *is_gated);
    let named: String = gated.map(|(name, _)| format!(" --test {name}")).collect();
    assert_eq!(featured, format!("{all} --all-features{named}"));
    // The first is the end of the README's second.
    assert!(text("README.md").contains(&format!("&& {all}\n")));
    assert!(text(".ci/run").contains(&format!("step {featured}\n")));
}

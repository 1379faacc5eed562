//! What each crate may depend on, and that what is published builds without the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{done, target, tests};

/// The crates that are published.
const PUBLISHED: [&str; 5] = ["moat", "moat-cli", "moat-engine", "moat-format", "moat-guest-build"];

/// The crates of the workspace, each with those of its dependencies that are in the workspace too.
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(tests());
    let metadata: Value = serde_json::from_slice(&cargo.output().unwrap().stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let dependencies = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|other| other.get("path").is_some_and(Value::is_string))
            .map(|other| text(&other["name"]))
            .collect()
    };
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|package| (text(&package["name"]), dependencies(package))).collect()
}

/// The rows of the table in CONTRIBUTING.md: a crate, and what it may depend on.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let manual = fs::read_to_string(tests().join("../CONTRIBUTING.md")).unwrap();
    let names = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `"));
    let row = |row: &str| {
        let (name, rest) = row.split_once('`').unwrap();
        (name.to_owned(), names(rest.trim_end_matches('|').rsplit('|').next().unwrap()))
    };
    rows.map(row).collect()
}

#[test]
fn each_crate_depends_on_what_it_may_and_no_file_is_taken_from_another() {
    assert_eq!(crates(), allowed());

    let attribute = ["#[", "path"].concat();
    let folders = ["guest", "host", "tests"].map(|folder| tests().join("..").join(folder));
    assert_eq!(sources_with(&folders, &attribute), [""; 0]);
}

/// The Rust files below these folders in which this text stands.
pub fn sources_with(folders: &[impl AsRef<Path>], text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                if !["node_modules", "target"].iter().any(|other| entry.file_name() == *other) {
                    found.extend(sources_with(&[path], text));
                }
            } else if path.extension().is_some_and(|end| end == "rs")
                && fs::read_to_string(&path).unwrap().contains(text)
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// The packages are made of a copy of the repository, unpacked, and the library is built of nothing else.
#[test]
fn the_packages_hold_all_that_the_library_is_built_of() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("repository");
    fs::create_dir(&repository).unwrap();
    for part in
        ["Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "guest", "host", "tests", "wit"]
    {
        let mut copy = Command::new("cp");
        done(copy.arg("-r").arg(tests().join("..").join(part)).arg(&repository));
    }
    fs::write(repository.join("host/vault/moat.component.wasm"), moat::component::BYTES).unwrap();

    let mut package = Command::new(env!("CARGO"));
    package.args(["package", "--no-verify", "--offline", "--target-dir"]).arg(place.path());
    for name in PUBLISHED {
        package.args(["--package", name]);
    }
    done(package.current_dir(&repository));
    fs::remove_dir_all(&repository).unwrap();

    let packages = place.path().join("package");
    let versioned = |name: &str| format!("{name}-{}", env!("CARGO_PKG_VERSION"));
    let unpacked = |name: &str| packages.join(versioned(name));
    let mut build = Command::new(env!("CARGO"));
    // What it depends on is built once for all runs, and along with the README's first command.
    build.args(["build", "--release", "--offline", "--target-dir"]).arg(target());
    for name in PUBLISHED {
        let mut tar = Command::new("tar");
        let packed = packages.join(versioned(name) + ".crate");
        done(tar.arg("-xzf").arg(packed).arg("-C").arg(&packages));
        if name.starts_with("moat-") {
            let patch = format!("patch.crates-io.{name}.path={:?}", unpacked(name));
            build.args(["--config", &patch]);
        }
    }
    // The tests' own cargo says what to build with.
    for variable in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"] {
        build.env_remove(variable);
    }
    done(build.current_dir(unpacked("moat")));
}

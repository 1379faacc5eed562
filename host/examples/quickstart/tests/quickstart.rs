//! The example prints what the README says.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::process::Command;

/// Whether a line has the parts of one in the README, of which `…` stands for anything.
fn has_parts(mut line: &str, said: &str) -> bool {
    said.split('…').all(|part| {
        let rest = line.split_once(part).map(|(_, rest)| rest);
        line = rest.unwrap_or_default();
        rest.is_some()
    })
}

#[test]
fn it_prints_what_the_readme_says() {
    let home = tempfile::tempdir().unwrap();
    let mut example = Command::new(env!("CARGO_BIN_EXE_moat-quickstart"));
    let output = example.current_dir(&home).output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();

    let readme = include_str!("../../../../README.md");
    let said = readme.split("```text\nstored ").nth(1).unwrap().split("```").next().unwrap();
    let said = format!("stored {said}");
    let mut lines = printed.lines();
    for said in said.lines() {
        assert!(lines.any(|line| has_parts(line, said)), "{said}\n{printed}");
    }
}

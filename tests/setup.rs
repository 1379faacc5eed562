//! What a test needs and this machine lacks is named; `tests/setup` installs it, and no test does.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{expect, run, tests};

use crate::packages::sources_with;

/// Goes on with the callers that there are.
const OF_ALL_CALLERS: &str = "conformance::a_file_written_by_each_is_read_by_each_other";

/// Tests, and what each misses first where there is nothing.
const TESTS: [(&str, &str); 7] = [
    ("audit::many_callers_share_a_sync", "strace is missing"),
    ("callers::the_example_in_c_opens_a_record", "gcc is missing"),
    ("callers::the_npm_packages_readme_does_what_it_says", "node is missing"),
    ("fossawork::the_applications_calls_return_what_they_have_to", "/tmp/python is missing"),
    ("prompts::signals_leave_the_terminal_as_it_was_below_zsh", "zsh is missing"),
    ("services::systemd_has_nothing_to_say_about_the_units", "systemd-analyze is missing"),
    (OF_ALL_CALLERS, "node is missing"),
];

/// These tests with no program on the path, and a target directory in which nothing was installed.
fn without_anything(target: &Path) -> Command {
    let program = target.join("release/deps/all");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::create_dir(target.join("tmp")).unwrap();
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(program);
    // Each in a thread of its own, which has its name.
    command.arg("--test-threads=2").arg("--exact").args(TESTS.map(|(name, _)| name));
    command.env("PATH", target).env_remove("MOAT_REQUIRE_ALL");
    command
}

#[test]
fn a_test_that_misses_something_is_skipped_aloud_or_fails() {
    let target = tempfile::tempdir().unwrap();
    let mut command = without_anything(target.path());
    let (stdout, stderr) = expect(0, &run(&mut command));
    assert!(stdout.contains(&format!("{} passed; 0 failed", TESTS.len())), "{stdout}");
    for (test, missing) in TESTS {
        let is_named = |line: &str| {
            line.starts_with(&format!("SKIPPED {test}: "))
                && line.contains(missing)
                && line.ends_with("; tests/setup installs it")
        };
        assert!(stderr.lines().any(is_named), "{test}: {stderr}");
    }
    for caller in ["python", "node", "browser", "c"] {
        let line = format!("SKIPPED {OF_ALL_CALLERS}: so the caller {caller} is left out\n");
        assert!(stderr.contains(&line), "{stderr}");
    }

    let (stdout, _) = expect(101, &run(command.env("MOAT_REQUIRE_ALL", "1")));
    assert!(stdout.contains(&format!("0 passed; {} failed", TESTS.len())), "{stdout}");
}

#[test]
fn no_test_installs_anything() {
    // Each in two pieces, so that it doesn't stand here.
    let with = |pieces: [&str; 2]| sources_with(&[tests()], &pieces.concat());
    for installer in [
        ["apt-", "get"],
        ["new(\"", "curl"],
        ["new(\"", "rustup"],
        ["new(\"", "sudo"],
        ["npm c", "i"],
        ["\"", "ci\""],
    ] {
        assert_eq!(with(installer), [""; 0], "{installer:?}");
    }
    // Only the repository's own package is installed, with what is there.
    assert_eq!(with(["\"", "pip\""]), with(["--no", "-index"]));
}

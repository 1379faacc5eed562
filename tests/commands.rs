//! The command line, as a person meets it: every file of `tests/commands`, the README and every manual is a transcript that
//! a shell runs. `$ ` begins a command and `> ` goes on with it; `? 3` says that it exits with 3; everything
//! else is what it prints, both outputs together. `[..]` stands for anything on a line, `...` for any lines,
//! and a line that begins with `#` is a comment.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use support::{MOAT, run, tests};

/// An ordinary user, whom root can become.
const NOBODY: u32 = 65534;

/// Stands around the exit code that follows the output of each command.
const MARK: char = '\u{1e}';

/// Runs the commands of a transcript in one shell, in a new empty home, and returns it with what they print. As this user, if
/// there is one.
fn replay(transcript: &str, user: Option<u32>) -> String {
    let mut commands: Vec<String> = Vec::new();
    for line in transcript.lines() {
        if line.starts_with("$ ") {
            commands.push(line.to_owned());
        } else if let (true, Some(command)) = (line.starts_with("> "), commands.last_mut()) {
            write!(command, "\n{line}").unwrap();
        }
    }
    let script: String = commands
        .iter()
        .map(|command| {
            format!("{}\nprintf '{MARK}%s{MARK}' $?\n", command[2..].replace("\n> ", "\n"))
        })
        .collect();

    let home = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("moat");
    if user.is_some() {
        // What leads to the one that was built need not be open to others.
        fs::copy(MOAT.as_str(), program).unwrap();
        fs::set_permissions(programs.path(), Permissions::from_mode(0o755)).unwrap();
        chown(home.path(), user, user).unwrap();
    } else {
        symlink(MOAT.as_str(), program).unwrap();
    }
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    // In a session of its own, so that no command finds a terminal to ask at.
    let mut shell = Command::new("setsid");
    shell
        .args(["--wait", "bash", "-c", &format!("exec 2>&1\n{script}")])
        .current_dir(&home)
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", home.path().to_str().unwrap())]);
    if let Some(user) = user {
        shell.uid(user).gid(user);
    }
    let output = run(&mut shell);
    let printed = String::from_utf8(output.stdout).unwrap();

    let mut printed = printed.split(MARK);
    let mut replayed = String::new();
    for command in commands {
        let (text, code) = (printed.next().unwrap(), printed.next().unwrap_or("the shell ended"));
        writeln!(replayed, "{command}").unwrap();
        replayed.push_str(text);
        if !text.is_empty() && !text.ends_with('\n') {
            replayed.push('\n');
        }
        if code != "0" {
            writeln!(replayed, "? {code}").unwrap();
        }
    }
    replayed
}

/// Without comments and empty lines, which only the reader needs.
fn stripped(transcript: &str) -> String {
    let kept = transcript.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    kept.map(|line| format!("{line}\n")).collect()
}

fn check(transcript: &str) {
    check_as(transcript, None);
}

fn check_as(transcript: &str, user: Option<u32>) {
    let assert = snapbox::Assert::new().normalize_paths(false);
    assert.eq(stripped(&replay(transcript, user)), stripped(transcript));
}

#[test]
fn the_commands_print_what_their_transcripts_say() {
    let mut count = 0;
    for entry in fs::read_dir(tests().join("commands")).unwrap() {
        let path = entry.unwrap().path();
        let transcript = fs::read_to_string(&path).unwrap();
        println!("{}", path.display());
        check(&transcript);
        count += 1;
    }
    assert!(count > 0);
}

/// The README and the manuals, each with the blocks of its session.
fn manuals() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(tests().join("../host/docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    docs.chain([tests().join("../README.md")])
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let blocks = text.split("```console\n").skip(1);
            let blocks = blocks.map(|rest| rest.split("```").next().unwrap().to_owned());
            (path, blocks.collect())
        })
        .collect()
}

#[test]
fn the_manuals_print_what_they_say() {
    let manuals = manuals();
    // One block after the other in one shell, as the reader goes through them.
    for (path, session) in manuals.iter().filter(|(_, session)| !session.is_empty()) {
        println!("{}", path.display());
        check(session);
    }
    let has_session = |name: &str| {
        manuals.iter().any(|(path, session)| path.ends_with(name) && !session.is_empty())
    };
    for name in ["README.md", "commands.md", "keys.md", "audit-log.md", "import-export.md"] {
        assert!(has_session(name), "{name}");
    }
}

/// As a user with no rights but over the home directory, who in CI nobody is.
#[test]
fn the_first_steps_are_an_ordinary_users() {
    let is_root = rustix::process::geteuid().is_root();
    let manuals = manuals();
    let (_, session) = manuals.iter().find(|(path, _)| path.ends_with("first-steps.md")).unwrap();
    let steps = ["init", "put", "get", "exec", "rotate", "list", "check", "keys add"];
    for step in steps {
        assert!(session.contains(&format!("moat {step}")), "{step}");
    }
    check_as(&format!("$ test $(id -u) -ne 0\n{session}"), is_root.then_some(NOBODY));
}

//! What a shell completes: at a real terminal, with real user ids, and without a trace.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use support::callers::python;
use support::{KEY, MOAT, Store, expect, run, tool, write_private};

/// User ids that a shell has to quote, or breaks words at.
const USERS: [&str; 7] =
    ["anna@example.com", "bob", "db:main", "it's \"x\" $y", "list", "two words", "ünïcode é"];

/// A directory with these users, whose records need not be readable.
fn store() -> Store {
    let store = Store::new();
    for user in USERS {
        write_private(&store.file(user), b"{}");
    }
    store
}

/// A folder with `moat` in it, and the script for a shell.
fn installed(store: &Store, shell: &str) -> PathBuf {
    let folder = store.beside("bin");
    fs::create_dir_all(&folder).unwrap();
    if !folder.join("moat").exists() {
        std::os::unix::fs::symlink(MOAT.as_str(), folder.join("moat")).unwrap();
    }
    let (script, _) = expect(0, &run(&mut store.moat(&["completions", shell])));
    fs::write(folder.join(format!("_moat.{shell}")), script).unwrap();
    folder
}

/// What the program answers for these words, the last of which is being typed.
fn answers(command: &mut Command) -> Vec<String> {
    let (stdout, stderr) = expect(0, &run(command));
    assert_eq!(stderr, "");
    stdout.lines().map(str::to_owned).collect()
}

fn complete(store: &Store, words: &[&str]) -> Command {
    store.moat(&[&["complete", "zsh", "--", "moat"], words].concat())
}

#[test]
fn users_come_from_the_directory_that_is_meant() {
    let store = store();
    let all = |words: &[&str]| answers(&mut complete(&store, words));
    assert_eq!(all(&["get", ""]), USERS);
    assert_eq!(all(&["get", "a"]), ["anna@example.com"]);
    assert_eq!(all(&["get", "t"]), ["two words"]);
    assert_eq!(all(&["rotate", "--user", "b"]), ["bob"]);
    assert_eq!(all(&["rotate", "--user=b"]), ["--user=bob"]);
    assert_eq!(all(&["exec", "bob", "d"]), ["db:main"]);
    assert_eq!(all(&["exec", "--env", "X=d"]), ["X=db:main:"]);
    assert_eq!(all(&["exec", "--env", "X=db:main:p"]), ["X=db:main:password"]);
    assert_eq!(all(&["copy", "bo"]), ["bob"]);
    assert_eq!(all(&["copy", "bob", ""]), [""; 0]);

    let other = Store::new();
    write_private(&other.file("carl"), b"{}");
    let path = other.path().display().to_string();
    assert_eq!(all(&["--dir", &path, "get", ""]), ["carl"]);
    assert_eq!(all(&["get", &format!("--dir={path}"), ""]), ["carl"]);
    let env_file = store.beside("env");
    write_private(&env_file, format!("FOSSAWORK_CREDENTIALS_DIR='{path}'\n").as_bytes());
    let mut command = complete(&store, &["--env-file", env_file.to_str().unwrap(), "get", ""]);
    assert_eq!(answers(command.env_remove("FOSSAWORK_CREDENTIALS_DIR")), ["carl"]);
    let home = complete(&store, &["--dir", "~/credentials", "get", ""])
        .env("HOME", other.beside(""))
        .output();
    assert_eq!(expect(0, &home.unwrap()).0, "carl\n");
}

#[test]
fn ids_of_keys_come_from_the_file_of_the_ring() {
    let store = store();
    let ring = store.beside("ring.json");
    let keys = |arguments: &[&str]| {
        let mut command = store.moat(&[&["keys"], arguments].concat());
        command.env_remove("FOSSAWORK_MASTER_KEY").env("FOSSAWORK_KEYRING", &ring);
        fs::remove_dir_all(store.path()).unwrap();
        fs::create_dir(store.path()).unwrap();
        expect(0, &run(&mut command));
    };
    keys(&["add", "--id", "first"]);
    keys(&["add", "--id", "second one", "--primary"]);
    keys(&["retire", "first"]);
    let all = |words: &[&str]| {
        let mut command = complete(&store, words);
        answers(command.env_remove("FOSSAWORK_MASTER_KEY").env("FOSSAWORK_KEYRING", &ring))
    };
    assert_eq!(all(&["keys", "promote", ""]), ["second one"]);
    assert_eq!(all(&["keys", "restore", ""]), ["first"]);
    assert_eq!(all(&["keys", "erase", "f"]), ["first"]);
    assert_eq!(all(&["keys", "add", "--id", ""]), [""; 0]);
    let ring = ring.to_str().unwrap();
    assert_eq!(
        answers(&mut complete(&store, &["--keyring", ring, "keys", "promote", ""])),
        ["second one"]
    );
    // No command for keys is ever run.
    let trace = store.beside("was-run");
    let key_command = format!("touch {}; cat {ring}", trace.display());
    let mut command =
        complete(&store, &["--master-key-command", &key_command, "keys", "promote", ""]);
    let command = command
        .env_remove("FOSSAWORK_MASTER_KEY")
        .env("FOSSAWORK_MASTER_KEY_COMMAND", &key_command);
    assert_eq!(answers(command), [""; 0]);
    assert!(!trace.exists());
}

#[test]
fn completing_says_and_writes_nothing_and_needs_no_key() {
    let store = store();
    fs::create_dir(store.beside("log")).unwrap();
    let log = store.beside("log/audit.log");
    let before = store.names();
    for dir in [
        store.path(),
        store.beside("nowhere"),
        store.beside("bin/moat"),
        "/proc/1/map_files".into(),
    ] {
        for key in ["", "short", KEY] {
            for words in [
                &["get", ""][..],
                &["keys", "promote", ""],
                &["exec", "--env", "X="],
                &["frobnicate", ""],
                &[""],
            ] {
                let mut command = complete(&store, words);
                command.env("FOSSAWORK_CREDENTIALS_DIR", &dir).env("FOSSAWORK_MASTER_KEY", key);
                answers(
                    command
                        .env("FOSSAWORK_AUDIT_LOG", &log)
                        .env("FOSSAWORK_KEYRING", "/nonexistent"),
                );
            }
        }
    }
    assert!(!log.exists());
    assert_eq!(store.names(), before);
}

#[test]
fn completing_is_fast_with_many_users() {
    let store = Store::new();
    for user in 0..5_000 {
        fs::write(store.file(&format!("user-{user:04}")), "").unwrap();
    }
    let fastest = (0..5)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(answers(&mut complete(&store, &["get", "user-49"])).len(), 100);
            begun.elapsed()
        })
        .min();
    // It takes some 10 ms; a person waits for 100 without noticing.
    assert!(fastest.unwrap() < Duration::from_millis(100), "{fastest:?}");
}

/// What the shell at a terminal runs when these keys are typed: `moat` is a function there that prints its arguments.
fn typed(shell: &'static str, start: &[&str], rc: &str, cases: &[(&str, &[&str])]) {
    let (Some(_), Some(python)) = (tool(shell), python()) else { return };
    let store = store();
    let folder = installed(&store, shell);
    fs::create_dir(folder.join("a folder")).unwrap();
    fs::write(folder.join("a folder/file"), "").unwrap();
    let mut command = python.script("pty_completion.py");
    command
        .args(cases.iter().map(|(keys, _)| *keys))
        .arg("--")
        .arg(shell)
        .args(start)
        .current_dir(&folder);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    command
        .env("PATH", path)
        .env("TERM", "xterm")
        .env("HOME", &folder)
        .env("LC_ALL", "C.UTF-8")
        .env("RC", rc);
    let (stdout, _) = expect(0, &run(command.env("FOSSAWORK_CREDENTIALS_DIR", store.path())));
    let found: Vec<Vec<String>> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected: Vec<Vec<&str>> = cases.iter().map(|(_, words)| words.to_vec()).collect();
    assert_eq!(found, expected);
}

/// What is typed, and the words that the program gets.
const TYPED: &[(&str, &[&str])] = &[
    ("moat tou\tbo\t", &["touch", "bob"]),
    ("moat get an\t", &["get", "anna@example.com"]),
    ("moat get anna@e\t", &["get", "anna@example.com"]),
    ("moat get db\t", &["get", "db:main"]),
    ("moat get db:m\t", &["get", "db:main"]),
    ("moat get tw\t", &["get", "two words"]),
    ("moat get two\\ w\t", &["get", "two words"]),
    ("moat get 'two w\t", &["get", "two words"]),
    ("moat get it\t", &["get", "it's \"x\" $y"]),
    ("moat get ü\t", &["get", "ünïcode é"]),
    ("moat get bob --field pas\t", &["get", "bob", "--field", "password"]),
    ("moat rotate --user=an\t", &["rotate", "--user=anna@example.com"]),
    ("moat exec --env X=tw\tpas\t", &["exec", "--env", "X=two words:password"]),
    ("moat inject --in-file a\tfi\t", &["inject", "--in-file", "a folder/file"]),
    ("moat set bob --field-file ca=a\tfi\t", &["set", "bob", "--field-file", "ca=a folder/file"]),
    ("moat list --wi\tx", &["list", "--with-field", "x"]),
];

#[test]
fn bash_completes_at_a_terminal() {
    let rc = "PS1='ready> '; bind 'set enable-bracketed-paste off'; . ./_moat.bash";
    typed("bash", &["--norc", "--noprofile", "-i"], rc, TYPED);
}

#[test]
fn zsh_completes_at_a_terminal() {
    let rc = "PS1='ready> '; unsetopt prompt_sp; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; . ./_moat.zsh";
    typed("zsh", &["-f", "-i"], rc, TYPED);
}

#[test]
fn fish_completes_at_a_terminal() {
    let rc = "function fish_prompt; echo -n 'ready> '; end; function fish_right_prompt; end; set -g fish_autosuggestion_enabled 0; source ./_moat.fish";
    typed("fish", &["--no-config", "-i"], rc, TYPED);
}

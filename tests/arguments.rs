//! Arguments that are wrong: what was probably meant, and how the command is used.

use support::{Store, expect, run};

/// The message and the hint for these arguments.
fn complaint(store: &Store, arguments: &[&str]) -> (String, String) {
    let (stdout, stderr) = expect(2, &run(&mut store.moat(arguments)));
    assert_eq!(stdout, "", "{arguments:?}");
    let (message, hint) = stderr.trim_end().split_once("\nhint: ").unwrap();
    (message.to_owned(), hint.to_owned())
}

#[test]
fn an_unknown_command_is_answered_with_the_one_that_was_meant() {
    let store = Store::new();
    for (typed, meant) in [
        ("gte", "get"),
        ("lst", "list"),
        ("delte", "delete"),
        ("roatate", "rotate"),
        ("ls", "list"),
        ("show", "get"),
        ("rm", "delete"),
        ("insert", "put"),
        ("add", "put"),
        ("modify", "set"),
        ("mv", "rename"),
        ("cp", "copy"),
        ("run", "exec"),
        ("version", "--version"),
    ] {
        let (message, hint) = complaint(&store, &[typed, "anna"]);
        assert_eq!(message, "error: unknown command", "{typed}");
        assert_eq!(hint, format!("did you mean `moat {meant}`?"), "{typed}");
    }
    assert_eq!(complaint(&store, &["keys", "lst"]).1, "did you mean `moat keys list`?");
    // Nothing of this kind, which may be a secret: not repeated.
    for typed in ["hunter2", "correct-horse", "x"] {
        let (message, hint) = complaint(&store, &[typed]);
        assert_eq!(message, "error: unknown command");
        assert!(hint.starts_with("`moat help` lists the commands"), "{hint}");
    }
}

#[test]
fn a_wrong_argument_is_answered_with_the_usage_of_its_command() {
    let store = Store::new();
    for (arguments, message, hint) in [
        (
            &["get"][..],
            "missing <USER>",
            "usage: moat get [OPTIONS] <USER>; `moat get --help` describes the options",
        ),
        (&["get", "anna", "--feild", "x"], "unknown option --feild", "did you mean `--field`?"),
        (
            &["put", "anna", "--pasword-stdin"],
            "unknown option --pasword-stdin",
            "did you mean `--password-stdin`?",
        ),
        (
            &["get", "anna", "hunter2"],
            "unexpected argument",
            "usage: moat get [OPTIONS] <USER>; `moat get --help` describes the options",
        ),
        (
            &["exec", "anna", "env"],
            "missing <COMMAND>...",
            "put the program after `--`: moat exec USER -- PROGRAM ARGUMENTS",
        ),
        // What an option takes may look like a command.
        (
            &["--dir", "list", "get"],
            "missing <USER>",
            "usage: moat get [OPTIONS] <USER>; `moat get --help` describes the options",
        ),
        (
            &["inject", "-i", "get", "--frobnicate"],
            "unknown option --frobnicate",
            "usage: moat inject [OPTIONS]; `moat inject --help` describes the options",
        ),
        (
            &["completions", "tcsh"],
            "<SHELL>: must be one of bash, elvish, fish, powershell, zsh",
            "usage: moat completions [OPTIONS] <SHELL>; `moat completions --help` describes the options",
        ),
        (
            &["keys", "promote"],
            "missing <ID>",
            "usage: moat keys promote [OPTIONS] <ID>; `moat keys promote --help` describes the options",
        ),
        (
            &["generate", "--words", "3", "--length", "4"],
            "--words <N> can't be used with --length <N>",
            "usage: moat generate [OPTIONS]; `moat generate --help` describes the options",
        ),
        (
            &["generate", "--length", "0"],
            "--length <N>: 0 is not in 1..=1024",
            "usage: moat generate [OPTIONS]; `moat generate --help` describes the options",
        ),
        (
            &["--lock-wait", "x", "list"],
            "--lock-wait <SECONDS>: not a number of seconds",
            "usage: moat list [OPTIONS] [TEXT]; `moat list --help` describes the options",
        ),
    ] {
        let (found, given) = complaint(&store, arguments);
        assert_eq!(found, format!("error: {message}"), "{arguments:?}");
        assert_eq!(given, hint, "{arguments:?}");
    }
    // A password as an argument.
    for arguments in [
        &["put", "anna", "--username", "a", "--password", "hunter2"][..],
        &["set", "anna", "--password", "hunter2"],
    ] {
        let (message, hint) = complaint(&store, arguments);
        assert!(hint.starts_with("a password can't be an argument"), "{hint}");
        assert!(!format!("{message}{hint}").contains("hunter2"));
    }
}

#[test]
fn without_arguments_the_help_is_shown() {
    let store = Store::new();
    for arguments in [&[][..], &["keys"], &["audit"]] {
        let (stdout, stderr) = expect(2, &run(&mut store.moat(arguments)));
        assert_eq!(stdout, "");
        assert!(stderr.contains("Usage: moat") && stderr.contains("Commands:"), "{stderr}");
    }
    let (_, stderr) = expect(2, &run(&mut store.moat(&["--json"])));
    let error: serde_json::Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(error["error"]["message"], "missing command");
}

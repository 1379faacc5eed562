//! What a person at a terminal is asked, and that an answer is never shown.

mod support;

use support::{KEY, MOAT, Store, expect, run, script};

/// Runs the program at a terminal of its own, which gives these answers, and returns what it showed.
fn at_a_terminal(store: &Store, code: i32, arguments: &[&str], answers: &str) -> String {
    let mut command = script("pty_prompt.py");
    command.arg(MOAT).args(arguments).envs([
        ("FOSSAWORK_MASTER_KEY", KEY),
        ("MOAT_TEST_ANSWERS", answers),
        ("TERM", "xterm"),
    ]);
    expect(code, &run(command.env("FOSSAWORK_CREDENTIALS_DIR", store.path()))).0
}

#[test]
fn put_asks_for_the_password_twice_without_showing_it() {
    let store = Store::new();
    let shown = at_a_terminal(
        &store,
        0,
        &["put", "anna", "--username", "anna"],
        "canary pass\ncanary pass",
    );
    assert!(shown.contains("password: ") && shown.contains("password, again: "), "{shown}");
    assert!(shown.contains("stored anna in "), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    let (stdout, _) = expect(0, &run(&mut store.moat(&["get", "anna", "--field", "password"])));
    assert_eq!(stdout, "canary pass\n");
}

#[test]
fn put_stores_nothing_when_the_passwords_differ_or_are_empty() {
    let store = Store::new();
    for (answers, message) in
        [("one\ntwo", "the passwords differ"), ("\n", "the password is empty")]
    {
        let shown = at_a_terminal(&store, 2, &["put", "anna", "--username", "anna"], answers);
        assert!(shown.contains(message), "{shown}");
        assert_eq!(store.names(), [""; 0]);
    }
}

#[test]
fn errors_are_in_colour_at_a_terminal_unless_no_color_is_set() {
    let store = Store::new();
    let shown = at_a_terminal(&store, 3, &["get", "nobody"], "");
    assert!(shown.contains("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m"), "{shown:?}");
    let (_, piped) = expect(3, &run(&mut store.moat(&["get", "nobody"])));
    assert!(!piped.contains('\u{1b}'), "{piped:?}");
    let mut command = script("pty_prompt.py");
    command.arg(MOAT).args(["get", "nobody"]).env("NO_COLOR", "1").env("TERM", "xterm");
    let plain = expect(3, &run(command.env("FOSSAWORK_CREDENTIALS_DIR", store.path()))).0;
    assert!(plain.contains("error:") && !plain.contains('\u{1b}'), "{plain:?}");
}

#[test]
fn control_characters_reach_a_pipe_but_no_terminal() {
    let store = Store::new();
    let password = "a\u{1b}[2Jb\u{202e}";
    store.put("anna", password);
    let get = ["get", "anna", "--field", "password"];
    let (piped, _) = expect(0, &run(&mut store.moat(&get)));
    assert_eq!(piped, format!("{password}\n"));
    let shown = at_a_terminal(&store, 0, &get, "");
    assert!(shown.contains("a\\u{1b}[2Jb\\u{202e}"), "{shown:?}");
    assert!(shown.contains("in a pipe the value is exact"), "{shown:?}");
    let revealed = at_a_terminal(&store, 0, &["get", "anna", "--reveal"], "");
    assert!(!revealed.contains("\u{1b}[2J"), "{revealed:?}");
}

#[test]
fn delete_asks_at_a_terminal() {
    let store = Store::new();
    store.put("anna", "horse");
    let shown = at_a_terminal(&store, 1, &["delete", "anna"], "n");
    assert!(shown.contains("delete the credential of anna? [y/N] "), "{shown}");
    assert!(shown.contains("nothing was deleted"), "{shown}");
    assert!(store.file("anna").exists());
    at_a_terminal(&store, 0, &["delete", "anna", "--yes"], "");
    assert!(!store.file("anna").exists());
}

#[test]
fn a_long_work_shows_its_progress_at_a_terminal_and_nowhere_else() {
    let store = Store::new();
    for user in ["anna", "bob", "carol"] {
        store.put(user, "x");
    }
    let shown = at_a_terminal(&store, 0, &["verify"], "");
    assert!(shown.contains("/3 ") && shown.contains(" left"), "{shown:?}");
    assert!(shown.contains("3 ok, 0 failed"), "{shown:?}");
    let shown = at_a_terminal(&store, 0, &["verify", "--quiet"], "");
    assert!(!shown.contains("/3 "), "{shown:?}");
    let (stdout, stderr) = expect(0, &run(&mut store.moat(&["rotate"])));
    assert!(!stdout.contains("/3 ") && stderr.is_empty(), "{stdout}{stderr}");
}

//! What a person at a terminal is asked, and that an answer is never shown.

use std::fs;

use support::callers::{Python, python};
use support::{MOAT, Store, expect, long, run, run_with_input, tool};

const PUT: [&str; 4] = ["put", "anna", "--username", "anna"];

/// Runs the program at a terminal of its own, which gives these answers the instant that it is asked, and returns what
/// it showed.
fn at_a_terminal(
    python: &Python,
    store: &Store,
    code: i32,
    arguments: &[&str],
    answers: &[&[u8]],
) -> String {
    let command: Vec<_> = [MOAT.as_str()].iter().chain(arguments).copied().collect();
    command_at_a_terminal(python, store, code, &command, answers)
}

fn command_at_a_terminal(
    python: &Python,
    store: &Store,
    code: i32,
    words: &[&str],
    answers: &[&[u8]],
) -> String {
    let hexadecimal =
        |answer: &&[u8]| answer.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    let typed: String = answers.iter().map(hexadecimal).collect();
    let mut command = python.script("pty_prompt.py");
    command.args(words).env("TERM", "xterm").env("FOSSAWORK_CREDENTIALS_DIR", store.path());
    expect(code, &run_with_input(&mut command, &typed)).0
}

#[test]
fn put_asks_for_the_password_twice_without_showing_it() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let shown = at_a_terminal(&python, &store, 0, &PUT, &[b"canary pass\n", b"canary pass\n"]);
    assert!(shown.starts_with("password: \r\nrepeat password: \r\nstored anna in "), "{shown:?}");
    assert!(!shown.contains("canary"), "{shown}");
    let (stdout, _) = expect(0, &run(&mut store.moat(&["get", "anna", "--field", "password"])));
    assert_eq!(stdout, "canary pass\n");
}

#[test]
fn an_immediate_answer_is_not_shown_either() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let runs = if long() { 500 } else { 50 };
    for _ in 0..runs {
        let shown = at_a_terminal(&python, &store, 2, &PUT, &[b"canary\n", b"other canary\n"]);
        assert!(shown.contains("the passwords don't match"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
    assert_eq!(store.names(), [""; 0]);
}

#[test]
fn the_questions_are_asked_at_the_terminal_wherever_the_output_goes() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let (out, err) = (store.beside("out"), store.beside("err"));
    let redirected = format!(
        "{} {} </dev/null >{} 2>{}; exit $?",
        MOAT.as_str(),
        PUT.join(" "),
        out.display(),
        err.display()
    );
    let command = ["sh", "-c", &redirected];
    let shown = command_at_a_terminal(&python, &store, 0, &command, &[b"horse\n", b"horse\n"]);
    assert_eq!(shown, "password: \r\nrepeat password: \r\n");
    assert!(fs::read_to_string(out).unwrap().starts_with("stored anna in "));
    assert_eq!(fs::read_to_string(err).unwrap(), "");
}

#[test]
fn the_questions_fit_a_narrow_terminal_that_can_do_nothing_but_print() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let put = format!("stty cols 20; TERM=dumb exec {} {} --yes", MOAT.as_str(), PUT.join(" "));
    let answers: [&[u8]; 2] = [b"horse\n", b"horse\n"];
    let shown = command_at_a_terminal(&python, &store, 0, &["sh", "-c", &put], &answers);
    assert!(shown.starts_with("password: \r\nrepeat password: \r\nstored anna in "), "{shown:?}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let wrong = command_at_a_terminal(&python, &store, 2, &["sh", "-c", &put], &[b"a\n", b"b\n"]);
    assert!(wrong.contains("\r\nerror: the passwords don't match\r\n"), "{wrong:?}");
}

#[test]
fn what_is_typed_is_what_is_stored() {
    let Some(python) = python() else { return };
    let long = [b'x'; 9000];
    // What is typed before Enter, and what it has to become.
    let cases: [(&[u8], &[u8]); 25] = [
        (b"a\tb", b"a\tb"),
        (b"a\x1bb", b"a\x1bb"),
        (b"a\x1b[Db", b"a\x1b[Db"),
        (b"a\0b", b"a\0b"),
        (b"a\x08b", b"a\x08b"),
        ("a\u{80}b\u{85}c\u{9f}".as_bytes(), "a\u{80}b\u{85}c\u{9f}".as_bytes()),
        ("a\u{200b}b\u{a0}".as_bytes(), "a\u{200b}b\u{a0}".as_bytes()),
        ("cafe\u{301} 🔑".as_bytes(), "cafe\u{301} 🔑".as_bytes()),
        (b"  a b\t ", b"  a b\t "),
        // The keys that stop the output.
        (b"a\x13\x11b", b"a\x13\x11b"),
        (&long[..4095], &long[..4095]),
        (&long[..5000], &long[..5000]),
        (&long, &long),
        // Backspace, Ctrl-W and Ctrl-U.
        (b"\x7fab\x7fc", b"ac"),
        ("aé\x7f🔑\x7fe\u{301}\x7fb".as_bytes(), b"aeb"),
        (b"caf\xe9\x7fe", b"cafe"),
        (b"one two  \x17three", b"one three"),
        (b"one-two\x17", b"one-"),
        (b"\x17a\x17b", b"b"),
        (b"one\x15two", b"two"),
        // What follows Ctrl-V.
        (b"a\x16\tb", b"a\tb"),
        (b"a\x16\x03\x16\x04\x16\x7f\x16\x15\x16\x16\x16\x1a", b"a\x03\x04\x7f\x15\x16\x1a"),
        (b"a\x16\nb", b"a\nb"),
        // Pasted, where the terminal marks that.
        (b"\x1b[200~a b\x1b[201~", b"a b"),
        (b"a\x1b[200~b\x1b[201~c", b"abc"),
    ];
    let store = Store::new();
    for (typed, stored) in cases {
        let line = [typed, b"\n"].concat();
        check_stored(&python, &store, &[&line, &line], stored);
    }
    // The other Enter.
    check_stored(&python, &store, &[b"ab\r", b"ab\n"], b"ab");
    // Typed ahead for the second question, as two lines that are pasted are; they can't become one.
    check_stored(&python, &store, &[b"ab\nab\n"], b"ab");
    check_stored(&python, &store, &[b"\x1b[200~ab\n\x1b[201~", b"ab\n"], b"ab");
    let shown = at_a_terminal(
        &python,
        &store,
        2,
        &[PUT.as_slice(), &["--yes"]].concat(),
        &[b"two\nlines\n"],
    );
    assert!(shown.contains("the passwords don't match"), "{shown}");
}

fn check_stored(python: &Python, store: &Store, answers: &[&[u8]], stored: &[u8]) {
    at_a_terminal(python, store, 0, &[PUT.as_slice(), &["--yes"]].concat(), answers);
    let found = run(&mut store.moat(&["get", "anna", "--field", "password"])).stdout;
    let expected = [stored, b"\n"].concat();
    assert!(found == expected, "{:?} became {:?}", answers, String::from_utf8_lossy(&found));
}

#[test]
fn put_stores_nothing_where_the_answer_is_no_password() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let too_long = [[b'x'; 65537].as_slice(), b"\x7f\x7f\n"].concat();
    let cases: [(&[&[u8]], &str, &str); 9] = [
        (&[b"one\n", b"two\n"], "the passwords don't match", "run this again"),
        (&[b"\n"], "the password is empty", "run this again and enter one"),
        (&[b"\x04"], "canceled: the input ended", "end the password with Enter"),
        (&[b"horse\x04"], "canceled: the input ended", "end the password with Enter"),
        (&[b"horse\n", b"\x04"], "canceled: the input ended", "end the password with Enter"),
        (&[b"caf\xe9xyz\n"], "the password is not UTF-8 text", "UTF-8 text of at most 64 KiB"),
        (&[b"caf\xe9\n"], "the password is not UTF-8 text", "UTF-8 text of at most 64 KiB"),
        (&[b"a\xc3\n"], "the password is not UTF-8 text", "UTF-8 text of at most 64 KiB"),
        (&[&too_long], "the password is too long", "UTF-8 text of at most 64 KiB"),
    ];
    for (answers, message, way_out) in cases {
        let shown = at_a_terminal(&python, &store, 2, &PUT, answers);
        let error = format!(": \r\n\u{1b}[1m\u{1b}[31merror:\u{1b}[0m {message}");
        assert!(shown.contains(&error) && shown.contains(way_out), "{shown:?}");
        assert!(shown.contains("nothing was changed"), "{shown:?}");
        assert_eq!(store.names(), [""; 0]);
    }
}

#[test]
fn a_line_that_the_terminal_cut_is_refused_on_standard_input() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let put = [PUT.as_slice(), &["--password-stdin"]].concat();
    let line = [[b'x'; 5000].as_slice(), b"\n\x04"].concat();
    let shown = at_a_terminal(&python, &store, 2, &put, &[&line]);
    assert!(shown.contains("where it is visible; end it with Ctrl-D"), "{shown}");
    assert!(shown.contains("a line that is too long for a terminal"), "{shown}");
    assert_eq!(store.names(), [""; 0]);
}

/// What ends, stops or resumes the program while it asks, below an interactive shell.
fn below_a_shell(shell: &'static str, arguments: &[&str]) {
    let (Some(_), Some(python)) = (tool(shell), python()) else { return };
    let store = Store::new();
    let place = store.beside("place");
    let mut script = python.script("pty_shells.py");
    script.arg(&place).args([&MOAT, shell]).args(arguments).env("TERM", "dumb").env("HOME", &place);
    expect(0, &run(script.env("FOSSAWORK_CREDENTIALS_DIR", store.path())));
}

#[test]
fn signals_leave_the_terminal_as_it_was_below_dash() {
    below_a_shell("dash", &["-i"]);
}

#[test]
fn signals_leave_the_terminal_as_it_was_below_bash() {
    below_a_shell("bash", &["--norc", "--noprofile", "-i"]);
}

#[test]
fn signals_leave_the_terminal_as_it_was_below_busybox() {
    below_a_shell("busybox", &["sh", "-i"]);
}

#[test]
fn signals_leave_the_terminal_as_it_was_below_zsh() {
    below_a_shell("zsh", &["-f", "-i"]);
}

#[test]
fn errors_are_in_colour_at_a_terminal_unless_no_color_is_set() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let shown = at_a_terminal(&python, &store, 3, &["get", "nobody"], &[]);
    assert!(shown.contains("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m"), "{shown:?}");
    let (_, piped) = expect(3, &run(&mut store.moat(&["get", "nobody"])));
    assert!(!piped.contains('\u{1b}'), "{piped:?}");
    let mut command = python.script("pty_prompt.py");
    command.arg(MOAT.as_str()).args(["get", "nobody"]).env("NO_COLOR", "1").env("TERM", "xterm");
    let plain = expect(3, &run(command.env("FOSSAWORK_CREDENTIALS_DIR", store.path()))).0;
    assert!(plain.contains("error:") && !plain.contains('\u{1b}'), "{plain:?}");
}

#[test]
fn control_characters_reach_a_pipe_but_no_terminal() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let password = "a\u{1b}[2Jb\u{202e}";
    store.put("anna", password);
    let get = ["get", "anna", "--field", "password"];
    let (piped, _) = expect(0, &run(&mut store.moat(&get)));
    assert_eq!(piped, format!("{password}\n"));
    let shown = at_a_terminal(&python, &store, 0, &get, &[]);
    assert!(shown.contains("a\\u{1b}[2Jb\\u{202e}"), "{shown:?}");
    assert!(shown.contains("pipe the output to get the exact value"), "{shown:?}");
    let revealed = at_a_terminal(&python, &store, 0, &["get", "anna", "--reveal"], &[]);
    assert!(!revealed.contains("\u{1b}[2J"), "{revealed:?}");
}

#[test]
fn a_filled_template_cannot_control_the_terminal() {
    let Some(python) = python() else { return };
    let store = Store::new();
    store.put("anna", "a\u{1b}[2Jb\u{202e}");
    let template = store.beside("template");
    fs::write(&template, "one\n{{ moat://anna/password }}\n").unwrap();
    let inject = ["inject", "--in-file", template.to_str().unwrap()];
    let shown = at_a_terminal(&python, &store, 0, &inject, &[]);
    assert!(shown.contains("one\r\na\\u{1b}[2Jb\\u{202e}\r\n"), "{shown:?}");
    assert!(shown.contains("pipe the output to get the exact value"), "{shown:?}");
    let (piped, _) = expect(0, &run(&mut store.moat(&inject)));
    assert_eq!(piped, "one\na\u{1b}[2Jb\u{202e}\n");
}

#[test]
fn delete_asks_at_a_terminal() {
    let Some(python) = python() else { return };
    let store = Store::new();
    store.put("anna", "horse");
    let shown = at_a_terminal(&python, &store, 1, &["delete", "anna"], &[b"n\n"]);
    assert!(shown.contains("delete the credential of anna? [y/N] "), "{shown}");
    assert!(shown.contains("nothing was changed"), "{shown}");
    // No answer, and one that isn't UTF-8.
    for answer in [b"\x04".as_slice(), b"\xe9\n", b"y\xe9\n"] {
        let shown = at_a_terminal(&python, &store, 1, &["delete", "anna"], &[answer]);
        assert!(
            shown.contains("\r\n\u{1b}[1m\u{1b}[31merror:\u{1b}[0m not confirmed"),
            "{shown:?}"
        );
    }
    assert!(store.file("anna").exists());
    at_a_terminal(&python, &store, 0, &["delete", "anna", "--yes"], &[]);
    assert!(!store.file("anna").exists());
}

#[test]
fn nobody_is_asked_about_a_credential_that_is_not_there() {
    let Some(python) = python() else { return };
    let store = Store::new();
    store.put("anna", "horse");
    let shown = at_a_terminal(&python, &store, 3, &["delete", "bob"], &[]);
    assert!(shown.contains("bob: there is no credential for this user"), "{shown}");
    assert!(!shown.contains("[y/N]"), "{shown}");
}

#[test]
fn put_asks_before_it_replaces_a_password() {
    let Some(python) = python() else { return };
    let store = Store::new();
    store.put("anna", "horse");
    let field = |name: &str| expect(0, &run(&mut store.moat(&["get", "anna", "--field", name]))).0;
    expect(0, &run(&mut store.moat(&["set", "anna", "--field", "pin=1"])));
    let question = "anna has a credential: replace its password? [y/N] ";
    for answer in [b"n\n".as_slice(), b"\n", b"\x04"] {
        let shown = at_a_terminal(&python, &store, 1, &PUT, &[answer]);
        assert!(shown.starts_with(question) && shown.contains("nothing was changed"), "{shown:?}");
        assert!(!shown.contains("password: "), "{shown:?}");
    }
    assert_eq!(field("password"), "horse\n");
    at_a_terminal(&python, &store, 0, &PUT, &[b"y\n", b"new horse\n", b"new horse\n"]);
    assert_eq!((field("password"), field("pin")), ("new horse\n".to_owned(), "1\n".to_owned()));
    let put = [PUT.as_slice(), &["--yes"]].concat();
    let shown = at_a_terminal(&python, &store, 0, &put, &[b"third\n", b"third\n"]);
    assert!(shown.starts_with("password: "), "{shown:?}");
    // Nobody types a password in vain.
    let put = [PUT.as_slice(), &["--create-only"]].concat();
    let shown = at_a_terminal(&python, &store, 8, &put, &[]);
    assert!(shown.contains("anna: this user already has a credential"), "{shown:?}");
    assert_eq!((field("password"), field("pin")), ("third\n".to_owned(), "1\n".to_owned()));
}

#[test]
fn set_asks_for_a_new_password() {
    let Some(python) = python() else { return };
    let store = Store::new();
    store.put("anna", "horse");
    let set = ["set", "anna", "--password"];
    let shown = at_a_terminal(&python, &store, 2, &set, &[b"canary\n", b"other\n"]);
    assert!(shown.contains("the passwords don't match") && !shown.contains("canary"), "{shown}");
    let shown = at_a_terminal(&python, &store, 0, &set, &[b"canary\n", b"canary\n"]);
    assert!(shown.starts_with("password: \r\nrepeat password: \r\nchanged anna in "), "{shown:?}");
    let (stdout, _) = expect(0, &run(&mut store.moat(&["get", "anna", "--field", "password"])));
    assert_eq!(stdout, "canary\n");
}

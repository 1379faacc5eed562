//! What a terminal shows of work on many records, and how a signal ends it.

use std::process::Command;

use moat::{Credential, PutOptions, UserId};
use support::callers::{Python, python};
use support::{KEY, MOAT, Store, expect, run};

/// Goes to the start of the line and erases it.
const ERASE: &str = "\r\u{1b}[K";
const NEW_KEY: &str = "another key, of 100,000 rounds for each record";

fn store_of(records: usize) -> Store {
    let store = Store::new();
    let vault = store.vault(KEY);
    for number in 0..records {
        let user = UserId::parse(&format!("user{number:03}")).unwrap();
        vault.put(&user, &Credential::new("x", "y"), &PutOptions::default()).unwrap();
    }
    store
}

/// The program at a terminal, ended by this key or signal.
fn at(python: &Python, store: &Store, columns: usize, end: &str, arguments: &[&str]) -> Command {
    let mut command = python.script("pty_progress.py");
    command.arg(columns.to_string()).arg(end).arg(MOAT.as_str()).args(arguments);
    command.env("TERM", "xterm").env("FOSSAWORK_CREDENTIALS_DIR", store.path());
    command
}

#[test]
fn progress_is_one_line_that_fits_and_is_erased() {
    let Some(python) = python() else { return };
    let store = store_of(3);
    for (columns, first) in
        [(80, "verifying 0 of 3"), (40, "verifying 0 of 3"), (16, "0 of 3"), (5, "")]
    {
        let (shown, _) = expect(0, &run(&mut at(&python, &store, columns, "-", &["verify"])));
        let lines: Vec<&str> = shown.split(ERASE).skip(1).collect();
        assert_eq!(lines[0], first, "{shown:?}");
        let (last, lines) = lines.split_last().unwrap();
        assert!(last.ends_with("3 ok, 0 failed\r\n"), "{shown:?}");
        let fits = |line: &&str| line.starts_with("ok ") || line.len() < columns;
        assert!(lines.iter().all(fits), "{columns}: {shown:?}");
    }
}

#[test]
fn nothing_is_redrawn_where_the_terminal_can_not_erase_it() {
    let Some(python) = python() else { return };
    let store = store_of(3);
    for name in ["dumb", ""] {
        let mut verify = at(&python, &store, 80, "-", &["verify"]);
        let (shown, _) = expect(0, &run(verify.env("TERM", name)));
        assert!(shown.starts_with("verifying 0 of 3\r\nok      user000\r\n"), "{shown:?}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        assert!(!shown.trim_end().replace("\r\n", "").contains('\r'), "{shown:?}");
    }
}

#[test]
fn progress_is_shown_at_a_terminal_only_and_not_if_it_is_not_wanted() {
    let Some(python) = python() else { return };
    let store = store_of(3);
    for arguments in [["verify", "--quiet"], ["verify", "--json"]] {
        let (shown, _) = expect(0, &run(&mut at(&python, &store, 80, "-", &arguments)));
        assert!(!shown.contains("verifying"), "{shown:?}");
    }
    let (stdout, stderr) = expect(0, &run(&mut store.moat(&["rotate"])));
    assert!(!stdout.contains("rotating") && stderr.is_empty(), "{stdout}{stderr}");
}

#[test]
fn a_signal_ends_the_work_between_two_records_and_says_how_far_it_came() {
    let Some(python) = python() else { return };
    for (end, code) in [("^C", 130), ("SIGTERM", 143)] {
        let store = store_of(60);
        let mut rotate = at(&python, &store, 80, end, &["rotate"]);
        rotate.env("FOSSAWORK_MASTER_KEY", NEW_KEY).env("FOSSAWORK_MASTER_KEY_PREVIOUS", KEY);
        let (shown, _) = expect(code, &run(&mut rotate));
        let (_, end) = shown.rsplit_once(ERASE).unwrap();
        let (summary, message) = end.split_once("\r\n").unwrap();
        let rotated: usize = summary.split(' ').next().unwrap().parse().unwrap();
        assert!((1..60).contains(&rotated), "{shown:?}");
        let expected = format!("interrupted while rotating, after {rotated} record");
        assert!(message.contains(&expected), "{shown:?}");
        assert!(message.contains("run this again to go on"), "{shown:?}");

        let mut again = store.moat(&["rotate"]);
        again.env("FOSSAWORK_MASTER_KEY", NEW_KEY).env("FOSSAWORK_MASTER_KEY_PREVIOUS", KEY);
        let (stdout, _) = expect(0, &run(&mut again));
        // The call that was under way was finished.
        let rest = stdout.split(' ').next().unwrap().parse::<usize>().unwrap();
        assert!(rest > 0 && rest <= 60 - rotated, "{rotated}, then {stdout}");
        assert!(stdout.ends_with(", 0 failed\n"), "{stdout}");
    }
}

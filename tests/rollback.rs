//! An older record that was put back is genuine, and so is one that isn't there: only the audit log knows better.

use std::fs;
use std::process::Command;

use support::{KEY, Store, expect, run, run_with_input, write_private};

const AUDIT_KEY: &[u8] = b"the key of the audit log";

/// A directory with a log.
struct Logged(Store);

impl Logged {
    fn new() -> Self {
        let store = Store::new();
        fs::create_dir(store.beside("log")).unwrap();
        write_private(&store.beside("audit-key"), AUDIT_KEY);
        Self(store)
    }

    fn moat(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.moat(arguments);
        command
            .env("FOSSAWORK_AUDIT_LOG", self.0.beside("log").join("audit.log"))
            .env("FOSSAWORK_AUDIT_KEY_FILE", self.0.beside("audit-key"));
        command
    }

    fn done(&self, arguments: &[&str]) {
        expect(0, &run(&mut self.moat(arguments)));
    }

    fn put(&self, user: &str, password: &str) {
        let put = ["put", user, "--username", "someone", "--password-stdin"];
        expect(0, &run_with_input(&mut self.moat(&put), password));
    }

    fn contents(&self, user: &str) -> Vec<u8> {
        fs::read(self.0.file(user)).unwrap()
    }

    /// The lines of `verify --against-log` about what differs, without times, and what the log says nothing of.
    fn differing(&self, code: i32) -> (Vec<String>, String) {
        let mut command = self.moat(&["verify", "--against-log"]);
        let (text, _) = expect(code, &run(&mut command));
        let end = text.lines().last().unwrap_or_default().to_owned();
        let differing = text.lines().filter_map(|line| line.strip_prefix("differs "));
        let without_times = |line: &str| {
            let is_no_time = |word: &&str| !word.starts_with("20");
            line.split(' ').filter(is_no_time).collect::<Vec<_>>().join(" ")
        };
        (differing.map(without_times).collect(), end)
    }
}

#[test]
fn what_is_done_through_the_program_is_as_the_log_says() {
    for hashes in ["0", "1"] {
        let logged = Logged::new();
        let hashed = |arguments: &[&str]| {
            let mut command = logged.moat(arguments);
            command.env("FOSSAWORK_AUDIT_HASH_USERS", hashes);
            command
        };
        for user in ["anna", "bob", "carl"] {
            let put = ["put", user, "--username", "someone", "--password-stdin"];
            expect(0, &run_with_input(&mut hashed(&put), "horse"));
        }
        for arguments in [
            &["touch", "anna"][..],
            &["validate", "anna", "--valid"],
            &["get", "anna", "--field", "password"],
            &["migrate", "--to", "2.0"],
            &["delete", "carl", "--yes"],
        ] {
            let output = run(&mut hashed(arguments));
            assert!(
                output.status.code().is_some_and(|code| code != 10),
                "{arguments:?} {output:?}"
            );
        }
        let verify = run(&mut hashed(&["verify", "--against-log"]));
        let (text, _) = expect(0, &verify);
        assert!(!text.contains("differs"), "{text}");
    }
}

#[test]
fn an_older_record_that_was_put_back_is_named() {
    let logged = Logged::new();
    logged.put("anna", "old");
    let old = logged.contents("anna");
    logged.put("anna", "new");
    write_private(&logged.0.file("anna"), &old);
    // The record itself is as good as ever.
    logged.done(&["verify"]);
    let (differing, _) = logged.differing(10);
    assert_eq!(differing, ["anna: it is as it was written at but was written again at"]);
    // Whoever stores the password again is done with it.
    logged.put("anna", "new");
    assert!(logged.differing(0).0.is_empty());
}

#[test]
fn what_was_removed_and_what_came_back_are_named() {
    let logged = Logged::new();
    for user in ["anna", "bob"] {
        logged.put(user, "horse");
    }
    let bob = logged.contents("bob");
    fs::remove_file(logged.0.file("anna")).unwrap();
    logged.done(&["delete", "bob", "--yes"]);
    write_private(&logged.0.file("bob"), &bob);
    // Another program's, as the FossaWork application's: the log can't know of it.
    logged.0.put("carl", "horse");
    let (differing, end) = logged.differing(10);
    let expected = [
        "anna: it is gone, but was written at and never removed",
        "bob: it is there again, but was removed at",
    ];
    assert_eq!(differing, expected);
    assert!(end.contains("2 differ from the log, which says nothing of 1"), "{end}");
}

#[test]
fn what_another_program_wrote_is_named() {
    let logged = Logged::new();
    logged.put("anna", "horse");
    logged.0.put("anna", "battery");
    let (differing, _) = logged.differing(10);
    assert_eq!(differing, ["anna: another program wrote it after the last logged write, at"]);
}

#[test]
fn settings_that_were_put_back_are_named() {
    let logged = Logged::new();
    let settings = logged.0.path().join("moat.json");
    logged.put("anna", "horse");
    logged.done(&["migrate", "--to", "2.0"]);
    let before = fs::read(&settings).unwrap();
    fs::remove_file(&settings).unwrap();
    let (differing, _) = logged.differing(10);
    assert!(
        differing.contains(&"moat.json: it is gone, but was written at and never removed".into())
    );
    write_private(&settings, &before);
    assert!(logged.differing(0).0.is_empty());
}

/// What the log says counts only if nobody has changed it.
#[test]
fn a_broken_log_proves_nothing() {
    let logged = Logged::new();
    logged.put("anna", "horse");
    let log = logged.0.beside("log").join("audit.log");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replace("\"put\"", "\"got\"")).unwrap();
    let (_, error) = expect(10, &run(&mut logged.moat(&["verify", "--against-log"])));
    assert!(error.contains("was altered") && error.contains("proves nothing"), "{error}");
    assert!(!error.contains(KEY));
}

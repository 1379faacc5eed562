//! Credentials that go back and forth between `moat` and the application's way in Python.

use serde_json::Value;
use support::callers::{Python, python};
use support::{Store, expect, run, run_with_input};

const PASSWORD: &str = "pässwörd \"quoted\" \\ 🔑";

#[test]
fn moat_reads_what_python_wrote_in_both_forms() {
    let Some(python) = python() else { return };
    for form in ["documented", "app"] {
        let store = Store::new();
        let mut write = python.script("exchange.py");
        write.arg("write").arg(store.path()).args([
            "anna@example.com",
            "anna",
            PASSWORD,
            "--form",
            form,
        ]);
        expect(0, &run(&mut write));

        let (stdout, _) =
            expect(0, &run(&mut store.moat(&["get", "anna@example.com", "--json", "--reveal"])));
        let read: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((&read["username"], &read["password"]), (&"anna".into(), &PASSWORD.into()));
        // An update keeps the form, and Python still reads it.
        expect(0, &run(&mut store.moat(&["mark", "anna@example.com", "--valid"])));
        assert_eq!(python_reads(&python, &store, "anna@example.com", form)["is_valid"], true);
    }
}

#[test]
fn python_reads_what_moat_wrote_in_both_forms() {
    let Some(python) = python() else { return };
    for form in ["documented", "app"] {
        let store = Store::new();
        let put =
            ["put", "Anna 🔑", "--username", "anna", "--password-stdin", "--token-encoding", form];
        expect(0, &run_with_input(&mut store.moat(&put), PASSWORD));
        let read = python_reads(&python, &store, "Anna 🔑", form);
        assert_eq!((&read["username"], &read["password"]), (&"anna".into(), &PASSWORD.into()));
        assert_eq!(read["last_used"], Value::Null);
        assert_eq!((&read["is_valid"], &read["validation_attempts"]), (&false.into(), &0.into()));
        // Nothing but what the application knows.
        assert_eq!(read.as_object().unwrap().len(), 6);
    }
}

fn python_reads(python: &Python, store: &Store, user: &str, form: &str) -> Value {
    let mut read = python.script("exchange.py");
    let (stdout, _) =
        expect(0, &run(read.arg("read").arg(store.path()).args([user, "--form", form])));
    serde_json::from_str(&stdout).unwrap()
}

//! Earlier versions of a credential, and when it expires, as the program has them.

use moat::{Changes, Credential, PutOptions, UserId};
use serde_json::{Value, json};
use support::{KEY, Store, expect, run, run_with_input};

/// Runs the program and reads the JSON that it prints.
fn json_of(store: &Store, code: i32, arguments: &[&str]) -> Value {
    let (stdout, stderr) = expect(code, &run(store.moat(arguments).arg("--json")));
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"))
}

fn new_password(store: &Store, user: &str, password: &str) {
    let set = ["set", user, "--password-stdin"];
    expect(0, &run_with_input(&mut store.moat(&set), password));
}

fn value(store: &Store, arguments: &[&str]) -> String {
    expect(0, &run(&mut store.moat(arguments))).0.trim_end().to_owned()
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

#[test]
fn a_replaced_password_is_shown_and_comes_back() {
    let store = Store::new();
    expect(0, &run(&mut store.moat(&["history", "--keep", "2"])));
    store.put("anna", "one");
    for password in ["two", "three", "four"] {
        new_password(&store, "anna", password);
    }
    let history = json_of(&store, 0, &["history", "anna"]);
    let numbers: Vec<_> =
        history["versions"].as_array().unwrap().iter().map(|version| &version["number"]).collect();
    assert_eq!(numbers, [&json!(3), &json!(2)]);
    assert!(history["versions"][0]["replaced_at"].as_str().unwrap().ends_with('Z'));
    assert!(!history.to_string().contains("three"));
    assert_eq!(json_of(&store, 0, &["get", "anna"])["earlier_versions"], 2);

    assert_eq!(value(&store, &["get", "anna", "--earlier", "3", "--field", "password"]), "three");
    let shown = json_of(&store, 0, &["get", "anna", "--earlier", "2", "--reveal"]);
    assert_eq!(shown["password"], "two");
    expect(2, &run(&mut store.moat(&["get", "anna", "--earlier", "2"])));

    expect(0, &run(&mut store.moat(&["restore", "anna", "2"])));
    assert_eq!(value(&store, &["get", "anna", "--field", "password"]), "two");
    expect(0, &run(&mut store.moat(&["restore", "anna"])));
    assert_eq!(value(&store, &["get", "anna", "--field", "password"]), "four");

    for (arguments, code, what) in [
        (&["restore", "anna", "77"][..], 3, "run `moat history anna`"),
        (&["get", "anna", "--earlier", "77", "--reveal"], 3, "run `moat history anna`"),
        (&["restore", "bob"], 3, "run `moat list`"),
        (&["restore", "bob", "1"], 3, "run `moat list`"),
        (&["history", "bob"], 3, "run `moat list`"),
        (&["get", "bob", "--earlier", "1", "--reveal"], 3, "run `moat list`"),
        (&["history", "--keep", "101"], 2, "101 is not in 0..=100"),
        (&["history"], 2, "<USER|--keep <N>>"),
        (&["history", "anna", "--keep", "1"], 2, "can't be used with"),
    ] {
        let (_, stderr) = expect(code, &run(&mut store.moat(arguments)));
        assert!(stderr.contains(what), "{arguments:?}: {stderr}");
    }
    expect(0, &run(&mut store.moat(&["set", "anna", "--forget-history"])));
    let (_, stderr) = expect(2, &run(&mut store.moat(&["restore", "anna"])));
    assert!(stderr.contains("anna: there is no earlier version to restore"), "{stderr}");
    assert_eq!(value(&store, &["get", "anna", "--field", "password"]), "four");
}

#[test]
fn a_credential_that_is_renamed_keeps_all_that_belongs_to_it() {
    let store = Store::new();
    let vault = store.vault(KEY);
    vault.keep_versions(5).unwrap();
    let first = Credential::new("anna", "one").with_expires("90d");
    vault.put(&user("anna"), &first, &PutOptions::default()).unwrap();
    vault.change(&user("anna"), &Changes::default().password("two"), None).unwrap();
    vault.mark_validated(&user("anna"), true).unwrap();
    let before = json_of(&store, 0, &["get", "anna", "--reveal"]);
    expect(0, &run(&mut store.moat(&["rename", "anna", "bob"])));
    let mut after = json_of(&store, 0, &["get", "bob", "--reveal"]);
    assert_eq!(after["user_id"].take(), "bob");
    after["user_id"] = "anna".into();
    assert_eq!(after, before);
    assert_eq!(value(&store, &["get", "bob", "--earlier", "1", "--field", "password"]), "one");
    assert!(!store.file("anna").exists());
}

#[test]
fn a_date_or_an_age_is_taken_as_people_write_it_and_nothing_else() {
    let store = Store::new();
    store.put("anna", "horse");
    for (text, expires) in [
        ("2099-01-31", json!("2099-01-31T00:00:00Z")),
        ("2099-01-31T12:30:00Z", json!("2099-01-31T12:30:00Z")),
        ("2099-01-31T12:30:00+02:00", json!("2099-01-31T10:30:00Z")),
        ("90d", json!("90d")),
        ("12w", json!("84d")),
        ("48h", json!("2d")),
        ("36500d", json!("36500d")),
        ("never", Value::Null),
    ] {
        let set = json_of(&store, 0, &["set", "anna", "--expires", text]);
        assert_eq!(set["expires"], expires, "{text}");
    }
    for text in ["", "soon", "0d", "36h", "36501d", "2099-02-30", "31.1.2099", "90 d", "Never"] {
        let set = ["set", "anna", "--expires", text];
        let (_, stderr) = expect(2, &run(&mut store.moat(&set)));
        assert!(stderr.contains("not "), "{text}: {stderr}");
        assert_eq!(json_of(&store, 0, &["get", "anna"])["expires"], Value::Null);
    }
}

#[test]
fn what_is_due_is_listed_and_reported() {
    let store = Store::new();
    let vault = store.vault(KEY);
    let put = |name, created_at: Option<&str>, expires: &str| {
        let credential = Credential::new(name, "horse").with_expires(expires);
        let credential = match created_at {
            Some(time) => credential.with_created_at(time),
            None => credential,
        };
        vault.put(&user(name), &credential, &PutOptions::default()).unwrap();
    };
    let last_year = moat::maintenance::time_ago(std::time::Duration::from_hours(300 * 24)).unwrap();
    put("aged", Some(&last_year), "299d");
    put("past", None, "2020-01-31T00:00:00");
    put("soon", Some(&last_year), "305d");
    put("later", Some(&last_year), "350d");
    put("never", None, "never");
    // A clock that was wrong doesn't make it last.
    put("future", Some("2099-01-14T10:00:00"), "90d");

    let listed = |time| value(&store, &["list", "--expires-within", time]);
    let users = |time| {
        let list = listed(time);
        list.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(users("0d"), ["aged", "future", "past"]);
    assert_eq!(users("14d"), ["aged", "future", "past", "soon"]);
    assert_eq!(users("60d"), ["aged", "future", "later", "past", "soon"]);
    assert!(listed("0d").contains("2020-01-31T00:00:00  past"), "{}", listed("0d"));
    let json = json_of(&store, 0, &["list", "--expires-within", "0d", "--long"]);
    assert_eq!(json["users"][2]["expires_at"], "2020-01-31T00:00:00Z");
    assert_eq!(json["users"][2]["encryption_version"], "1.0");

    let checked = json_of(&store, 0, &["check"]);
    let findings: Vec<_> =
        checked["checks"].as_array().unwrap().iter().map(|check| &check["finding"]).collect();
    assert!(findings.contains(&&json!("expired: aged, future, past")), "{findings:?}");
    assert!(findings.contains(&&json!("expires within two weeks: soon")), "{findings:?}");
    // A new password of an age is not due any more; a date stays, and is told of.
    new_password(&store, "aged", "new");
    let set = ["set", "past", "--password-stdin"];
    let (_, stderr) = expect(0, &run_with_input(&mut store.moat(&set), "new"));
    assert!(stderr.contains("past has expired (2020-01-31T00:00:00)"), "{stderr}");
    assert_eq!(users("0d"), ["future", "past"]);
    expect(0, &run(&mut store.moat(&["set", "past", "--expires", "never"])));
    assert_eq!(users("0d"), ["future"]);
}

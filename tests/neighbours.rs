//! What stands in the directory already decides for a new record: whether the key is the right one.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::error::Error as _;
use std::fs;

use moat::{Credential, ErrorCode, KeyMismatch, KeyRing, MasterKey, PutOptions, UserId, Vault};
use support::{KEY, Store, expect, run_with_input};

const OTHER_KEY: &str = "another key, with a slip of the finger";

fn put(store: &Store, key: &str, user: &str, more: &[&str]) -> std::process::Output {
    let arguments = [&["put", user, "--username", user, "--password-stdin"], more].concat();
    run_with_input(store.moat(&arguments).env("FOSSAWORK_MASTER_KEY", key), "horse")
}

#[test]
fn a_mistyped_key_stores_nothing_beside_the_records_of_another() {
    for version in ["1.0", "2.0"] {
        let store = Store::new();
        expect(0, &put(&store, KEY, "anna", &["--format", version]));
        let before = store.names();
        let (_, error) = expect(5, &put(&store, OTHER_KEY, "bob", &[]));
        assert!(error.contains("no master key decrypts the records that are there"), "{error}");
        assert!(error.contains("say so with --allow-new-key"), "{error}");
        assert_eq!(store.names(), before);

        expect(0, &put(&store, KEY, "bob", &[]));
        expect(0, &put(&store, OTHER_KEY, "carl", &["--allow-new-key"]));
        // From now on both keys are known here.
        for (key, user) in [(KEY, "dora"), (OTHER_KEY, "emil")] {
            expect(0, &put(&store, key, user, &[]));
        }
    }
}

#[test]
fn a_key_of_the_ring_is_enough_and_the_right_one_is_never_refused() {
    let store = Store::new();
    expect(0, &put(&store, KEY, "anna", &[]));
    let ring = KeyRing::new(MasterKey::new(OTHER_KEY.as_bytes()))
        .with_other(MasterKey::new(KEY.as_bytes()));
    let vault = Vault::builder(store.directory(), ring).build().unwrap();
    let bob = UserId::parse("bob").unwrap();
    vault.put(&bob, &Credential::new("bob", "horse"), &PutOptions::default()).unwrap();

    // What no key of any ring could decrypt says nothing about this one.
    let store = Store::new();
    fs::write(store.file("torn"), "{").unwrap();
    let plain = r#"{"user_id":"plain","encrypted_data":"e30=","crypto_available":false}"#;
    fs::write(store.file("plain"), plain).unwrap();
    expect(0, &put(&store, KEY, "anna", &[]));
}

/// One record in eight is enough, wherever it stands.
#[test]
fn records_of_other_keys_do_not_outvote_the_right_one() {
    let store = Store::new();
    for number in 0..7 {
        let key = format!("{OTHER_KEY} {number}");
        expect(0, &put(&store, &key, &format!("user{number}"), &["--allow-new-key"]));
    }
    expect(0, &put(&store, KEY, "anna", &["--allow-new-key"]));
    expect(0, &put(&store, KEY, "bob", &[]));
}

#[test]
fn the_library_says_why_and_looks_only_once() {
    let store = Store::new();
    expect(0, &put(&store, KEY, "anna", &[]));
    let [bob, carl] = ["bob", "carl"].map(|user| UserId::parse(user).unwrap());
    let credential = Credential::new("someone", "horse");
    let wrong = store.vault(OTHER_KEY);
    for _ in 0..2 {
        let error = wrong.put(&bob, &credential, &PutOptions::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WrongKeyOrTampered);
        assert!(error.source().unwrap().is::<KeyMismatch>());
    }
    let right = store.vault(KEY);
    right.put(&bob, &credential, &PutOptions::default()).unwrap();
    // It is known by now, and the ring of a vault stays the same.
    for user in ["anna", "bob"] {
        fs::remove_file(store.file(user)).unwrap();
    }
    expect(0, &put(&store, OTHER_KEY, "dora", &[]));
    right.put(&carl, &credential, &PutOptions::default()).unwrap();
}

//! What stands in the directory already decides for a new record: its form, and whether the key is the right one.

use std::error::Error as _;
use std::fs;
use std::process::Command;

use moat::{
    Credential, ErrorCode, KeyMismatch, KeyRing, MasterKey, PutOptions, TokenEncoding, UserId,
    Vault,
};
use serde_json::Value;
use support::callers::{self, Node};
use support::{KEY, Store, expect, run, run_with_input};

const OTHER_KEY: &str = "another key, with a slip of the finger";

fn put_in(store: &Store, key: &str, user: &str, more: &[&str]) -> std::process::Output {
    let arguments = [&["put", user, "--username", user, "--password-stdin"], more].concat();
    run_with_input(store.moat(&arguments).env("FOSSAWORK_MASTER_KEY", key), "horse")
}

#[test]
fn a_mistyped_key_stores_nothing_beside_the_records_of_another() {
    for version in ["1.0", "2.0"] {
        let store = Store::new();
        expect(0, &put_in(&store, KEY, "anna", &["--format", version]));
        let before = store.names();
        let (_, error) = expect(5, &put_in(&store, OTHER_KEY, "bob", &[]));
        assert!(error.contains("no master key decrypts the existing records"), "{error}");
        assert!(error.contains("pass --allow-new-key"), "{error}");
        assert_eq!(store.names(), before);

        expect(0, &put_in(&store, KEY, "bob", &[]));
        expect(0, &put_in(&store, OTHER_KEY, "carl", &["--allow-new-key"]));
        // From now on both keys are known here.
        for (key, user) in [(KEY, "dora"), (OTHER_KEY, "emil")] {
            expect(0, &put_in(&store, key, user, &[]));
        }
    }
}

#[test]
fn a_key_of_the_ring_is_enough_and_the_right_one_is_never_refused() {
    let store = Store::new();
    expect(0, &put_in(&store, KEY, "anna", &[]));
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
    expect(0, &put_in(&store, KEY, "anna", &[]));
}

/// One record in eight is enough, wherever it stands.
#[test]
fn records_of_other_keys_do_not_outvote_the_right_one() {
    let store = Store::new();
    for number in 0..7 {
        let key = format!("{OTHER_KEY} {number}");
        expect(0, &put_in(&store, &key, &format!("user{number}"), &["--allow-new-key"]));
    }
    expect(0, &put_in(&store, KEY, "anna", &["--allow-new-key"]));
    expect(0, &put_in(&store, KEY, "bob", &[]));
}

#[test]
fn the_library_says_why_and_looks_only_once() {
    let store = Store::new();
    expect(0, &put_in(&store, KEY, "anna", &[]));
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
    expect(0, &put_in(&store, OTHER_KEY, "dora", &[]));
    right.put(&carl, &credential, &PutOptions::default()).unwrap();
}

/// How this user's record has its token, as `inspect` shows it.
fn form(store: &Store, user: &str) -> String {
    let (text, _) = expect(0, &run(&mut store.moat(&["inspect", user, "--json"])));
    let envelope: Value = serde_json::from_str(&text).unwrap();
    envelope["token_encoding"].as_str().unwrap().to_owned()
}

fn settings(store: &Store) -> Option<Value> {
    let text = fs::read(store.path().join("moat.json")).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

/// The application reads one form only: beside its records a new one gets that, and the directory keeps it.
#[test]
fn a_new_record_gets_the_form_that_the_application_beside_it_reads() {
    let [current, encrypted, plaintext] = [Store::new(), Store::new(), Store::new()];
    for store in [&current, &encrypted] {
        expect(0, &put_in(store, KEY, "anna", &["--token-encoding", "app"]));
    }
    let record = fs::read_to_string(encrypted.file("anna")).unwrap();
    let legacy = record.replace(r#""encryption_version":"1.0""#, r#""crypto_available":true"#);
    assert_ne!(legacy, record);
    fs::write(encrypted.file("anna"), legacy).unwrap();
    let legacy = r#"{"user_id":"anna","encrypted_data":"e30=","crypto_available":false}"#;
    fs::write(plaintext.file("anna"), legacy).unwrap();
    for store in [&current, &encrypted, &plaintext] {
        expect(0, &put_in(store, KEY, "bob", &[]));
        assert_eq!(form(store, "bob"), "app");
        assert_eq!(settings(store).unwrap()["token_encoding"], "app");
        // What was decided stays when the record is gone that it was decided by.
        ["anna", "bob"].iter().for_each(|user| fs::remove_file(store.file(user)).unwrap());
        expect(0, &put_in(store, KEY, "carl", &[]));
        assert_eq!(form(store, "carl"), "app");
    }

    // What is said stands above what is seen.
    let store = Store::new();
    expect(0, &put_in(&store, KEY, "anna", &["--token-encoding", "app"]));
    expect(0, &put_in(&store, KEY, "bob", &["--token-encoding", "documented"]));
    assert_eq!((form(&store, "bob"), settings(&store)), ("documented".to_owned(), None));
    store.vault(KEY).configure(None, Some(TokenEncoding::Documented)).unwrap();
    expect(0, &put_in(&store, KEY, "carl", &[]));
    assert_eq!(form(&store, "carl"), "documented");

    // Where nothing is the application's, nothing is set.
    let store = Store::new();
    for user in ["anna", "bob"] {
        expect(0, &put_in(&store, KEY, user, &[]));
    }
    assert_eq!((form(&store, "bob"), settings(&store)), ("documented".to_owned(), None));
}

type Caller = Box<dyn Fn() -> Command>;

/// The hosts in other languages look at the neighbours as this one does.
#[test]
fn python_and_node_look_at_the_neighbours_too() {
    let in_python = r#"
import sys
from moat import Credential, MasterKey, MoatError, Vault
with Vault("credentials", keys=MasterKey(sys.argv[1].encode())) as vault:
    try:
        vault.put(sys.argv[2], Credential("someone", "horse"), allow_new_key=sys.argv[3] == "true")
        print("stored", vault.inspect(sys.argv[2]).encoding)
    except MoatError as error:
        print(error.code)
"#;
    let in_node = |node: &Node| {
        let library = node.path("dist/lib/node/index.js");
        node.eval(&format!(
            r#"
import {{ MoatError, Vault }} from {library:?};
const [key, user, allow] = process.argv.slice(1);
const keys = [{{ material: new TextEncoder().encode(key) }}];
const vault = Vault.open('credentials', {{ keys }});
try {{
  const credential = {{ username: 'someone', password: 'horse' }};
  await vault.put(user, credential, {{ allowNewKey: allow === 'true' }});
  console.log('stored', (await vault.inspect(user)).encoding);
}} catch (error) {{
  if (!(error instanceof MoatError)) throw error;
  console.log(error.code);
}}
"#
        ))
    };
    let python = callers::python().map(|python| Box::new(move || python.eval(in_python)) as Caller);
    let node = callers::node().map(|node| Box::new(move || in_node(&node)) as Caller);
    for caller in [python, node].into_iter().flatten() {
        let store = Store::new();
        let put = |key: &str, user: &str, allow: &str| {
            let mut command = caller();
            store.surround(&mut command).current_dir(store.beside("")).args([key, user, allow]);
            expect(0, &run(&mut command)).0
        };
        assert_eq!(put(KEY, "anna", "false"), "stored documented\n");
        assert_eq!(put(OTHER_KEY, "bob", "false"), "wrong-key-or-tampered\n");
        assert_eq!(put(KEY, "bob", "false"), "stored documented\n");
        assert_eq!(put(OTHER_KEY, "carl", "true"), "stored documented\n");

        let store = Store::new();
        expect(0, &put_in(&store, KEY, "anna", &["--token-encoding", "app"]));
        let put = |user: &str| {
            let mut command = caller();
            store.surround(&mut command).current_dir(store.beside("")).args([KEY, user, "false"]);
            expect(0, &run(&mut command)).0
        };
        assert_eq!(put("bob"), "stored app\n");
        assert_eq!(settings(&store).unwrap()["token_encoding"], "app");
    }
}

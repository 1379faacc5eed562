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
use support::{KEY, Store, expect, run, run_with_input, write_private};

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
        let what = if version == "1.0" { "decrypts the existing records" } else { "authenticates" };
        assert!(error.contains(&format!("no master key {what}")), "{error}");
        assert!(error.contains("pass --allow-new-key"), "{error}");
        assert_eq!(store.names(), before);

        expect(0, &put_in(&store, KEY, "bob", &[]));
        expect(0, &put_in(&store, OTHER_KEY, "carl", &["--allow-new-key"]));
        // From now on both keys are known here; but settings are authenticated by one alone.
        expect(0, &put_in(&store, OTHER_KEY, "emil", &[]));
        expect(if version == "1.0" { 0 } else { 5 }, &put_in(&store, KEY, "dora", &[]));
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

/// The version of this user's record.
fn version(store: &Store, user: &str) -> String {
    let record: Value = serde_json::from_slice(&fs::read(store.file(user)).unwrap()).unwrap();
    record["encryption_version"].as_str().unwrap().to_owned()
}

/// 256 random bits.
fn strong_key() -> String {
    let key = moat::generate_key().unwrap();
    assert!(key.starts_with("MOAT-MASTER-KEY-1"));
    key.to_string()
}

#[test]
fn a_new_directory_gets_version_2_with_a_strong_key_unless_something_else_is_asked_for() {
    let key = strong_key();
    for (key, asked, expected) in [
        (key.as_str(), &[][..], "2.0"),
        (&key, &["--token-encoding", "documented"], "2.0"),
        (&key, &["--token-encoding", "app"], "1.0"),
        (&key, &["--format", "1.0"], "1.0"),
        (KEY, &[], "1.0"),
    ] {
        let store = Store::new();
        expect(0, &put_in(&store, key, "anna", asked));
        assert_eq!(version(&store, "anna"), expected, "{asked:?}");
        // And so do those that follow.
        expect(0, &put_in(&store, key, "bob", &[]));
        assert_eq!(version(&store, "bob"), expected, "{asked:?}");
    }
    // A directory that is set, or that has records, stays as it is.
    let store = Store::new();
    store.vault(KEY).configure(Some("1.0"), Some(TokenEncoding::Documented)).unwrap();
    expect(0, &put_in(&store, &key, "anna", &[]));
    assert_eq!(version(&store, "anna"), "1.0");
}

/// With a mistyped key nothing is done to the settings that the right one can't undo.
#[test]
fn another_key_takes_over_no_settings() {
    let (store, key) = (Store::new(), strong_key());
    expect(0, &put_in(&store, &key, "anna", &[]));
    let before = settings(&store);
    for arguments in [&["migrate", "--to", "2.0"][..], &["migrate", "--to", "1.0"]] {
        let (_, error) = expect(5, &run(&mut store.moat(arguments)));
        assert!(error.contains("no master key decrypts the existing records"), "{error}");
        assert_eq!(settings(&store), before);
    }
    // The right one sets them right again, whoever altered them.
    let altered = before.unwrap().to_string().replacen("2.0", "1.0", 1);
    write_private(&store.path().join("moat.json"), altered.as_bytes());
    let mut migrate = store.moat(&["migrate", "--to", "2.0"]);
    expect(0, &run(migrate.env("FOSSAWORK_MASTER_KEY", &key)));
    expect(0, &put_in(&store, &key, "bob", &[]));
    assert_eq!(version(&store, "bob"), "2.0");
}

#[test]
fn a_directory_without_records_belongs_to_the_next_key() {
    let (store, next) = (Store::new(), strong_key());
    expect(0, &put_in(&store, &strong_key(), "anna", &[]));
    expect(0, &run(&mut store.moat(&["delete", "anna", "--yes"])));
    expect(0, &put_in(&store, &next, "anna", &[]));
    expect(0, &put_in(&store, &next, "bob", &[]));
    assert_eq!(version(&store, "bob"), "2.0");
}

#[test]
fn settings_that_were_lost_or_altered_are_missed() {
    let (store, key) = (Store::new(), strong_key());
    expect(0, &put_in(&store, &key, "anna", &[]));
    let path = store.path().join("moat.json");
    let whole = fs::read_to_string(&path).unwrap();
    for (settings, code, message) in [
        (None, 6, "moat.json is missing or has no `kdf`"),
        (Some(r#"{"record_version":"1.0"}"#.to_owned()), 6, "moat.json is missing or has no `kdf`"),
        (Some(whole.replacen("2.0", "1.0", 1)), 5, "no master key authenticates moat.json"),
    ] {
        fs::remove_file(&path).unwrap();
        settings.iter().for_each(|text| write_private(&path, text.as_bytes()));
        let (_, error) = expect(code, &put_in(&store, &key, "bob", &[]));
        assert!(error.contains(message), "{error}");
        assert!(error.contains("from a backup"), "{error}");
        assert!(!store.file("bob").exists());
        // What is there can be read all the same.
        let mut get = store.moat(&["get", "anna", "--field", "password"]);
        expect(0, &run(get.env("FOSSAWORK_MASTER_KEY", &key)));
        write_private(&path, whole.as_bytes());
    }
    expect(0, &put_in(&store, &key, "bob", &[]));
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
        let put_in_store = |store: &Store, key: &str, user: &str, allow: &str| {
            let mut command = caller();
            store.surround(&mut command).current_dir(store.beside("")).args([key, user, allow]);
            expect(0, &run(&mut command)).0
        };
        let store = Store::new();
        let put = |key: &str, user: &str, allow: &str| put_in_store(&store, key, user, allow);
        assert_eq!(put(KEY, "anna", "false"), "stored documented\n");
        assert_eq!(put(OTHER_KEY, "bob", "false"), "wrong-key-or-tampered\n");
        assert_eq!(put(KEY, "bob", "false"), "stored documented\n");
        assert_eq!(put(OTHER_KEY, "carl", "true"), "stored documented\n");

        let store = Store::new();
        expect(0, &put_in(&store, KEY, "anna", &["--token-encoding", "app"]));
        assert_eq!(put_in_store(&store, KEY, "bob", "false"), "stored app\n");
        assert_eq!(settings(&store).unwrap()["token_encoding"], "app");

        let (store, key) = (Store::new(), strong_key());
        let put = |key: &str, user: &str, allow: &str| put_in_store(&store, key, user, allow);
        assert_eq!(put(&key, "anna", "false"), "stored documented\n");
        assert_eq!(put(&key, "bob", "false"), "stored documented\n");
        assert_eq!(version(&store, "bob"), "2.0");
        assert_eq!(put(OTHER_KEY, "carl", "false"), "wrong-key-or-tampered\n");
        assert_eq!(put(&strong_key(), "carl", "true"), "stored documented\n");
        assert_eq!(put(&key.to_lowercase(), "dora", "false"), "master-key-refused\n");
        fs::remove_file(store.path().join("moat.json")).unwrap();
        assert_eq!(put(&key, "dora", "false"), "malformed\n");
    }
}

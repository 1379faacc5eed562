//! Strong keys and others in version 2.0: what each derives, what is refused, and settings that are authenticated.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test fails as the test does"
)]

mod support;

use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use moat_format::kdf::Kdf;
use moat_format::message::Message;
use moat_format::strong_key;
use moat_format::user_id::UserId;
use moat_guest_keys::kdf::RootKey;
use moat_guest_records::contract::{Credential, Error, ErrorCode, TokenEncoding};
use moat_guest_records::{configuration, migration, vault};
use serde_json::{Value, json};
use support::{Memory, credential, options, primary, spare};

const WEAK: &str = "correct horse battery staple";
const FILE: &str = "anna.cred";
const SETTINGS: &str = "moat.json";

fn strong(byte: u8) -> String {
    strong_key::encode(&[byte; strong_key::RANDOM_BYTES]).unwrap()
}

/// A directory that is set to version 2.0, with a record of anna's.
fn directory(key: &str) -> Memory {
    let memory = Memory::new([primary(Some("first"), key)]);
    assert!(configuration::configure(&memory, Some("2.0"), None, None).unwrap());
    put(&memory, "anna").unwrap();
    memory.cache.borrow_mut().clear();
    memory.take_log();
    memory
}

fn put(memory: &Memory, user: &str) -> Result<(), Error> {
    vault::put(memory, user, &credential(), &options()).map(drop)
}

fn code<T: Debug>(outcome: Result<T, Error>) -> ErrorCode {
    outcome.unwrap_err().code
}

fn json(memory: &Memory, file: &str) -> Value {
    serde_json::from_slice(&memory.file(file).unwrap()).unwrap()
}

/// Sets a member of a file, from outside.
fn alter(memory: &Memory, file: &str, pointer: &str, value: Value) {
    let mut contents = json(memory, file);
    *contents.pointer_mut(pointer).unwrap() = value;
    memory.set_file(file, contents.to_string());
}

#[test]
fn a_strong_key_derives_nothing_slowly() {
    let memory = directory(&strong(1));
    let record = json(&memory, FILE);
    assert_eq!(record["kdf"]["name"], "hkdf-sha256");
    assert_eq!(record["kdf"].as_object().unwrap().len(), 2);
    assert_eq!(vault::reveal(&memory, "anna").unwrap().credential.password, "hunter2");
    vault::mark_used(&memory, "anna").unwrap();
    assert_eq!(memory.take_log_of("remember"), [""; 0]);
}

#[test]
fn a_mistyped_key_is_refused_wherever_it_stands_in_the_ring() {
    let mut mistyped = strong(1);
    let last = if mistyped.ends_with('Q') { "P" } else { "Q" };
    mistyped.replace_range(strong_key::LENGTH - 1.., last);
    let memory = directory(&strong(1));
    for ring in [
        vec![primary(None, &mistyped)],
        vec![primary(None, &strong(1)), spare(None, &mistyped)],
        vec![primary(None, &strong(1).to_lowercase())],
    ] {
        memory.ring.replace(ring);
        let error = vault::reveal(&memory, "anna").unwrap_err();
        assert_eq!(error.code, ErrorCode::MasterKeyRefused);
        assert!(error.message.contains("a character of the master key is wrong"));
        assert_eq!(code(put(&memory, "bob")), ErrorCode::MasterKeyRefused);
    }
}

/// The derivation of a record is the one for the kind of key, whatever the record says.
#[test]
fn no_record_talks_a_key_into_a_fast_derivation_nor_a_strong_one_into_a_slow_one() {
    let memory = directory(WEAK);
    let salt = json(&memory, FILE)["kdf"]["salt"].clone();
    alter(&memory, FILE, "/kdf", json!({"name": "hkdf-sha256", "salt": salt}));
    assert_eq!(code(vault::reveal(&memory, "anna")), ErrorCode::WrongKeyOrTampered);
    let memory = directory(&strong(1));
    let salt = json(&memory, FILE)["kdf"]["salt"].clone();
    let slow = json!({"name": "pbkdf2-hmac-sha256", "salt": salt, "rounds": 600_000});
    alter(&memory, FILE, "/kdf", slow);
    memory.take_log();
    assert_eq!(code(vault::reveal(&memory, "anna")), ErrorCode::WrongKeyOrTampered);
    assert_eq!(memory.take_log_of("remember"), [""; 0]);
}

#[test]
fn a_planted_record_does_not_choose_how_long_it_takes() {
    let memory = directory(WEAK);
    let whole = memory.file(FILE).unwrap();
    for (member, value) in [
        ("/kdf/rounds", json!(600_001)),
        ("/kdf/rounds", json!(2_000_000)),
        ("/kdf/salt", json!("AAAAAAAAAAAAAAAAAAAAAA==")),
    ] {
        memory.set_file(FILE, whole.clone());
        alter(&memory, FILE, member, value);
        let error = vault::reveal(&memory, "anna").unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed);
        assert!(error.message.contains("not the one of this directory"), "{}", error.message);
        assert_eq!(memory.take_log_of("remember"), [""; 0]);
    }
    // Records can be read without the settings, as from a backup.
    memory.set_file(FILE, whole);
    memory.delete_file(SETTINGS);
    vault::reveal(&memory, "anna").unwrap();
}

#[test]
fn settings_that_were_altered_are_refused() {
    for key in [WEAK, &strong(1)] {
        for (member, value) in [
            ("/record_version", json!("1.0")),
            ("/kdf/rounds", json!(600_001)),
            ("/kdf/salt", json!("AAAAAAAAAAAAAAAAAAAAAA==")),
            ("/mac/tag", json!("AAAA")),
            ("/mac", json!({"key_id": null, "tag": ""})),
        ] {
            let memory = directory(key);
            alter(&memory, SETTINGS, member, value);
            let error = put(&memory, "bob").unwrap_err();
            assert_eq!(error.code, ErrorCode::WrongKeyOrTampered, "{member}");
            assert!(error.message.contains("authenticates moat.json"), "{}", error.message);
            assert_eq!(memory.file("bob.cred"), None);
            let app = Some(TokenEncoding::App);
            let configured = configuration::configure(&memory, None, app, None);
            assert_eq!(code(configured), ErrorCode::WrongKeyOrTampered);
            // Who has the key and names the version answers for the settings.
            configuration::configure(&memory, Some("2.0"), None, None).unwrap();
            put(&memory, "bob").unwrap();
        }
        let memory = directory(key);
        let text = String::from_utf8(memory.file(SETTINGS).unwrap()).unwrap();
        memory.set_file(SETTINGS, text.replacen('{', r#"{"token_encoding":"app","#, 1));
        assert_eq!(code(put(&memory, "bob")), ErrorCode::WrongKeyOrTampered);
    }
}

#[test]
fn how_many_earlier_versions_are_kept_is_authenticated_too() {
    for key in [WEAK, &strong(1)] {
        let memory = directory(key);
        assert!(configuration::configure(&memory, None, None, Some(3)).unwrap());
        let change = |password: &str| {
            let credential = Credential { password: password.to_owned(), ..credential() };
            vault::put(&memory, "anna", &credential, &options()).map(|stored| stored.summary)
        };
        assert_eq!(change("two").unwrap().earlier_versions, 1);
        let whole = String::from_utf8(memory.file(SETTINGS).unwrap()).unwrap();
        for other in [r#""history":100"#, r#""history":0"#, r#""other":3"#] {
            memory.set_file(SETTINGS, whole.replace(r#""history":3"#, other));
            assert_eq!(code(change("three")), ErrorCode::WrongKeyOrTampered, "{other}");
            let configured = configuration::configure(&memory, None, None, Some(5));
            assert_eq!(code(configured), ErrorCode::WrongKeyOrTampered, "{other}");
        }
        memory.set_file(SETTINGS, whole);
        assert_eq!(change("three").unwrap().earlier_versions, 2);
    }
}

#[test]
fn another_ring_writes_no_new_record() {
    let memory = directory(&strong(1));
    memory.ring.replace(vec![primary(Some("first"), &strong(2))]);
    assert_eq!(code(put(&memory, "bob")), ErrorCode::WrongKeyOrTampered);
    memory.ring.replace(vec![primary(None, &strong(2)), spare(None, &strong(1))]);
    put(&memory, "bob").unwrap();
}

/// From any kind of key to any other, the last of which alone is left.
#[test]
fn rotation_changes_the_derivation_with_the_kind_of_key() {
    let keys = [strong(1), WEAK.to_owned(), "another that nobody knows".to_owned(), strong(2)];
    let memory = directory(&keys[0]);
    for (number, pair) in keys.windows(2).enumerate() {
        let [old, new] = pair else { unreachable!() };
        let label = format!("key {number}");
        memory.ring.replace(vec![primary(Some(&label), new), spare(None, old)]);
        memory.cache.borrow_mut().clear();
        let users = ["anna".to_owned()];
        assert!(migration::rewrap(&memory, &users, true).remove(0).unwrap().changed);
        assert!(migration::rewrap(&memory, &users, false).remove(0).unwrap().changed);
        memory.ring.replace(vec![primary(Some(&label), new)]);
        memory.cache.borrow_mut().clear();
        assert_eq!(vault::reveal(&memory, "anna").unwrap().credential.password, "hunter2");
        let is_strong = new.starts_with(strong_key::PREFIX);
        let name = if is_strong { "hkdf-sha256" } else { "pbkdf2-hmac-sha256" };
        assert_eq!(json(&memory, FILE)["kdf"]["name"], name);
        // The settings came under the new key with the records.
        assert_eq!(json(&memory, SETTINGS)["mac"]["key_id"], label.as_str());
        put(&memory, &format!("user{number}")).unwrap();
        memory.delete_file(&format!("user{number}.cred"));
    }
}

/// Not by whoever can only edit the file, since the counter is authenticated; but it is not to stay as it is for ever
/// without a word, nor to begin anew.
#[test]
fn a_counter_at_its_end_is_told() {
    let memory = directory(&strong(1));
    let record = json(&memory, FILE);
    let salt = URL_SAFE.decode(record["kdf"]["salt"].as_str().unwrap()).unwrap();
    let user = UserId::parse("anna").unwrap();
    let root = RootKey::derive(strong(1).as_bytes(), &Kdf::checked(&salt, None).unwrap());
    let key = URL_SAFE.encode(*root.user_key(&user).unwrap());
    let token = Fernet::new(&key).unwrap().encrypt(
        format!(
            r#"{{"username":"a","password":"p","created_at":"2025-01-14T10:00:00","record":{{"user_id":"anna","key_id":"first","write_counter":{}}}}}"#,
            u32::MAX
        )
        .as_bytes(),
    );
    alter(&memory, FILE, "/encrypted_data", json!(token));
    alter(&memory, FILE, "/write_counter", json!(u32::MAX));
    let before = memory.file(FILE);
    assert_eq!(vault::reveal(&memory, "anna").unwrap().credential.password, "p");
    let error = vault::mark_used(&memory, "anna").unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
    assert_eq!(error.message, Message::CounterAtItsEnd.to_string());
    assert_eq!(code(put(&memory, "anna")), ErrorCode::TooLarge);
    assert_eq!(memory.file(FILE), before);
}

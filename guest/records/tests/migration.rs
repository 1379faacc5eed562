//! Rewriting: legacy kinds, versions, keys, and what the application left behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper of a test fails as the test does"
)]

mod support;

use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use moat_format::kdf::{Kdf, ROUNDS};
use moat_format::key_strength::PUBLISHED_DEFAULT;
use moat_format::record::{MAX_BYTES, MAX_LABEL_BYTES};
use moat_format::token::{Encoding, Token};
use moat_format::user_id::UserId;
use moat_guest_keys::kdf::{RootKey, user_key_1};
use moat_guest_records::contract::{
    Credential, Error, ErrorCode, KeyWeakness, MigrateOptions, PutOptions, RecordKind, Rewritten,
    TokenEncoding,
};
use moat_guest_records::{configuration, migration, token, vault};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Memory, SALT, credential, options, primary, spare};

const KEY: &str = "correct horse battery staple";
const OLD_KEY: &str = "yesterday's key, still around";
const FILE: &str = "anna.cred";
const INNER: &str = r#"{"username":"anna@example.com","x-inner":[1.50],"password":"hunter2","created_at":"2024-12-01T00:00:00.5","last_used":null,"is_valid":false,"validation_attempts":6}"#;
const OPTIONS: MigrateOptions = MigrateOptions {
    dry_run: false,
    accept_default_key: false,
    accept_plaintext: false,
    version: None,
    encoding: None,
};
/// With consent to take what stands in the clear for genuine.
const ACCEPTING: MigrateOptions = MigrateOptions { accept_plaintext: true, ..OPTIONS };

fn anna() -> UserId {
    UserId::parse("anna").unwrap()
}

fn to(version: &str) -> MigrateOptions {
    MigrateOptions { version: Some(version.to_owned()), ..OPTIONS }
}

fn migrate(memory: &Memory, options: &MigrateOptions) -> Result<Rewritten, Error> {
    migration::migrate(memory, &["anna".to_owned()], options).remove(0)
}

fn rewrap(memory: &Memory, dry_run: bool) -> Result<Rewritten, Error> {
    migration::rewrap(memory, &["anna".to_owned()], dry_run).remove(0)
}

fn code<T: Debug>(result: Result<T, Error>) -> ErrorCode {
    result.unwrap_err().code
}

fn encrypted(key: &str) -> String {
    let fernet = Fernet::new(&URL_SAFE.encode(*user_key_1(key.as_bytes(), &anna()))).unwrap();
    token::encrypt(&fernet, INNER.as_bytes(), 1_733_011_200).unwrap().encode(Encoding::App)
}

/// Anna's record with this `encrypted_data` and a member that isn't known.
fn record(encrypted_data: &str, version: &str) -> String {
    format!(
        r#"{{"user_id":"anna","x-outer":1.50,"encrypted_data":"{encrypted_data}","created_at":"2024-12-01T00:00:00",{version}}}"#
    )
}

const CURRENT: &str = r#""encryption_version":"1.0""#;
const ENCRYPTED: &str = r#""crypto_available":true"#;
const IN_THE_CLEAR: &str = r#""crypto_available":false"#;

fn memory(contents: &str) -> Memory {
    let memory = Memory::new([primary(Some("new"), KEY), spare(Some("old"), OLD_KEY)]);
    memory.set_file(FILE, contents);
    memory
}

fn text(memory: &Memory) -> String {
    String::from_utf8(memory.file(FILE).unwrap()).unwrap()
}

fn json(memory: &Memory) -> Value {
    serde_json::from_str(&text(memory)).unwrap()
}

/// The record and the text inside it, without what changes with every write.
fn without_token(memory: &Memory, key: &[u8; 32]) -> (Value, String) {
    let mut outside = json(memory);
    let token = outside.as_object_mut().unwrap().remove("encrypted_data").unwrap();
    let (token, _) = Token::decode(token.as_str().unwrap()).unwrap();
    let inside = token::decrypt(&Fernet::new(&URL_SAFE.encode(key)).unwrap(), &token).unwrap();
    (outside, String::from_utf8(inside.to_vec()).unwrap())
}

fn key_2(key: &str) -> [u8; 32] {
    let kdf = Kdf { salt: SALT, rounds: Some(ROUNDS) };
    *RootKey::derive(key.as_bytes(), &kdf).user_key(&anna()).unwrap()
}

// Legacy kinds.

#[test]
fn each_legacy_kind_becomes_current_and_keeps_what_it_holds() {
    for (contents, options, kind, key, encoding) in [
        (
            record(&encrypted(KEY), ENCRYPTED),
            OPTIONS,
            RecordKind::LegacyEncrypted,
            Some("new"),
            "Z0FB",
        ),
        (
            record(&encrypted(OLD_KEY), ENCRYPTED),
            OPTIONS,
            RecordKind::LegacyEncrypted,
            Some("old"),
            "Z0FB",
        ),
        (
            record(&URL_SAFE.encode(INNER), IN_THE_CLEAR),
            ACCEPTING,
            RecordKind::LegacyPlaintext,
            None,
            "Z0FB",
        ),
        (
            record(&URL_SAFE.encode(INNER), IN_THE_CLEAR),
            MigrateOptions { encoding: Some(TokenEncoding::Documented), ..ACCEPTING },
            RecordKind::LegacyPlaintext,
            None,
            "gAAA",
        ),
    ] {
        let memory = memory(&contents);
        let done = migrate(&memory, &options).unwrap();
        assert!(done.changed);
        assert_eq!(done.before.kind, kind);
        assert_eq!(done.key.and_then(|key| key.id).as_deref(), key);
        assert!(json(&memory)["encrypted_data"].as_str().unwrap().starts_with(encoding));

        let (outside, inside) = without_token(&memory, &user_key_1(KEY.as_bytes(), &anna()));
        let expected = json!({"user_id": "anna", "x-outer": 1.5, "created_at": "2024-12-01T00:00:00", "encryption_version": "1.0", "key_id": "new"});
        assert_eq!((outside, inside.as_str()), (expected, INNER));

        let again = text(&memory);
        assert!(!migrate(&memory, &options).unwrap().changed);
        assert_eq!(text(&memory), again);
    }
}

#[test]
fn the_published_key_needs_consent() {
    let published = std::str::from_utf8(PUBLISHED_DEFAULT).unwrap();
    for kind in [CURRENT, ENCRYPTED] {
        let contents = record(&encrypted(published), kind);
        let memory = memory(&contents);
        assert_eq!(code(migrate(&memory, &OPTIONS)), ErrorCode::NeedsMigration);
        assert_eq!(code(rewrap(&memory, false)), ErrorCode::NeedsMigration);
        assert_eq!(text(&memory), contents);

        assert_eq!(code(migrate(&memory, &ACCEPTING)), ErrorCode::NeedsMigration);
        assert_eq!(text(&memory), contents);

        let options = MigrateOptions { accept_default_key: true, ..OPTIONS };
        let done = migrate(&memory, &options).unwrap();
        assert!(done.changed);
        assert_eq!(done.key.unwrap().weakness, Some(KeyWeakness::PublishedDefault));
        assert_eq!(vault::reveal(&memory, "anna").unwrap().credential.password, "hunter2");
    }
}

#[test]
fn what_is_in_the_clear_needs_consent() {
    let contents = record(&URL_SAFE.encode(INNER), IN_THE_CLEAR);
    let memory = memory(&contents);
    for options in [
        OPTIONS,
        to("2.0"),
        MigrateOptions { encoding: Some(TokenEncoding::App), ..OPTIONS },
        MigrateOptions { accept_default_key: true, ..OPTIONS },
        MigrateOptions { dry_run: true, ..OPTIONS },
    ] {
        let error = migrate(&memory, &options).unwrap_err();
        assert_eq!(error.code, ErrorCode::NeedsMigration);
        let risk = "anyone who could write to the directory could have chosen its password";
        assert!(error.message.ends_with(risk), "{}", error.message);
        assert_eq!(text(&memory), contents);
    }
    // Its owner may replace it, in the form that the application reads.
    vault::put(&memory, "anna", &credential(), &options()).unwrap();
    assert!(json(&memory)["encrypted_data"].as_str().unwrap().starts_with("Z0FB"));
}

// How tokens are encoded.

#[test]
fn a_token_is_spelled_as_asked_or_as_it_was_or_as_the_directory_is_set_or_for_its_reader() {
    const DOCUMENTED: Option<TokenEncoding> = Some(TokenEncoding::Documented);
    const APP: Option<TokenEncoding> = Some(TokenEncoding::App);
    let documented = URL_SAFE.decode(encrypted(KEY)).unwrap();
    let documented = String::from_utf8(documented).unwrap();
    let plain = URL_SAFE.encode(INNER);
    for (data, kind, asked, set, becomes, changed) in [
        (&documented, CURRENT, None, APP, "gAAA", false),
        (&documented, CURRENT, DOCUMENTED, APP, "gAAA", false),
        (&documented, CURRENT, APP, DOCUMENTED, "Z0FB", true),
        (&encrypted(KEY), CURRENT, None, DOCUMENTED, "Z0FB", false),
        (&encrypted(KEY), CURRENT, DOCUMENTED, APP, "gAAA", true),
        (&documented, ENCRYPTED, None, APP, "gAAA", true),
        (&encrypted(KEY), ENCRYPTED, None, DOCUMENTED, "Z0FB", true),
        (&encrypted(KEY), ENCRYPTED, DOCUMENTED, APP, "gAAA", true),
        (&plain, IN_THE_CLEAR, None, None, "Z0FB", true),
        (&plain, IN_THE_CLEAR, None, DOCUMENTED, "gAAA", true),
        (&plain, IN_THE_CLEAR, DOCUMENTED, APP, "gAAA", true),
    ] {
        let case = format!("{kind} {asked:?} {set:?}");
        let contents = record(data, kind);
        let memory = memory(&contents);
        configuration::configure(&memory, None, set, None).unwrap();
        let options = MigrateOptions { encoding: asked, ..ACCEPTING };
        let preview = MigrateOptions { dry_run: true, ..options.clone() };
        assert_eq!(migrate(&memory, &preview).unwrap().changed, changed, "{case}");
        assert_eq!(text(&memory), contents, "{case}");
        assert_eq!(migrate(&memory, &options).unwrap().changed, changed, "{case}");
        let after = json(&memory);
        assert!(after["encrypted_data"].as_str().unwrap().starts_with(becomes), "{case}: {after}");
        assert_eq!(text(&memory) == contents, !changed, "{case}");
        assert!(!migrate(&memory, &options).unwrap().changed, "{case}");
    }
}

#[test]
fn a_record_of_another_spelling_comes_under_the_primary_key() {
    let memory = memory(&record(&encrypted(OLD_KEY), CURRENT));
    let options = MigrateOptions { encoding: Some(TokenEncoding::Documented), ..OPTIONS };
    assert_eq!(migrate(&memory, &options).unwrap().key.unwrap().id.as_deref(), Some("old"));
    assert!(vault::describe(&memory, "anna").unwrap().key.primary);
    // In version 2.0 the spelling matters to no reader.
    migrate(&memory, &to("2.0")).unwrap();
    let options = MigrateOptions { encoding: Some(TokenEncoding::App), ..OPTIONS };
    assert!(!migrate(&memory, &options).unwrap().changed);
}

/// Reads a record as the application does: a second base64 around the token, and nothing but version 1.0.
fn the_application_reads(memory: &Memory, user: &str) -> Value {
    let file = memory.file(&format!("{user}.cred")).unwrap();
    let record: Value = serde_json::from_slice(&file).unwrap();
    let token = URL_SAFE.decode(record["encrypted_data"].as_str().unwrap()).unwrap();
    let key = user_key_1(KEY.as_bytes(), &UserId::parse(user).unwrap());
    let cipher = Fernet::new(&URL_SAFE.encode(*key)).unwrap();
    let text = cipher.decrypt(std::str::from_utf8(&token).unwrap()).unwrap();
    serde_json::from_slice(&text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn after_migration_to_its_form_the_application_reads_every_record(
        mix in proptest::collection::vec((0..4usize, any::<bool>()), 1..6),
    ) {
        let memory = Memory::new([primary(Some("new"), KEY), spare(Some("old"), OLD_KEY)]);
        let users: Vec<String> = (0..mix.len()).map(|n| format!("user{n}")).collect();
        for (user, (kind, stale)) in users.iter().zip(mix) {
            let key = user_key_1(if stale { OLD_KEY } else { KEY }.as_bytes(), &UserId::parse(user).unwrap());
            let cipher = Fernet::new(&URL_SAFE.encode(*key)).unwrap();
            let token = token::encrypt(&cipher, INNER.as_bytes(), 1_733_011_200).unwrap();
            let token = |encoding| token.encode(encoding);
            let (data, kind) = match kind {
                0 => (URL_SAFE.encode(INNER), IN_THE_CLEAR),
                1 => (token(Encoding::App), ENCRYPTED),
                2 => (token(Encoding::Documented), CURRENT),
                _ => (token(Encoding::App), CURRENT),
            };
            let record = record(&data, kind).replacen("anna", user, 1);
            memory.set_file(&format!("{user}.cred"), record);
        }
        let options = MigrateOptions { encoding: Some(TokenEncoding::App), ..ACCEPTING };
        let done = migration::migrate(&memory, &users, &options);
        prop_assert!(done.iter().all(Result::is_ok), "{:?}", done);
        let files = || users.iter().map(|user| memory.file(&format!("{user}.cred"))).collect::<Vec<_>>();
        let before = files();
        let again = migration::migrate(&memory, &users, &options);
        prop_assert!(again.into_iter().all(|done| !done.unwrap().changed));
        prop_assert_eq!(files(), before);
        for user in &users {
            migration::rewrap(&memory, std::slice::from_ref(user), false).remove(0).unwrap();
            prop_assert_eq!(&the_application_reads(&memory, user)["password"], "hunter2");
        }
    }
}

#[test]
fn a_dry_run_goes_all_the_way_and_writes_nothing() {
    let contents = record(&URL_SAFE.encode(INNER), IN_THE_CLEAR);
    let memory = memory(&contents);
    for options in [ACCEPTING, MigrateOptions { accept_plaintext: true, ..to("2.0") }] {
        let options = MigrateOptions { dry_run: true, ..options };
        assert!(migrate(&memory, &options).unwrap().changed);
        assert_eq!(memory.take_log_of("write"), Vec::<String>::new());
    }
    // Where the real run would fail, so does this.
    memory.ring.replace(vec![primary(None, "short")]);
    let options = MigrateOptions { dry_run: true, ..ACCEPTING };
    assert_eq!(code(migrate(&memory, &options)), ErrorCode::MasterKeyRefused);
}

#[test]
fn what_is_damaged_stays_as_it_is() {
    let whole = URL_SAFE.encode(INNER);
    for (data, kind, expected) in [
        (format!("{whole}!"), IN_THE_CLEAR, ErrorCode::Malformed),
        (URL_SAFE.encode("[]"), IN_THE_CLEAR, ErrorCode::Malformed),
        (URL_SAFE.encode(r#"{"username":"a"}"#), IN_THE_CLEAR, ErrorCode::Malformed),
        (encrypted("a third key, of nobody"), ENCRYPTED, ErrorCode::WrongKeyOrTampered),
        (encrypted("a third key, of nobody"), CURRENT, ErrorCode::WrongKeyOrTampered),
    ] {
        let contents = record(&data, kind);
        let memory = memory(&contents);
        assert_eq!(code(migrate(&memory, &ACCEPTING)), expected);
        assert_eq!(text(&memory), contents);
    }
}

// Version 2.0.

#[test]
fn there_and_back_again_nothing_is_lost() {
    let memory = memory(&record(&encrypted(OLD_KEY), CURRENT));
    assert!(migrate(&memory, &to("2.0")).unwrap().changed);

    let (outside, inside) = without_token(&memory, &key_2(KEY));
    let salt = URL_SAFE.encode(SALT);
    let kdf = json!({"name": "pbkdf2-hmac-sha256", "salt": salt, "rounds": 600_000});
    let expected = json!({"user_id": "anna", "x-outer": 1.5, "created_at": "2024-12-01T00:00:00", "encryption_version": "2.0", "key_id": "new", "kdf": kdf, "write_counter": 1});
    assert_eq!(outside, expected);
    let bound = r#","record":{"user_id":"anna","key_id":"new","write_counter":1}}"#;
    assert_eq!(inside, INNER.strip_suffix('}').unwrap().to_owned() + bound);
    let settings: Value = serde_json::from_slice(&memory.file("moat.json").unwrap()).unwrap();
    assert_eq!(settings["kdf"], json!({"salt": salt, "rounds": 600_000}));
    assert_eq!(settings["mac"]["key_id"], "new");

    let marked = vault::mark_used(&memory, "anna").unwrap();
    assert_eq!(marked.envelope.write_counter, Some(2));
    assert_eq!(vault::inspect(&memory, "anna").unwrap().version.as_deref(), Some("2.0"));
    assert!(!migrate(&memory, &OPTIONS).unwrap().changed);

    assert!(migrate(&memory, &to("1.0")).unwrap().changed);
    let (outside, inside) = without_token(&memory, &user_key_1(KEY.as_bytes(), &anna()));
    let expected = json!({"user_id": "anna", "x-outer": 1.5, "created_at": "2024-12-01T00:00:00", "encryption_version": "1.0", "key_id": "new"});
    assert_eq!(outside, expected);
    assert_eq!(inside.replace(r#""2025-01-14T10:00:00""#, "null"), INNER);
    assert!(json(&memory)["encrypted_data"].as_str().unwrap().starts_with("Z0FB"));
}

#[test]
fn the_outside_of_version_2_is_authenticated() {
    let memory = Memory::new([primary(Some("new"), KEY)]);
    let version = Some("2.0".to_owned());
    let options = PutOptions { version, ..options() };
    vault::put(&memory, "anna", &credential(), &options).unwrap();
    let whole = text(&memory);
    for (good, bad, expected) in [
        (r#""write_counter":1"#, r#""write_counter":2"#, ErrorCode::WrongKeyOrTampered),
        (r#","write_counter":1"#, "", ErrorCode::Malformed),
        (r#""key_id":"new""#, r#""key_id":"old""#, ErrorCode::WrongKeyOrTampered),
        (r#""key_id":"new","#, "", ErrorCode::WrongKeyOrTampered),
        ("600000", "600001", ErrorCode::Malformed),
        ("600000", "599999", ErrorCode::Malformed),
        ("600000", "2000001", ErrorCode::Malformed),
        (r#","rounds":600000"#, "", ErrorCode::Malformed),
        ("pbkdf2-hmac", "scrypt-hmac", ErrorCode::UnsupportedVersion),
        ("pbkdf2-hmac-sha256", "pbkdf2-hmac-sha256+hkdf-sha256", ErrorCode::UnsupportedVersion),
        ("pbkdf2-hmac-sha256", "hkdf-sha256", ErrorCode::Malformed),
        (r#""salt":""#, r#""salt":"A"#, ErrorCode::Malformed),
        (r#"_version":"2.0""#, r#"_version":"1.0""#, ErrorCode::WrongKeyOrTampered),
        (r#"_version":"2.0""#, r#"_version":"2.1""#, ErrorCode::UnsupportedVersion),
    ] {
        let altered = whole.replacen(good, bad, 1);
        assert_ne!(altered, whole, "{good}");
        memory.set_file(FILE, altered);
        assert_eq!(code(vault::describe(&memory, "anna")), expected, "{good} -> {bad}");
    }
}

#[test]
fn one_slow_derivation_serves_all_users_of_a_key() {
    let memory = Memory::new([primary(None, KEY)]);
    assert!(configuration::configure(&memory, Some("2.0"), None, None).unwrap());
    assert!(!configuration::configure(&memory, Some("2.0"), None, None).unwrap());
    let users: Vec<String> = (0..50).map(|n| format!("user{n}")).collect();
    for user in &users {
        vault::put(&memory, user, &credential(), &options()).unwrap();
    }
    memory.cache.borrow_mut().clear();
    memory.take_log();
    assert!(vault::verify(&memory, &users).iter().all(Result::is_ok));
    assert_eq!(memory.take_log_of("remember"), ["remember 0"]);

    // Each user's key is another: a record that was moved to another user doesn't open.
    let moved = String::from_utf8(memory.file("user1.cred").unwrap()).unwrap();
    memory.set_file("user2.cred", moved.replace("user1", "user2"));
    assert_eq!(code(vault::describe(&memory, "user2")), ErrorCode::WrongKeyOrTampered);
}

#[test]
fn settings_that_cannot_be_read_stop_what_needs_them() {
    let memory = Memory::new([primary(None, KEY)]);
    for (settings, expected) in [
        ("", ErrorCode::Malformed),
        ("[]", ErrorCode::Malformed),
        (r#"{"record_version":2}"#, ErrorCode::Malformed),
        (r#"{"record_version":"3.0"}"#, ErrorCode::UnsupportedVersion),
        (r#"{"token_encoding":"base64"}"#, ErrorCode::Malformed),
        (r#"{"kdf":{}}"#, ErrorCode::Malformed),
    ] {
        memory.set_file("moat.json", settings);
        let error = vault::put(&memory, "anna", &credential(), &options()).unwrap_err();
        assert_eq!(error.code, expected, "{settings}");
        assert!(error.message.starts_with("moat.json"), "{}", error.message);
        assert_eq!(code(configuration::configure(&memory, Some("2.0"), None, None)), expected);
        assert_eq!(memory.file(FILE), None);
    }
    memory.set_file("moat.json", r#"{"x":1.50,"token_encoding":"app"}"#);
    configuration::configure(&memory, Some("2.0"), None, None).unwrap();
    let settings = String::from_utf8(memory.file("moat.json").unwrap()).unwrap();
    assert!(
        settings.starts_with(r#"{"x":1.50,"token_encoding":"app","record_version":"2.0","kdf":"#),
        "{settings}"
    );
    vault::put(&memory, "anna", &credential(), &options()).unwrap();
    assert!(json(&memory)["encrypted_data"].as_str().unwrap().starts_with("Z0FB"));
}

#[test]
fn each_setting_is_set_by_itself() {
    let memory = Memory::new([primary(None, KEY)]);
    assert!(!configuration::configure(&memory, None, None, None).unwrap());
    assert_eq!(memory.file("moat.json"), None);
    let documented = Some(TokenEncoding::Documented);
    for (version, encoding, changed, settings) in [
        (None, documented, true, r#"{"token_encoding":"documented"}"#),
        (Some("1.0"), documented, false, r#"{"token_encoding":"documented"}"#),
        (None, Some(TokenEncoding::App), true, r#"{"token_encoding":"app"}"#),
        (Some("2.0"), documented, true, r#""token_encoding":"documented""#),
        (Some("1.0"), None, true, r#""record_version":"1.0""#),
    ] {
        assert_eq!(configuration::configure(&memory, version, encoding, None).unwrap(), changed);
        let found = String::from_utf8(memory.file("moat.json").unwrap()).unwrap();
        assert!(found.contains(settings), "{found}");
    }
}

#[test]
fn settings_are_written_if_they_change_or_an_earlier_key_authenticates_them() {
    let memory = Memory::new([primary(None, OLD_KEY)]);
    configuration::configure(&memory, Some("2.0"), None, None).unwrap();
    vault::put(&memory, "anna", &credential(), &options()).unwrap();
    let settings = memory.file("moat.json").unwrap();
    let writes = |memory: &Memory| memory.take_log_of("write moat.json").len();
    memory.take_log();
    configuration::configure(&memory, None, None, None).unwrap();
    migration::rewrap(&memory, &["anna".to_owned()], false).remove(0).unwrap();
    assert_eq!(writes(&memory), 0);

    let renew: [fn(&Memory); 2] = [
        |memory| assert!(!configuration::configure(memory, None, None, None).unwrap()),
        |memory| drop(migration::rewrap(memory, &["anna".to_owned()], false).remove(0).unwrap()),
    ];
    for renew in renew {
        let later = Memory::new([primary(None, KEY), spare(None, OLD_KEY)]);
        later.set_file("moat.json", settings.clone());
        later.set_file(FILE, memory.file(FILE).unwrap());
        for expected in [1, 0] {
            renew(&later);
            assert_eq!(writes(&later), expected);
        }
        assert_ne!(later.file("moat.json").unwrap(), settings);
    }
}

#[test]
fn two_that_make_the_salt_at_once_agree() {
    let memory = memory(&record(&encrypted(KEY), CURRENT));
    let other = Memory::new([primary(None, KEY)]);
    configuration::configure(&other, Some("2.0"), None, None).unwrap();
    let theirs = String::from_utf8(other.file("moat.json").unwrap()).unwrap();
    memory.interrupt(1, {
        let theirs = theirs.clone();
        move |memory| drop(memory.set_file("moat.json", theirs.as_str()))
    });
    migrate(&memory, &to("2.0")).unwrap();
    assert_eq!(memory.file("moat.json").unwrap(), theirs.into_bytes());
    vault::describe(&memory, "anna").unwrap();
}

#[test]
fn a_name_that_version_2_uses_is_not_overwritten() {
    for contents in [
        record(&encrypted(KEY), r#""encryption_version":"1.0","kdf":"mine""#),
        record(&encrypted(KEY), r#""encryption_version":"1.0","write_counter":"mine""#),
    ] {
        let memory = memory(&contents);
        assert_eq!(code(migrate(&memory, &to("2.0"))), ErrorCode::Malformed);
        assert_eq!(text(&memory), contents);
        vault::mark_used(&memory, "anna").unwrap();
    }
}

// Keys.

#[test]
fn what_is_under_another_key_comes_under_the_primary_one_and_all_else_stays() {
    for version in [None, Some("2.0")] {
        let memory = memory(&record(&encrypted(OLD_KEY), CURRENT));
        if let Some(version) = version {
            memory.ring.borrow_mut().reverse();
            memory.ring.borrow_mut()[0].primary = true;
            memory.ring.borrow_mut()[1].primary = false;
            migrate(&memory, &to(version)).unwrap();
            memory.ring.replace(vec![primary(Some("new"), KEY), spare(Some("old"), OLD_KEY)]);
            memory.cache.borrow_mut().clear();
        }
        let before = text(&memory);
        let preview = rewrap(&memory, true).unwrap();
        assert_eq!((preview.changed, text(&memory)), (true, before));
        let done = rewrap(&memory, false).unwrap();
        assert!(done.changed);
        assert_eq!(done.key.unwrap().id.as_deref(), Some("old"));

        let after = text(&memory);
        let again = rewrap(&memory, false).unwrap();
        assert_eq!(
            (again.changed, again.key.unwrap().primary, text(&memory)),
            (false, true, after)
        );
        memory.ring.replace(vec![primary(Some("new"), KEY)]);
        memory.cache.borrow_mut().clear();
        assert_eq!(vault::reveal(&memory, "anna").unwrap().credential.password, "hunter2");
    }
}

#[test]
fn a_lying_label_hides_no_stale_record() {
    let memory =
        memory(&record(&encrypted(OLD_KEY), r#""encryption_version":"1.0","key_id":"new""#));
    assert!(rewrap(&memory, false).unwrap().changed);
}

#[test]
fn rewrapping_leaves_alone_what_it_may_not_read() {
    let contents = record(&URL_SAFE.encode(INNER), IN_THE_CLEAR);
    let memory = memory(&contents);
    assert_eq!(code(rewrap(&memory, false)), ErrorCode::NeedsMigration);
    assert_eq!(text(&memory), contents);
}

#[test]
fn what_somebody_else_wrote_meanwhile_is_rewritten_too() {
    let memory = memory(&record(&encrypted(OLD_KEY), CURRENT));
    memory.interrupt(1, |memory| drop(vault::mark_used(memory, "anna").unwrap()));
    // The mark brought it under the primary key already.
    assert!(!rewrap(&memory, false).unwrap().changed);
    assert!(text(&memory).contains(r#""key_id":"new""#));
}

// What the application left behind.

#[test]
fn leftovers_are_what_is_neither_a_record_nor_our_own() {
    let memory = memory(&record(&encrypted(KEY), CURRENT));
    let backup = "anna.cred.backup_20250616_130236";
    let other = "anna.cred.backup_20250616";
    for name in [backup, other, ".cred", ".moat.lock", "moat.json", "notes.txt"] {
        memory.set_file(name, "x");
    }
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = migration::leftovers(&memory, cursor.as_deref(), 2).unwrap();
        found
            .extend(page.leftovers.into_iter().map(|leftover| (leftover.name, leftover.backup_of)));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let anna = Some("anna".to_owned());
    let expected = [(".cred", None), (other, None), (backup, anna), ("notes.txt", None)];
    assert_eq!(found, expected.map(|(name, user)| (name.to_owned(), user)));
}

#[test]
fn a_backup_goes_only_when_its_credential_opens() {
    let backup = "anna.cred.backup_20250616_130236";
    let memory = memory(&record(&encrypted("a third key, of nobody"), CURRENT));
    memory.set_file(backup, "x");
    assert_eq!(code(migration::remove_backup(&memory, backup)), ErrorCode::WrongKeyOrTampered);
    memory.set_file(FILE, record(&URL_SAFE.encode(INNER), IN_THE_CLEAR));
    assert_eq!(code(migration::remove_backup(&memory, backup)), ErrorCode::NeedsMigration);
    memory.delete_file(FILE);
    assert_eq!(code(migration::remove_backup(&memory, backup)), ErrorCode::NotFound);
    for name in ["anna.cred", "anna.cred.backup_2025", "anna.cred.backup_20250616_130236.old"] {
        assert_eq!(code(migration::remove_backup(&memory, name)), ErrorCode::Malformed);
    }
    assert!(memory.file(backup).is_some());

    memory.set_file(FILE, record(&encrypted(KEY), CURRENT));
    assert!(migration::remove_backup(&memory, backup).unwrap());
    assert_eq!(memory.file(backup), None);
}

/// Whatever `put` takes can be marked, encrypted with a key of the longest label, and brought to version 2.0: here the
/// largest password that it takes, in texts that JSON spells as they are, escaped, and in several bytes.
#[test]
fn what_can_be_stored_can_be_rewritten_for_as_long_as_it_lives() {
    let user = &"\"".repeat(UserId::MAX_BYTES);
    let label = "\\".repeat(MAX_LABEL_BYTES);
    for (filler, encoding) in ["x", "\\", "é"]
        .into_iter()
        .flat_map(|f| [(f, TokenEncoding::Documented), (f, TokenEncoding::App)])
    {
        let memory = Memory::new([primary(None, OLD_KEY)]);
        let options = PutOptions { encoding: Some(encoding), ..options() };
        let put = |length| {
            let password = filler.repeat(length);
            vault::put(&memory, user, &Credential { password, ..credential() }, &options)
        };
        let (mut taken, mut refused) = (1, MAX_BYTES);
        while refused - taken > 1 {
            let middle = usize::midpoint(taken, refused);
            match put(middle) {
                Ok(_) => taken = middle,
                Err(error) => {
                    assert_eq!(error.code, ErrorCode::TooLarge);
                    refused = middle;
                }
            }
        }
        put(taken).unwrap();
        assert!(
            taken * filler.len() > MAX_BYTES / 4,
            "{taken} of {filler} is less than it could be"
        );

        vault::mark_used(&memory, user).unwrap();
        vault::mark_validated(&memory, user, false).unwrap();
        memory.ring.replace(vec![primary(Some(&label), KEY), spare(None, OLD_KEY)]);
        memory.cache.borrow_mut().clear();
        let user_ids = std::slice::from_ref(user);
        assert!(migration::rewrap(&memory, user_ids, false).remove(0).unwrap().changed);
        assert!(migration::migrate(&memory, user_ids, &to("2.0")).remove(0).unwrap().changed);
        let revealed = vault::reveal(&memory, user).unwrap();
        assert_eq!(revealed.credential.password, filler.repeat(taken));
        assert_eq!(revealed.summary.envelope.key_id, Some(label.clone()));
    }
}

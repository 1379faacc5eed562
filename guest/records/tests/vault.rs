//! What callers of the vault can rely on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test fails as the test does"
)]

mod support;

use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use fernet::Fernet;
use moat_format::message::Message;
use moat_format::record::{MAX_BYTES, MAX_LABEL_BYTES};
use moat_format::token::Token;
use moat_format::user_id::UserId;
use moat_guest_keys::kdf::user_key_1;
use moat_guest_records::contract::{
    Changes, Credential, Error, ErrorCode, Field, KeyWeakness, PutOptions, RecordKind, Stored,
    Summary, TokenEncoding,
};
use moat_guest_records::{token, vault};
use proptest::collection::btree_set;
use proptest::prelude::*;
use serde_json::Value;
use support::{Memory, NOW, credential, no_changes, options, primary, spare};

const KEY: &str = "correct horse battery staple";
const OTHER_KEY: &str = "yesterday's key, still around";
const FILE: &str = "anna.cred";
/// When the planted records were made.
const EARLIER: u64 = 1_733_011_200;

/// A decrypted text with a member that isn't known here, in the midst.
const INNER: &str = r#"{"username":"anna@example.com","x-inner":[1.50],"password":"hunter2","created_at":"2024-12-01T00:00:00.5","last_used":null,"is_valid":false,"validation_attempts":6}"#;

fn memory() -> Memory {
    Memory::new([primary(None, KEY)])
}

fn fernet(key: &str) -> Fernet {
    let user = UserId::parse("anna").unwrap();
    Fernet::new(&URL_SAFE.encode(*user_key_1(key.as_bytes(), &user))).unwrap()
}

/// `encrypted_data` of this text.
fn encrypted(key: &str, inner: &str, encoding: TokenEncoding) -> String {
    token::encrypt(&fernet(key), inner.as_bytes(), EARLIER).unwrap().encode(encoding.into())
}

/// Anna's record with this `encrypted_data` and these last members.
fn record(encrypted_data: &str, rest: &str) -> String {
    format!(
        r#"{{"user_id":"anna","encrypted_data":"{encrypted_data}","created_at":"2024-12-01T00:00:00",{rest}}}"#
    )
}

/// A current record of [`INNER`], as documented.
fn current(key: &str) -> String {
    let token = encrypted(key, INNER, TokenEncoding::Documented);
    record(&token, r#""encryption_version":"1.0""#)
}

fn plant(memory: &Memory, contents: impl Into<Vec<u8>>) -> String {
    memory.set_file(FILE, contents)
}

fn text(memory: &Memory) -> String {
    String::from_utf8(memory.file(FILE).unwrap()).unwrap()
}

fn json(memory: &Memory) -> Value {
    serde_json::from_str(&text(memory)).unwrap()
}

fn encrypted_data(memory: &Memory) -> String {
    let text = text(memory);
    let (_, rest) = text.split_once(r#""encrypted_data":""#).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// The text inside the record in the directory.
fn inner(memory: &Memory, key: &str) -> String {
    let (token, _) = Token::decode(&encrypted_data(memory)).unwrap();
    let plaintext =
        token::decrypt(&fernet(key), &token).expect("the record is encrypted with this key");
    String::from_utf8(plaintext.to_vec()).unwrap()
}

fn with_fields(fields: &[(&str, &str)]) -> Credential {
    let field =
        |(name, value): &(&str, &str)| Field { name: (*name).into(), value: (*value).into() };
    Credential { fields: fields.iter().map(field).collect(), ..credential() }
}

fn put(memory: &Memory) -> Result<Stored, Error> {
    vault::put(memory, "anna", &credential(), &options())
}

fn new_password() -> Changes {
    Changes { password: Some("correct horse".to_owned()), ..no_changes() }
}

fn code<T: Debug>(result: Result<T, Error>) -> ErrorCode {
    result.unwrap_err().code
}

type Call = fn(&Memory) -> Result<Summary, Error>;

/// The calls that open a record, each reduced to its summary.
const READERS: [Call; 3] = [
    |memory| Ok(vault::reveal(memory, "anna")?.summary),
    |memory| vault::describe(memory, "anna"),
    |memory| vault::verify(memory, &["anna".to_owned()]).remove(0),
];

/// The calls that encrypt again.
const WRITERS: [Call; 4] = [
    |memory| Ok(put(memory)?.summary),
    |memory| vault::change(memory, "anna", &new_password(), None),
    |memory| vault::mark_used(memory, "anna"),
    |memory| vault::mark_validated(memory, "anna", true),
];

fn expect_all(calls: impl IntoIterator<Item = Call>, memory: &Memory, expected: ErrorCode) {
    for call in calls {
        assert_eq!(code(call(memory)), expected);
    }
}

// The record that `put` writes.

#[test]
fn a_new_record_has_the_documented_members_in_their_order() {
    let memory = memory();
    let stored = put(&memory).unwrap();
    assert!(!stored.replaced && stored.dropped_fields.is_empty());

    let token = encrypted_data(&memory);
    assert!(token.starts_with("gAAAAAB"), "{token}");
    let expected = record(&token, r#""encryption_version":"1.0""#);
    assert_eq!(text(&memory), expected.replace("2024-12-01T00:00:00", "2025-01-14T10:00:00"));
    assert_eq!(
        inner(&memory, KEY),
        r#"{"username":"anna@example.com","password":"hunter2","created_at":"2025-01-14T10:00:00","last_used":null,"is_valid":false,"validation_attempts":0}"#
    );
}

#[test]
fn fields_stand_last_inside_the_token() {
    let memory = memory();
    let credential = with_fields(&[("totp", "1 2"), ("note", "")]);
    let stored = vault::put(&memory, "anna", &credential, &options()).unwrap();
    assert_eq!(stored.summary.field_names, ["totp", "note"]);
    let inner = inner(&memory, KEY);
    assert!(
        inner.ends_with(r#""validation_attempts":0,"fields":{"totp":"1 2","note":""}}"#),
        "{inner}"
    );
}

#[test]
fn a_labelled_key_adds_its_label_to_the_record() {
    let memory = Memory::new([primary(Some("2025"), KEY)]);
    let stored = put(&memory).unwrap();
    assert_eq!(stored.summary.key.id.as_deref(), Some("2025"));
    assert_eq!(stored.summary.envelope.key_id.as_deref(), Some("2025"));
    assert!(text(&memory).ends_with(r#","encryption_version":"1.0","key_id":"2025"}"#));
}

#[test]
fn every_answer_tells_the_record_as_it_stands() {
    let memory = Memory::new([primary(Some("2025"), KEY)]);
    for call in WRITERS {
        let answer = call(&memory).unwrap();
        let described = vault::describe(&memory, "anna").unwrap();
        assert_eq!(format!("{answer:?}"), format!("{described:?}"));
        let envelope = vault::inspect(&memory, "anna").unwrap();
        assert_eq!(format!("{:?}", answer.envelope), format!("{envelope:?}"));
    }
    let envelope = vault::inspect(&memory, "anna").unwrap();
    assert_eq!(envelope.kind, RecordKind::Current);
    assert_eq!(envelope.version.as_deref(), Some("1.0"));
    assert_eq!(envelope.encrypted_at.as_deref(), Some("2025-01-14T10:00:00"));
    assert_eq!(envelope.size as usize, text(&memory).len());
}

#[test]
fn replacing_keeps_unknown_members_of_the_file_and_nothing_of_the_old_credential() {
    let memory = memory();
    let token = encrypted(KEY, INNER, TokenEncoding::Documented);
    let unknown = r#""x-outer":{"a":1.50},"encryption_version":"1.0","surrogate":"\ud800""#;
    plant(&memory, record(&token, unknown));

    assert!(put(&memory).unwrap().replaced);
    let expected = record(&encrypted_data(&memory), unknown);
    assert_eq!(text(&memory), expected.replace("2024-12-01T00:00:00", "2025-01-14T10:00:00"));
    let inner = inner(&memory, KEY);
    assert!(!inner.contains("x-inner") && inner.contains(r#""validation_attempts":0"#), "{inner}");
}

#[test]
fn replacing_keeps_fields_and_unknown_members_if_that_is_asked_for() {
    let memory = memory();
    let before = INNER.replace('}', r#","fields":{"totp":"1","pin":"2"}}"#);
    plant(
        &memory,
        record(
            &encrypted(KEY, &before, TokenEncoding::Documented),
            r#""encryption_version":"1.0""#,
        ),
    );
    let options = PutOptions { keep_fields: true, ..options() };
    let new = with_fields(&[("pin", "3"), ("note", "4")]);
    let stored = vault::put(&memory, "anna", &new, &options).unwrap();
    assert!(stored.replaced && stored.dropped_fields.is_empty());
    assert_eq!(stored.summary.field_names, ["totp", "pin", "note"]);
    let inner = inner(&memory, KEY);
    assert!(inner.contains(r#""x-inner":[1.50]"#), "{inner}");
    assert!(inner.contains(r#""validation_attempts":0"#), "{inner}");
    assert!(inner.ends_with(r#""fields":{"totp":"1","pin":"3","note":"4"}}"#), "{inner}");
}

#[test]
fn nothing_is_kept_of_what_anyone_could_have_written() {
    let memory = memory();
    let planted = INNER.replace('}', r#","fields":{"totp":"1"}}"#);
    plant(&memory, record(&URL_SAFE.encode(planted), r#""crypto_available":false"#));
    let options = PutOptions { keep_fields: true, ..options() };
    let stored = vault::put(&memory, "anna", &credential(), &options).unwrap();
    assert!(stored.summary.field_names.is_empty());
    assert!(!inner(&memory, KEY).contains("x-inner"));
}

#[test]
fn replacing_names_the_fields_that_are_gone() {
    let memory = memory();
    for (fields, dropped) in [
        (&[("totp", "1"), ("note", "2"), ("pin", "3")][..], &[][..]),
        (&[("note", "other")], &["totp", "pin"]),
        (&[], &["note"]),
    ] {
        let stored = vault::put(&memory, "anna", &with_fields(fields), &options()).unwrap();
        assert_eq!(stored.dropped_fields, dropped);
    }
}

#[test]
fn a_credential_is_made_now_unless_it_says_otherwise() {
    let memory = memory();
    plant(&memory, current(KEY));
    assert_eq!(put(&memory).unwrap().summary.created_at.as_deref(), Some("2025-01-14T10:00:00"));

    let imported = Credential { created_at: Some("2020-02-02T02:02:02".into()), ..credential() };
    let stored = vault::put(&memory, "anna", &imported, &options()).unwrap();
    assert_eq!(stored.summary.created_at.as_deref(), Some("2020-02-02T02:02:02"));
    // Outside as inside, as the format has it.
    assert_eq!(stored.summary.envelope.created_at.as_deref(), Some("2020-02-02T02:02:02"));
}

#[test]
fn the_spelling_of_the_token_stays_unless_another_is_asked_for() {
    use TokenEncoding::{App, Documented};
    for (old, asked, expected) in [
        (None, None, Documented),
        (None, Some(App), App),
        (Some(App), None, App),
        (Some(App), Some(Documented), Documented),
        (Some(Documented), None, Documented),
        (Some(Documented), Some(App), App),
    ] {
        let memory = memory();
        if let Some(old) = old {
            plant(&memory, record(&encrypted(KEY, INNER, old), r#""encryption_version":"1.0""#));
        }
        let options = PutOptions { encoding: asked, ..options() };
        let stored = vault::put(&memory, "anna", &credential(), &options).unwrap();
        assert_eq!(stored.summary.envelope.encoding, Some(expected), "{old:?} {asked:?}");
        let prefix = if expected == App { "Z0FBQUFB" } else { "gAAAAA" };
        assert!(encrypted_data(&memory).starts_with(prefix), "{old:?} {asked:?}");

        let marked = vault::mark_used(&memory, "anna").unwrap();
        assert_eq!(marked.envelope.encoding, Some(expected), "{old:?} {asked:?}");
    }
}

// What `put` refuses.

#[test]
fn creating_only_replaces_nothing() {
    let memory = memory();
    let create = PutOptions { create_only: true, ..options() };
    assert!(!vault::put(&memory, "anna", &credential(), &create).unwrap().replaced);
    let before = text(&memory);
    assert_eq!(code(vault::put(&memory, "anna", &credential(), &create)), ErrorCode::Conflict);
    assert_eq!(text(&memory), before);
}

#[test]
fn an_expected_revision_replaces_that_one_alone() {
    let memory = memory();
    let expecting = |revision: &str| {
        let expected_revision = Some(revision.to_owned());
        vault::put(&memory, "anna", &credential(), &PutOptions { expected_revision, ..options() })
    };
    assert_eq!(code(expecting("r1")), ErrorCode::Conflict);
    let first = plant(&memory, current(KEY));
    let second = expecting(&first).unwrap().summary.envelope.revision;
    assert_eq!(code(expecting(&first)), ErrorCode::Conflict);
    assert!(expecting(&second).unwrap().replaced);
}

#[test]
fn a_record_that_does_not_open_is_not_replaced() {
    for (contents, expected) in [
        (current(OTHER_KEY), ErrorCode::WrongKeyOrTampered),
        (current(KEY).replace("1.0", "3.0"), ErrorCode::UnsupportedVersion),
        (current(KEY).replace("anna", "bob"), ErrorCode::Malformed),
        (current(KEY).replace("user_id", "id"), ErrorCode::Malformed),
        ("not JSON".to_owned(), ErrorCode::Malformed),
        (String::new(), ErrorCode::Malformed),
    ] {
        let memory = memory();
        plant(&memory, contents.as_str());
        expect_all(WRITERS, &memory, expected);
        assert_eq!(text(&memory), contents);
    }
}

#[test]
fn an_unknown_version_is_told() {
    let memory = memory();
    plant(&memory, current(KEY).replace("1.0", "3.0"));
    let error = vault::describe(&memory, "anna").unwrap_err();
    assert_eq!(error.code, ErrorCode::UnsupportedVersion);
    assert_eq!(error.message, Message::UnknownVersion.to_string());
}

/// It stands in the clear.
#[test]
fn no_credential_was_created_at_a_time_that_is_none() {
    let memory = memory();
    let secret = Credential { created_at: Some("hunter2".into()), ..credential() };
    let error = vault::put(&memory, "anna", &secret, &options()).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidCredential);
    assert!(memory.file("anna.cred").is_none());
}

#[test]
fn a_lone_surrogate_is_an_error_and_stays_in_its_file() {
    let memory = memory();
    let inner = INNER.replace("hunter2", r"\ud800");
    let token = encrypted(KEY, &inner, TokenEncoding::Documented);
    let contents = record(&token, r#""encryption_version":"1.0""#);
    plant(&memory, contents.as_str());
    expect_all(READERS, &memory, ErrorCode::Malformed);
    expect_all(WRITERS, &memory, ErrorCode::Malformed);
    assert_eq!(text(&memory), contents);
}

#[test]
fn a_record_with_a_member_of_a_wrong_type_is_neither_repaired_nor_quoted() {
    for (good, bad) in [
        (r#""is_valid":false"#, r#""is_valid":"secret""#),
        (r#""last_used":null"#, r#""last_used":["secret"]"#),
        (r#""is_valid":false"#, r#""fields":{"secret\u001b":1}"#),
    ] {
        let memory = memory();
        let inner = INNER.replace(good, bad);
        let token = encrypted(KEY, &inner, TokenEncoding::Documented);
        let contents = record(&token, r#""encryption_version":"1.0""#);
        plant(&memory, contents.as_str());
        for call in READERS.into_iter().chain(WRITERS) {
            let error = call(&memory).unwrap_err();
            assert_eq!(error.code, ErrorCode::Malformed, "{bad}");
            assert!(!error.message.contains("secret"), "{}", error.message);
        }
        assert_eq!(text(&memory), contents);
    }
}

#[test]
fn legacy_records_that_anyone_could_have_written_are_refused_but_replaced() {
    use TokenEncoding::App;
    let published = encrypted("default_key_change_me", INNER, App);
    for contents in [
        record(&STANDARD.encode(INNER), r#""crypto_available":false"#),
        record(&published, r#""crypto_available":true"#),
        record(&published, r#""encryption_version":"1.0""#),
    ] {
        let memory = memory();
        plant(&memory, contents.as_str());
        expect_all(READERS, &memory, ErrorCode::NeedsMigration);
        assert_eq!(code(vault::mark_used(&memory, "anna")), ErrorCode::NeedsMigration);
        assert_eq!(text(&memory), contents);

        assert!(put(&memory).unwrap().replaced);
        let record = json(&memory);
        assert_eq!(record["encryption_version"], "1.0");
        assert_eq!(record.get("crypto_available"), None);
        assert_eq!(vault::reveal(&memory, "anna").unwrap().credential.password, "hunter2");
    }
}

#[test]
fn another_record_version_is_not_written() {
    let memory = memory();
    let version = |version: &str| {
        let version = Some(version.to_owned());
        vault::put(&memory, "anna", &credential(), &PutOptions { version, ..options() })
    };
    assert_eq!(code(version("3.0")), ErrorCode::UnsupportedVersion);
    assert!(memory.take_log().is_empty());
    assert!(version("1.0").is_ok());
}

#[test]
fn what_is_invalid_is_refused_before_anything_is_asked_of_the_host() {
    let memory = memory();
    for user_id in ["", ".", "..", "../anna", "a/b", "a\nb", "a\0b", &"x".repeat(251)] {
        for outcome in [
            vault::put(&memory, user_id, &credential(), &options()).map(drop),
            vault::describe(&memory, user_id).map(drop),
            vault::reveal(&memory, user_id).map(drop),
            vault::inspect(&memory, user_id).map(drop),
            vault::mark_used(&memory, user_id).map(drop),
            vault::mark_validated(&memory, user_id, true).map(drop),
            vault::remove(&memory, user_id, None).map(drop),
            vault::verify(&memory, &[user_id.to_owned()]).remove(0).map(drop),
        ] {
            assert_eq!(code(outcome), ErrorCode::InvalidUserId, "{user_id:?}");
        }
    }
    for fields in [&[("", "1")][..], &[("password", "1")], &[("a", "1"), ("a", "2")]] {
        let outcome = vault::put(&memory, "anna", &with_fields(fields), &options());
        assert_eq!(code(outcome), ErrorCode::InvalidCredential, "{fields:?}");
    }
    assert!(memory.take_log().is_empty());
}

#[test]
fn no_record_of_more_than_64_kib_is_written() {
    let memory = memory();
    let credential = Credential { password: "x".repeat(MAX_BYTES), ..credential() };
    let outcome = vault::put(&memory, "anna", &credential, &options());
    assert_eq!(code(outcome), ErrorCode::TooLarge);
    assert_eq!(memory.file(FILE), None);
}

#[test]
fn a_label_that_would_not_fit_into_every_record_encrypts_nothing() {
    for label in ["x".repeat(MAX_LABEL_BYTES + 1), "a\nb".to_owned()] {
        let memory = Memory::new([primary(Some(&label), KEY)]);
        let outcome = vault::put(&memory, "anna", &credential(), &options());
        assert_eq!(code(outcome), ErrorCode::MasterKeyRefused);
        assert_eq!(memory.file(FILE), None);
    }
}

#[test]
fn no_record_of_more_than_64_kib_is_read() {
    let memory = memory();
    let mut contents = current(KEY);
    contents.push_str(&" ".repeat(MAX_BYTES - contents.len()));
    plant(&memory, contents.as_str());
    assert_eq!(vault::describe(&memory, "anna").unwrap().envelope.size as usize, MAX_BYTES);

    contents.push(' ');
    plant(&memory, contents.as_str());
    expect_all(READERS, &memory, ErrorCode::TooLarge);
    expect_all(WRITERS, &memory, ErrorCode::TooLarge);
    assert_eq!(code(vault::inspect(&memory, "anna")), ErrorCode::TooLarge);
    assert_eq!(text(&memory), contents);
    assert!(vault::remove(&memory, "anna", None).unwrap());
}

// Marks.

#[test]
fn marks_change_what_they_say_and_nothing_else() {
    let memory = memory();
    plant(
        &memory,
        record(
            &encrypted(KEY, INNER, TokenEncoding::Documented),
            r#""x-outer":[1.50],"encryption_version":"1.0""#,
        ),
    );
    let before = text(&memory).replace(&encrypted_data(&memory), "");

    let used = r#""last_used":"2025-01-14T10:00:00""#;
    let marked = vault::mark_used(&memory, "anna").unwrap();
    assert_eq!(marked.last_used.as_deref(), Some("2025-01-14T10:00:00"));
    let expected = INNER.replace(r#""last_used":null"#, used);
    assert_eq!(inner(&memory, KEY), expected);

    for (valid, attempts) in [(true, 7), (false, 8)] {
        let marked = vault::mark_validated(&memory, "anna", valid).unwrap();
        assert_eq!((marked.is_valid, marked.validation_attempts), (valid, attempts));
        let now = format!(r#""is_valid":{valid},"validation_attempts":{attempts}"#);
        let was = r#""is_valid":false,"validation_attempts":6"#;
        assert_eq!(inner(&memory, KEY), expected.replace(was, &now));
    }
    assert_eq!(text(&memory).replace(&encrypted_data(&memory), ""), before);
}

// Changes.

#[test]
fn a_change_changes_what_it_names_and_nothing_else() {
    let was = r#""is_valid":true,"validation_attempts":6,"fields":{"totp":"1","pin":"2"}}"#;
    let before = INNER.replace(r#""is_valid":false,"validation_attempts":6}"#, was);
    let untried = |text: &str| {
        text.replace(
            r#""is_valid":true,"validation_attempts":6"#,
            r#""is_valid":false,"validation_attempts":0"#,
        )
    };
    let field = |name: &str, value: &str| Field { name: name.into(), value: value.into() };
    let removed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let cases = [
        (
            Changes { username: Some("bob".to_owned()), ..no_changes() },
            untried(&before.replace(r#""username":"anna@example.com""#, r#""username":"bob""#)),
        ),
        (
            new_password(),
            untried(&before.replace("hunter2", "correct horse"))
                .replace("2024-12-01T00:00:00.5", "2025-01-14T10:00:00"),
        ),
        (
            Changes { fields: vec![field("pin", "3"), field("é", "\"")], ..no_changes() },
            before.replace(r#""pin":"2""#, r#""pin":"3","é":"\"""#),
        ),
        (
            Changes { removed_fields: removed(&["totp"]), ..no_changes() },
            before.replace(r#""totp":"1","#, ""),
        ),
        (
            Changes { removed_fields: removed(&["pin", "totp"]), ..no_changes() },
            before.replace(r#","fields":{"totp":"1","pin":"2"}"#, ""),
        ),
        (
            Changes {
                fields: vec![field("pin", "3")],
                removed_fields: removed(&["pin"]),
                ..no_changes()
            },
            before.replace(r#""pin":"2""#, r#""pin":"3""#),
        ),
    ];
    for (changes, expected) in cases {
        let memory = memory();
        let token = encrypted(KEY, &before, TokenEncoding::App);
        let rest = r#""x-outer":[1.50],"encryption_version":"1.0""#;
        plant(&memory, record(&token, rest));
        let changed = vault::change(&memory, "anna", &changes, None).unwrap();
        assert_eq!(inner(&memory, KEY), expected);
        assert_eq!(
            format!("{changed:?}"),
            format!("{:?}", vault::describe(&memory, "anna").unwrap())
        );
        let outside = record(&encrypted_data(&memory), rest);
        let made = if changes.password.is_some() { "2025-01-14" } else { "2024-12-01" };
        assert_eq!(json(&memory)["created_at"].as_str().unwrap().get(..10), Some(made));
        assert_eq!(text(&memory).len(), outside.len());
        assert_eq!(changed.envelope.encoding, Some(TokenEncoding::App));
    }
}

#[test]
fn a_copy_keeps_what_is_not_known_here_of_the_credential_and_nothing_of_the_envelope() {
    let memory = memory();
    let inner = r#"{"x":[1.50],"username":"a","password":"p","created_at":"2025-01-14T10:00:00"}"#;
    plant(
        &memory,
        record(&encrypted(KEY, inner, TokenEncoding::App), r#""encryption_version":"1.0","y":1"#),
    );
    vault::copy(&memory, "bob", "anna").unwrap();
    let copy: Value = serde_json::from_slice(&memory.file("bob.cred").unwrap()).unwrap();
    let members: Vec<_> = copy.as_object().unwrap().keys().collect();
    assert_eq!(members, ["user_id", "encrypted_data", "created_at", "encryption_version"]);
    vault::remove(&memory, "anna", None).unwrap();
    vault::copy(&memory, "anna", "bob").unwrap();
    assert_eq!(self::inner(&memory, KEY), inner);
}

#[test]
fn a_change_that_makes_no_sense_changes_nothing() {
    let memory = memory();
    let theirs = current(KEY);
    plant(&memory, theirs.as_str());
    let field = |name: &str| Field { name: name.into(), value: String::new() };
    for changes in [
        no_changes(),
        Changes { removed_fields: vec!["totp".to_owned()], ..no_changes() },
        Changes { fields: vec![field("password")], ..no_changes() },
        Changes { fields: vec![field("a"), field("a")], ..no_changes() },
    ] {
        let outcome = vault::change(&memory, "anna", &changes, None);
        assert_eq!(code(outcome), ErrorCode::InvalidCredential);
    }
    // It would fit, but leave no room for marks.
    let too_long = Changes { password: Some("x".repeat(MAX_BYTES * 5 / 7)), ..no_changes() };
    assert_eq!(code(vault::change(&memory, "anna", &too_long, None)), ErrorCode::TooLarge);
    assert_eq!(code(vault::change(&memory, "bob", &new_password(), None)), ErrorCode::NotFound);
    assert_eq!(text(&memory), theirs);
}

#[test]
fn a_change_leaves_room_for_marks() {
    let memory = memory();
    plant(&memory, current(KEY));
    // Longer and longer, until it is refused: what was accepted last can be marked.
    let mut accepted = 0;
    for length in (44_000..).step_by(64) {
        let changes = Changes { password: Some("x".repeat(length)), ..no_changes() };
        match vault::change(&memory, "anna", &changes, None) {
            Ok(_) => accepted += 1,
            Err(error) => {
                assert_eq!(error.code, ErrorCode::TooLarge);
                break;
            }
        }
    }
    assert!(accepted > 0);
    vault::mark_used(&memory, "anna").unwrap();
    vault::mark_validated(&memory, "anna", true).unwrap();
}

#[test]
fn a_change_works_on_what_another_writer_wrote_in_between_unless_it_names_a_revision() {
    for names_it in [false, true] {
        let memory = memory();
        let revision = plant(&memory, current(KEY));
        memory.interrupt(1, |memory| {
            vault::put(memory, "anna", &with_fields(&[("totp", "1")]), &options()).unwrap();
        });
        let expected = names_it.then_some(revision.as_str());
        let outcome = vault::change(&memory, "anna", &new_password(), expected);
        if names_it {
            assert_eq!(code(outcome), ErrorCode::Conflict);
            let after = vault::change(&memory, "anna", &new_password(), expected);
            assert_eq!(code(after), ErrorCode::Conflict);
        } else {
            assert_eq!(outcome.unwrap().field_names, ["totp"]);
        }
    }
}

#[test]
fn every_rewrite_draws_a_new_iv_and_tells_the_new_time() {
    let memory = memory();
    plant(&memory, current(KEY));
    let mut ivs = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let marked = vault::mark_used(&memory, "anna").unwrap();
        assert_eq!(marked.envelope.encrypted_at.as_deref(), Some("2025-01-14T10:00:00"));
        let token = URL_SAFE.decode(encrypted_data(&memory)).unwrap();
        ivs.insert(token[9..25].to_vec());
    }
    assert_eq!(ivs.len(), 8);
}

#[test]
fn attempts_stop_at_the_largest_number() {
    let memory = memory();
    let most = INNER.replace(r#"attempts":6"#, r#"attempts":4294967294"#);
    let token = encrypted(KEY, &most, TokenEncoding::Documented);
    plant(&memory, record(&token, r#""encryption_version":"1.0""#));
    for _ in 0..2 {
        let marked = vault::mark_validated(&memory, "anna", true).unwrap();
        assert_eq!(marked.validation_attempts, u32::MAX);
    }
}

#[test]
fn marking_an_encrypted_legacy_record_makes_it_current() {
    let memory = memory();
    plant(
        &memory,
        record(&encrypted(KEY, INNER, TokenEncoding::App), r#""crypto_available":true"#),
    );
    let described = vault::describe(&memory, "anna").unwrap();
    assert_eq!(described.envelope.kind, RecordKind::LegacyEncrypted);

    let marked = vault::mark_validated(&memory, "anna", true).unwrap();
    assert_eq!(marked.envelope.kind, RecordKind::Current);
    let expected = record(&encrypted_data(&memory), r#""encryption_version":"1.0""#);
    assert_eq!(text(&memory), expected);
    assert_eq!(marked.envelope.encoding, Some(TokenEncoding::App));
}

// Other writers.

#[test]
fn a_mark_works_on_what_another_writer_wrote_in_between() {
    let memory = memory();
    plant(&memory, current(KEY));
    memory.interrupt(1, |memory| {
        vault::mark_validated(memory, "anna", true).unwrap();
    });
    let marked = vault::mark_validated(&memory, "anna", false).unwrap();
    assert_eq!((marked.is_valid, marked.validation_attempts), (false, 8));
}

#[test]
fn a_record_that_appears_in_between_is_replaced() {
    let memory = memory();
    memory.interrupt(1, |memory| {
        vault::put(memory, "anna", &with_fields(&[("totp", "1")]), &options()).unwrap();
    });
    let stored = put(&memory).unwrap();
    assert!(stored.replaced);
    assert_eq!(stored.dropped_fields, ["totp"]);
}

#[test]
fn a_record_that_appears_in_between_is_not_replaced_when_it_does_not_open() {
    let memory = memory();
    let theirs = current(OTHER_KEY);
    memory.interrupt(1, {
        let theirs = theirs.clone();
        move |memory| drop(plant(memory, theirs.as_str()))
    });
    assert_eq!(code(put(&memory)), ErrorCode::WrongKeyOrTampered);
    assert_eq!(text(&memory), theirs);
}

#[test]
fn a_record_that_is_removed_in_between_is_not_brought_back_by_a_mark() {
    let memory = memory();
    plant(&memory, current(KEY));
    memory.interrupt(1, |memory| memory.delete_file(FILE));
    assert_eq!(code(vault::mark_used(&memory, "anna")), ErrorCode::NotFound);
    assert_eq!(memory.file(FILE), None);
}

#[test]
fn endless_rivalry_ends_in_a_conflict_without_deriving_again() {
    let memory = memory();
    let theirs = current(KEY);
    plant(&memory, theirs.as_str());
    memory.interrupt(usize::MAX, {
        let theirs = theirs.clone();
        move |memory| drop(plant(memory, theirs.as_str()))
    });
    assert_eq!(code(vault::mark_used(&memory, "anna")), ErrorCode::Conflict);
    assert_eq!(text(&memory), theirs);
    let log = memory.take_log();
    let count = |call: &str| log.iter().filter(|entry| entry.starts_with(call)).count();
    assert_eq!((count("write"), count("lookup")), (17, 1));
    // Once for an attempt, and once before the keys: none takes the revision of another's file for its own.
    assert_eq!(count("read"), 17 + 1);
}

#[test]
fn who_named_a_condition_loses_to_another_writer_at_once() {
    for create_only in [true, false] {
        let memory = memory();
        let expected_revision = (!create_only).then(|| plant(&memory, current(KEY)));
        let theirs = current(KEY);
        memory.interrupt(1, {
            let theirs = theirs.clone();
            move |memory| drop(plant(memory, theirs.as_str()))
        });
        let options = PutOptions { create_only, expected_revision, ..options() };
        assert_eq!(code(vault::put(&memory, "anna", &credential(), &options)), ErrorCode::Conflict);
        assert_eq!(text(&memory), theirs);
        assert_eq!(memory.take_log_of("read anna").len(), 1);
    }
}

// What needs no key.

#[test]
fn removing_takes_an_unreadable_file_too_and_needs_no_key() {
    let memory = Memory::new([]);
    let revision = plant(&memory, "not JSON");
    assert_eq!(code(vault::remove(&memory, "anna", Some("other"))), ErrorCode::Conflict);
    assert!(vault::remove(&memory, "anna", Some(&revision)).unwrap());
    assert!(!vault::remove(&memory, "anna", None).unwrap());
    assert_eq!(memory.take_log(), ["remove anna.cred"; 3]);
}

#[test]
fn inspecting_needs_no_key_and_tells_the_outside() {
    let memory = Memory::new([]);
    let token = encrypted(KEY, INNER, TokenEncoding::App);
    let revision = plant(&memory, record(&token, r#""key_id":"2024","encryption_version":"1.0""#));
    let envelope = vault::inspect(&memory, "anna").unwrap();
    assert_eq!(memory.take_log(), ["read anna.cred"]);
    assert_eq!(envelope.kind, RecordKind::Current);
    assert_eq!(envelope.version.as_deref(), Some("1.0"));
    assert_eq!(envelope.encoding, Some(TokenEncoding::App));
    assert_eq!(envelope.key_id.as_deref(), Some("2024"));
    assert_eq!(envelope.created_at.as_deref(), Some("2024-12-01T00:00:00"));
    assert_eq!(envelope.encrypted_at.as_deref(), Some("2024-12-01T00:00:00"));
    assert_eq!(envelope.size as usize, text(&memory).len());
    assert_eq!(envelope.revision, revision);
}

#[test]
fn a_plaintext_legacy_record_has_neither_version_nor_token_outside() {
    let memory = Memory::new([]);
    plant(&memory, record(&STANDARD.encode(INNER), r#""crypto_available":false"#));
    let envelope = vault::inspect(&memory, "anna").unwrap();
    assert_eq!(envelope.kind, RecordKind::LegacyPlaintext);
    assert_eq!((envelope.version, envelope.encrypted_at), (None, None));
    assert_eq!(envelope.encoding, None);
}

#[test]
fn users_come_in_pages_and_other_files_are_none() {
    let memory = Memory::new([]);
    let users = ["a.cred", "anna", "bob", "zoë", "🔑"];
    for user in users {
        memory.set_file(&format!("{user}.cred"), "");
    }
    for other in
        [".cred", ".hidden.cred", "anna", "bob.cred.lock", "bob.cred.tmp", "moat.json", "x.CRED"]
    {
        memory.set_file(other, "");
    }
    for limit in 1..=13 {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = vault::users(&memory, cursor.as_deref(), limit).unwrap();
            assert!(page.user_ids.len() <= limit as usize);
            found.extend(page.user_ids);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(found, users, "{limit}");
        let pages = memory.take_log();
        assert_eq!(pages, vec![format!("names {limit}"); 12usize.div_ceil(limit as usize)]);
    }
}

/// User ids that begin alike, and of characters that sort before and after those of `.cred`.
const IDS: &str = "[ab\u{ff5e}\u{1f511}][ab .o'+\u{e9}\u{ff5e}\u{1f511}-]{0,2}(\\.cred)?";
const OTHERS: &str = "\\.?[ab -]{1,2}(\\.txt|\\.cred\\.backup_20250616_130236)?";

proptest! {
    #[test]
    fn users_are_in_the_order_of_their_bytes_in_pages_of_any_size(
        users in btree_set(IDS, 0..12),
        others in btree_set(OTHERS, 0..4),
    ) {
        let memory = Memory::new([]);
        users.iter().for_each(|user| drop(memory.set_file(&format!("{user}.cred"), "")));
        others.iter().for_each(|name| drop(memory.set_file(name, "")));
        for limit in 1..=users.len() + others.len() + 1 {
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let page = vault::users(&memory, cursor.as_deref(), limit as u32).unwrap();
                found.extend(page.user_ids);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            prop_assert!(found.iter().eq(&users), "in pages of {}: {:?}", limit, found);
        }
    }
}

#[test]
fn the_size_of_a_page_is_bounded() {
    let memory = Memory::new([]);
    for limit in [0, 1, 4096, 4097, u32::MAX] {
        vault::users(&memory, None, limit).unwrap();
    }
    assert_eq!(memory.take_log(), ["names 1", "names 1", "names 4096", "names 4096", "names 4096"]);
}

// Keys.

#[test]
fn without_a_key_nothing_opens_and_nothing_is_written() {
    for ring in [vec![], vec![primary(None, "")], vec![primary(None, ""), spare(None, "")]] {
        let memory = Memory::new(ring);
        plant(&memory, current(KEY));
        expect_all(READERS, &memory, ErrorCode::MasterKeyMissing);
        expect_all(WRITERS, &memory, ErrorCode::MasterKeyMissing);
        assert!(memory.take_log_of("write").is_empty());
    }
}

#[test]
fn a_user_without_a_record_is_not_found_whatever_the_keys() {
    for ring in [vec![], vec![primary(None, KEY)]] {
        let memory = Memory::new(ring);
        expect_all(READERS, &memory, ErrorCode::NotFound);
        assert_eq!(code(vault::inspect(&memory, "anna")), ErrorCode::NotFound);
        assert_eq!(code(vault::mark_used(&memory, "anna")), ErrorCode::NotFound);
        assert_eq!(code(vault::mark_validated(&memory, "anna", true)), ErrorCode::NotFound);
    }
}

#[test]
fn any_key_of_the_ring_opens_and_the_primary_one_rewrites() {
    let memory = Memory::new([spare(Some("2024"), OTHER_KEY), primary(Some("2025"), KEY)]);
    let token = encrypted(OTHER_KEY, INNER, TokenEncoding::Documented);
    plant(&memory, record(&token, r#""key_id":"2024","encryption_version":"1.0""#));
    let described = vault::describe(&memory, "anna").unwrap();
    assert_eq!((described.key.id.as_deref(), described.key.primary), (Some("2024"), false));

    let marked = vault::mark_used(&memory, "anna").unwrap();
    assert_eq!((marked.key.id.as_deref(), marked.key.primary), (Some("2025"), true));
    // In place, since members keep theirs.
    let expected =
        record(&encrypted_data(&memory), r#""key_id":"2025","encryption_version":"1.0""#);
    assert_eq!(text(&memory), expected);
    assert!(inner(&memory, KEY).contains("x-inner"));
}

#[test]
fn a_key_without_a_label_takes_the_label_off_the_record() {
    let memory = Memory::new([primary(None, KEY), spare(Some("2024"), OTHER_KEY)]);
    let token = encrypted(OTHER_KEY, INNER, TokenEncoding::Documented);
    plant(&memory, record(&token, r#""key_id":"2024","encryption_version":"1.0""#));
    assert_eq!(vault::mark_used(&memory, "anna").unwrap().envelope.key_id, None);
    assert_eq!(json(&memory).get("key_id"), None);
}

#[test]
fn the_label_only_says_which_key_is_tried_first() {
    let keys = || {
        [
            primary(Some("a"), "the first key of the ring"),
            spare(Some("b"), KEY),
            spare(Some("c"), OTHER_KEY),
            spare(None, "a fourth key without a label"),
        ]
    };
    for (label, tried) in
        [(r#""b""#, &[1][..]), (r#""c""#, &[2, 0, 1]), (r#""unknown""#, &[0, 1]), ("null", &[0, 1])]
    {
        let memory = Memory::new(keys());
        let token = encrypted(KEY, INNER, TokenEncoding::Documented);
        plant(&memory, record(&token, &format!(r#""key_id":{label},"encryption_version":"1.0""#)));
        let described = vault::describe(&memory, "anna").unwrap();
        assert_eq!(described.key.id.as_deref(), Some("b"), "{label}");
        let expected: Vec<String> =
            tried.iter().map(|place| format!("lookup {place} miss")).collect();
        assert_eq!(memory.take_log_of("lookup"), expected, "{label}");
    }
}

#[test]
fn weak_keys_open_and_say_so_but_never_encrypt() {
    for (key, weakness) in [
        ("fifteen bytes..", KeyWeakness::TooShort),
        ("default_key_change_me", KeyWeakness::PublishedDefault),
    ] {
        let memory = Memory::new([primary(None, key)]);
        let contents = current(key);
        plant(&memory, contents.as_str());
        for call in READERS {
            assert_eq!(call(&memory).unwrap().key.weakness, Some(weakness), "{key}");
        }
        expect_all(WRITERS, &memory, ErrorCode::MasterKeyRefused);
        assert_eq!(text(&memory), contents);

        *memory.ring.borrow_mut() = vec![spare(None, key), primary(None, "exactly 16 bytes")];
        memory.cache.borrow_mut().clear();
        assert_eq!(vault::describe(&memory, "anna").unwrap().key.weakness, Some(weakness));
        assert_eq!(vault::mark_used(&memory, "anna").unwrap().key.weakness, None);
        assert!(inner(&memory, "exactly 16 bytes").contains("hunter2"));
    }
}

#[test]
fn a_ring_without_exactly_one_primary_key_only_opens() {
    for ring in [vec![spare(None, KEY)], vec![primary(None, KEY), primary(None, OTHER_KEY)]] {
        let memory = Memory::new(ring);
        plant(&memory, current(KEY));
        for call in READERS {
            assert!(call(&memory).is_ok());
        }
        expect_all(WRITERS, &memory, ErrorCode::MasterKeyRefused);
    }
}

#[test]
fn a_master_key_is_taken_byte_for_byte() {
    let near = [KEY.to_uppercase(), format!("{KEY} "), format!(" {KEY}"), format!("{KEY}\n")];
    for key in near {
        let memory = Memory::new([primary(None, &key)]);
        plant(&memory, current(KEY));
        expect_all(READERS, &memory, ErrorCode::WrongKeyOrTampered);
    }
}

#[test]
fn the_hosts_cache_saves_the_second_derivation() {
    let memory = memory();
    put(&memory).unwrap();
    vault::reveal(&memory, "anna").unwrap();
    let log = memory.take_log();
    let asked: Vec<&str> =
        log.iter().map(String::as_str).filter(|call| call.contains(" 0")).collect();
    assert_eq!(asked, ["lookup 0 miss", "remember 0", "lookup 0 hit"]);
}

/// Those of all users are looked up before any is derived, and each is derived once.
#[test]
fn the_keys_of_several_users_are_derived_at_once() {
    let memory = memory();
    let users = ["anna", "bob", "carl"].map(str::to_owned);
    for user in &users {
        vault::put(&memory, user, &credential(), &options()).unwrap();
    }
    memory.cache.borrow_mut().clear();
    memory.take_log();
    assert!(vault::verify(&memory, &users).iter().all(Result::is_ok));
    let mut log = memory.take_log();
    log.retain(|call| call.starts_with("lookup") || call.starts_with("remember"));
    assert_eq!(log, [["lookup 0 miss"; 3], ["remember 0"; 3]].concat());
}

#[test]
fn a_cached_key_is_the_users_own() {
    let memory = memory();
    put(&memory).unwrap();
    vault::put(&memory, "bob", &credential(), &options()).unwrap();
    let cache = memory.cache.borrow();
    let user_key = |user: &str| cache.get(&(0, user.to_owned())).unwrap().clone();
    assert_ne!(user_key("anna"), user_key("bob"));
    let anna = UserId::parse("anna").unwrap();
    assert_eq!(user_key("anna"), user_key_1(KEY.as_bytes(), &anna).as_slice());
}

#[test]
fn a_cached_key_of_a_wrong_length_is_an_error() {
    for length in [0, 16, 31, 33] {
        let memory = memory();
        let contents = current(KEY);
        plant(&memory, contents.as_str());
        memory.cache.borrow_mut().insert((0, "anna".to_owned()), vec![7; length]);
        expect_all(READERS, &memory, ErrorCode::MasterKeyRefused);
        expect_all(WRITERS, &memory, ErrorCode::MasterKeyRefused);
        assert_eq!(text(&memory), contents);
    }
}

// The clock.

#[test]
fn a_clock_that_was_set_back_ten_years_makes_nothing_unreadable() {
    let memory = memory();
    put(&memory).unwrap();
    memory.clock.set(NOW - 10 * 365 * 24 * 60 * 60);
    for call in READERS {
        assert_eq!(call(&memory).unwrap().created_at.as_deref(), Some("2025-01-14T10:00:00"));
    }
    let marked = vault::mark_used(&memory, "anna").unwrap();
    assert_eq!(marked.last_used.as_deref(), Some("2015-01-17T10:00:00"));
}

#[test]
fn a_clock_past_the_year_9999_writes_nothing_but_still_opens() {
    let memory = memory();
    plant(&memory, current(KEY));
    let contents = text(&memory);
    memory.clock.set(u64::MAX);
    for call in READERS {
        assert!(call(&memory).is_ok());
    }
    for call in WRITERS {
        assert!(call(&memory).is_err());
    }
    assert_eq!(text(&memory), contents);
}

// Several users.

#[test]
fn verifying_answers_for_each_user_in_the_order_asked() {
    let memory = memory();
    put(&memory).unwrap();
    memory.set_file("bob.cred", current(KEY).replace(r#""anna""#, r#""bob""#));
    let users = ["nobody", "anna", "a/b", "bob", "anna"].map(str::to_owned);
    let codes = vault::verify(&memory, &users)
        .into_iter()
        .map(|outcome| outcome.map(|summary| summary.user_id).map_err(|error| error.code))
        .collect::<Vec<_>>();
    let expected = [
        Err(ErrorCode::NotFound),
        Ok("anna".to_owned()),
        Err(ErrorCode::InvalidUserId),
        // Anna's token in a record that says it is Bob's: the key is bound to the user id.
        Err(ErrorCode::WrongKeyOrTampered),
        Ok("anna".to_owned()),
    ];
    assert_eq!(codes, expected);
}

proptest! {
    // Each case costs a derivation.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    #[test]
    fn any_credential_of_any_user_comes_back(
        user_id in "\\PC{1,30}".prop_filter("no user id", |text| UserId::parse(text).is_ok()),
        username in any::<String>(),
        password in any::<String>(),
        fields in prop::collection::btree_map("\\PC{1,20}", any::<String>(), 0..4),
        is_valid in any::<bool>(),
        validation_attempts in any::<u32>(),
    ) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let written = Credential {
            username,
            password,
            created_at: Some("2020-02-02T02:02:02".into()),
            last_used: Some("2021-02-02T02:02:02.5".into()),
            is_valid,
            validation_attempts,
            ..with_fields(&fields)
        };
        let memory = memory();
        let stored = vault::put(&memory, &user_id, &written, &options()).unwrap();
        let revealed = vault::reveal(&memory, &user_id).unwrap();
        prop_assert_eq!(format!("{:?}", revealed.credential), format!("{written:?}"));
        prop_assert_eq!(format!("{:?}", revealed.summary), format!("{:?}", stored.summary));
        prop_assert_eq!(revealed.summary.user_id, user_id);
    }
}

//! What is kept of earlier versions of a credential, and when credentials expire.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod support;

use moat_format::settings::MAX_HISTORY;
use moat_guest_records::configuration;
use moat_guest_records::contract::{
    Changes, Credential, EarlierVersion, Error, ErrorCode, Field, Summary, TokenEncoding,
};
use moat_guest_records::vault;
use support::{Memory, credential, no_changes, options, primary, spare};

const KEY: &str = "dOeYXjxXfw4nRNKwE-4Pwbdn9R7ctlgGN9weENuP-S0";
const OTHER_KEY: &str = "another key of enough bytes";

fn memory(keep: u32) -> Memory {
    let memory = Memory::new([primary(None, KEY)]);
    if keep > 0 {
        assert!(configuration::configure(&memory, None, None, Some(keep)).unwrap());
    }
    memory
}

fn put(memory: &Memory, password: &str, fields: &[(&str, &str)]) -> Summary {
    let fields =
        fields.iter().map(|(name, value)| Field { name: (*name).into(), value: (*value).into() });
    let credential =
        Credential { password: password.into(), fields: fields.collect(), ..credential() };
    vault::put(memory, "anna", &credential, &options()).unwrap().summary
}

fn change(memory: &Memory, changes: Changes) -> Result<Summary, Error> {
    vault::change(memory, "anna", &changes, None)
}

fn new_password(memory: &Memory, password: &str) -> Summary {
    change(memory, Changes { password: Some(password.into()), ..no_changes() }).unwrap()
}

fn expires(memory: &Memory, expires: &str) -> Result<Summary, Error> {
    change(memory, Changes { expires: Some(expires.into()), ..no_changes() })
}

fn versions(memory: &Memory) -> Vec<EarlierVersion> {
    vault::history(memory, "anna").unwrap().versions
}

fn numbers(memory: &Memory) -> Vec<u32> {
    versions(memory).iter().map(|version| version.number).collect()
}

fn earlier_password(memory: &Memory, number: u32) -> String {
    vault::reveal_version(memory, "anna", number).unwrap().credential.password
}

fn password(memory: &Memory) -> String {
    vault::reveal(memory, "anna").unwrap().credential.password
}

#[test]
fn nothing_is_kept_unless_the_directory_is_set_to() {
    let memory = memory(0);
    put(&memory, "one", &[]);
    assert_eq!(put(&memory, "two", &[]).earlier_versions, 0);
    assert_eq!(new_password(&memory, "three").earlier_versions, 0);
    assert_eq!(numbers(&memory), [0; 0]);
    configuration::configure(&memory, None, None, Some(2)).unwrap();
    assert_eq!(new_password(&memory, "four").earlier_versions, 1);
    assert_eq!(earlier_password(&memory, 1), "three");
}

#[test]
fn as_many_as_are_wanted_are_kept_the_latest_first() {
    let memory = memory(2);
    put(&memory, "one", &[("totp", "JBSW")]);
    memory.clock.set(memory.clock.get() + 60);
    put(&memory, "two", &[]);
    memory.clock.set(memory.clock.get() + 60);
    assert_eq!(new_password(&memory, "three").earlier_versions, 2);
    let [second, first] = &*versions(&memory) else { panic!() };
    assert_eq!((second.number, first.number), (2, 1));
    assert_eq!(first.field_names, ["totp"]);
    assert_eq!(first.username, credential().username);
    assert_eq!(first.created_at.as_deref(), Some("2025-01-14T10:00:00"));
    assert_eq!(first.replaced_at, "2025-01-14T10:01:00");
    assert_eq!(second.replaced_at, "2025-01-14T10:02:00");
    let revealed = vault::reveal_version(&memory, "anna", 1).unwrap();
    assert_eq!(revealed.credential.password, "one");
    assert_eq!(revealed.credential.fields[0].value, "JBSW");
    assert_eq!(revealed.summary.field_names, ["totp"]);
    assert_eq!(revealed.summary.created_at.as_deref(), Some("2025-01-14T10:00:00"));

    new_password(&memory, "four");
    assert_eq!(numbers(&memory), [3, 2]);
    let gone = vault::reveal_version(&memory, "anna", 1).unwrap_err();
    assert_eq!(gone.code, ErrorCode::NotFound);
    configuration::configure(&memory, None, None, Some(1)).unwrap();
    assert_eq!(numbers(&memory), [3, 2], "until it is changed");
    new_password(&memory, "five");
    assert_eq!(numbers(&memory), [4]);
    configuration::configure(&memory, None, None, Some(0)).unwrap();
    assert_eq!(new_password(&memory, "six").earlier_versions, 0);
}

#[test]
fn only_other_secrets_make_another_version() {
    let memory = memory(5);
    put(&memory, "one", &[("a", "1"), ("b", "2")]);
    put(&memory, "one", &[("b", "2"), ("a", "1")]);
    vault::mark_used(&memory, "anna").unwrap();
    vault::mark_validated(&memory, "anna", true).unwrap();
    expires(&memory, "90d").unwrap();
    assert_eq!(numbers(&memory), [0; 0]);
    put(&memory, "one", &[("a", "1"), ("b", "3")]);
    assert_eq!(numbers(&memory), [1]);
    change(&memory, Changes { username: Some("other".into()), ..no_changes() }).unwrap();
    change(&memory, Changes { removed_fields: vec!["a".into()], ..no_changes() }).unwrap();
    assert_eq!(numbers(&memory), [3, 2, 1]);
    // Marks leave it as it is.
    assert_eq!(vault::mark_used(&memory, "anna").unwrap().earlier_versions, 3);
}

#[test]
fn what_is_restored_takes_the_place_of_what_is_kept_in_turn() {
    let memory = memory(3);
    put(&memory, "one", &[("totp", "JBSW")]);
    expires(&memory, "90d").unwrap();
    vault::mark_validated(&memory, "anna", true).unwrap();
    memory.clock.set(memory.clock.get() + 60);
    put(&memory, "two", &[("pin", "1")]);
    let restored = vault::restore(&memory, "anna", 1, None).unwrap();
    assert_eq!(restored.field_names, ["totp"]);
    assert_eq!(restored.expires.as_deref(), Some("90d"));
    assert_eq!(restored.created_at.as_deref(), Some("2025-01-14T10:00:00"));
    assert!(!restored.is_valid);
    assert_eq!((restored.validation_attempts, restored.earlier_versions), (0, 2));
    assert_eq!((password(&memory).as_str(), numbers(&memory)), ("one", vec![2, 1]));
    assert_eq!(earlier_password(&memory, 2), "two");
    vault::restore(&memory, "anna", 2, None).unwrap();
    assert_eq!((password(&memory).as_str(), numbers(&memory)), ("two", vec![3, 2, 1]));
    assert_eq!(vault::describe(&memory, "anna").unwrap().expires, None);

    let none = vault::restore(&memory, "anna", 7, None).unwrap_err();
    assert_eq!(none.code, ErrorCode::NotFound);
    let stale = vault::restore(&memory, "anna", 1, Some("stale")).unwrap_err();
    assert_eq!(stale.code, ErrorCode::Conflict);
    assert_eq!(vault::restore(&memory, "bob", 1, None).unwrap_err().code, ErrorCode::NotFound);
    // However many are kept by now, what is there is not lost.
    configuration::configure(&memory, None, None, Some(0)).unwrap();
    vault::restore(&memory, "anna", 1, None).unwrap();
    assert_eq!((password(&memory).as_str(), numbers(&memory)), ("one", vec![4]));
    assert_eq!(earlier_password(&memory, 4), "two");
}

#[test]
fn it_is_forgotten_if_that_is_asked_for() {
    let memory = memory(5);
    put(&memory, "one", &[]);
    new_password(&memory, "two");
    let forget = Changes { forget_history: true, ..no_changes() };
    assert_eq!(change(&memory, forget.clone()).unwrap().earlier_versions, 0);
    assert_eq!(password(&memory), "two");
    let leaked = Changes { password: Some("three".into()), ..forget };
    assert_eq!(change(&memory, leaked).unwrap().earlier_versions, 0);
    assert_eq!(password(&memory), "three");
}

#[test]
fn it_goes_through_everything_that_rewrites_a_record() {
    let memory = memory(5);
    put(&memory, "one", &[("a", "\u{1f511}\"\\")]);
    new_password(&memory, "two");
    *memory.ring.borrow_mut() = vec![primary(Some("new"), OTHER_KEY), spare(None, KEY)];
    memory.cache.borrow_mut().clear();
    let users = ["anna".to_owned()];
    assert!(
        moat_guest_records::migration::rewrap(&memory, &users, false)[0].as_ref().unwrap().changed
    );
    let to_2 = moat_guest_records::contract::MigrateOptions {
        dry_run: false,
        accept_default_key: false,
        accept_plaintext: false,
        version: Some("2.0".into()),
        encoding: None,
    };
    assert!(
        moat_guest_records::migration::migrate(&memory, &users, &to_2)[0].as_ref().unwrap().changed
    );
    *memory.ring.borrow_mut() = vec![primary(Some("new"), OTHER_KEY)];
    memory.cache.borrow_mut().clear();
    vault::mark_used(&memory, "anna").unwrap();
    let revealed = vault::reveal_version(&memory, "anna", 1).unwrap();
    assert_eq!(revealed.credential.password, "one");
    assert_eq!(revealed.credential.fields[0].value, "\u{1f511}\"\\");
}

#[test]
fn the_oldest_give_way_where_there_is_no_room() {
    for (encoding, size) in [(TokenEncoding::Documented, 40_000), (TokenEncoding::App, 31_000)] {
        let memory = memory(MAX_HISTORY);
        let encoding = Some(encoding);
        let store = |password: String| {
            let credential = Credential { password, ..credential() };
            let options = moat_guest_records::contract::PutOptions { encoding, ..options() };
            vault::put(&memory, "anna", &credential, &options).unwrap().summary.earlier_versions
        };
        assert_eq!(store("a".repeat(7000)), 0);
        assert_eq!(store("b".repeat(7000)), 1);
        assert_eq!(store("c".repeat(7000)), 2);
        assert_eq!(store("d".repeat(7000)), 3);
        assert_eq!(store("e".repeat(7000)), 3);
        assert_eq!(numbers(&memory), [4, 3, 2]);
        // What is there comes first.
        assert_eq!(store("f".repeat(size)), 0);
        assert_eq!(password(&memory).len(), size);
        assert_eq!(store("g".to_owned()), u32::from(size < 32_000));
    }
}

#[test]
fn more_than_a_hundred_are_not_kept() {
    let memory = memory(0);
    let refused = configuration::configure(&memory, None, None, Some(MAX_HISTORY + 1)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidCredential);
    assert!(configuration::configure(&memory, None, None, Some(MAX_HISTORY)).unwrap());
    assert!(!configuration::configure(&memory, None, None, Some(MAX_HISTORY)).unwrap());
    put(&memory, "0", &[]);
    for number in 1..=MAX_HISTORY + 5 {
        new_password(&memory, &number.to_string());
    }
    let kept = numbers(&memory);
    assert_eq!((kept.len(), kept[0]), (100, 105));
}

#[test]
fn a_credential_expires_at_a_time_or_at_an_age() {
    let memory = memory(0);
    assert_eq!(put(&memory, "one", &[]).expires_at, None);
    let aged = expires(&memory, "90d").unwrap();
    assert_eq!(aged.expires.as_deref(), Some("90d"));
    assert_eq!(aged.expires_at.as_deref(), Some("2025-04-14T10:00:00"));
    memory.clock.set(memory.clock.get() + 24 * 60 * 60);
    // A new password is of age zero.
    assert_eq!(new_password(&memory, "two").expires_at.as_deref(), Some("2025-04-15T10:00:00"));
    let time = "2026-01-01T00:00:00";
    let timed = expires(&memory, time).unwrap();
    assert_eq!((timed.expires.as_deref(), timed.expires_at.as_deref()), (Some(time), Some(time)));
    assert_eq!(new_password(&memory, "three").expires_at.as_deref(), Some(time));
    assert_eq!(vault::reveal(&memory, "anna").unwrap().credential.expires.as_deref(), Some(time));
    assert_eq!(expires(&memory, "never").unwrap().expires, None);
    for wrong in ["", "soon", "0d", "90", "2026-01-01", "36501d", "2026-01-01T00:00:00Z"] {
        assert_eq!(
            expires(&memory, wrong).unwrap_err().code,
            ErrorCode::InvalidCredential,
            "{wrong}"
        );
        let credential = Credential { expires: Some(wrong.into()), ..credential() };
        let refused = vault::put(&memory, "bob", &credential, &options()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidCredential, "{wrong}");
    }
}

#[test]
fn replacing_drops_or_keeps_when_it_expires_as_it_does_fields() {
    let memory = memory(0);
    let store = |expires: Option<&str>, keep_fields| {
        let credential = Credential { expires: expires.map(str::to_owned), ..credential() };
        let options = moat_guest_records::contract::PutOptions { keep_fields, ..options() };
        vault::put(&memory, "anna", &credential, &options).unwrap().summary.expires
    };
    assert_eq!(store(Some("90d"), false).as_deref(), Some("90d"));
    assert_eq!(store(None, true).as_deref(), Some("90d"));
    assert_eq!(store(Some("never"), true), None);
    assert_eq!(store(Some("30d"), true).as_deref(), Some("30d"));
    assert_eq!(store(None, false), None);
    assert_eq!(store(Some("never"), false), None);
}

#[test]
fn a_copy_has_all_that_belongs_to_the_credential() {
    for version in ["1.0", "2.0"] {
        let memory = memory(3);
        configuration::configure(&memory, Some(version), None, None).unwrap();
        put(&memory, "one", &[]);
        new_password(&memory, "two");
        expires(&memory, "90d").unwrap();
        vault::mark_validated(&memory, "anna", true).unwrap();
        let before = vault::mark_used(&memory, "anna").unwrap();
        memory.clock.set(memory.clock.get() + 60);
        let copy = vault::copy(&memory, "bob", "anna").unwrap();
        assert_eq!(copy.user_id, "bob");
        assert_eq!(copy.envelope.version.as_deref(), Some(version));
        assert_eq!(copy.envelope.created_at, before.envelope.created_at);
        let (mut rest, mut of) = (copy.clone(), before.clone());
        for summary in [&mut rest, &mut of] {
            summary.user_id.clear();
            summary.envelope = copy.envelope.clone();
        }
        assert_eq!(format!("{rest:?}"), format!("{of:?}"));
        let bob = vault::reveal(&memory, "bob").unwrap();
        assert_eq!(bob.credential.password, "two");
        let earlier = vault::reveal_version(&memory, "bob", 1).unwrap();
        assert_eq!(earlier.credential.password, "one");
        // The other is as it was.
        assert_eq!(
            format!("{:?}", vault::describe(&memory, "anna").unwrap()),
            format!("{before:?}")
        );
        for (user, source, expected) in [
            ("bob", "anna", ErrorCode::Conflict),
            ("anna", "anna", ErrorCode::Conflict),
            ("carl", "nobody", ErrorCode::NotFound),
            ("../carl", "anna", ErrorCode::InvalidUserId),
            ("carl", "../anna", ErrorCode::InvalidUserId),
        ] {
            assert_eq!(vault::copy(&memory, user, source).unwrap_err().code, expected, "{user}");
        }
    }
}

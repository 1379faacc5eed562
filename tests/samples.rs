//! Every sample of the FossaWork format through the component, from real files, and a directory that was kept.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use moat::{ErrorCode, Revealed, RingDocument, UserId, Vault};
use serde_json::Value;
use support::{Store, fixture, tests, write_private};

fn text<'v>(case: &'v Value, name: &str) -> &'v str {
    case[name].as_str().unwrap()
}

/// Whether all of the plain text came out, with the values that the format gives to what is missing.
fn is_exactly(revealed: &Revealed, plaintext: &Value) -> bool {
    let (credential, summary) = (revealed.credential(), revealed.summary());
    credential.username() == plaintext["username"]
        && credential.expose_password() == plaintext["password"]
        && summary.created_at.as_deref() == plaintext["created_at"].as_str()
        && summary.last_used.as_deref() == plaintext["last_used"].as_str()
        && summary.is_valid == plaintext["is_valid"].as_bool().unwrap_or(false)
        && u64::from(summary.validation_attempts)
            == plaintext["validation_attempts"].as_u64().unwrap_or(0)
}

#[test]
fn each_sample_comes_out_as_expected() {
    let samples = fixture("fossawork-samples.json");
    let mut stores: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for case in samples["cases"].as_array().unwrap() {
        stores.entry(text(case, "store")).or_default().push(case);
    }
    let mut seen = 0;
    for cases in stores.values() {
        let store = Store::new();
        for case in cases {
            let path = store.path().join(text(case, "file"));
            fs::write(&path, STANDARD.decode(text(case, "content_b64")).unwrap()).unwrap();
            let mode = u32::from_str_radix(text(case, "mode").trim_start_matches("0o"), 8).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        }
        for case in cases {
            check(&store, case);
            seen += 1;
        }
    }
    assert_eq!(seen, 59);
}

fn check(store: &Store, case: &Value) {
    let id = text(case, "id");
    let path = store.path().join(text(case, "file"));
    let before = fs::read(&path).unwrap();
    let vault = store.vault(text(case, "master_key"));
    let outcome = vault.reveal(&UserId::parse(text(case, "user_id")).unwrap());
    assert_eq!(fs::read(&path).unwrap(), before, "{id}: the file was changed");

    let plaintext =
        case["plaintext_json"].as_str().and_then(|text| serde_json::from_str(text).ok());
    let ok = match (&outcome, &plaintext) {
        (Ok(revealed), Some(plaintext)) => is_exactly(revealed, plaintext),
        (Ok(_), None) => panic!("{id}: opened"),
        (Err(_), _) => false,
    };
    let code = outcome.as_ref().err().map(moat::Error::code);
    assert!(ok || code.is_some(), "{id}: came out as something else");
    let as_expected = match text(case, "expect_get") {
        "ok" => ok,
        "ok_or_refuse" => ok || code.is_some(),
        "refuse" => code.is_some(),
        "needs_migration" => code == Some(ErrorCode::NeedsMigration),
        "ok_or_needs_migration" => ok || code == Some(ErrorCode::NeedsMigration),
        "not_found" => {
            // Under the name of a user it would be: it is the file's name that makes it none.
            let listed: Vec<_> = vault.users().map(Result::unwrap).collect();
            assert!(listed.iter().all(|user| user.file_name() != text(case, "file")), "{id}");
            code == Some(ErrorCode::NotFound)
        }
        other => panic!("{id}: {other}"),
    };
    assert!(as_expected, "{id}: {outcome:?}");

    if let (Some(error), Some(plaintext)) = (outcome.err(), plaintext) {
        let said = format!("{error} {error:?}");
        for secret in
            ["username", "password"].map(|name| plaintext[name].as_str().unwrap_or_default())
        {
            // Shorter ones, such as `u`, are in any sentence.
            assert!(secret.len() < 4 || !said.contains(secret), "{id}: {said}");
        }
        assert!(!said.contains(text(case, "master_key")), "{id}: {said}");
    }
}

/// Written by the program when the component still was one part: with two keys, in both encodings, with an extra field and
/// with marks.
#[test]
fn a_directory_of_version_1_0_that_was_kept_opens() {
    let kept = tests().join("fixtures/version-1.0");
    let store = Store::new();
    for file in fs::read_dir(kept.join("credentials")).unwrap().map(Result::unwrap) {
        let copy = store.path().join(file.file_name());
        write_private(&copy, &fs::read(file.path()).unwrap());
    }
    let ring = RingDocument::parse(&fs::read(kept.join("ring.json")).unwrap()).unwrap();
    let vault = Vault::builder(store.directory(), ring.ring()).build().unwrap();
    for (user, password) in [
        ("anna@example.com", "correct horse"),
        ("bruno", "pass \"word\" ümläut"),
        ("carla", "x"),
        ("dora", "dora pass"),
        ("emil", "emil pass"),
    ] {
        let revealed = vault.reveal(&UserId::parse(user).unwrap()).unwrap();
        assert_eq!(revealed.credential().expose_password(), password, "{user}");
        let summary = revealed.summary();
        assert_eq!(summary.envelope.version.as_deref(), Some("1.0"), "{user}");
        let is_carla = user == "carla";
        assert_eq!(summary.field_names, if is_carla { vec!["site"] } else { vec![] });
        assert_eq!(
            (summary.validation_attempts, summary.is_valid),
            (u32::from(is_carla), is_carla)
        );
    }
}

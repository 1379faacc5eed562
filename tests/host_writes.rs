//! What a component may write is the same in the hosts that look at it: a secret has no place but the token.

use std::fs;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use support::callers::{node, python};
use support::{expect, run, tests};

const NOW: u64 = 1_736_848_800;

/// A token of this time with this IV.
fn token(time: u64, iv: u8) -> String {
    let bytes = [&[0x80][..], &time.to_be_bytes(), &[iv; 16], &[1; 16], &[2; 32]].concat();
    URL_SAFE.encode(bytes)
}

/// A record of anna's with more members.
fn record(version: &str, iv: u8, more: &str) -> String {
    let token = token(NOW, iv);
    format!(
        r#"{{"user_id":"anna","encrypted_data":"{token}","created_at":"2025-01-14T10:00:00","encryption_version":"{version}"{more}}}"#
    )
}

const SALT: &str = "AAECAwQFBgcICQoLDA0ODw==";

/// The members of version 2.0.
fn members_of_2(counter: u32) -> String {
    format!(
        r#","kdf":{{"name":"pbkdf2-hmac-sha256","salt":"{SALT}","rounds":600000}},"write_counter":{counter}"#
    )
}

fn settings() -> String {
    let tag = URL_SAFE.encode([7; 32]);
    format!(
        r#"{{"record_version":"2.0","kdf":{{"salt":"{SALT}","rounds":600000}},"mac":{{"key_id":"main","tag":"{tag}"}}}}"#
    )
}

/// Cases and whether each may be written: a sound file, with these replaced in it.
fn cases() -> Vec<(Value, bool)> {
    let secret = "correct horse battery staple";
    let old_1 = record("1.0", 1, r#","extra":[1.0,"\u0061"]"#);
    let new_1 = record("1.0", 2, r#","extra":[1.0,"\u0061"]"#);
    let (old_2, new_2) = (record("2.0", 1, &members_of_2(1)), record("2.0", 2, &members_of_2(2)));
    let first_2 = record("2.0", 2, &members_of_2(1));
    let (settings, other_salt) = (settings(), URL_SAFE.encode([9; 16]));
    let mut cases = Vec::new();
    let mut table = |of: &str,
                     old: Option<&str>,
                     known: Option<&str>,
                     new: &str,
                     rows: &[(&str, &str, bool)]| {
        for (from, to, fits) in rows {
            assert!(new.contains(from), "{from}");
            let altered = new.replacen(from, to, 1);
            let case =
                json!({ "of": of, "old": old, "settings": known, "new": altered, "now": NOW });
            cases.push((case, *fits));
        }
    };
    let rows = [
        ("", "", true),
        ("{", " {\n", true),
        ("2025-01-14T10:00:00", "2026-11-28T13:00:00.123+00:00", true),
        ("2025-01-14T10:00:00", secret, false),
        ("\"2025-01-14T10:00:00\"", "{}", false),
        ("[1.0", "[1", false),
        ("[1.0", "[true", false),
        ("]}", r#"],"key_id":"main"}"#, true),
        ("]}", r#"],"key_id":"correct horse"}"#, false),
        ("]}", r#"],"password":"correct horse"}"#, false),
        ("]}", r#"],"write_counter":1}"#, false),
        ("]}", "],}", false),
        ("]}", "NaN]}", false),
        ("{", "[{", false),
        ("anna", "bob", false),
        (&token(NOW, 2), &token(NOW - 3600, 2), true),
        (&token(NOW, 2), &token(NOW - 3601, 2), false),
        (&token(NOW, 2), &token(NOW + 3601, 2), false),
        (&token(NOW, 2), &token(u64::MAX, 2), false),
        (&token(NOW, 2), &token(NOW, 1), false),
        (&token(NOW, 2), &URL_SAFE.encode(token(NOW, 2)), true),
        (&token(NOW, 2), &URL_SAFE.encode(token(NOW, 1)), false),
        (&token(NOW, 2), &URL_SAFE.encode(URL_SAFE.encode(token(NOW, 2))), false),
        (&token(NOW, 2), &URL_SAFE.encode(secret), false),
    ];
    table("record", Some(&old_1), None, &new_1, &rows);
    table(
        "record",
        None,
        None,
        &new_1,
        &[("", "", false), (r#","extra":[1.0,"\u0061"]"#, "", true)],
    );
    let rows = [
        ("", "", true),
        ("write_counter\":2", "write_counter\":1", false),
        ("write_counter\":2", "write_counter\":3", false),
        ("write_counter\":2", "write_counter\":2.0", false),
        ("write_counter\":2", "write_counter\":4294967295", false),
        (SALT, &other_salt, false),
        ("600000", "100000", false),
        ("600000", "600000,\"more\":1", false),
        ("\"name\":\"pbkdf2-hmac-sha256\",", "\"name\":\"hkdf-sha256\",", true),
        ("\"name\":\"pbkdf2-hmac-sha256\",", "\"name\":\"correct horse\",", false),
    ];
    table("record", Some(&old_2), None, &new_2, &rows);
    table("record", None, None, &first_2, &[("", "", false)]);
    table("record", None, Some(&settings), &first_2, &[("", "", true), (SALT, &other_salt, false)]);
    let rows = [
        ("", "", true),
        ("\"main\"", "null", true),
        ("\"main\"", "\"correct horse\"", false),
        ("2.0", "3.0", false),
        ("600000", "100000", false),
        (SALT, "AAECAwQFBgcICQoLDA0ODxA=", false),
        ("BwcH", "", false),
        ("}}", "},\"more\":1}", false),
        ("}}", "},\"token_encoding\":\"app\"}", true),
        ("}}", "},\"token_encoding\":\"correct horse\"}", false),
    ];
    table("settings", None, None, &settings, &rows);
    let kdf = format!(r#""kdf":{{"salt":"{SALT}","rounds":600000}},"#);
    let rows =
        [("", "", true), ("2.0", "1.0", true), (SALT, &*other_salt, false), (&*kdf, "", false)];
    table("settings", Some(&settings), None, &settings, &rows);
    cases
}

#[test]
fn a_secret_is_written_nowhere_but_in_the_token() {
    let (cases, fits): (Vec<Value>, Vec<bool>) = cases().into_iter().unzip();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    fs::write(&file, Value::from(cases.clone()).to_string()).unwrap();
    let in_python = python().map(|python| python.run(tests().join("host_components/writes.py")));
    let in_node = node().map(|node| {
        let mut command = Command::new("node");
        command.arg(tests().join("host_components/writes.mjs"));
        command.arg(node.path("dist/lib/core/write-policy.js"));
        command
    });
    for mut command in in_python.into_iter().chain(in_node) {
        let (stdout, _) = expect(0, &run(command.arg(&file)));
        let found: Vec<bool> = stdout.lines().map(|line| line == "true").collect();
        assert_eq!(found.len(), cases.len());
        let both = found.iter().zip(&fits).zip(&cases);
        let wrong: Vec<_> = both.filter(|((found, fits), _)| found != fits).collect();
        assert!(wrong.is_empty(), "{command:?}: {wrong:#?}");
    }
}

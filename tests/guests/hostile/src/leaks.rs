//! Ways out: a secret, here the master key, hidden in what the component may write, answer or have kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use crate::answer::Answer;
use crate::imports::{Bytes, drawn, read, remember, remember_as, remove, ring, write, write_new};
use crate::records::rewrite;
use crate::{Misdeed, file};

const SETTINGS: &str = "moat.json";

pub(crate) const MISDEEDS: &[Misdeed] = &[
    // In a record.
    ("key-in-created-at", |user| with_member(user, "created_at", &quoted(key()))),
    ("key-in-an-object-in-created-at", |user| {
        with_member(user, "created_at", &format!(r#"{{"key":{}}}"#, quoted(key())))
    }),
    ("another-time-in-created-at", |user| {
        with_member(user, "created_at", "\"1999-12-31T23:59:59\"")
    }),
    ("key-as-label", |user| with_member(user, "key_id", &quoted(key()))),
    ("label-that-is-a-list", |user| with_member(user, "key_id", "[1,2,3]")),
    ("new-member", |user| with_member(user, "note", &quoted(key()))),
    ("white-space", |user| rewrite(user, |record| record.replace(',', ", "))),
    ("letters-in-disguise", |user| {
        rewrite(user, |record| record.replace("created", "creat\\u0065d"))
    }),
    ("other-order-of-members", |user| {
        rewrite(user, |record| {
            let (first, rest) = record.trim_matches(['{', '}']).split_once(',').unwrap_or_default();
            format!("{{{rest},{first}}}")
        })
    }),
    ("member-left-out", |user| {
        rewrite(user, |record| {
            let (_, rest) = record.split_once(r#""created_at":""#).unwrap_or_default();
            let (time, _) = rest.split_once('"').unwrap_or_default();
            record.replace(&format!(r#""created_at":"{time}","#), "")
        })
    }),
    ("counter-that-skips", |user| {
        begin_settings(drawn());
        version_2(user, "4294967295")
    }),
    ("counter-that-begins-at-0", |user| {
        begin_settings(drawn());
        version_2(user, "0")
    }),
    ("derivation-of-its-own", |user| version_2(user, "1")),
    // In the settings.
    ("key-as-salt", |_| begin_settings(&key().as_bytes()[..16])),
    ("rounds-of-its-own", |_| write_new(SETTINGS, &settings(drawn(), 600_001))),
    ("another-salt", |_| {
        begin_settings(drawn());
        let before = read(SETTINGS);
        write(SETTINGS, "{}", before.bytes(4));
        let salt = drawn();
        write(SETTINGS, &settings(salt, 600_000), before.bytes(4))
    }),
    ("key-as-label-of-the-settings", |_| {
        let (salt, label) = (drawn(), quoted(key()));
        write_new(SETTINGS, &settings(salt, 600_000).replace("null", &label))
    }),
    ("settings-of-another-version", |_| write_new(SETTINGS, r#"{"record_version":"1.0"}"#)),
    ("settings-that-keep-versions", |_| write_new(SETTINGS, r#"{"history":100}"#)),
    // In what is kept for other calls.
    ("keep-before-the-ring-was-lent", |user| remember(user, &[7; 32])),
    ("keep-for-everyone", |_| keep(0, "1.0", None, "")),
    ("keep-under-another-version", |user| keep(0, key(), Some(user.into()), "")),
    ("keep-under-another-index", |user| keep(1, "1.0", Some(user.into()), "")),
    ("keep-under-other-parameters", |user| keep(0, "1.0", Some(user.into()), key())),
    ("keep-under-another-derivation", |_| {
        keep(0, "2.0", None, &format!("{}:600000", URL_SAFE.encode(&key()[..16])))
    }),
];

/// What ends in an answer that isn't true.
pub(crate) const ANSWERS: &[Misdeed] = &[
    // In an answer.
    ("key-as-label-in-an-answer", |user| summary(user, Some(key()), true)),
    ("long-label-in-an-answer", |user| summary(user, Some("x".repeat(300_000).leak()), false)),
    ("no-key-in-an-answer", |user| summary(user, None, false)),
    ("revision-of-another-file", |user| {
        ring();
        Answer::summary(user.to_owned().leak(), None, true, "0123456789abcdef0123456789abcdef")
    }),
    ("key-in-a-message", |_| Answer::error(key())),
    ("code-of-the-host", |_| Answer::failure(15, "the audit log can't be written")),
    // In what it says that it did.
    ("write-and-say-not-found", |user| {
        rewrite(user, |record| record);
        Answer::failure(0, "there is no credential for this user")
    }),
    ("say-stored-and-write-nothing", |user| summary(user, None, true)),
    ("remove-and-say-unchanged", |user| {
        remove(&file(user));
        Answer::EMPTY
    }),
    ("say-removed-and-remove-nothing", |_| Answer::with(&[(1, 1)])),
];

/// The master key.
fn key() -> &'static str {
    std::str::from_utf8(ring().key()).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// Writes the user's record with another value of a member, or a new member at its end.
fn with_member(user: &str, name: &str, value: &str) -> Answer {
    rewrite(user, |record| {
        let begins = format!("\"{name}\":");
        match record.split_once(&begins) {
            Some((before, rest)) => {
                let end = rest.find([',', '}']).unwrap_or_default();
                format!("{before}{begins}{value}{}", &rest[end..])
            }
            None => record.replace('}', &format!(",{begins}{value}}}")),
        }
    })
}

/// Settings with this salt, authenticated by nothing.
fn settings(salt: &[u8], rounds: u32) -> String {
    let (salt, tag) = (URL_SAFE.encode(salt), URL_SAFE.encode([7; 32]));
    format!(
        r#"{{"kdf":{{"salt":"{salt}","rounds":{rounds}}},"mac":{{"key_id":null,"tag":"{tag}"}}}}"#
    )
}

/// Writes settings to a directory that has none.
fn begin_settings(salt: &[u8]) -> Answer {
    ring();
    write_new(SETTINGS, &settings(salt, 600_000))
}

/// Writes the user's record as one of version 2.0 with this counter, by the directory's derivation or one that looks like it.
fn version_2(user: &str, counter: &str) -> Answer {
    let before = read(SETTINGS);
    let text = if before.found() { before.bytes(2) } else { &[] };
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once(r#""salt":""#).unwrap_or_default();
    let salt = rest.split('"').next().filter(|salt| !salt.is_empty());
    let salt = salt.map_or_else(|| URL_SAFE.encode(drawn()), str::to_owned);
    let kdf = format!(r#"{{"name":"pbkdf2-hmac-sha256","salt":"{salt}","rounds":600000}}"#);
    let members = format!(r#""2.0","kdf":{kdf},"write_counter":{counter}}}"#);
    rewrite(user, |record| record.replace("\"1.0\"}", &members))
}

/// Answers that the record is encrypted with the key of this label, with the revision that the record has.
fn summary(user: &str, label: Option<&'static str>, is_primary: bool) -> Answer {
    ring();
    let revision = std::str::from_utf8(read(&file(user)).bytes(4)).unwrap_or_default();
    Answer::summary(user.to_owned().leak(), label, is_primary, revision)
}

/// Offers a key to the cache by this name.
fn keep(ring_index: u32, version: &str, user: Option<Bytes>, parameters: &str) -> Answer {
    ring();
    remember_as(ring_index, version, user, parameters, &[7; 32])
}

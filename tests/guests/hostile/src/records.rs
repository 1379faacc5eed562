//! What is written in place of the user's record, but is no record of this user or not a new one.

use std::process::abort;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use crate::answer::Answer;
use crate::imports::{drawn, read, ring, seconds, write, write_new};
use crate::{Misdeed, file};

pub(crate) const MISDEEDS: &[Misdeed] = &[
    ("no-json", |user| rewrite(user, |_| "no JSON".to_owned())),
    ("no-text", |user| {
        let record = read(&file(user));
        write(&file(user), b"\xff\xfe", record.bytes(4))
    }),
    ("nothing", |user| rewrite(user, |_| String::new())),
    ("record-of-another-user", |user| rewrite(user, |record| record.replacen(user, "anna", 1))),
    ("record-in-the-clear", |user| {
        rewrite(user, |_| {
            format!(
                r#"{{"user_id":"{user}","encrypted_data":"aG9yc2U=","crypto_available":false}}"#
            )
        })
    }),
    ("record-of-no-version", |user| {
        rewrite(user, |record| record.replace("encryption_version", "crypto_available"))
    }),
    ("record-of-an-unknown-version", |user| {
        rewrite(user, |record| record.replace("\"1.0\"", "\"9.9\""))
    }),
    ("member-given-twice", |user| {
        rewrite(user, |record| record.replacen('{', r#"{"user_id":"anna","#, 1))
    }),
    ("member-given-twice-in-disguise", |user| {
        rewrite(user, |record| record.replacen('{', r#"{"user\u005fid":"anna","#, 1))
    }),
    ("garbage-after-the-record", |user| rewrite(user, |record| record + "garbage")),
    ("record-over-64-kib", |user| reseal(user, |token| longer(token, 64 << 10))),
    ("token-too-short", |user| reseal(user, |token| token[..40].to_vec())),
    ("token-that-is-no-base64", |user| {
        rewrite(user, |record| with_token(&record, |token| token.replacen('A', "*", 1)))
    }),
    ("token-of-another-format", |user| reseal(user, |token| [&[0x81], &token[1..]].concat())),
    ("token-of-odd-length", |user| reseal(user, |token| token[..token.len() - 1].to_vec())),
    ("token-from-the-far-future", |user| {
        reseal(user, |token| at_time(token, seconds() + 3_000_000_000))
    }),
    ("token-from-long-ago", |user| reseal(user, |token| at_time(token, 0))),
    ("token-of-a-second-ago", |user| reseal(user, |token| at_time(token, seconds() - 1))),
    ("token-as-before", |user| put(user, |record| record.replace("\"20", "\"19"))),
    ("token-as-before-in-disguise", |user| {
        put(user, |record| record.replace("\"gAAAAA", r#""gAAAA\u0041"#))
    }),
    ("token-as-before-in-the-other-encoding", |user| {
        put(user, |record| with_token(record, |token| URL_SAFE.encode(token)))
    }),
    ("iv-as-before", |user| {
        put(user, |record| {
            ring();
            drawn();
            resealed(record, |token| at_time(token, seconds()))
        })
    }),
    ("iv-of-its-own", |user| reseal(user, |token| with_iv(token, b"half of the key!"))),
    ("settings-that-hold-a-secret", |_| {
        write_new("moat.json", r#"{"token_encoding":"correct horse"}"#)
    }),
    ("trap-before-a-write", |user| {
        read(&file(user));
        abort()
    }),
    ("trap-after-a-write", |user| {
        rewrite(user, |record| record);
        abort()
    }),
    ("write-twice", |user| {
        rewrite(user, |record| record);
        rewrite(user, |record| record)
    }),
    ("write-an-iv-twice", |user| {
        rewrite(user, |record| record);
        put(user, |record| resealed(record, |token| [token, &[0; 16]].concat()))
    }),
    ("write-a-record-and-then-none", |user| {
        rewrite(user, |record| record);
        put(user, |_| "no JSON".to_owned())
    }),
];

/// Writes this in place of the user's record as it stands.
pub(crate) fn put(user: &str, alter: impl FnOnce(&str) -> String) -> Answer {
    let before = read(&file(user));
    let record = String::from_utf8_lossy(before.bytes(2));
    write(&file(user), &alter(&record), before.bytes(4))
}

/// Writes this in place of the user's record, once that is as it may be written.
pub(crate) fn rewrite(user: &str, alter: impl FnOnce(String) -> String) -> Answer {
    put(user, |record| alter(renewed(record)))
}

/// Writes the user's record with this in place of a token that may be written.
fn reseal(user: &str, alter: impl FnOnce(&[u8]) -> Vec<u8>) -> Answer {
    rewrite(user, |record| resealed(&record, alter))
}

/// The record with a token that has time and IV as the host gives them. Nobody without the key can tell that no key opens
/// it.
pub(crate) fn renewed(record: &str) -> String {
    ring();
    resealed(record, |token| with_iv(&at_time(token, seconds()), drawn()))
}

/// The record with this in place of the bytes of its token.
pub(crate) fn resealed(record: &str, alter: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    with_token(record, |token| URL_SAFE.encode(alter(&URL_SAFE.decode(token).unwrap_or_default())))
}

/// The record with this in place of its token.
fn with_token(record: &str, alter: impl FnOnce(&str) -> String) -> String {
    let token = record.split('"').find(|text| text.starts_with("gAAAAA")).unwrap_or_default();
    record.replace(token, &alter(token))
}

/// The token with this time.
fn at_time(token: &[u8], seconds: u64) -> Vec<u8> {
    [&token[..1], &seconds.to_be_bytes(), &token[9..]].concat()
}

/// The token with this IV.
fn with_iv(token: &[u8], iv: &[u8]) -> Vec<u8> {
    [&token[..9], iv, &token[25..]].concat()
}

/// The token with so many more bytes that nobody can decrypt.
pub(crate) fn longer(token: &[u8], bytes: usize) -> Vec<u8> {
    [token, &vec![0; bytes]].concat()
}

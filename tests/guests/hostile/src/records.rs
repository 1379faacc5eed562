//! What is written in place of the user's record, but is no record of this user or not a new one.

use std::process::abort;

use crate::answer::Answer;
use crate::imports::{read, write, write_new};
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
    ("record-over-64-kib", |user| rewrite(user, |record| padded(&record, 64 << 10))),
    ("token-too-short", |user| reseal(user, |token| token[..40].to_owned())),
    ("token-that-is-no-base64", |user| reseal(user, |token| token.replacen("moat", "m*at", 1))),
    ("token-of-another-format", |user| reseal(user, |token| token.replacen('g', "h", 1))),
    ("token-of-odd-length", |user| reseal(user, |token| token[..60].to_owned() + &token[64..])),
    ("token-from-the-far-future", |user| reseal(user, |token| format!("gAA_{}", &token[4..]))),
    ("token-from-long-ago", |user| reseal(user, |token| format!("gAAAAAAAAAAA{}", &token[12..]))),
    ("token-as-before", |user| put(user, |record| record.replace("\"20", "\"19"))),
    ("token-as-before-in-disguise", |user| {
        put(user, |record| record.replace("\"gAAAAA", r#""gAAAA\u0041"#))
    }),
    ("token-as-before-in-the-other-encoding", |user| {
        put(user, |record| with_token(record, base64))
    }),
    ("iv-as-before", |user| put(user, |record| with_token(record, |token| overwritten(token, 40)))),
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
        put(user, |record| with_token(record, |token| token.replacen("moat", "boat", 1)))
    }),
    ("write-a-record-and-then-none", |user| {
        rewrite(user, |record| record);
        put(user, |_| "no JSON".to_owned())
    }),
];

/// Writes this in place of the user's record as it stands.
fn put(user: &str, alter: impl FnOnce(&str) -> String) -> Answer {
    let before = read(&file(user));
    let record = String::from_utf8_lossy(before.bytes(2));
    write(&file(user), &alter(&record), before.bytes(4))
}

/// Writes this in place of the user's record, once that looks new.
fn rewrite(user: &str, alter: impl FnOnce(String) -> String) -> Answer {
    put(user, |record| alter(renewed(record)))
}

/// Writes the user's record with this in place of a token that looks new.
fn reseal(user: &str, alter: impl FnOnce(&str) -> String) -> Answer {
    rewrite(user, |record| with_token(&record, alter))
}

/// The record with another IV in its token. Nobody without the key can tell that no key opens it.
pub(crate) fn renewed(record: &str) -> String {
    with_token(record, |token| overwritten(token, 16))
}

/// The record with this in place of its token.
fn with_token(record: &str, alter: impl FnOnce(&str) -> String) -> String {
    let token = record.split('"').find(|text| text.starts_with("gAAAAA")).unwrap_or_default();
    record.replace(token, &alter(token))
}

/// The record with this many more bytes that mean nothing.
pub(crate) fn padded(record: &str, bytes: usize) -> String {
    record.replacen('{', &format!("{{{}", " ".repeat(bytes)), 1)
}

/// The token with other bytes from this place in its base64 on: its IV stands at 12 to 33.
fn overwritten(token: &str, place: usize) -> String {
    format!("{}moat{}", &token[..place], &token[place + 4..])
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits =
            (0..3).fold(0, |bits, n| bits << 8 | group.get(n).map_or(0, |byte| *byte as usize));
        encoded.extend((0..=group.len()).map(|n| char::from(DIGITS[bits >> (18 - 6 * n) & 63])));
        encoded.extend((group.len()..3).map(|_| '='));
    }
    encoded
}

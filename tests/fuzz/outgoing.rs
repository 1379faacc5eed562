//! What the host lets the component write is what the honest component writes, and nothing that could carry a secret:
//! whatever is changed in it, the record that passes differs from the one before only in what the host knows, and in the
//! ciphertext.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use moat::fuzzing::{Given, allows};
use moat_format::json_object::RawObject;
use moat_format::record::{
    CREATED_AT, CRYPTO_AVAILABLE, ENCRYPTED_DATA, ENCRYPTION_VERSION, KDF, KEY_ID, USER_ID,
    WRITE_COUNTER,
};
use moat_format::timestamp;
use moat_format::token::Token;
use moat_guest_records::vault;
use support::{KEYS, Memory, NOW, USER};

/// The members that a write decides.
const DECIDED: [&str; 7] =
    [USER_ID, ENCRYPTED_DATA, ENCRYPTION_VERSION, CREATED_AT, KEY_ID, KDF, WRITE_COUNTER];

/// The record before, and what is changed in the one that takes its place.
#[derive(Arbitrary, Debug)]
struct Input<'a> {
    changes: Vec<Change<'a>>,
    template: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Change<'a> {
    at: u16,
    cut: u8,
    put: &'a [u8],
}

fn members(text: &[u8]) -> Option<Vec<(String, String)>> {
    let object: RawObject = serde_json::from_slice(text).ok()?;
    Some(object.iter().map(|(name, value)| (name.to_owned(), value.get().to_owned())).collect())
}

fn find<'m>(members: &'m [(String, String)], name: &str) -> Option<&'m str> {
    members.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fuzz_target!(|input: Input| {
    let old = support::fill(input.template);
    let memory = Memory::new(Some(old.clone()));
    if vault::mark_used(&memory, USER).is_err() {
        return;
    }
    let honest = memory.record().expect("it was written");
    let token = |members: &[(String, String)]| {
        let text: String = serde_json::from_str(find(members, ENCRYPTED_DATA)?).ok()?;
        Some(Token::decode(&text)?.0)
    };
    let iv = *token(&members(&honest).expect("it is a record")).expect("it has a token").iv();
    let given = || Given { seconds: NOW, drawn: iv, label: KEYS[0].0 };
    assert!(allows(&honest, Some(&old), USER, &given()), "what the honest component writes");

    let mut new = honest.clone();
    for Change { at, cut, put } in &input.changes {
        let at = usize::from(*at) % (new.len() + 1);
        let end = (at + usize::from(*cut)).min(new.len());
        new.splice(at..end, put.iter().copied());
    }
    if !allows(&new, Some(&old), USER, &given()) {
        return;
    }
    let (before, after) =
        (members(&old).expect("it was read"), members(&new).expect("it was allowed"));
    // There is no other way to spell it, and nothing around it.
    let spelled: Vec<_> = after
        .iter()
        .map(|(name, value)| format!("{}:{value}", serde_json::to_string(name).expect("a text")))
        .collect();
    assert_eq!(String::from_utf8_lossy(&new), format!("{{{}}}", spelled.join(",")));
    // What isn't decided is as before, in the order of before.
    let is_kept = |(name, _): &&(String, String)| {
        !DECIDED.contains(&name.as_str()) && name != CRYPTO_AVAILABLE
    };
    assert!(before.iter().filter(is_kept).eq(after.iter().filter(is_kept)));
    let order = |all: &[(String, String)], of: &[(String, String)]| {
        let names = all.iter().map(|(name, _)| name.clone());
        names.filter(|name| find(of, name).is_some()).collect::<Vec<_>>()
    };
    assert_eq!(order(&before, &after), order(&after, &before));
    // What is decided has one value, or one of two.
    let token = token(&after).expect("it was allowed");
    assert_eq!((token.time(), *token.iv()), (NOW, iv));
    let now = format!("{:?}", timestamp::format(NOW).expect("a time"));
    let created_at = find(&after, CREATED_AT);
    assert!(created_at == find(&before, CREATED_AT) || created_at == Some(&now));
    assert_eq!(find(&after, USER_ID), Some("\"anna\""));
    assert_eq!(find(&after, KEY_ID), Some("\"new\""));
    match find(&after, ENCRYPTION_VERSION) {
        Some("\"1.0\"") => {}
        Some("\"2.0\"") => {
            let parsed = |members| serde_json::from_str(find(members, KDF)?).ok();
            let (old, new): (Option<serde_json::Value>, _) = (parsed(&before), parsed(&after));
            assert_eq!(old.expect("there is no other")["salt"], new.expect("it was allowed")["salt"]);
            let count = |members| find(members, WRITE_COUNTER).and_then(|text| text.parse::<u32>().ok());
            assert_eq!(count(&after), count(&before).map(|count| count + 1));
        }
        other => panic!("{other:?}"),
    }
});

//! No file makes the guest panic. Looking at the outside takes no key. What opens, opens again after a rewrite, to the
//! same credential, with every member kept that isn't known; what doesn't open is left as it is.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use moat_format::timestamp;
use moat_guest_records::contract::ErrorCode;
use moat_guest_records::vault;
use serde_json::value::RawValue;
use support::{Memory, NOW, USER};

type Members = BTreeMap<String, Box<RawValue>>;

/// The members outside and inside, as they are written, without those that a rewrite sets.
fn others(record: &[u8]) -> [BTreeMap<String, String>; 2] {
    let outer: Members = serde_json::from_slice(record).expect("it was a record");
    let encrypted: String =
        serde_json::from_str(outer["encrypted_data"].get()).expect("it was a text");
    let inner: Members = serde_json::from_slice(&support::open(&encrypted).expect("it was opened"))
        .expect("it was a credential");
    let set = ["encrypted_data", "encryption_version", "crypto_available", "key_id", "last_used"];
    [outer, inner].map(|members| {
        let others = members.into_iter().filter(|(name, _)| !set.contains(&name.as_str()));
        others.map(|(name, value)| (name, value.get().to_owned())).collect()
    })
}

fuzz_target!(|template: &[u8]| {
    let before = support::fill(template);
    let memory = Memory::new(Some(before.clone()));
    let inspected = vault::inspect(&Memory::without_keys(Some(before.clone())), USER);
    let revealed = vault::reveal(&memory, USER);
    let described = vault::describe(&memory, USER);
    let marked = vault::mark_used(&memory, USER);

    let show = |value: &dyn std::fmt::Debug| format!("{value:?}");
    let old = match revealed {
        Ok(revealed) => revealed,
        Err(error) => {
            assert_eq!(show(&described.unwrap_err()), show(&error));
            assert_eq!(show(&marked.unwrap_err()), show(&error));
            assert_eq!(memory.record(), Some(before));
            return;
        }
    };
    assert_eq!(show(&described.expect("it opens")), show(&old.summary));
    assert_eq!(show(&inspected.expect("it opens")), show(&old.summary.envelope));

    let summary = match marked {
        Ok(summary) => summary,
        Err(error) => {
            assert_eq!(error.code, ErrorCode::TooLarge);
            assert_eq!(memory.record(), Some(before));
            return;
        }
    };
    let mut new = vault::reveal(&memory, USER).expect("what was written opens");
    assert_eq!(show(&new.summary), show(&summary));
    assert_eq!(new.summary.envelope.encoding, old.summary.envelope.encoding);
    assert_eq!(new.credential.last_used, timestamp::format(NOW));
    new.credential.last_used.clone_from(&old.credential.last_used);
    assert_eq!(show(&new.credential), show(&old.credential));
    assert_eq!(others(&memory.record().expect("it was written")), others(&before));
});

//! The derivations of version 1.0 that a benchmark compares: by the crate `sha2`, by the component's own SHA-256, and in
//! its lanes. Each derives so many keys and returns nothing.

#![allow(unsafe_code, reason = "functions that are exported by their names")]

use std::hint::black_box;

use moat_format::user_id::UserId;
use moat_guest_keys::contract::{Derivation, Error, MasterKey, Slot};
use moat_guest_keys::{Host, Ring, kdf};
use sha2::Sha256;

const KEY: &[u8] = b"the key of a benchmark, which is long enough";

/// Lends one key, and keeps nothing.
struct Lender;

impl Host for Lender {
    fn ring(&self) -> Result<Vec<MasterKey>, Error> {
        Ok(vec![MasterKey { id: None, primary: true, material: KEY.to_vec() }])
    }

    fn lookup(&self, _slot: &Slot) -> Option<Vec<u8>> {
        None
    }

    fn remember(&self, _slot: &Slot, _key: &[u8]) {}
}

fn user_ids(keys: u32) -> impl Iterator<Item = String> {
    (0..keys).map(|number| format!("user{number}"))
}

#[unsafe(no_mangle)]
extern "C" fn by_sha2(keys: u32) {
    for user_id in user_ids(keys) {
        let mut key = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(KEY, user_id.as_bytes(), kdf::ROUNDS_1, &mut key);
        black_box(key);
    }
}

#[unsafe(no_mangle)]
extern "C" fn one_by_one(keys: u32) {
    for user in user_ids(keys).filter_map(|user_id| UserId::parse(&user_id).ok()) {
        black_box(kdf::user_key_1(KEY, &user));
    }
}

#[unsafe(no_mangle)]
extern "C" fn in_lanes(keys: u32) {
    let wanted = user_ids(keys);
    let wanted = wanted.map(|user_id| Derivation { ring_index: Some(0), user_id, root: None });
    let _ = black_box(Ring::new(&Lender).derive(&wanted.collect::<Vec<_>>()));
}

//! Makes calls of a kind, so many of them, for a tool that counts what they cost.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken test environment has to stop the test"
)]

use std::time::Duration;

use moat::{Credential, KeyCache, KeyRing, MasterKey, PutOptions, UserId, Vault};
use support::{KEY, Store};

/// The users whose records one call is for, where it is for several.
const USERS: usize = 16;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (kind, calls) =
        (arguments.next().unwrap(), arguments.next().unwrap().parse::<u32>().unwrap());
    let store = Store::new();
    let vault = |keys: KeyRing, cached: usize| {
        let cache = KeyCache::new(cached, Duration::from_secs(600));
        Vault::builder(store.directory(), keys).key_cache(cache).build().unwrap()
    };
    let key = |key: &str| MasterKey::new(key.as_bytes());
    let weak = || KeyRing::new(key(KEY));
    let [one, other] = [(); 2].map(|()| key(&moat::generate_key().unwrap()));
    let strong = || KeyRing::new(one.clone());
    let users: Vec<UserId> =
        (0..USERS).map(|number| UserId::parse(&format!("user{number}")).unwrap()).collect();
    let anna = users.first().unwrap();
    let put = |vault: &Vault, user: &UserId| {
        let credential = Credential::new("anna", "correct horse");
        vault.put(user, &credential, &PutOptions::default()).unwrap();
    };
    let repeat = |call: &dyn Fn()| (0..calls).for_each(|_| call());
    match kind.as_str() {
        "get 1.0" => {
            let vault = vault(weak(), 1);
            put(&vault, anna);
            repeat(&|| drop(vault.reveal(anna).unwrap()));
        }
        "get 2.0" => {
            let vault = vault(strong(), 0);
            put(&vault, anna);
            repeat(&|| drop(vault.reveal(anna).unwrap()));
        }
        "put 2.0" => {
            let vault = vault(strong(), 0);
            repeat(&|| put(&vault, anna));
        }
        "verify 2.0" => {
            let vault = vault(strong(), 0);
            users.iter().for_each(|user| put(&vault, user));
            repeat(&|| drop(vault.verify(&users).unwrap()));
        }
        "rotate 2.0" => {
            let vaults = [
                vault(KeyRing::new(other.clone()).with_other(one.clone()), 0),
                vault(strong().with_other(other), 0),
            ];
            users.iter().for_each(|user| put(&vaults[1], user));
            for vault in vaults.iter().cycle().take(calls as usize) {
                let rewritten = vault.rewrap(&users, false).unwrap();
                assert!(rewritten.iter().all(|rewritten| rewritten.as_ref().unwrap().changed));
            }
        }
        "verify 1.0, deriving 4 keys" => {
            let vault = vault(weak(), 0);
            let users = &users[..4];
            users.iter().for_each(|user| put(&vault, user));
            repeat(&|| drop(vault.verify(users).unwrap()));
        }
        other => panic!("{other}"),
    }
}

//! What the part with the master keys asks of the host, and what it refuses.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

use std::cell::RefCell;
use std::collections::HashSet;

use moat_format::kdf::Kdf;
use moat_format::message::Message;
use moat_format::strong_key;
use moat_format::user_id::UserId;
use moat_guest_keys::contract::{Derivation, Error, ErrorCode, MasterKey, RootParameters, Slot};
use moat_guest_keys::kdf::RootKey;
use moat_guest_keys::{Host, Ring};

/// A host that keeps no derived key unless it has one, and has a log of what it was asked.
struct Log {
    keys: Vec<MasterKey>,
    kept: Option<Vec<u8>>,
    log: RefCell<Vec<String>>,
}

impl Log {
    fn new(materials: &[&str]) -> Self {
        let key = |(place, material): (usize, &&str)| MasterKey {
            id: None,
            primary: place == 0,
            material: material.as_bytes().to_vec(),
        };
        let keys = materials.iter().enumerate().map(key).collect();
        Self { keys, kept: None, log: RefCell::default() }
    }

    fn note(&self, what: &str, slot: &Slot) {
        let user = slot.user_id.as_deref().unwrap_or("all");
        let line = format!("{what} {} {} {user}", slot.ring_index, slot.version);
        self.log.borrow_mut().push(line);
    }
}

impl Host for Log {
    fn ring(&self) -> Result<Vec<MasterKey>, Error> {
        self.log.borrow_mut().push("ring".to_owned());
        Ok(self.keys.clone())
    }

    fn lookup(&self, slot: &Slot) -> Option<Vec<u8>> {
        self.note("lookup", slot);
        self.kept.clone()
    }

    fn remember(&self, slot: &Slot, key: &[u8]) {
        assert_eq!(key.len(), 32);
        self.note("remember", slot);
    }
}

const KEYS: [&str; 2] = ["sixteen bytes or more", "another key of the ring"];

fn root(rounds: impl Into<Option<u32>>) -> Option<RootParameters> {
    Some(RootParameters { salt: vec![7; 16], rounds: rounds.into() })
}

fn anna(ring_index: u32, root: Option<RootParameters>) -> Derivation {
    Derivation { ring_index: Some(ring_index), user_id: "anna".to_owned(), root }
}

/// A call of the host with a user's name comes first, so that it can abort the component over a user who isn't the call's.
#[test]
fn every_user_is_named_to_the_host_before_a_key_is_derived() {
    let host = Log::new(&KEYS);
    let ring = Ring::new(&host);
    ring.derive(&[anna(0, None), anna(1, root(600_000)), anna(1, root(600_000))]).unwrap();
    assert_eq!(
        host.log.take(),
        [
            "ring",
            "lookup 0 1.0 anna",
            "lookup 1 2.0 anna",
            "lookup 1 2.0 all",
            "lookup 1 2.0 anna",
            "remember 0 1.0 anna",
            "remember 1 2.0 all",
        ]
    );
}

#[test]
fn the_ring_is_asked_for_once() {
    let host = Log::new(&KEYS);
    let ring = Ring::new(&host);
    assert_eq!(host.log.take(), [""; 0]);
    assert_eq!(ring.infos().unwrap().len(), 2);
    assert_eq!(ring.primary().unwrap(), 0);
    ring.derive(&[anna(1, None)]).unwrap();
    assert_eq!(host.log.take().iter().filter(|line| *line == "ring").count(), 1);
}

/// Whatever the other part asks, nothing is derived out of bounds.
#[test]
fn what_is_out_of_bounds_is_refused_before_anything_is_derived() {
    let host = Log::new(&KEYS);
    let ring = Ring::new(&host);
    let user = |user_id: &str| Derivation { user_id: user_id.to_owned(), ..anna(0, None) };
    let short = RootParameters { salt: vec![7; 15], rounds: Some(600_000) };
    for (wanted, code) in [
        (anna(2, None), ErrorCode::MasterKeyMissing),
        (anna(u32::MAX, root(600_000)), ErrorCode::MasterKeyMissing),
        (anna(0, root(0)), ErrorCode::Malformed),
        (anna(0, root(u32::MAX)), ErrorCode::Malformed),
        (anna(0, root(599_999)), ErrorCode::Malformed),
        (anna(0, Some(short)), ErrorCode::Malformed),
        (anna(0, root(None)), ErrorCode::MasterKeyRefused),
        (user(""), ErrorCode::InvalidUserId),
        (user("../anna"), ErrorCode::InvalidUserId),
    ] {
        assert_eq!(
            ring.derive(std::slice::from_ref(&wanted)).unwrap_err().code,
            code,
            "{wanted:?}"
        );
        assert!(!host.log.take().iter().any(|line| line.starts_with("remember")));
    }
}

#[test]
fn a_strong_key_has_its_own_derivation_and_no_other() {
    let strong = strong_key::encode(&[1; 32]).unwrap();
    let host = Log::new(&[&strong]);
    let ring = Ring::new(&host);
    assert!(ring.infos().unwrap()[0].strong);
    assert_eq!(
        ring.derive(&[anna(0, root(600_000))]).unwrap_err().code,
        ErrorCode::MasterKeyRefused
    );
    ring.derive(&[anna(0, root(None))]).unwrap();
    let parameters = root(None).unwrap();
    ring.settings_tag(0, &parameters, b"settings").unwrap();
    // Its user is named, and nothing is worth keeping.
    let log = host.log.take();
    assert_eq!(log.last().unwrap(), "lookup 0 2.0 anna");
    assert!(!log.iter().any(|line| line.starts_with("remember")));
}

/// What anyone can derive needs no ring.
#[test]
fn the_published_key_is_derived_without_a_ring() {
    let host = Log::new(&[]);
    let ring = Ring::new(&host);
    let published = Derivation { ring_index: None, ..anna(0, None) };
    assert_eq!(ring.derive(&[published]).unwrap().len(), 1);
    assert_eq!(host.log.take(), [""; 0]);
    assert_eq!(ring.infos().unwrap_err().code, ErrorCode::MasterKeyMissing);
}

#[test]
fn the_keys_of_users_and_places_differ() {
    let host = Log::new(&KEYS);
    let ring = Ring::new(&host);
    let bob = |root| Derivation { user_id: "bob".to_owned(), ..anna(0, root) };
    let other = Some(RootParameters { salt: vec![8; 16], rounds: Some(600_000) });
    let wanted = [
        anna(0, None),
        anna(1, None),
        bob(None),
        anna(0, root(600_000)),
        anna(1, root(600_000)),
        bob(root(600_000)),
        anna(0, root(600_001)),
        anna(0, other),
    ];
    let keys = ring.derive(&wanted).unwrap();
    let different: HashSet<[u8; 32]> = keys.iter().map(|key| **key).collect();
    assert_eq!(different.len(), wanted.len());
}

#[test]
fn the_key_that_encrypts_is_the_primary_one_if_it_may() {
    let primary_of = |change: &dyn Fn(&mut Vec<MasterKey>)| {
        let mut host = Log::new(&KEYS);
        change(&mut host.keys);
        Ring::new(&host).primary().map_err(|error| error.message)
    };
    let swap = |keys: &mut Vec<MasterKey>| keys.iter_mut().for_each(|key| key.primary ^= true);
    assert_eq!(primary_of(&|_| {}), Ok(0));
    assert_eq!(primary_of(&swap), Ok(1));
    let labelled =
        |label: &str| primary_of(&|keys: &mut Vec<MasterKey>| keys[0].id = Some(label.to_owned()));
    assert_eq!(labelled(&"x".repeat(64)), Ok(0));
    for label in ["x".repeat(65), "\u{1b}[31m".to_owned()] {
        assert_eq!(labelled(&label), Err(Message::LongLabel.to_string()), "{label:?}");
    }
    let without = |keys: &mut Vec<MasterKey>| keys[0].primary = false;
    let twice = |keys: &mut Vec<MasterKey>| keys[1].primary = true;
    for change in [&without as &dyn Fn(&mut Vec<MasterKey>), &twice] {
        assert_eq!(primary_of(change), Err(Message::NotOnePrimary.to_string()));
    }
}

/// Users of a directory share the root key of a master key, and of no other.
#[test]
fn a_root_key_is_derived_once_for_each_key_and_salt() {
    let host = Log::new(&KEYS);
    let ring = Ring::new(&host);
    let other = Some(RootParameters { salt: vec![8; 16], rounds: Some(600_000) });
    let bob = |index, root| Derivation { user_id: "bob".to_owned(), ..anna(index, root) };
    let wanted =
        [anna(0, root(600_000)), bob(0, root(600_000)), bob(1, root(600_000)), bob(0, other)];
    let keys = ring.derive(&wanted).unwrap();
    let remembered = host.log.take().iter().filter(|line| line.starts_with("remember")).count();
    assert_eq!(remembered, 3);
    let kdf = |salt| Kdf { salt: [salt; 16], rounds: Some(600_000) };
    let [anna, bob] = ["anna", "bob"].map(|user| UserId::parse(user).unwrap());
    for (key, (material, kdf, user)) in keys.iter().zip([
        (KEYS[0], kdf(7), &anna),
        (KEYS[0], kdf(7), &bob),
        (KEYS[1], kdf(7), &bob),
        (KEYS[0], kdf(8), &bob),
    ]) {
        let root = RootKey::derive(material.as_bytes(), &kdf);
        assert_eq!(**key, *root.user_key(user).unwrap());
    }
    let root = RootKey::derive(KEYS[1].as_bytes(), &kdf(7));
    let parameters = RootParameters { salt: vec![7; 16], rounds: Some(600_000) };
    let tag = ring.settings_tag(1, &parameters, b"settings").unwrap();
    assert_eq!(tag, root.settings_tag(b"settings").unwrap());
}

#[test]
fn a_key_that_was_kept_is_taken_as_it_is() {
    let kept = |key: Vec<u8>| Log { kept: Some(key), ..Log::new(&KEYS) };
    let host = kept(vec![9; 32]);
    let keys = Ring::new(&host).derive(&[anna(0, None)]).unwrap();
    assert_eq!(*keys[0], [9; 32]);
    let host = kept(vec![9; 31]);
    let refused = Ring::new(&host).derive(&[anna(0, None)]).unwrap_err();
    assert_eq!(refused.message, Message::NotAKey.to_string());
}

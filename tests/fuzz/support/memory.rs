//! A host in memory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use moat_format::user_id::UserId;
use moat_guest_keys::contract as keys;
use moat_guest_keys::contract::{MasterKey, Slot};
use moat_guest_keys::kdf::user_key_1;
use moat_guest_records::Host;
use moat_guest_records::contract::{Error, File, NamePage};
use sha2::{Digest, Sha256};

use crate::fernet::Key;

/// Whose record it is.
pub const USER: &str = "anna";

/// The time in memory: 2025-01-14T10:00:00.
pub const NOW: u64 = 1_736_848_800;

/// The ring: label and material of each key, the primary one first.
pub const KEYS: [(&str, &[u8]); 2] = [("new", b"the primary master key"), ("old", b"another")];

/// The user's keys under the ring, derived once.
pub(crate) static DERIVED: LazyLock<[Key; 2]> = LazyLock::new(|| {
    let user = UserId::parse(USER).expect("it is a user id");
    KEYS.map(|(_, material)| *user_key_1(material, &user))
});

/// The roots of version 2.0 by their place in the ring and their parameters, each derived once.
static ROOTS: LazyLock<Mutex<HashMap<(u32, String), Vec<u8>>>> = LazyLock::new(Mutex::default);

/// The user's record, settings, the ring, and a clock that stands still.
pub struct Memory {
    record: RefCell<Option<Vec<u8>>>,
    settings: RefCell<Option<Vec<u8>>>,
    provides_keys: bool,
}

impl Memory {
    /// With this record, or none.
    pub fn new(record: Option<Vec<u8>>) -> Self {
        Self { record: RefCell::new(record), settings: RefCell::default(), provides_keys: true }
    }

    /// The same, but it is a bug to ask for a key.
    pub fn without_keys(record: Option<Vec<u8>>) -> Self {
        Self { provides_keys: false, ..Self::new(record) }
    }

    /// The record as it stands now.
    pub fn record(&self) -> Option<Vec<u8>> {
        self.record.borrow().clone()
    }

    /// The file of this name.
    fn file(&self, name: &str) -> &RefCell<Option<Vec<u8>>> {
        match name {
            "anna.cred" => &self.record,
            "moat.json" => &self.settings,
            _ => panic!("{name:?} is none of the call's files"),
        }
    }
}

impl Host for Memory {
    fn read(&self, name: &str) -> Result<Option<File>, Error> {
        let contents = self.file(name).borrow().clone();
        Ok(contents.map(|contents| File { revision: revision(&contents), contents }))
    }

    fn write(&self, name: &str, contents: &[u8], replaces: Option<&str>) -> Result<String, Error> {
        let old = self.file(name).replace(Some(contents.to_vec()));
        assert_eq!(replaces, old.as_deref().map(revision).as_deref());
        Ok(revision(contents))
    }

    fn remove(&self, name: &str, _expected: Option<&str>) -> Result<bool, Error> {
        assert_eq!(name, "anna.cred");
        Ok(self.record.take().is_some())
    }

    fn names(&self, _cursor: Option<&str>, _limit: u32) -> Result<NamePage, Error> {
        let names = self.record().map(|_| "anna.cred".to_owned());
        Ok(NamePage { names: names.into_iter().collect(), next: None })
    }

    moat_guest_native::provide_keys!();

    fn now(&self) -> u64 {
        NOW
    }

    fn random(&self) -> Result<[u8; 16], Error> {
        Ok([7; 16])
    }
}

impl moat_guest_keys::Host for Memory {
    fn ring(&self) -> Result<Vec<MasterKey>, keys::Error> {
        assert!(self.provides_keys);
        let keys = KEYS.iter().enumerate().map(|(index, (id, material))| MasterKey {
            id: Some((*id).to_owned()),
            primary: index == 0,
            material: material.to_vec(),
        });
        Ok(keys.collect())
    }

    fn lookup(&self, slot: &Slot) -> Option<Vec<u8>> {
        assert!(self.provides_keys);
        if slot.user_id.is_some() {
            let is_derived = slot.version == "1.0";
            return is_derived.then(|| DERIVED[slot.ring_index as usize].to_vec());
        }
        ROOTS.lock().unwrap().get(&(slot.ring_index, slot.parameters.clone())).cloned()
    }

    fn remember(&self, slot: &Slot, key: &[u8]) {
        let root = (slot.ring_index, slot.parameters.clone());
        ROOTS.lock().unwrap().insert(root, key.to_vec());
    }
}

/// As the host makes it.
fn revision(contents: &[u8]) -> String {
    Sha256::digest(contents)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

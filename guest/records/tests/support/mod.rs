//! A credentials directory, keys, a cache and a clock in memory, with a log of what was asked of them.

#![allow(dead_code, reason = "each test file uses a part")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};

use moat_format::user_id;
use moat_guest_keys::contract as keys;
use moat_guest_keys::contract::{MasterKey, Slot};
use moat_guest_records::Host;
use moat_guest_records::contract::{
    Changes, Credential, Error, ErrorCode, File, NamePage, PutOptions,
};

/// 2025-01-14T10:00:00
pub(crate) const NOW: u64 = 1_736_848_800;

/// What the next random bytes are.
pub(crate) const SALT: [u8; 16] = *b"salted by chance";

/// A key that encrypts.
pub(crate) fn primary(id: Option<&str>, material: &str) -> MasterKey {
    MasterKey { id: id.map(str::to_owned), primary: true, material: material.into() }
}

/// A key that only opens.
pub(crate) fn spare(id: Option<&str>, material: &str) -> MasterKey {
    MasterKey { primary: false, ..primary(id, material) }
}

/// What most tests store.
pub(crate) fn credential() -> Credential {
    Credential {
        username: "anna@example.com".to_owned(),
        password: "hunter2".to_owned(),
        fields: Vec::new(),
        created_at: None,
        last_used: None,
        is_valid: false,
        validation_attempts: 0,
        expires: None,
    }
}

/// Stores without any condition or wish.
pub(crate) fn options() -> PutOptions {
    PutOptions {
        create_only: false,
        expected_revision: None,
        version: None,
        encoding: None,
        keep_fields: false,
    }
}

/// What is changed of a credential, to be filled.
pub(crate) fn no_changes() -> Changes {
    Changes {
        username: None,
        password: None,
        fields: Vec::new(),
        removed_fields: Vec::new(),
        expires: None,
        forget_history: false,
    }
}

type Interruption = Box<dyn Fn(&Memory)>;

/// What a host would provide.
pub(crate) struct Memory {
    /// The keys that the next call gets.
    pub(crate) ring: RefCell<Vec<MasterKey>>,
    /// Derived keys by place in the ring and user, or by the parameters of a root key.
    pub(crate) cache: RefCell<HashMap<(u32, String), Vec<u8>>>,
    /// Seconds since 1970.
    pub(crate) clock: Cell<u64>,
    files: RefCell<BTreeMap<String, (Vec<u8>, String)>>,
    writes: Cell<u32>,
    interruption: RefCell<Option<(usize, Interruption)>>,
    log: RefCell<Vec<String>>,
}

impl Memory {
    pub(crate) fn new(ring: impl IntoIterator<Item = MasterKey>) -> Self {
        Self {
            ring: RefCell::new(ring.into_iter().collect()),
            cache: RefCell::default(),
            clock: Cell::new(NOW),
            files: RefCell::default(),
            writes: Cell::new(0),
            interruption: RefCell::default(),
            log: RefCell::default(),
        }
    }

    /// Puts a file into the directory from outside, as another process would.
    pub(crate) fn set_file(&self, name: &str, contents: impl Into<Vec<u8>>) -> String {
        self.writes.set(self.writes.get() + 1);
        let revision = format!("r{}", self.writes.get());
        let file = (contents.into(), revision.clone());
        self.files.borrow_mut().insert(name.to_owned(), file);
        revision
    }

    /// Takes a file away from outside.
    pub(crate) fn delete_file(&self, name: &str) {
        self.files.borrow_mut().remove(name);
    }

    pub(crate) fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.files.borrow().get(name).map(|(contents, _)| contents.clone())
    }

    fn revision(&self, name: &str) -> Option<String> {
        self.files.borrow().get(name).map(|(_, revision)| revision.clone())
    }

    /// Lets something happen right before each of the next writes.
    pub(crate) fn interrupt(&self, writes: usize, happens: impl Fn(&Self) + 'static) {
        *self.interruption.borrow_mut() = Some((writes, Box::new(happens)));
    }

    /// The calls since the last time this was asked.
    pub(crate) fn take_log(&self) -> Vec<String> {
        self.log.take()
    }

    /// The calls of this kind since the last time the log was taken.
    pub(crate) fn take_log_of(&self, kind: &str) -> Vec<String> {
        let mut log = self.take_log();
        log.retain(|call| call.starts_with(kind));
        log
    }

    fn note(&self, call: String) {
        self.log.borrow_mut().push(call);
    }

    fn check(&self, name: &str, expected: Option<&str>) -> Result<(), Error> {
        if self.revision(name).as_deref() == expected {
            Ok(())
        } else {
            Err(Error { code: ErrorCode::Conflict, message: "somebody else was faster".to_owned() })
        }
    }
}

impl Host for Memory {
    fn read(&self, name: &str) -> Result<Option<File>, Error> {
        self.note(format!("read {name}"));
        let file = self.files.borrow().get(name).cloned();
        Ok(file.map(|(contents, revision)| File { contents, revision }))
    }

    fn write(&self, name: &str, contents: &[u8], replaces: Option<&str>) -> Result<String, Error> {
        self.note(format!("write {name}"));
        // Taken out while it runs: it may write through the vault itself.
        let interruption = self.interruption.take();
        if let Some((writes @ 1.., happens)) = interruption {
            happens(self);
            *self.interruption.borrow_mut() = Some((writes - 1, happens));
        }
        self.check(name, replaces)?;
        Ok(self.set_file(name, contents))
    }

    fn remove(&self, name: &str, expected: Option<&str>) -> Result<bool, Error> {
        self.note(format!("remove {name}"));
        if expected.is_some() {
            self.check(name, expected)?;
        }
        Ok(self.files.borrow_mut().remove(name).is_some())
    }

    fn names(&self, cursor: Option<&str>, limit: u32) -> Result<NamePage, Error> {
        self.note(format!("names {limit}"));
        let files = self.files.borrow();
        let is_after = |name: &&String| {
            cursor.is_none_or(|cursor| user_id::place(name) > user_id::place(cursor))
        };
        let mut names: Vec<String> = files.keys().filter(is_after).cloned().collect();
        names.sort_by(|one, other| user_id::place(one).cmp(&user_id::place(other)));
        let has_more = names.len() > limit as usize;
        names.truncate(limit as usize);
        let next = names.last().filter(|_| has_more).cloned();
        Ok(NamePage { names, next })
    }

    moat_guest_native::provide_keys!();

    fn now(&self) -> u64 {
        self.note("now".to_owned());
        self.clock.get()
    }

    fn random(&self) -> Result<[u8; 16], Error> {
        self.note("random".to_owned());
        Ok(SALT)
    }
}

fn place(slot: &Slot) -> (u32, String) {
    let name = match &slot.user_id {
        Some(user) if slot.version == "1.0" => user.clone(),
        Some(user) => format!("{user} in {}", slot.version),
        None => slot.parameters.clone(),
    };
    (slot.ring_index, name)
}

/// The imports of the part with the master keys.
impl moat_guest_keys::Host for Memory {
    fn ring(&self) -> Result<Vec<MasterKey>, keys::Error> {
        self.note("ring".to_owned());
        Ok(self.ring.borrow().clone())
    }

    fn lookup(&self, slot: &Slot) -> Option<Vec<u8>> {
        let found = self.cache.borrow().get(&place(slot)).cloned();
        let outcome = if found.is_some() { "hit" } else { "miss" };
        self.note(format!("lookup {} {outcome}", slot.ring_index));
        found
    }

    fn remember(&self, slot: &Slot, key: &[u8]) {
        self.note(format!("remember {}", slot.ring_index));
        self.cache.borrow_mut().insert(place(slot), key.to_vec());
    }
}

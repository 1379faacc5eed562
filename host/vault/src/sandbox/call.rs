//! One call: its grant and its limits, and the component's five imports, which check them every time.
//!
//! Failures that the component may handle are returned as values of the contract. An access beyond the grant or a value
//! beyond a limit aborts it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

use super::backend::Backend;
use super::bindings::fossawork::credentials::{directory, key_cache, master_keys};
use super::bindings::wasi::clocks::wall_clock;
use super::bindings::wasi::random::random;
use super::given::Given;
use super::grant::Grant;
use super::limits::Limits;
use super::violation::Violation;
use super::write_policy::{self, Expected, WriteRejected};
use crate::contract::{self, DerivedKey, ErrorCode};
use crate::directory::{Change, revision};
use crate::effects::{Effect, Effects};
use crate::error::Error;
use crate::keys::{KeyCache, Slot};
use crate::operation::Operation;
use moat_format::files::SETTINGS;
use moat_format::json_object::RawObject;
use moat_format::kdf::{DirectoryKdf, Kdf};
use moat_format::record::CREATED_AT;
use moat_format::user_id::UserId;
use moat_format::version::Version;

/// The state of one call, which lives and dies with its instance.
pub(crate) struct Call {
    pub(super) grant: Grant,
    limits: Limits,
    backend: Arc<dyn Backend>,
    memory_bytes: usize,
    host_calls: u32,
    host_bytes: u64,
    started: Instant,
    /// Time spent in the host's own work, which doesn't count against the deadline.
    in_host: Duration,
    /// The files as they were last read or written: what a write may replace.
    pub(super) seen: HashMap<String, directory::File>,
    /// What an operation on many users wrote, which is yet to be done.
    staged: Vec<Change>,
    /// Where the next page of names begins, as the host last answered.
    next_page: Option<String>,
    /// Whether another process held the lock for longer than is waited.
    locked: bool,
    /// The failures that were returned to the component, with their causes, for the caller to see.
    pub(super) failures: Vec<Error>,
    /// What the component was given.
    pub(super) given: Given,
    /// What was written and removed.
    pub(super) effects: Effects,
}

impl Call {
    pub(crate) fn new(grant: Grant, limits: Limits, backend: Arc<dyn Backend>) -> Self {
        Self {
            limits: limits.times(grant.size()),
            grant,
            backend,
            memory_bytes: 0,
            host_calls: 0,
            host_bytes: 0,
            started: Instant::now(),
            in_host: Duration::ZERO,
            seen: HashMap::new(),
            staged: Vec::new(),
            next_page: None,
            locked: false,
            failures: Vec::new(),
            given: Given::default(),
            effects: Effects::default(),
        }
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The linear memories that the component grew to, together, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// The time spent inside the component.
    pub(crate) fn guest_time(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.in_host)
    }

    /// Where the next page of names begins, as the host last answered.
    pub(crate) fn next_page(&self) -> Option<&str> {
        self.next_page.as_deref()
    }

    pub(crate) fn check_deadline(&self) -> Result<(), Violation> {
        // Any key of the ring may have to be derived before one fits.
        let keys = u32::try_from(self.given.keys().len()).unwrap_or(u32::MAX).max(1);
        if self.guest_time() > self.limits.deadline.saturating_mul(keys) {
            return Err(Violation::Deadline);
        }
        Ok(())
    }

    /// Writes what an operation on many users staged, of those files that `is_done`, and returns those that could not be
    /// written.
    pub(super) fn commit(
        &mut self,
        is_done: impl Fn(&str) -> bool,
    ) -> Result<HashMap<String, Error>, Error> {
        let mut staged = std::mem::take(&mut self.staged);
        staged.retain(|change| is_done(&change.name));
        if staged.is_empty() {
            return Ok(HashMap::new());
        }
        let outcomes = self.backend.write_all(&staged)?;
        let mut failed = HashMap::new();
        for (change, done) in staged.into_iter().zip(outcomes) {
            match (done, self.grant.user_of(&change.name)) {
                (Ok(()), Some(user)) => {
                    let revision = Some(revision(&change.contents));
                    self.effects.note(user, Effect { replaces: change.replaces, revision });
                }
                (Ok(()), None) => {}
                (Err(failure), _) => drop(failed.insert(change.name, failure)),
            }
        }
        Ok(failed)
    }

    /// What the call did to files.
    pub(crate) fn into_effects(self) -> Effects {
        self.effects
    }

    /// Counts the call of an import that brings this many bytes.
    fn enter(&mut self, bytes: usize) -> Result<(), Violation> {
        self.host_calls = self.host_calls.saturating_add(1);
        if self.host_calls > self.limits.host_calls {
            return Err(Violation::HostCalls);
        }
        self.exchange(bytes)
    }

    /// Counts bytes that go through an import.
    fn exchange(&mut self, bytes: usize) -> Result<(), Violation> {
        self.host_bytes = self.host_bytes.saturating_add(bytes as u64);
        if self.host_bytes > self.limits.host_bytes {
            return Err(Violation::HostBytes);
        }
        Ok(())
    }

    fn require(&self, granted: bool, asked: &'static str) -> Result<(), Violation> {
        if granted {
            return Ok(());
        }
        Err(self.denied(asked))
    }

    fn denied(&self, asked: &'static str) -> Violation {
        Violation::Denied { call: self.grant.to_string(), asked }
    }

    /// Whose file this is, where the access to users' files or to the settings is granted: `None` for the settings.
    fn require_file(
        &self,
        granted: bool,
        settings: bool,
        name: &str,
        asked: &'static str,
    ) -> Result<Option<&UserId>, Violation> {
        if name == SETTINGS {
            return self.require(settings, asked).map(|()| None);
        }
        let user = self.grant.user_of(name).filter(|_| granted);
        self.require(user.is_some(), asked).map(|()| user)
    }

    /// The lock is waited for once in a call: the deadline stands still meanwhile.
    fn require_patience(&self) -> Result<(), Violation> {
        if self.locked {
            return Err(Violation::Locked);
        }
        Ok(())
    }

    /// Does the host's part of an import: meanwhile the deadline stands still, and a failure is returned to the component.
    fn respond<T>(
        &mut self,
        work: impl FnOnce(&dyn Backend) -> Result<T, Error>,
    ) -> Result<T, contract::Error> {
        let begun = Instant::now();
        let outcome = work(&*self.backend);
        self.in_host += begun.elapsed();
        outcome.map_err(|failure| {
            let code = failure.code();
            self.locked |= code == ErrorCode::Locked;
            let message = failure.to_string();
            self.failures.push(failure);
            contract::Error { code, message }
        })
    }

    /// When the record of this user was created, as the file says that the call has read.
    fn created_at(&self, user: &UserId) -> Option<String> {
        let file = self.seen.get(&user.file_name())?;
        let object: RawObject = serde_json::from_slice(&file.contents).ok()?;
        object.find::<Option<String>>(CREATED_AT).ok()??
    }

    /// Checks what is to be written in place of the revision `replaces`, which this call has to have seen.
    fn check_write(
        &mut self,
        user: Option<&UserId>,
        name: &str,
        contents: &[u8],
        replaces: Option<&str>,
    ) -> Result<(), WriteRejected> {
        let seen = |name| self.seen.get(name);
        let old = seen(name).filter(|seen| Some(seen.revision.as_str()) == replaces);
        if replaces.is_some() && old.is_none() {
            return Err(WriteRejected::Unread);
        }
        let old = old.map(|seen| seen.contents.as_slice());
        let copied = self.grant.source().and_then(|source| self.created_at(source));
        let given = &mut self.given;
        let Some(user) = user else {
            let may_configure = self.grant.operation() == Operation::Configure;
            return write_policy::check_settings(contents, old, may_configure, given);
        };
        let settings = seen(SETTINGS).map(|seen| seen.contents.as_slice());
        let created_at = self.grant.created_at().or(copied.as_deref());
        write_policy::check(contents, &Expected { user, old, settings, created_at }, given)
    }
}

impl directory::Host for Call {
    fn read(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<directory::Reading, contract::Error>> {
        self.enter(name.len())?;
        let access = self.grant.access();
        self.require_file(access.read, access.reads_settings(), &name, "read this file")?;
        let file = match self.respond(|backend| backend.read(&name)) {
            Ok(file) => file.map(|(contents, revision)| directory::File { contents, revision }),
            Err(error) => return Ok(Err(error)),
        };
        self.exchange(file.as_ref().map_or(0, |file| file.contents.len()))?;
        match &file {
            Some(file) => self.seen.insert(name, file.clone()),
            None => self.seen.remove(&name),
        };
        Ok(Ok(directory::Reading { file }))
    }

    fn write(
        &mut self,
        name: String,
        contents: Vec<u8>,
        replaces: Option<String>,
    ) -> wasmtime::Result<Result<directory::Written, contract::Error>> {
        self.enter(name.len() + contents.len())?;
        let access = self.grant.access();
        let asked = "write this file";
        let user = self.require_file(access.write, access.settings, &name, asked)?.cloned();
        if user.is_some() && self.grant.written_user_of(&name).is_none() {
            return Err(self.denied(asked).into());
        }
        self.require_patience()?;
        self.check_write(user.as_ref(), &name, &contents, replaces.as_deref())
            .map_err(Violation::Write)?;
        if self.grant.operation().writes_many() && name != SETTINGS {
            let revision = revision(&contents);
            let written =
                directory::File { contents: contents.clone(), revision: revision.clone() };
            self.seen.insert(name.clone(), written);
            self.staged.push(Change { name, contents, replaces });
            return Ok(Ok(directory::Written { revision }));
        }
        let revision =
            match self.respond(|backend| backend.write(&name, &contents, replaces.as_deref())) {
                Ok(revision) => revision,
                Err(error) => return Ok(Err(error)),
            };
        match &user {
            Some(user) => {
                self.effects.note(user, Effect { replaces, revision: Some(revision.clone()) });
            }
            None => self.effects.note_settings(&revision),
        }
        self.seen.insert(name, directory::File { contents, revision: revision.clone() });
        Ok(Ok(directory::Written { revision }))
    }

    fn remove(
        &mut self,
        name: String,
        expected: Option<String>,
    ) -> wasmtime::Result<Result<directory::Removal, contract::Error>> {
        self.enter(name.len())?;
        let access = self.grant.access();
        let record = self.grant.user_of(&name).filter(|_| access.remove);
        let backup = self.grant.user_of_backup(&name).filter(|_| access.remove_backups);
        let Some(user) = record.or(backup).cloned() else {
            return Err(self.denied("remove this file").into());
        };
        self.require_patience()?;
        let removed = self.respond(|backend| backend.remove(&name, expected.as_deref()));
        if let Ok(true) = removed {
            self.effects.note(&user, Effect { replaces: expected, revision: None });
        }
        Ok(removed.map(|existed| directory::Removal { existed }))
    }

    fn names(
        &mut self,
        cursor: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<directory::NamePage, contract::Error>> {
        self.enter(cursor.as_ref().map_or(0, String::len))?;
        self.require(self.grant.access().list, "list the directory")?;
        let (names, next) = match self.respond(|backend| backend.names(cursor.as_deref(), limit)) {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        self.exchange(names.iter().map(String::len).sum())?;
        self.next_page.clone_from(&next);
        Ok(Ok(directory::NamePage { names, next }))
    }
}

impl master_keys::Host for Call {
    fn ring(&mut self) -> wasmtime::Result<Result<master_keys::KeyRing, contract::Error>> {
        self.enter(0)?;
        self.require(self.grant.access().keys, "get the master keys")?;
        let keys = match self.respond(|backend| backend.ring()) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error)),
        };
        self.exchange(keys.iter().map(|key| key.material.len()).sum())?;
        self.given.note_keys(&keys);
        Ok(Ok(master_keys::KeyRing { keys }))
    }
}

impl Call {
    fn require_slot(&self, slot: &key_cache::Slot) -> Result<(), Violation> {
        let user = slot.user_id.as_deref();
        let named = user.is_none_or(|user| self.grant.names_user(user));
        self.require(self.grant.access().keys && named, "use this derived key")
    }

    /// Whether there can be a key of this name: of a master key that was lent, by the derivation of a version. Otherwise a
    /// component could hand on whatever it wanted to another call, in the names of keys.
    fn can_be_derived(&self, slot: &key_cache::Slot) -> bool {
        let is_lent =
            usize::try_from(slot.ring_index).is_ok_and(|index| index < self.given.keys().len());
        is_lent
            && match Version::parse(&slot.version) {
                Ok(Version::V1) => slot.user_id.is_some() && slot.parameters.is_empty(),
                Ok(Version::V2) => self.knows_kdf(&slot.parameters),
                Err(_) => false,
            }
    }

    /// Whether these are the parameters of a file that was read, or of settings with a salt that was given.
    fn knows_kdf(&self, id: &str) -> bool {
        let read = self.seen.iter().flat_map(|(name, file)| {
            let object: RawObject = serde_json::from_slice(&file.contents).unwrap_or_default();
            let of_settings = DirectoryKdf::find(&object).ok().flatten();
            match name == SETTINGS {
                true => of_settings.map(|kdf| kdf.with_key(false)),
                false => Kdf::find(&object).ok().flatten(),
            }
        });
        let drawn = self.given.drawn().iter().map(|salt| DirectoryKdf::new(*salt).with_key(false));
        read.chain(drawn).any(|kdf| kdf.id() == id)
    }
}

impl From<key_cache::Slot> for Slot {
    fn from(slot: key_cache::Slot) -> Self {
        let key_cache::Slot { ring_index, version, user_id, parameters } = slot;
        Self { ring_index, version, user_id, parameters }
    }
}

impl key_cache::Host for Call {
    fn lookup(&mut self, slot: key_cache::Slot) -> wasmtime::Result<Option<DerivedKey>> {
        self.enter(slot.parameters.len())?;
        self.require_slot(&slot)?;
        Ok(self.backend.lookup(&slot.into()))
    }

    fn remember(&mut self, slot: key_cache::Slot, key: DerivedKey) -> wasmtime::Result<()> {
        self.enter(slot.parameters.len() + key.material.len())?;
        self.require_slot(&slot)?;
        if key.material.len() != KeyCache::KEY_BYTES || !self.can_be_derived(&slot) {
            return Err(Violation::NotAKey.into());
        }
        self.backend.remember(slot.into(), &key);
        Ok(())
    }
}

impl wall_clock::Host for Call {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.enter(0)?;
        let now = self.backend.now();
        self.given.note_time(now.as_secs());
        Ok(wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.enter(0)?;
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

impl random::Host for Call {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > Limits::RANDOM_BYTES {
            return Err(Violation::Random.into());
        }
        let mut bytes = vec![0; usize::try_from(len)?];
        self.enter(bytes.len())?;
        self.backend.random(&mut bytes)?;
        self.given.note_random(&bytes);
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.enter(bytes.len())?;
        self.backend.random(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

impl ResourceLimiter for Call {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        if all > self.limits.memory_bytes {
            return Err(Violation::Memory.into());
        }
        self.memory_bytes = all;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > Limits::TABLE_ELEMENTS {
            return Err(Violation::Table.into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        Limits::INSTANCES
    }

    fn tables(&self) -> usize {
        Limits::TABLES
    }

    fn memories(&self) -> usize {
        Limits::MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;
    use crate::keys::{KeyCache, KeyRing, MasterKey};
    use crate::request::Request;
    use crate::sandbox::VaultBackend;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE;
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;
    use directory::Host as _;
    use key_cache::Host as _;
    use master_keys::Host as _;
    use random::Host as _;
    use wall_clock::Host as _;

    /// Every access that there is, as a component may try it during a call for anna.
    type Attempt = (&'static str, fn(&mut Call) -> wasmtime::Result<()>);

    const BACKUP: &str = "anna.cred.backup_20250616_130236";

    const OWN: [Attempt; 10] = [
        ("read", |call| call.read("anna.cred".into()).map(drop)),
        ("write", |call| {
            let record = record(call)?;
            call.write("anna.cred".into(), record, None).map(drop)
        }),
        ("remove", |call| call.remove("anna.cred".into(), None).map(drop)),
        ("remove a backup", |call| call.remove(BACKUP.into(), None).map(drop)),
        ("read settings", |call| call.read(SETTINGS.into()).map(drop)),
        ("write settings", |call| call.write(SETTINGS.into(), b"{}".to_vec(), None).map(drop)),
        ("list", |call| call.names(None, 10).map(drop)),
        ("keys", |call| call.ring().map(drop)),
        ("lookup", |call| call.lookup(slot("anna")).map(drop)),
        ("remember", |call| call.remember(slot("anna"), DerivedKey { material: vec![1; 32] })),
    ];

    const FOREIGN: [Attempt; 12] = [
        ("read another", |call| call.read("bob.cred".into()).map(drop)),
        ("read no record", |call| call.read("anna".into()).map(drop)),
        ("read above", |call| call.read("../anna.cred".into()).map(drop)),
        ("read below", |call| call.read("./anna.cred".into()).map(drop)),
        ("read the lock", |call| call.read(".moat.lock".into()).map(drop)),
        ("write another", |call| call.write("bob.cred".into(), vec![1], None).map(drop)),
        ("remove another", |call| call.remove("bob.cred".into(), None).map(drop)),
        ("remove another's backup", |call| {
            call.remove(BACKUP.replace("anna", "bob"), None).map(drop)
        }),
        ("remove the settings", |call| call.remove(SETTINGS.into(), None).map(drop)),
        ("read a backup", |call| call.read(BACKUP.into()).map(drop)),
        ("another's key", |call| call.lookup(slot("bob")).map(drop)),
        ("another's key to keep", |call| {
            call.remember(slot("bob"), DerivedKey { material: vec![1; 32] })
        }),
    ];

    /// A record of anna's as the sandbox lets one pass, of what the call is given.
    fn record(call: &mut Call) -> wasmtime::Result<Vec<u8>> {
        let (now, iv) = (call.now()?.seconds, call.get_random_bytes(16)?);
        call.ring().ok();
        let token = [&[0x80][..], &now.to_be_bytes(), &iv, &[1; 16 + 32]].concat();
        let token = URL_SAFE.encode(token);
        let record = format!(
            r#"{{"user_id":"anna","encrypted_data":"{token}","encryption_version":"1.0"}}"#
        );
        Ok(record.into_bytes())
    }

    fn slot(user: &str) -> key_cache::Slot {
        key_cache::Slot {
            ring_index: 0,
            version: "1.0".to_owned(),
            user_id: Some(user.to_owned()),
            parameters: String::new(),
        }
    }

    /// What of all this an operation for anna is granted.
    fn granted(operation: Operation) -> Vec<&'static str> {
        let path = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(path.path(), ambient_authority()).unwrap();
        dir.write("bob.cred", "bob's").unwrap();
        let resources = Arc::new(VaultBackend {
            directory: Directory::new(dir).unwrap(),
            keys: Box::new(KeyRing::new(MasterKey::new(b"sixteen bytes at least"))),
            cache: KeyCache::default(),
        });
        let anna = UserId::parse("anna").unwrap();
        let grant = Grant::new(&Request::new(operation, &[anna]));
        let mut call = Call::new(grant, Limits::default(), resources);
        for (what, attempt) in FOREIGN {
            let error = attempt(&mut call).err().unwrap();
            assert!(
                matches!(error.downcast_ref(), Some(Violation::Denied { .. })),
                "{operation}: {what}"
            );
        }
        assert_eq!(std::fs::read(path.path().join("bob.cred")).unwrap(), b"bob's");
        let own = OWN.iter().filter(|(_, attempt)| attempt(&mut call).is_ok());
        own.map(|(what, _)| *what).collect()
    }

    #[test]
    fn a_call_is_granted_what_its_operation_needs_and_no_more() {
        let open = ["read", "read settings", "keys", "lookup", "remember"];
        let rewrite = ["read", "write", "read settings", "keys", "lookup", "remember"];
        let settings =
            ["read", "write", "read settings", "write settings", "keys", "lookup", "remember"];
        for (operation, expected) in [
            (Operation::Put, &settings[..]),
            (Operation::Change, &rewrite),
            (Operation::Copy, &settings),
            (Operation::History, &open),
            (Operation::Restore, &rewrite),
            (Operation::RevealVersion, &open),
            (Operation::Reveal, &open),
            (Operation::Apply, &open),
            (Operation::Describe, &open),
            (Operation::Inspect, &["read"]),
            (Operation::MarkUsed, &rewrite),
            (Operation::MarkValidated, &rewrite),
            (Operation::Remove, &["remove"]),
            (Operation::Users, &["list"]),
            (Operation::Verify, &open),
            (Operation::Migrate, &settings),
            (Operation::Rewrap, &settings),
            (
                Operation::Configure,
                &["read settings", "write settings", "keys", "lookup", "remember"],
            ),
            (Operation::Leftovers, &["list"]),
            (
                Operation::RemoveBackup,
                &["read", "remove a backup", "read settings", "keys", "lookup", "remember"],
            ),
        ] {
            assert_eq!(granted(operation), expected, "{operation}");
        }
        assert_eq!(Operation::ALL.len(), 20);
    }

    #[test]
    fn a_refusal_names_the_call_and_what_was_asked() {
        let anna = [UserId::parse("anna").unwrap()];
        let grant = Grant::new(&Request::new(Operation::Inspect, &anna));
        let stop = Violation::Denied { call: grant.to_string(), asked: "list the directory" };
        assert_eq!(
            stop.to_string(),
            "during `inspect \"anna\"` it asked to list the directory, which it was not granted"
        );
    }
}

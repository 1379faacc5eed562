//! One call: its grant and its limits, and the component's five imports, which check them every time.
//!
//! Failures that the component may handle are answered as values of the contract. An access beyond the grant,
//! or a number beyond all reason, stops it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wasmtime::ResourceLimiter;

use super::bindings::fossawork::credentials::{directory, key_cache, master_keys};
use super::bindings::wasi::clocks::wall_clock;
use super::bindings::wasi::random::random;
use super::grant::Grant;
use super::limits::{
    Limits, MAX_INSTANCES, MAX_MEMORIES, MAX_RANDOM_BYTES, MAX_TABLE_ELEMENTS, MAX_TABLES,
};
use super::stop::Stop;
use crate::contract::{self, DerivedKey};
use crate::error::Error;
use crate::vault::Resources;

/// The state of one call, which lives and dies with its instance.
pub(crate) struct Call {
    grant: Grant,
    limits: Limits,
    resources: Arc<Resources>,
    memory_bytes: usize,
    started: Instant,
    /// Time spent in the host's own work, which doesn't count against the deadline.
    in_host: Duration,
    /// The last failure that was answered to the component, with its cause, for the caller to see.
    failure: Option<Error>,
}

impl Call {
    pub(crate) fn new(grant: Grant, limits: Limits, resources: Arc<Resources>) -> Self {
        Self {
            grant,
            limits,
            resources,
            memory_bytes: 0,
            started: Instant::now(),
            in_host: Duration::ZERO,
            failure: None,
        }
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The linear memory that the component grew to, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// The time spent inside the component.
    pub(crate) fn guest_time(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.in_host)
    }

    pub(crate) fn check_deadline(&self) -> Result<(), Stop> {
        if self.guest_time() > self.limits.deadline {
            return Err(Stop::Deadline);
        }
        Ok(())
    }

    /// The component's failure, with the cause that only the host knows where it is the host's own.
    pub(crate) fn explain(self, error: contract::Error) -> Error {
        let own =
            |failure: &Error| failure.code() == error.code && failure.to_string() == error.message;
        self.failure.filter(own).unwrap_or_else(|| error.into())
    }

    fn require(&self, granted: bool, asked: impl FnOnce() -> String) -> wasmtime::Result<()> {
        if granted {
            return Ok(());
        }
        Err(Stop::Denied { grant: self.grant.to_string(), asked: asked() }.into())
    }

    /// Does the host's part of an import: the deadline stands still meanwhile, and a failure is answered.
    fn answer<T>(
        &mut self,
        work: impl FnOnce(&Resources) -> Result<T, Error>,
    ) -> wasmtime::Result<Result<T, contract::Error>> {
        let begun = Instant::now();
        let outcome = work(&self.resources);
        self.in_host += begun.elapsed();
        Ok(outcome.map_err(|failure| {
            let code = failure.code();
            let message = failure.to_string();
            self.failure = Some(failure);
            contract::Error { code, message }
        }))
    }
}

impl directory::Host for Call {
    fn read(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<directory::Reading, contract::Error>> {
        let granted = self.grant.access().read && self.grant.names_file(&name);
        self.require(granted, || format!("read {name:?}"))?;
        self.answer(|lent| {
            let file = lent.directory.read(&name)?;
            let file = file.map(|(contents, revision)| directory::File { contents, revision });
            Ok(directory::Reading { file })
        })
    }

    fn write(
        &mut self,
        name: String,
        contents: Vec<u8>,
        replaces: Option<String>,
    ) -> wasmtime::Result<Result<directory::Written, contract::Error>> {
        let granted = self.grant.access().write && self.grant.names_file(&name);
        self.require(granted, || format!("write {name:?}"))?;
        self.answer(|lent| {
            let revision = lent.directory.write(&name, &contents, replaces.as_deref())?;
            Ok(directory::Written { revision })
        })
    }

    fn remove(
        &mut self,
        name: String,
        expected: Option<String>,
    ) -> wasmtime::Result<Result<directory::Removal, contract::Error>> {
        let granted = self.grant.access().remove && self.grant.names_file(&name);
        self.require(granted, || format!("remove {name:?}"))?;
        self.answer(|lent| {
            let existed = lent.directory.remove(&name, expected.as_deref())?;
            Ok(directory::Removal { existed })
        })
    }

    fn names(
        &mut self,
        cursor: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<directory::NamePage, contract::Error>> {
        self.require(self.grant.access().list, || "list the directory".to_owned())?;
        self.answer(|lent| {
            let (names, next) = lent.directory.names(cursor.as_deref(), limit)?;
            Ok(directory::NamePage { names, next })
        })
    }
}

impl master_keys::Host for Call {
    fn ring(&mut self) -> wasmtime::Result<Result<master_keys::KeyRing, contract::Error>> {
        self.require(self.grant.access().keys, || "be lent the master keys".to_owned())?;
        self.answer(|lent| {
            let keys = lent.keys.ring()?.lend();
            Ok(master_keys::KeyRing { keys })
        })
    }
}

impl Call {
    fn require_slot(&self, slot: &key_cache::Slot) -> wasmtime::Result<()> {
        let user = slot.user_id.as_deref();
        let named = user.is_none_or(|user| self.grant.names_user(user));
        self.require(self.grant.access().keys && named, || {
            format!("use the derived key of {user:?}")
        })
    }
}

impl key_cache::Host for Call {
    fn lookup(&mut self, slot: key_cache::Slot) -> wasmtime::Result<Option<DerivedKey>> {
        self.require_slot(&slot)?;
        Ok(self.resources.cache.lookup(&slot))
    }

    fn remember(&mut self, slot: key_cache::Slot, key: DerivedKey) -> wasmtime::Result<()> {
        self.require_slot(&slot)?;
        self.resources.cache.remember(slot, key);
        Ok(())
    }
}

impl wall_clock::Host for Call {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        // A clock before 1970 reads as 1970.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

impl random::Host for Call {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let len = usize::try_from(len.min(MAX_RANDOM_BYTES + 1))?;
        if len as u64 > MAX_RANDOM_BYTES {
            return Err(Stop::Random.into());
        }
        let mut bytes = vec![0; len];
        getrandom::getrandom(&mut bytes).map_err(|_| Stop::NoRandom)?;
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        getrandom::getrandom(&mut bytes).map_err(|_| Stop::NoRandom)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

impl ResourceLimiter for Call {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.memory_bytes {
            return Err(Stop::Memory.into());
        }
        self.memory_bytes = desired;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > MAX_TABLE_ELEMENTS {
            return Err(Stop::Memory.into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;
    use crate::keys::{KeyCache, KeyRing, MasterKey};
    use crate::sandbox::Operation;
    use crate::user_id::UserId;
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;
    use directory::Host as _;
    use key_cache::Host as _;
    use master_keys::Host as _;

    /// Every access that there is, as a component may try it during a call for anna.
    type Attempt = (&'static str, fn(&mut Call) -> wasmtime::Result<()>);

    const OWN: [Attempt; 7] = [
        ("read", |call| call.read("anna.cred".into()).map(drop)),
        ("write", |call| call.write("anna.cred".into(), vec![1], None).map(drop)),
        ("remove", |call| call.remove("anna.cred".into(), None).map(drop)),
        ("list", |call| call.names(None, 10).map(drop)),
        ("keys", |call| call.ring().map(drop)),
        ("lookup", |call| call.lookup(slot("anna")).map(drop)),
        ("remember", |call| call.remember(slot("anna"), DerivedKey { material: vec![1] })),
    ];

    const FOREIGN: [Attempt; 9] = [
        ("read another", |call| call.read("bob.cred".into()).map(drop)),
        ("read no record", |call| call.read("anna".into()).map(drop)),
        ("read above", |call| call.read("../anna.cred".into()).map(drop)),
        ("read below", |call| call.read("./anna.cred".into()).map(drop)),
        ("read the lock", |call| call.read(".moat.lock".into()).map(drop)),
        ("write another", |call| call.write("bob.cred".into(), vec![1], None).map(drop)),
        ("remove another", |call| call.remove("bob.cred".into(), None).map(drop)),
        ("another's key", |call| call.lookup(slot("bob")).map(drop)),
        ("another's key to keep", |call| {
            call.remember(slot("bob"), DerivedKey { material: vec![1] })
        }),
    ];

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
        let resources = Arc::new(Resources {
            directory: Directory::new(dir).unwrap(),
            keys: Box::new(KeyRing::new(MasterKey::new(b"sixteen bytes at least"))),
            cache: KeyCache::default(),
        });
        let anna = UserId::parse("anna").unwrap();
        let mut call = Call::new(Grant::new(operation, &[anna]), Limits::default(), resources);
        for (what, attempt) in FOREIGN {
            let error = attempt(&mut call).err().unwrap();
            assert!(
                matches!(error.downcast_ref(), Some(Stop::Denied { .. })),
                "{operation}: {what}"
            );
        }
        assert_eq!(std::fs::read(path.path().join("bob.cred")).unwrap(), b"bob's");
        let own = OWN.iter().filter(|(_, attempt)| attempt(&mut call).is_ok());
        own.map(|(what, _)| *what).collect()
    }

    #[test]
    fn a_call_is_granted_what_its_operation_needs_and_no_more() {
        let open = ["read", "keys", "lookup", "remember"];
        let rewrite = ["read", "write", "keys", "lookup", "remember"];
        for (operation, expected) in [
            (Operation::Put, &rewrite[..]),
            (Operation::Reveal, &open),
            (Operation::Describe, &open),
            (Operation::Inspect, &["read"]),
            (Operation::MarkUsed, &rewrite),
            (Operation::MarkValidated, &rewrite),
            (Operation::Remove, &["remove"]),
            (Operation::Users, &["list"]),
            (Operation::Verify, &open),
        ] {
            assert_eq!(granted(operation), expected, "{operation}");
        }
        assert_eq!(Operation::ALL.len(), 9);
    }

    #[test]
    fn a_refusal_names_the_call_and_what_was_asked() {
        let grant = Grant::new(Operation::Inspect, &[UserId::parse("anna").unwrap()]);
        let stop =
            Stop::Denied { grant: grant.to_string(), asked: "list the directory".to_owned() };
        assert_eq!(
            stop.to_string(),
            "during `inspect \"anna\"` it asked to list the directory, which it was not granted"
        );
    }
}

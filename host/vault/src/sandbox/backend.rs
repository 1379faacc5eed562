//! What is behind the imports of a call.

use std::time::{Duration, SystemTime};

use crate::contract::{DerivedKey, MasterKey};
use crate::directory::{Change, Directory};
use crate::error::Error;
use crate::keys::{KeyCache, KeySource, Slot};

/// What the host provides to a call. An implementation doesn't check grants and limits: [`super::Call`] has done so.
pub(crate) trait Backend: Send + Sync {
    /// A whole file with its revision; `None` when there is none.
    fn read(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, Error>;
    /// Replaces the file of the revision `replaces` (`None`: creates it), and returns the new revision.
    fn write(&self, name: &str, contents: &[u8], replaces: Option<&str>) -> Result<String, Error>;
    /// Writes files that may share their syncs, and returns for each whether it was written.
    fn write_all(&self, changes: &[Change]) -> Result<Vec<Result<(), Error>>, Error>;
    /// Removes a file of this revision (`None`: of any), and returns whether there was one.
    fn remove(&self, name: &str, expected: Option<&str>) -> Result<bool, Error>;
    /// A page of names, and where the next begins.
    fn names(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<String>, Option<String>), Error>;
    /// The master keys.
    fn ring(&self) -> Result<Vec<MasterKey>, Error>;
    /// A derived key from the cache.
    fn lookup(&self, slot: &Slot) -> Option<DerivedKey>;
    /// Offers a derived key to the cache.
    fn remember(&self, slot: Slot, key: &DerivedKey);
    /// The time since 1970.
    fn now(&self) -> Duration;
    /// Fills the buffer with random bytes.
    fn random(&self, bytes: &mut [u8]) -> Result<(), Error>;
}

/// A vault's: a directory, keys, and the system's clock and randomness.
pub(crate) struct VaultBackend {
    pub(crate) directory: Directory,
    pub(crate) keys: Box<dyn KeySource>,
    pub(crate) cache: KeyCache,
}

impl Backend for VaultBackend {
    fn read(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, Error> {
        self.directory.read(name)
    }

    fn write(&self, name: &str, contents: &[u8], replaces: Option<&str>) -> Result<String, Error> {
        self.directory.write(name, contents, replaces)
    }

    fn write_all(&self, changes: &[Change]) -> Result<Vec<Result<(), Error>>, Error> {
        self.directory.write_all(changes)
    }

    fn remove(&self, name: &str, expected: Option<&str>) -> Result<bool, Error> {
        self.directory.remove(name, expected)
    }

    fn names(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        self.directory.names(cursor, limit)
    }

    fn ring(&self) -> Result<Vec<MasterKey>, Error> {
        Ok(self.keys.ring()?.to_contract())
    }

    fn lookup(&self, slot: &Slot) -> Option<DerivedKey> {
        self.cache.lookup(slot)
    }

    fn remember(&self, slot: Slot, key: &DerivedKey) {
        self.cache.remember(slot, key);
    }

    fn now(&self) -> Duration {
        // A clock before 1970 reads as 1970.
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), Error> {
        getrandom::getrandom(bytes).map_err(Error::no_randomness)
    }
}
